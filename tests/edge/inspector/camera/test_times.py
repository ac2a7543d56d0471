"""Two clocks that are not ours, neither of them trusted: steps, drift, frames that were held back."""

from __future__ import annotations

import random

import pytest

from edge.inspector.camera.times import KNOWN_NS, STALE_NS, Arrivals, CameraClock

MS, S = 1_000_000, 1_000_000_000
WALL = 1_700_000_000 * S


def test_an_arrival_is_moved_from_the_wall_clock_to_ours() -> None:
    """As long ago as the wall clock says, also when the frame waited for seconds."""
    arrivals = Arrivals()
    for age_ns in (0, 3 * MS, 4 * S):
        assert arrivals.arrived_ns(WALL + 50 * S - age_ns, WALL + 50 * S, 50 * S) == 50 * S - age_ns


@pytest.mark.parametrize("step_ns", [-3600 * S, -20 * MS, 20 * MS, 3600 * S])
def test_after_a_step_of_the_wall_clock_its_times_are_not_believed(step_ns: int) -> None:
    """For a second: frames that were on their way carry times of before it."""
    arrivals = Arrivals()
    arrivals.look(WALL, 0)
    for now_ns in (1 * S, 1 * S + 900 * MS):
        wall_ns = WALL + now_ns + step_ns
        assert arrivals.arrived_ns(WALL + now_ns - 2 * MS, wall_ns, now_ns) == now_ns
    now_ns = 3 * S
    assert arrivals.arrived_ns(WALL + now_ns + step_ns - 2 * MS, WALL + now_ns + step_ns, now_ns) == now_ns - 2 * MS


def test_a_slewed_wall_clock_is_believed() -> None:
    """NTP moves it by half a millisecond a second at most; it is looked at ten times a second."""
    arrivals = Arrivals()
    for turn in range(100):
        now_ns, wall_ns = turn * 100 * MS, WALL + turn * 100 * MS + turn * 50_000
        assert arrivals.arrived_ns(wall_ns - 5 * MS, wall_ns, now_ns) == now_ns - 5 * MS


def test_no_time_of_arrival_is_now() -> None:
    """Nor is one of the future any."""
    arrivals = Arrivals()
    assert arrivals.arrived_ns(0, WALL, 7) == 7
    assert arrivals.arrived_ns(WALL + S, WALL, 7) == 7


@pytest.mark.parametrize("drift", [-50e-6, 0.0, 50e-6])
def test_frames_are_placed_between_exposure_and_arrival(drift: float) -> None:
    """
    For an hour, whatever the epoch, with clocks that drift apart as quartzes do: never before the exposure, and not
    later than the fastest way and a little, although single ways take ten times as long.
    """
    clock, ways = CameraClock(), random.Random(1)
    late_us = []
    for n in range(1, 36_000):
        exposed_ns = n * 100 * MS
        arrived_ns = exposed_ns + round(MS * ways.uniform(1.0, 10.0))
        placed_ns, fault = clock.place(round(exposed_ns * (1 + drift)) + 777 * S, arrived_ns)
        assert fault is None
        assert exposed_ns <= placed_ns <= arrived_ns
        late_us.append((placed_ns - exposed_ns) // 1000)
    assert max(late_us[100:]) < 3000


def test_a_camera_without_time_stamps_counts_by_arrival() -> None:
    """As some producers do, which say 0."""
    clock = CameraClock()
    assert [clock.place(0, ns) for ns in (5, 9)] == [(5, None), (9, None)]
    assert not clock.runs


@pytest.mark.parametrize("second_ns", [9 * S, 8 * S, 1])
def test_a_clock_that_does_not_go_on_is_a_fault_once(second_ns: int) -> None:
    """Time stamps do not fall from frame to frame, nor stand still; the next frames are placed by the new time."""
    clock = CameraClock()
    assert clock.place(9 * S, 100 * S) == (100 * S, None)
    placed_ns, fault = clock.place(second_ns, 101 * S)
    assert placed_ns == 101 * S
    assert fault is not None
    assert "not monotonic" in fault
    assert clock.place(second_ns + S, 102 * S) == (102 * S, None)


def test_a_clock_that_jumps_ahead_is_followed() -> None:
    """A camera that has found its time server: no frame of it is old by that."""
    clock = CameraClock()
    clock.place(9 * S, 100 * S)
    assert clock.place(WALL, 101 * S) == (101 * S, None)


@pytest.mark.parametrize("pause_s", [2, 60, 3600])
def test_a_frame_that_was_held_back_is_found_out(pause_s: int) -> None:
    """However long the camera was stopped: its clock says when it was taken, and the estimate is hardly forgotten."""
    clock = CameraClock()
    clock.place(S, 100 * S)
    _, fault = clock.place(S + 40 * MS, (100 + pause_s) * S)
    assert fault is not None
    assert "held back" in fault
    now_ns = (100 + pause_s) * S + 50 * MS
    assert clock.place(now_ns - 99 * S, now_ns)[1] is None


def test_a_clock_that_runs_wrong_does_not_make_old_frames_of_new_ones_in_silence() -> None:
    """A wrong tick frequency: after a while each frame is a fault that names the clock and the key."""
    clock = CameraClock()
    faults = [clock.place(n * 20 * MS, n * 40 * MS)[1] for n in range(1, 200)]
    first = next(n for n, fault in enumerate(faults) if fault)
    assert first == pytest.approx(STALE_NS / (20 * MS), abs=2)
    assert all(fault is not None and 'timestamps = "host"' in fault for fault in faults[first:])


def test_after_a_long_pause_nobody_knows_how_old_a_frame_is() -> None:
    """Two quartzes may have drifted apart by more than a frame may be old: a fault, once; the next ones are placed."""
    clock = CameraClock()
    clock.place(S, 100 * S)
    assert not clock.is_forgotten(100 * S + KNOWN_NS)
    pause_ns = 10 * 3600 * S
    assert clock.is_forgotten(100 * S + pause_ns)
    placed_ns, fault = clock.place(S + pause_ns - 2 * S, 100 * S + pause_ns)
    assert placed_ns == 100 * S + pause_ns
    assert fault is not None
    assert "the first picture for 600 min" in fault
    assert clock.place(S + pause_ns + S, 101 * S + pause_ns) == (101 * S + pause_ns, None)


def test_a_frame_held_back_for_longer_than_drift_explains_is_found_after_each_pause() -> None:
    """The estimate is never forgotten by more than a second."""
    for pause_s in range(1, KNOWN_NS // S, 200):
        clock = CameraClock()
        clock.place(S, 100 * S)
        _, fault = clock.place(S + pause_s * S, (100 + pause_s) * S + 2 * STALE_NS + 1)
        assert fault is not None
