"""Escapes, overkill, and what they mean."""

from __future__ import annotations

import pytest

from edge.records import Outcome
from training.figures.intervals import upper_bound
from training.figures.parts import Part, PartFigures, part_figures, shipped_ppm

NAMES = ("pits", "crack")


def part(name: str, class_id: int, outcome: str, found_id: int = 0, group: str | None = None) -> Part:
    return Part(
        source=name,
        group=group or name,
        class_id=class_id,
        outcome=Outcome(outcome),
        found_id=found_id,
        score=0.5,
    )


def line(bad: int, escaped: int, sound: int, overkilled: int) -> list[Part]:
    """Return parts of a line with these counts, each of its own group."""
    return [part(f"b{i}", 1, "PASS" if i < escaped else "REJECT", 1) for i in range(bad)] + [
        part(f"s{i}", 0, "REJECT" if i < overkilled else "PASS", 1 if i < overkilled else 0) for i in range(sound)
    ]


def figures(parts: list[Part], bad_share: float = 0.01) -> PartFigures:
    return part_figures(parts, NAMES, bad_share, 0.95)


def test_escapes_and_overkill_have_their_own_denominators() -> None:
    """Two of a hundred bad parts pass, five of two hundred sound ones do not."""
    found = figures(line(100, 2, 200, 5))
    assert (found.escapes.hits, found.escapes.images, found.escapes.value) == (2, 100, 0.02)
    assert (found.overkill.hits, found.overkill.images, found.overkill.value) == (5, 200, 0.025)
    assert found.effectiveness == pytest.approx(293 / 300)


def test_unknown_does_not_pass() -> None:
    """A bad part that is UNKNOWN does not escape, a sound one is thrown away; both are told apart."""
    found = figures([part("a", 1, "UNKNOWN"), part("b", 0, "UNKNOWN"), part("c", 0, "PASS")])
    assert (found.escapes.hits, found.overkill.hits) == (0, 1)
    assert (found.unknown_bad, found.unknown_sound) == (1, 1)
    assert sum(map(sum, found.confusion)) == 1


def test_escapes_by_class() -> None:
    """Each class has its own parts."""
    found = figures([part("a", 1, "PASS"), part("b", 2, "REJECT", 2), part("c", 2, "REJECT", 2)])
    assert {name: (r.hits, r.images) for name, r in found.escapes_by_class.items()} == {"pits": (1, 1), "crack": (0, 2)}
    assert found.shipped is None


def test_kappa_moves_with_the_share_of_bad_parts() -> None:
    """The same escapes and overkill give 0.93 on fifty of each, and 0.27 where one part in a hundred is bad."""
    assert figures(line(50, 1, 60, 3)).kappa.value == pytest.approx(0.927, abs=0.001)
    assert figures(line(50, 1, 4950, 248)).kappa.value == pytest.approx(0.27, abs=0.005)


def test_kappa_of_one_kind_of_parts_is_none() -> None:
    """Where all parts are sound there is nothing to agree about."""
    assert figures(line(0, 0, 20, 1)).kappa.value is None


def test_confusion_and_macro_f1() -> None:
    """What passes was found sound, whatever is marked in it; a class that does not occur is left out of the mean."""
    found = figures([part("a", 1, "REJECT", 1), part("b", 1, "PASS", 1), part("c", 0, "PASS"), part("d", 0, "PASS", 2)])
    assert found.confusion == ((2, 0, 0), (1, 1, 0), (0, 0, 0))
    assert found.f1_macro.value == pytest.approx((2 * 2 / 5 + 2 * 1 / 3) / 2)


def test_what_is_shipped() -> None:
    """One part in a hundred bad, 2 % escapes, 0.5 % overkill: 203 ppm shipped, 4950 ppm overkilled, 34 % of rejects."""
    assert shipped_ppm(0.01, 0.02, 0.005) == pytest.approx(203, abs=0.5)
    shipped = figures(line(100, 2, 200, 1)).shipped
    assert shipped is not None
    assert shipped.shipped_ppm == pytest.approx(203, abs=0.5)
    assert shipped.overkill_ppm == pytest.approx(4950)
    assert shipped.sound_share_of_rejects == pytest.approx(0.336, abs=5e-4)
    assert shipped.shipped_ppm_at_most > 3 * shipped.shipped_ppm


def test_what_is_shipped_at_most_holds_for_both_rates_together() -> None:
    """Each rate is at a bound of 97.5 %, so that both hold with 95 %."""
    shipped = figures(line(100, 2, 200, 1)).shipped
    assert shipped is not None
    bounds = upper_bound(2, 100, 0.975), upper_bound(1, 200, 0.975)
    assert shipped.shipped_ppm_at_most == pytest.approx(shipped_ppm(0.01, *bounds))


def test_nothing_passes() -> None:
    """A line that rejects everything ships nothing bad."""
    assert shipped_ppm(0.01, 0.0, 1.0) == 0.0
