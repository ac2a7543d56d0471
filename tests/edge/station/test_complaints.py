"""The log says why parts are UNKNOWN: at once, and then not for each of a thousand."""

from __future__ import annotations

import logging

import pytest

from edge.records import Reason
from edge.station.complaints import Complaints
from tests.support.station import Bench, FakeClock

MINUTE_US = 60_000_000


def test_the_first_of_a_kind_is_logged_and_then_one_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """With how many there were meanwhile; another reason has a line of its own at once."""
    clock = FakeClock()
    complaints = Complaints(clock)
    for part in range(1, 5):
        complaints.note(part, Reason.GEOMETRY, "too large")
    complaints.note(5, Reason.CAMERA, "gone")
    clock.us += MINUTE_US
    complaints.note(6, Reason.GEOMETRY, "too large")
    clock.us += MINUTE_US
    complaints.note(7, Reason.GEOMETRY, "too large")
    assert caplog.messages == [
        "part 1 is UNKNOWN(geometry): too large",
        "part 5 is UNKNOWN(camera): gone",
        "part 6 is UNKNOWN(geometry): too large (3 more since the last line of these)",
        "part 7 is UNKNOWN(geometry): too large",
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_what_somebody_wanted_is_no_complaint(caplog: pytest.LogCaptureFixture) -> None:
    """A pause and a stop are told by themselves."""
    complaints = Complaints(FakeClock())
    complaints.note(1, Reason.PAUSED, "paused")
    complaints.note(2, Reason.STOPPED, "stopped")
    assert caplog.messages == []


def test_the_status_counts_them_by_reason(caplog: pytest.LogCaptureFixture) -> None:
    """Of this run, beside the outcomes."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1, fault=Reason.GEOMETRY), bench.captured(2, fault=Reason.GEOMETRY))
    bench.hear(bench.captured(3, fault=Reason.CAMERA))
    bench.after(1000)
    status = bench.publisher.statuses[-1]
    assert status.unknown == {"geometry": 2, "camera": 1}
    assert sum(status.unknown.values()) == status.counts["UNKNOWN"]
    assert len([line for line in caplog.messages if "is UNKNOWN" in line]) == 2
