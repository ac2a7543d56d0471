"""The whole station from outside, with a stand-in inspector: the short forms of tests/qualify."""

from __future__ import annotations

import pytest

from tests.qualify.deadlines import FAILURES, Failure, measure, measure_killed
from tests.qualify.fuzz import fuzzing, send_fuzz, tcp_station
from tests.qualify.inspector import Plan
from tests.qualify.witness import STAND_IN, Load, witness

# Claimed so long before the deadline at most: commit_reserve_ms.
_RESERVE_US = 2000


def test_no_kill_costs_a_part_its_one_verdict() -> None:
    """Station, inspector and consumer are killed under load: one verdict a trigger, no more, no less, in order."""
    load = Load(
        kills=6,
        rate_hz=60,
        pause_s=(0.1, 0.5),
        impatience=0.3,
        plan=Plan(service_us=3000, rate_hz=30),
        settings=STAND_IN,
    )
    figures = witness(load, seed=4)
    assert figures["broken"] == []
    assert figures["lost"] == figures["two verdicts"] == figures["repeated to the consumer"] == 0
    assert figures["ledger"] == "balanced"
    assert sum(figures["kills"].values()) == 6
    assert min(figures["triggers"], figures["verdicts"]) > 60


@pytest.mark.parametrize("failure", FAILURES[1:4], ids=lambda failure: failure.name)
def test_a_failing_inspector_cannot_keep_back_the_late(failure: Failure) -> None:
    """However the inspector hangs, every triggered part is UNKNOWN(late), and not before its deadline is near."""
    figures = measure(failure, "software", 10)
    assert figures["parts"] == figures["late"] == 10
    assert figures["published [us]"]["p50"] >= -_RESERVE_US


@pytest.mark.parametrize("kind", ["software", "camera"])
def test_a_killed_inspector_is_answered_for(kind: str) -> None:
    """Parts in the hands of an inspector that is killed are UNKNOWN(engine) long before their deadline."""
    figures = measure_killed(kind, 1)
    assert figures["published [us]"]["n"] >= 5
    assert figures["seen [us]"]["max"] < 500_000, "the deadline was 20 s away"


def test_strangers_do_not_disturb() -> None:
    """Malformed requests, subscriptions and connections: no part is UNKNOWN, the process and its epoch stay."""
    with tcp_station() as (station, driver):
        with fuzzing(station, stock=150) as fuzzer:
            seen, sent = send_fuzz(fuzzer, driver, 400)
        after = driver.run(50.0, 0.2)
        assert station.running
    assert sum(sent.values()) == 400
    assert {one.verdict.reason for one in [*seen, *after]} == {None}
    assert {one.verdict.epoch for one in [*seen, *after]} == {driver.status.epoch}
