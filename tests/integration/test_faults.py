"""Short forms of the fault table (python -m tests.qualify faults) and of glass to verdict, on the real daemon."""

from __future__ import annotations

from typing import Any

import pytest

from tests.qualify.cameras import rtsp_line
from tests.qualify.cases import CASES, Case
from tests.qualify.faults import measured, restarted, stopped
from tests.qualify.glass import watched

_BY_NAME = {case.fault.name: case for case in CASES}


def named(*names: str) -> pytest.MarkDecorator:
    """Run a test for each of these faults."""
    return pytest.mark.parametrize("case", [_BY_NAME[name] for name in names], ids=names)


def require_kept(row: dict[str, Any]) -> None:
    """No part without a verdict, none wrongly PASS, nothing else that was promised."""
    assert row["broken"] == [], row
    assert (row["without a verdict"], row["wrongly PASS"]) == (0, 0)
    # The line was judged, and not only waited for.
    assert min(row["outcomes"]["PASS"], row["outcomes"]["REJECT"]) >= 5, row


@named("inspector killed", "NaN from both networks", "disk full")
def test_a_fault_of_the_station_costs_no_part(case: Case) -> None:
    """It is seen in time, is over in time, and every part meanwhile has its one verdict, none of them a false PASS."""
    row = measured(case, 1)
    require_kept(row)
    assert row["over [s]"][0] < 15


def test_the_wall_clock_judges_no_part() -> None:
    """Set a day back, it makes no part late, old or doubtful."""
    row = measured(_BY_NAME["clock a day back"], 1)
    require_kept(row)
    assert not {"late", "restart", "engine", "camera"} & set(row["outcomes"]), row


@named("RTSP server hung (SIGSTOP)", "30 % of packets lost")
def test_a_fault_of_a_camera_shows_no_old_picture(case: Case) -> None:
    """No PASS by a picture that is old, another part's or damaged: the pictures tell when they were taken."""
    row = measured(case, 1)
    require_kept(row)
    assert row["unchecked PASS"] <= 2


def test_a_hung_inspector_cannot_hold_up_the_end() -> None:
    """SIGTERM while the inspector is stopped: exit 0 within five seconds, and what was asked for is answered."""
    require_kept(stopped(_BY_NAME["inspector hung (SIGSTOP)"]))


def test_restarts_lose_nothing() -> None:
    """By SIGTERM and SIGKILL in turn, in the midst of parts."""
    require_kept(restarted(2))


def test_glass_to_verdict_is_told_and_short() -> None:
    """Of every picture of a network camera; on a busy machine too it is far from the budget at the median."""
    found = watched(rtsp_line, 4.0)
    assert found["broken"] == []
    assert found["glass to verdict"]["n"] >= 50
    assert 0 < found["ours"]["p50"] < found["glass to verdict"]["p50"] < 150
