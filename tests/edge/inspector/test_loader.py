"""The loader: another bundle gets ready beside the one in use, or there is one line that says why not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from edge.bundle import read_bundle
from edge.errors import BundleError, EdgeError
from edge.inspector.backend import BackendSettings, Engine, open_engine
from edge.inspector.equipment import Equipment, OpenEngine
from edge.inspector.link import TakeBundle
from edge.inspector.loader import Loader, refuse_other_canvas
from edge.recipe import station_recipe
from tests.support.inspector import station
from tests.support.records import TILE, manifest


def loaded(
    folder: Path,
    present: Path,
    open_engine: OpenEngine = open_engine,
    bundle_hash: str = "",
    releases: dict[str, int] | None = None,
) -> Equipment | EdgeError:
    """Run the loader to its end; return its word."""
    settings = station(present, height=100, width=170)
    recipe = station_recipe(settings).model_dump_json().encode()
    order = TakeBundle(change=1, path=str(folder), recipe=recipe, bundle_hash=bundle_hash, releases=releases or {})
    words: list[Equipment | EdgeError] = []
    loader = Loader(settings, order, read_bundle(present).manifest, open_engine, words.append)
    loader.start()
    loader.join()
    (word,) = words
    return word


def test_a_good_bundle_comes_back_ready(tiny_bundle: Path) -> None:
    """Proven and warm, with the recipe that was sent along."""
    word = loaded(tiny_bundle, tiny_bundle)
    assert isinstance(word, Equipment)
    assert word.parity.startswith("4 frames")
    assert word.recipe(word.active.hash, "cam1") is not None
    assert word.segmenter.p99_us(1) > 0
    word.close()


def test_a_bundle_that_is_none_is_told(tiny_bundle: Path, tmp_path: Path) -> None:
    """The error is handed over, not raised into the thread."""
    word = loaded(tmp_path, tiny_bundle)
    assert isinstance(word, BundleError)
    assert str(tmp_path) in str(word)


def test_a_bundle_changed_since_its_trial_is_refused(tiny_bundle: Path) -> None:
    """What was tried is what is taken, or nothing is."""
    word = loaded(tiny_bundle, tiny_bundle, bundle_hash="c" * 64)
    assert isinstance(word, BundleError)
    assert "not the one that was active" in str(word)


def test_an_older_release_is_refused(tiny_bundle: Path) -> None:
    """As in its trial: both numbers are told."""
    word = loaded(tiny_bundle, tiny_bundle, releases={"squares": 2})
    assert isinstance(word, BundleError)
    assert "release 1, but release 2 was active here before" in str(word)


def test_a_runtime_that_fails_unforeseen_refuses_the_bundle(tiny_bundle: Path) -> None:
    """The line beside it inspects with the old one and must go on: it is a word like any other."""

    def broken(settings: BackendSettings, network: bytes, batched_input: str, batches: Sequence[int]) -> Engine:
        raise OverflowError("in the parser")

    word = loaded(tiny_bundle, tiny_bundle, broken)
    assert isinstance(word, BundleError)
    assert "OverflowError: in the parser" in str(word)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"format": "bgr8"}, "format is bgr8, the running one's is mono8"),
        ({"pad_value": 9}, "pad value is 9, the running one's is 7"),
        ({"tile": msgspec.structs.replace(TILE, halo=5)}, "tile is"),
    ],
)
def test_another_canvas_needs_a_restart(changes: dict[str, object], text: str) -> None:
    """Cameras and slots that are open cannot hold its pictures: the line says so."""
    with pytest.raises(BundleError, match=text) as refused:
        refuse_other_canvas(manifest(), manifest(**changes))
    assert "restart" in str(refused.value)


def test_another_release_of_the_same_canvas_is_no_fault() -> None:
    """Classes, limits and networks may differ."""
    refuse_other_canvas(manifest(), manifest(version="2", release=2))
