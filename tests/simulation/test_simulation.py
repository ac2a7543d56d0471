"""The daemon's loop and journal in simulated worlds: whatever happens, one true verdict for each part."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.records import Outcome, Reason
from tests.simulation.poison import Where, poisoned
from tests.simulation.weather import FINE
from tests.simulation.world import World, play

_TRIGGERS = 200
_TROUBLES = {
    "answer_lost",
    "camera_blinks",
    "camera_lost",
    "commit_slow",
    "cycle_stalled",
    "dies",
    "disk_full",
    "frame_lost",
    "frame_repeated",
    "frame_reported_late",
    "hangs",
    "message_stale",
    "reboot",
    "request_repeated",
    "result_never",
    "result_poisoned",
    "result_repeated",
    "result_slow",
    "result_stray",
    "result_unknown",
    "result_unreasoned",
    "start_dies",
    "station_killed",
    "station_stopped",
    "trial_accepts",
    "trial_refuses",
}
_REASONS = {"late", "missed", "overrun", "camera", "engine", "drift", "selftest", "paused", "restart", "stopped"}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """A world makes more trouble than a log can hold."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@settings(max_examples=20, derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(1_000, 2**32))
def test_no_world_makes_the_station_break_a_promise(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Stalls, errors, losses, overruns, kills, full disks: every trigger is answered once, truly, and counted."""
    assert play(tmp_path_factory.mktemp("world"), seed, _TRIGGERS).triggers >= _TRIGGERS


def test_the_worlds_hold_every_kind_of_trouble(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is simulated happens: each kind of trouble, and each verdict that the station can give because of it."""
    troubles: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    for seed in range(20):
        summary = play(tmp_path_factory.mktemp("world"), seed, _TRIGGERS)
        troubles.update(summary.troubles)
        outcomes.update(summary.outcomes)
    assert set(troubles) >= _TROUBLES
    assert set(outcomes) >= {"PASS", "REJECT", *(f"UNKNOWN:{reason}" for reason in _REASONS)}


def test_the_simulated_inspector_judges_by_the_real_cascade_what_is_no_number() -> None:
    """Without poison its picture passes; with any, anywhere, it is UNKNOWN(engine)."""
    assert poisoned().judged(None, math.nan) == (Outcome.PASS, None)
    where: Where
    for where in ("scores", "health"):
        for value in (math.nan, math.inf, -math.inf):
            assert poisoned().judged(where, value) == (Outcome.UNKNOWN, Reason.ENGINE)


def test_a_world_is_made_by_its_seed_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same seed is the same story; another seed is another one."""
    first, again, other = (play(tmp_path_factory.mktemp("world"), seed, _TRIGGERS) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_nothing_is_unknown_where_nothing_goes_wrong(tmp_path_factory: pytest.TempPathFactory) -> None:
    """In fine weather every part is a PASS or a REJECT, but for those in hand at the beginning and at the end."""
    for seed in range(4):
        outcomes = World(tmp_path_factory.mktemp("world"), seed, FINE).play(200).outcomes
        assert outcomes["PASS"] + outcomes["REJECT"] >= 180
