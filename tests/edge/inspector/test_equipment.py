"""Bundle, engines and recipes as one thing that is opened whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from edge import zones
from edge.bundle import read_bundle
from edge.errors import BundleError, ConfigurationError, EdgeError, InferenceFailed, ParityFailed
from edge.inspector.backend import BackendSettings, Engine, open_engine
from edge.inspector.equipment import Start, open_equipment, refuse_other_bundle
from edge.inspector.guard import GuardBand
from edge.recipe import station_recipe
from edge.settings import ZoneTable
from tests.support.engines import Segmenter
from tests.support.inspector import bundle, equipment, station
from tests.support.records import manifest


def recipe(area: float, **more: object) -> bytes:
    return json.dumps({"name": "r", "author": "a", "classes": {"pits": {"min_area_px": area}}, **more}).encode()


def test_the_last_eight_recipes_can_be_used() -> None:
    """Parts that were triggered before a switch keep theirs; the oldest is forgotten in the end."""
    used = equipment(station())
    hashes = [used.active.hash] + [used.take_recipe(recipe(area)).hash for area in range(10, 18)]
    assert used.recipe(hashes[0], "cam1") is None
    assert all(used.recipe(hash_, "cam1") is not None for hash_ in hashes[1:])
    assert used.active.hash == hashes[-1]


def test_a_recipe_that_comes_again_is_young_again() -> None:
    """The one in use is never the one that is forgotten."""
    used = equipment(station())
    first = used.active.hash
    for area in range(10, 16):
        used.take_recipe(recipe(area))
    again = used.take_recipe(station_recipe(station()).model_dump_json().encode())
    assert again.hash == first
    for area in range(20, 26):
        used.take_recipe(recipe(area))
    assert used.recipe(first, "cam1") is not None


def test_a_recipe_that_does_not_fit_changes_nothing() -> None:
    """The active one stays."""
    used = equipment(station())
    before = used.active
    with pytest.raises(ConfigurationError, match="min_area"):
        used.take_recipe(recipe(1e9))
    assert used.active is before


def test_zones_are_drawn_before_a_part_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the first recipe and with each other one: no part's deadline pays for that."""
    given = station()
    ignore = (ZoneTable(polygon=((3, 4), (90, 11), (31, 77))),)
    given = given.model_copy(update={"cameras": tuple(c.model_copy(update={"ignore": ignore}) for c in given.cameras)})
    used = equipment(given)
    used.take_recipe(recipe(40))
    monkeypatch.setattr(zones, "_drawn", None)
    for camera in given.cameras:
        working = used.recipe(used.active.hash, camera.name)
        assert working is not None
        assert zones.mask_from_zones(working.ignore, camera.height, camera.width).any()


def test_a_guard_band_is_taken_off_every_recipe() -> None:
    """Of the first one and of each that is taken; what decides is what is hashed, and what was asked is known."""
    band = GuardBand(score=0.1, area_share=0.25, peak=0.0)
    plain, cautious = equipment(station()), equipment(station(), band=band)
    assert cautious.active.hash != plain.active.hash
    for used in (plain, cautious):
        used.take_recipe(recipe(40))
    asked, working = cautious.active_recipes[0]
    assert asked == plain.active.by_camera["cam1"]
    assert cautious.recipe(cautious.active.hash, "cam1") == working
    pits = next(c for c in working.classes if c.name == "pits")
    before = next(c for c in asked.classes if c.name == "pits")
    assert (pits.min_area_px, pits.gate) == (30.0, pytest.approx(before.gate - 0.1))
    assert plain.active_recipes[0].asked == plain.active_recipes[0].working


def test_a_recipe_below_what_a_band_was_measured_on_is_refused() -> None:
    """The band says nothing about regions smaller than those that counted; the active recipe stays."""
    banded, plain = (equipment(station(), band=band) for band in (GuardBand(score=0.1), GuardBand()))
    least = manifest().classes[0].rule.min_area_px.default
    before = banded.active
    with pytest.raises(ConfigurationError, match=f"measured from {least:g} on"):
        banded.take_recipe(recipe(least - 1))
    assert banded.active is before
    plain.take_recipe(recipe(least - 1))


def test_a_lower_precision_starts_with_a_band_of_its_own(tiny_bundle: Path, tmp_path: Path) -> None:
    """Measured on the reference frames where nothing was built, kept with the proof, and in force for a respawn."""
    settings = station(tiny_bundle, height=100, width=170).model_copy(
        update={"engine_cache": tmp_path / "engines", "backend": BackendSettings(precision="bf16")}
    )
    read = read_bundle(tiny_bundle)
    told = station_recipe(settings).model_dump_json().encode()
    hashes = []
    for proven in (None, None, read.hash):
        opened = open_equipment(settings, read, told, open_engine, Start(), proven)
        opened.close()
        assert "guard band" in opened.parity
        values = opened.active_recipes[0]
        assert values.working.gates[0] < values.asked.gates[0]
        hashes.append(opened.active.hash)
    assert len(set(hashes)) == 1


