"""The self-test of engines in use: in short steps, and with the first doubt it has failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.bundle import read_bundle
from edge.errors import DeviceLost, InferenceFailed
from edge.inspector.backend import open_engine
from edge.inspector.equipment import Equipment, Start, open_equipment
from edge.inspector.link import SelfTested
from edge.inspector.selftest import SelfTestRun
from edge.recipe import station_recipe
from engines.contract import SCORES
from tests.support.engines import Clock
from tests.support.inspector import equipment as stand_in
from tests.support.inspector import station


@pytest.fixture
def equipment(tiny_bundle: Path) -> Iterator[Equipment]:
    """The tiny bundle's engines, proven."""
    settings = station(tiny_bundle, height=100, width=170)
    recipe = station_recipe(settings).model_dump_json().encode()
    bundle = read_bundle(tiny_bundle)
    made = open_equipment(settings, bundle, recipe, open_engine, Start(), proven_bundle=bundle.hash)
    yield made
    made.close()


def run(equipment: Equipment) -> tuple[SelfTested, int]:
    """Return the result and how many steps came before it."""
    selftest, steps = SelfTestRun(1, equipment), 0
    while (result := selftest.step()) is None:
        steps += 1
    return result, steps


def test_good_engines_pass_in_many_steps(equipment: Equipment) -> None:
    """Between two steps a part can be inspected: no step is more than one frame."""
    calls: list[int] = []
    inner = equipment.segmenter.engine.run
    equipment.segmenter.engine.run = lambda n: calls.append(n) or inner(n)  # type: ignore[method-assign, func-returns-value]
    result, steps = run(equipment)
    frames = len(equipment.manifest.reference)
    assert (result.passed, steps) == (True, 3 * frames)
    assert result.text.startswith(f"{frames} reference frames")
    assert calls


def test_an_engine_that_has_become_blind_fails(equipment: Equipment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores of nothing: rejects would pass, and they are named."""
    inner = equipment.classifier.engine.run

    def blind(n: int) -> Mapping[str, NDArray[Any]]:
        return {SCORES: np.zeros_like(inner(n)[SCORES])}

    monkeypatch.setattr(equipment.classifier.engine, "run", blind)
    result, _ = run(equipment)
    assert not result.passed
    assert "PASS for REJECT" in result.text


def test_an_engine_that_refuses_fails(equipment: Equipment, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own reason; a lost device ends the process instead."""

    def refusing(error: Exception) -> Any:
        def run(n: int) -> Mapping[str, NDArray[Any]]:
            raise error

        return run

    monkeypatch.setattr(equipment.classifier.engine, "run", refusing(InferenceFailed("no memory")))
    result, _ = run(equipment)
    assert (result.passed, result.text) == (False, "self-test failed: no memory")
    monkeypatch.setattr(equipment.classifier.engine, "run", refusing(DeviceLost("gone")))
    with pytest.raises(DeviceLost):
        run(equipment)


def test_on_a_line_without_gaps_a_step_is_due_every_second(equipment: Equipment) -> None:
    """Parts go first until then; after each step they do again."""
    clock = Clock()
    selftest = SelfTestRun(1, equipment, clock)
    for _ in range(2):
        clock.us += 999_999
        assert not selftest.overdue
        clock.us += 1
        assert selftest.overdue
        selftest.step()
        assert not selftest.overdue


def test_a_bundle_without_reference_frames_proves_nothing() -> None:
    """That is no passed test."""
    result, _ = run(stand_in(station()))
    assert not result.passed
