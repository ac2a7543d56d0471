"""The short form of `make qualify SECTIONS=tampering`: nothing that was changed is accepted."""

from __future__ import annotations

import random
from pathlib import Path

from edge.errors import EdgeError
from tests.qualify import tampering
from tests.qualify.tampering import Bundles, Quarry, Tally


def test_nothing_that_was_changed_is_accepted(tmp_path: Path) -> None:
    """Every kind of change, fewer bytes of each."""
    figures = tampering.run(tmp_path, 0.05)
    assert figures["broken"] == []
    assert figures["bundle: random byte"] == [50, 50, 0]
    assert all(tries == refused + harmless for tries, refused, harmless in _counts(figures))
    assert sum(harmless for *_, harmless in _counts(figures)) < sum(refused for _, refused, _ in _counts(figures))


def _counts(figures: dict[str, list[int]]) -> list[list[int]]:
    return [counts for name, counts in figures.items() if name != "broken"]


def test_every_change_is_put_right_again(tmp_path: Path) -> None:
    """Else a later try would be refused for an earlier one's change."""
    bundles = Bundles(tmp_path)
    before = bundles.read()
    for attack in tampering.EVERYWHERE.values():
        attack(bundles.quarry(), random.Random(1), 0.01)
        assert bundles.read() == before
    for attack_bundle in tampering.ON_BUNDLES.values():
        attack_bundle(bundles, random.Random(1), 0.01)
        assert bundles.read() == before


def test_what_is_accepted_or_fails_otherwise_is_told(tmp_path: Path) -> None:
    """A reader that checks nothing, and one that ends with a traceback, both break the promise."""
    (tmp_path / "a").write_bytes(b"abc")
    tally = tampering.random_bytes(Quarry("nothing", tmp_path, lambda folder: None), random.Random(1), 0.02)
    assert (tally.tries, tally.refused, len(tally.broken)) == (20, 0, 20)
    assert tally.broken[0].endswith(": accepted")

    def fail() -> None:
        raise KeyError("files")

    def refuse() -> None:
        raise EdgeError("two\nlines")

    told = Tally()
    told.tried("x", fail)
    told.tried("y", refuse)
    assert told.broken == ["x: KeyError: 'files'", "y: told in more than one line"]
