"""The simulation proven: faults put into the station on purpose are all caught, and by name."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulation.invariants import InvariantBroken
from tests.simulation.mutations import MUTATIONS, Mutation
from tests.simulation.weather import STORM
from tests.simulation.world import World

_TRIGGERS = 200
_SEEDS = range(24)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """A world makes more trouble than a log can hold."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_fault_in_the_station_is_caught(mutation: Mutation, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A few seeds break an invariant that the fault is about."""
    with mutation.applied():
        broken = next((name for seed in _SEEDS if (name := _broken(tmp_path_factory.mktemp("world"), seed))), None)
    assert broken in mutation.caught_by


def _broken(folder: Path, seed: int) -> str | None:
    """Return the invariant that this world breaks, None when it breaks none."""
    try:
        World(folder, seed, STORM).play(_TRIGGERS)
    except InvariantBroken as broken:
        return broken.name
    return None
