"""Pause: who, why, until when; it ends by itself, by the monotonic clock."""

from __future__ import annotations

from typing import Any

from edge.records import PauseMark
from edge.requests import Pause
from edge.station.maintenance import Maintenance
from edge.station.reporter import Reporter
from edge.station.verdicts import Identity
from tests.support.station import FakeClock, RecordingNotifier, RecordingPublisher


class Line:
    def __init__(self) -> None:
        self.clock, self.publisher = FakeClock(), RecordingPublisher()
        publisher: Any = self.publisher
        notifier: Any = RecordingNotifier()
        reporter = Reporter(Identity("line1", 1), publisher, notifier, self.clock, watchdog_s=None)
        self.maintenance = Maintenance(None, self.clock, reporter)

    def ask(self, minutes: float) -> str:
        return self.maintenance.ask(Pause(version=1, id="a", role="fitter", reason="new belt", minutes=minutes))

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(audit.event.value, audit.detail) for audit in self.publisher.audits]


def test_a_pause_says_who_why_and_until_when() -> None:
    """In the mark that the heartbeat carries, in the answer, and on the audit topic."""
    line = Line()
    assert line.maintenance.mark is None
    assert line.maintenance.due_us() is None
    assert line.ask(1.5) == "paused by fitter for 1.5 min: new belt"
    until = line.clock.utc_us() + 90_000_000
    assert line.maintenance.mark == PauseMark(role="fitter", reason="new belt", until_utc_us=until)
    assert line.told == [("paused", "paused by fitter for 1.5 min: new belt")]


def test_a_pause_ends_by_itself_once() -> None:
    """Not before its time, and not because somebody has set the wall clock."""
    line = Line()
    line.ask(1)
    due_us = line.maintenance.due_us()
    assert due_us == line.clock.now_us() + 60_000_000
    line.clock.utc_ahead_us = 3_600_000_000
    line.clock.us += 59_999_999
    assert not line.maintenance.expire()
    line.clock.us += 1
    assert line.maintenance.expire()
    assert line.maintenance.mark is None
    assert not line.maintenance.expire()
    assert [event for event, _ in line.told] == ["paused", "resumed"]


def test_a_pause_is_prolonged_and_shortened() -> None:
    """The last word counts."""
    line = Line()
    line.ask(1)
    line.clock.us += 30_000_000
    line.ask(10)
    assert line.maintenance.due_us() == line.clock.now_us() + 600_000_000
    line.ask(0.5)
    line.clock.us += 30_000_000
    assert line.maintenance.expire()


def test_no_minutes_end_it() -> None:
    """Who ended it and why is told; without a pause nothing is, and nothing happens."""
    line = Line()
    assert line.ask(0) == "inspection was not paused"
    assert line.told == []
    line.ask(5)
    assert line.ask(0) == "resumed by fitter: new belt"
    assert line.maintenance.mark is None
    assert line.told[-1] == ("resumed", "resumed by fitter: new belt")
