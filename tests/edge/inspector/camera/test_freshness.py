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
    found = fresh(freshness(**settings), [0.0] + [0.001] * 25 + [0.04] * 60)
    assert not any(found[:48])
    assert all(found[78:])
    assert found == sorted(found)


def test_time_stamps_tell_the_end_of_a_queue() -> None:
    """Pictures of a stream come as far apart as they were made as soon as none waits any more: no rate is needed."""
    judge = freshness()
    found = doubts(judge, [0.0] + [0.002] * 30 + [0.033] * 50, [0.0, *(0.033 * n for n in range(80))])
    assert all(found[:55])
    assert not any(found[65:])
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


def old_ones(judge: Freshness, decode: float, rate_hz: float, *, stamped: bool, tells: bool = False) -> list[float]:
    """
    Return how old what was found fresh was [s], of pictures that waited for a second, behind a decoder that needs so
    much of a period; of *tells* each one says whether it was waited for.
    """
    came_s, ages_s = 1.0, []
    for number in range(round(60 * rate_hz)):
        made_s = number / rate_hz
        waited = made_s > came_s
        came_s = max(came_s + decode / rate_hz, made_s + 0.005)
        if not judge.doubt(came_s, 5.0 + made_s if stamped else None, waited=waited or not tells):
            ages_s.append(came_s - made_s)
    return ages_s


@pytest.mark.parametrize("decode", [0.3, 0.6, 0.8, 0.82, 0.85, 0.88, 0.9, 0.92, 0.94, 0.96, 0.98])
@pytest.mark.parametrize("rate_hz", [10.0, 30.0, 60.0])
def test_a_queue_that_drains_slowly_is_not_the_present(decode: float, rate_hz: float) -> None:
    """A decoder that is a little faster than the camera needs a minute for what waited a second before it."""
    for judge in (freshness(), freshness(rate_hz=rate_hz)):
        ages_s = old_ones(judge, decode, rate_hz, stamped=True)
        assert len(ages_s) > 60 or decode > 0.96
        assert max(ages_s, default=0.0) < 0.25
    # Without time stamps a rate that is set is as exact as drivers keep it.
    assert decode > 0.97 or max(old_ones(freshness(rate_hz=rate_hz), decode, rate_hz, stamped=False)) < 0.25
    told = old_ones(freshness(), decode, rate_hz, stamped=False, tells=True)
    assert max(told, default=0.0) < 0.25


def test_a_way_that_becomes_shorter_was_no_steady_one() -> None:
    """What looked steady for a second, and then is emptied after all: doubtful once more."""
    judge = freshness(rate_hz=30.0)
    stamps = [n / 30 for n in range(120)]
    found = doubts(judge, [1 / 30] * 50 + [0.9 / 30] * 70, stamps)
    assert not any(found[35:50])
    assert all(found[56:])


def test_jitter_does_not_keep_a_camera_closed() -> None:
    """Pictures that come in pairs, and those that come a period early or late, are of the present."""
    stamps = [n / 30 for n in range(90)]
    assert not any(doubts(freshness(rate_hz=30.0), [2 / 30, 0.0] * 45, stamps)[35:])
    late_s = np.random.default_rng(3).uniform(0, 0.04, 90)
    distances_s = np.diff(np.array(stamps) + late_s, prepend=0.0)
    assert not any(doubts(freshness(), distances_s.tolist(), stamps)[60:])


def test_a_slow_picture_is_doubtful_and_those_behind_it() -> None:
    """OpenCV gives what its decoder still holds after a time-out as good; so does a driver with its queue."""
    judge = freshness(rate_hz=10.0)
    found = doubts(judge, [0.1] * 20 + [2.0] + [0.001] * 4 + [0.1] * 19)
    assert not any(found[12:20])
    assert "came 2000 ms after the one before, expected 250 ms or less" in found[20]
    assert all(found[20:34])
    assert not any(found[37:])


def test_one_lost_frame_is_no_doubt() -> None:
    """Twice the period passes, and jitter; a faster camera is allowed what the machine's scheduling takes."""
    assert all(fresh(freshness(rate_hz=10.0), [0.1] * 16 + [0.2, 0.1, 0.05, 0.24, 0.1])[15:])
    assert all(fresh(freshness(**FAST), [0.01] * 110 + [0.02] * 3)[105:])


def test_a_measured_period_follows_a_camera_that_becomes_slower() -> None:
    """In the dark a camera exposes longer: its pictures are doubtful for a while, then that is its rate."""
    judge = freshness()
    found = fresh(judge, [0.02] * 80 + [0.2] * 30)
    assert all(found[65:80])
    assert not any(found[80:88])
    assert all(found[96:])
    assert judge.period_s == pytest.approx(0.2)


def test_stalls_do_not_become_the_rule() -> None:
    """A driver's queue of four, behind a reader that is held up now and then: what is measured stays what it was."""
    random = np.random.default_rng(5)
    judge, queue, number, now_s, ages_s = freshness(), [0.0], 1, 0.0, []
    for _ in range(3000):
        while number / 30 <= now_s:
            if len(queue) < 4:
                queue.append(number / 30)
            number += 1
        if not queue:
            now_s = number / 30
            continue
        made_s = queue.pop(0)
        now_s += 0.002
        if not judge.doubt(now_s, None):
            ages_s.append(now_s - made_s)
        if random.uniform() < 0.02:
            now_s += random.uniform(0.1, 1.5)
    assert len(ages_s) > 100
    assert max(ages_s) < 0.25
    assert judge.period_s == pytest.approx(1 / 30, rel=0.3)


@pytest.mark.parametrize("settings", [{"rate_hz": 25.0}, {}])
def test_what_is_missing_after_a_gap_is_told(settings: dict[str, Any]) -> None:
    """A burst makes up for a gap; without one the rest is lost, or all are late from then on."""
    for burst, missing in ((12, 0.0), (0, 12.0)):
        judge = freshness(**settings)
        doubts(judge, [0.04] * 60 + [0.04 * 13] + [0.001] * burst + [0.04 - 0.001 * burst / 40] * 60)
        assert judge.missing == pytest.approx(missing, abs=0.6)


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
    assert not any(doubts(judge, [1 / 30] * 60, stamps)[36:])
    late = [judge.doubt(102.0 + 1 / 30 + n * 0.05, 2.0 + n / 30) for n in range(20)]
    assert not any(late[:12])
    assert all("late by its stream's time stamps, expected 200 ms or less" in doubt for doubt in late[13:])


def test_time_stamps_that_go_back_begin_anew() -> None:
    """A camera whose clock was set: its pictures are doubtful until their pace is known again, and late by nothing."""
    judge = freshness(rate_hz=10.0)
    found = doubts(judge, [0.1] * 40, [*(0.1 * n for n in range(20)), *(0.1 * n for n in range(20))])
    assert not any(found[12:20])
    assert all(found[20:29])
    assert not any(found[32:])


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
    assert freshness(rate_hz=10.0).longest_doubt_s == pytest.approx(3.95)