def test_the_probe_believes_no_nan() -> None:
    """Labels of all zeros look healthy: only health tells."""
    segmenter = Segmenter(8)
    used = equipment(station(), segmenter=segmenter)
    used.probe()
    segmenter.poison = np.nan
    with pytest.raises(InferenceFailed, match="probe: scores"):
        used.probe()


def test_the_stages_of_a_start_are_told_and_timed(tiny_bundle: Path, tmp_path: Path) -> None:
    """Compile, parity, warm-up, recipe; what was proven before is not proven again, also where no proof can be kept."""
    (tmp_path / "file").write_bytes(b"")
    settings = station(tiny_bundle, height=100, width=170).model_copy(update={"engine_cache": tmp_path / "file"})
    said: list[str] = []
    start = Start(said.append)
    read = read_bundle(tiny_bundle)
    told = station_recipe(settings).model_dump_json().encode()
    with_parity = open_equipment(settings, read, told, open_engine, start)
    with_parity.close()
    assert said == ["compile", "parity", "warm-up", "recipe"]
    assert list(start.took_ms) == said
    assert with_parity.parity.startswith("4 frames, IoU")
    assert "golden reject" in with_parity.parity
    assert with_parity.classifier.p99_us(1) > 0
    again = Start()
    proven = open_equipment(settings, read, told, open_engine, again, read.hash, with_parity.active.hash)
    proven.close()
    assert "earlier inspector" in proven.parity
    assert "recipe" not in again.took_ms


@pytest.mark.parametrize("parity_proven", [False, True])
def test_a_recipe_that_would_pass_the_golden_reject_opens_nothing(tiny_bundle: Path, parity_proven: bool) -> None:
    """Also one that stands in the settings and nobody has tried, and also when only the bundle was proven."""
    settings = station(tiny_bundle, height=100, width=170)
    read = read_bundle(tiny_bundle)
    lax = {
        c.name: {"max_count": c.rule.max_count.high, "min_area_px": c.rule.min_area_px.high}
        for c in read.manifest.classes
    }
    told = json.dumps({"name": "r", "author": "a", "classes": lax}).encode()
    closed: list[Engine] = []

    def opener(settings: BackendSettings, network: bytes, batched_input: str, batches: Sequence[int]) -> Engine:
        engine = open_engine(settings, network, batched_input, batches)
        close = engine.close
        engine.close = lambda: (closed.append(engine), close())[1]  # type: ignore[method-assign, func-returns-value]
        return engine

    proven = (read.hash, "0" * 64) if parity_proven else (None, None)
    with pytest.raises(ConfigurationError, match="would pass the reference reject"):
        open_equipment(settings, read, told, opener, Start(), *proven)
    assert len(closed) == 2


def test_a_bundle_that_is_not_the_one_that_was_active_is_refused() -> None:
    """With both hashes and what to do; an empty hash is any."""
    refuse_other_bundle(bundle(), "")
    refuse_other_bundle(bundle(), bundle().hash)
    with pytest.raises(BundleError, match=r"hash bbbb.*not the one that was active.*hash cccc.*put the old one back"):
        refuse_other_bundle(bundle(), "c" * 64)


def test_an_engine_that_answers_no_numbers_is_never_ready(tiny_bundle: Path, tmp_path: Path) -> None:
    """Also where bundle and recipe were proven by an earlier inspector, so that nothing else is asked of it."""
    settings = station(tiny_bundle, height=100, width=170).model_copy(update={"engine_cache": tmp_path / "engines"})
    read = read_bundle(tiny_bundle)
    told = station_recipe(settings).model_dump_json().encode()
    proven = open_equipment(settings, read, told, open_engine, Start())
    proven.close()

    def opener(settings: BackendSettings, network: bytes, batched_input: str, batches: Sequence[int]) -> Engine:
        engine = open_engine(settings, network, batched_input, batches)
        works = engine.run
        engine.run = lambda n: {name: answer * np.nan for name, answer in works(n).items()}  # type: ignore[method-assign]
        return engine

    with pytest.raises(InferenceFailed, match="not finite"):
        open_equipment(settings, read, told, opener, Start(), read.hash, proven.active.hash)


class Opener:
    """Opens stand-in engines and remembers them."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.opened: list[Segmenter] = []
        self._fail_at = fail_at

    def __call__(self, settings: BackendSettings, network: bytes, batched_input: str, batches: Sequence[int]) -> Engine:
        if len(self.opened) == self._fail_at:
            raise BundleError("refused")
        self.opened.append(Segmenter(8))
        return self.opened[-1]


@pytest.mark.parametrize(("fail_at", "error"), [(1, BundleError), (None, ParityFailed)])
def test_what_fails_half_way_leaves_nothing_open(fail_at: int | None, error: type[EdgeError]) -> None:
    """The second network is refused, or parity fails: the engines that were open are closed."""
    settings = station()
    opener = Opener(fail_at)
    told = station_recipe(settings).model_dump_json().encode()
    files = {"classifier.onnx": b"", "segmenter.onnx": b""}
    nothing = bundle()
    nothing.files.update(files)
    with pytest.raises(error):
        open_equipment(settings, nothing, told, opener, Start())
    assert opener.opened
    assert not any(engine.inputs for engine in opener.opened)
