"""Fresh is what was waited for, and what is not late by its own time stamp."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from typing import Any

import numpy as np
import pytest

from edge.inspector.camera.freshness import Freshness
from edge.settings import OpenCVSource

FAST = {"rate_hz": 100.0}


def freshness(**source: Any) -> Freshness:
    return Freshness(OpenCVSource(kind="opencv", device=0, **source))


def doubts(judge: Freshness, distances_s: Iterable[float], stamps_s: Iterable[float] | None = None) -> list[str]:
    """Judge pictures that come so far apart, the first of them at second 100."""
    times = [100.0 + s for s in accumulate(distances_s)]
    return [judge.doubt(t, s) for t, s in zip(times, stamps_s or [None] * len(times), strict=True)]


def fresh(judge: Freshness, distances_s: Iterable[float], stamps_s: Iterable[float] | None = None) -> list[bool]:
    return [not doubt for doubt in doubts(judge, distances_s, stamps_s)]


@pytest.mark.parametrize("settings", [{"rate_hz": 25.0}, {}])
def test_what_comes_out_of_a_queue_is_doubtful(settings: dict[str, Any]) -> None:
    """An open begins with pictures of the second before; the first one that was waited for a while is fresh."""
    found = fresh(freshness(**settings), [0.0] + [0.001] * 25 + [0.04] * 20)
    assert not any(found[:30])
    assert all(found[38:])
    assert found == sorted(found)


def test_time_stamps_tell_the_end_of_a_queue() -> None:
    """Pictures of a stream come as far apart as they were made as soon as none waits any more: no rate is needed."""
    judge = freshness()
    found = doubts(judge, [0.0] + [0.002] * 30 + [0.033] * 9, [0.0, *(0.033 * n for n in range(39))])
    assert all(found[:35])
    assert not any(found[35:])
    assert judge.period_s == pytest.approx(0.033, rel=0.05)


@pytest.mark.parametrize("held_up_s", [0.05, 0.11, 0.5])
@pytest.mark.parametrize("after", range(1, 30))
def test_a_reader_that_is_held_up_takes_no_queue_for_the_present(held_up_s: float, after: int) -> None:
    """A busy machine lets its thread wait while it empties the queue: that is no picture that was waited for."""
    queued = [0.001] * 30
    queued[after] = held_up_s
    stamps = [n / 30 for n in range(50)]
    assert all(doubts(freshness(), queued + [1 / 30] * 20, stamps)[:30])
    assert all(doubts(freshness(rate_hz=30.0), queued + [1 / 30] * 20)[:30])


def test_jitter_does_not_keep_a_camera_closed() -> None:
    """Pictures that come in pairs, and those that come a period early or late, are of the present."""
    stamps = [n / 30 for n in range(90)]
    assert not any(doubts(freshness(rate_hz=30.0), [2 / 30, 0.0] * 45, stamps)[12:])
    late_s = np.random.default_rng(3).uniform(0, 0.04, 90)
    distances_s = np.diff(np.array(stamps) + late_s, prepend=0.0)
    assert not any(doubts(freshness(), distances_s.tolist(), stamps)[25:])


def test_a_slow_picture_is_doubtful_and_those_behind_it() -> None:
    """OpenCV gives what its decoder still holds after a time-out as good; so does a driver with its queue."""
    judge = freshness(rate_hz=10.0)
    found = doubts(judge, [0.1] * 10 + [2.0] + [0.001] * 4 + [0.1] * 9)
    assert not any(found[5:10])
    assert "came 2000 ms after the one before, expected 250 ms or less" in found[10]
    assert all(found[10:19])
    assert not any(found[19:])


def test_one_lost_frame_is_no_doubt() -> None:
    """Twice the period passes, and jitter; a faster camera is allowed what the machine's scheduling takes."""
    assert all(fresh(freshness(rate_hz=10.0), [0.1] * 6 + [0.2, 0.1, 0.05, 0.24, 0.1])[5:])
    assert all(fresh(freshness(**FAST), [0.01] * 6 + [0.02] * 3)[5:])


def test_a_measured_period_follows_a_camera_that_becomes_slower() -> None:
    """In the dark a camera exposes longer: its pictures are doubtful for a while, then that is its rate."""
    judge = freshness()
    found = fresh(judge, [0.02] * 40 + [0.2] * 30)
    assert all(found[15:40])
    assert not any(found[40:44])
    assert all(found[60:])
    assert judge.period_s == pytest.approx(0.2)


def test_a_period_that_was_set_is_not_forgotten() -> None:
    """A camera that does not keep its rate stays doubtful: the engineer has to look at one of the two."""
    assert not any(fresh(freshness(rate_hz=50.0), [0.02] * 6 + [0.2] * 30)[6:])


def test_pictures_faster_than_the_rate_are_never_fresh() -> None:
    """They cannot be told from those of a queue; the doubt names the rate."""
    found = doubts(freshness(rate_hz=10.0), [0.02] * 50)
    assert all("faster than rate_hz" in doubt for doubt in found)


def test_a_picture_that_is_late_by_its_time_stamp_is_doubtful() -> None:
    """A network that is too slow delays each picture a little more, and none of them was read for long."""
    judge = freshness(rate_hz=30.0)
    stamps = [n / 30 for n in range(60)]
    assert not any(doubts(judge, [1 / 30] * 60, stamps)[5:])
    late = [judge.doubt(102.0 + n * 0.05, 2.0 + n / 30) for n in range(20)]
    assert not any(late[:12])
    assert all("late by its stream's time stamps, expected 200 ms or less" in doubt for doubt in late[13:])


def test_time_stamps_that_go_back_begin_anew() -> None:
    """A camera whose clock was set: its pictures are doubtful until their pace is known again, and late by nothing."""
    judge = freshness(rate_hz=10.0)
    found = doubts(judge, [0.1] * 40, [*(0.1 * n for n in range(20)), *(0.1 * n for n in range(20))])
    assert not any(found[5:20])
    assert all(found[20:25])
    assert not any(found[25:])


def test_clocks_may_drift_apart() -> None:
    """Two quartz clocks differ by seconds after a day; that is no delay."""
    judge = freshness(rate_hz=1.0)
    assert all(fresh(judge, [1.0001] * 5000, range(5000))[5:])


def test_limits_follow_the_period() -> None:
    """Silence is measured in periods, within a least time and the read time-out."""
    assert freshness().silent_s == 2.0
    assert freshness(rate_hz=30.0).silent_s == pytest.approx(0.5)
    assert freshness(rate_hz=300.0).silent_s == 0.25
    assert freshness(rate_hz=1.0).silent_s == 2.0
    assert freshness(rate_hz=30.0, silent_periods=5, read_timeout_ms=100).silent_s == pytest.approx(0.1)
    assert freshness(rate_hz=10.0).longest_doubt_s == pytest.approx(3.0)
