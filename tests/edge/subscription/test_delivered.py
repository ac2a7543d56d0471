"""Age, and whether a machine may act."""

from __future__ import annotations

from typing import Any

import pytest

from edge.control import Offset
from edge.subscription import Delivered
from tests.support.records import verdict
from tests.support.station import FakeClock

# The station's clock is 7 s behind ours, known to 300 us.
OFFSET = Offset(-7_000_000, 300)


def delivered(clock: FakeClock, **changes: Any) -> Delivered:
    """Return a verdict triggered 5 ms ago, published 1 ms ago, with 20 ms left."""
    now_us = clock.us + OFFSET.offset_us
    given = verdict(1, trigger_us=now_us - 5_000, published_us=now_us - 1_000, deadline_us=now_us + 20_000)
    return Delivered(**{"verdict": given, "number": 1, "live": True, "offset": OFFSET, "clock": clock, **changes})


def test_age_is_counted_by_the_stations_clock() -> None:
    """What remains is what remains if the clocks differ as badly as they may."""
    one = delivered(FakeClock())
    assert one.age_us == 5_000
    assert one.remaining_us == 19_700
    assert one.actuate


def test_time_runs_out_in_the_consumers_hands() -> None:
    """A verdict that was good to act by is not for ever."""
    clock = FakeClock()
    one = delivered(clock)
    clock.us += 19_699
    assert one.actuate
    clock.us += 1
    assert one.remaining_us == 0
    assert not one.actuate


@pytest.mark.parametrize(("changes", "age_us"), [({"live": False}, 5_000), ({"offset": None}, None)])
def test_what_is_replayed_or_of_unknown_age_moves_nothing(changes: dict[str, Any], age_us: int | None) -> None:
    """Its age is known or None, never a guess; no time remains to act by it."""
    one = delivered(FakeClock(), **changes)
    assert one.age_us == age_us
    assert one.remaining_us is None
    assert not one.actuate


def test_a_verdict_from_the_future_moves_nothing() -> None:
    """Its clock is not the one we know: the station's machine was started anew since."""
    clock = FakeClock()
    one = delivered(clock)
    clock.us -= 1_301
    assert not one.actuate
