"""Cameras as the station sees them: state, silence, and the second count beside the ledger."""

from __future__ import annotations

from typing import Any

import pytest

from edge.inspector.link import CameraState, Captured
from edge.records import CameraStateName
from edge.settings import CameraSettings
from edge.station.cameras import Cameras, Count

MS = 1000


def cameras(*changes: dict[str, Any]) -> Cameras:
    settings = [{"name": f"cam{i}", "source": {"kind": "synthetic"}, **c} for i, c in enumerate(changes or ({},), 1)]
    return Cameras([CameraSettings.model_validate(camera) for camera in settings])


def state(state: CameraStateName, name: str = "cam1", *, numbered: bool = True, counts: bool = True) -> CameraState:
    return CameraState(inspector=1, camera=name, state=state, text="as told", numbered=numbered, counts=counts)


def frame(number: int, *, open_no: int = 1, inspector: int = 1, numbered: bool = True) -> Captured:
    return Captured(
        inspector=inspector,
        camera="cam1",
        part=None,
        open_no=open_no,
        frame_no=number,
        t_us=0,
        tag=None,
        source="",
        numbered=numbered,
        fault=None,
        detail="",
    )


# ---- the count ------------------------------------------------------------------------------------------------------


def counted(*numbers: int) -> tuple[list[int], Count]:
    count = Count("counter")
    passed = [count.note(number) for number in numbers]
    count.taken = len(numbers)
    return passed, count


def test_a_source_that_has_not_counted_is_unverified() -> None:
    """Never balanced, though nothing is missing."""
    assert counted()[1].line().state == "unverified"


@pytest.mark.parametrize(
    ("numbers", "passed", "state"),
    [
        pytest.param((5, 6, 7), [0, 0, 0], "balanced", id="in a row"),
        pytest.param((5, 8), [0, 2], "unbalanced", id="two passed over"),
        pytest.param((2**32 - 1, 0, 1), [0, 0, 0], "balanced", id="round the end"),
        pytest.param((2**32 - 2, 1), [0, 2], "unbalanced", id="missing round the end"),
        pytest.param((5, 7, 6), [0, 1, 0], "balanced", id="out of order"),
        pytest.param((5, 5), [0, 0], "unbalanced", id="twice the same"),
        pytest.param((5, 5 + 100_001), [0, 0], "unverified", id="a counter that was set"),
        pytest.param((500_000, 0, 1), [0, 0, 0], "unverified", id="a counter that began anew"),
    ],
)
def test_a_count_tells_what_passed_unseen(numbers: tuple[int, ...], passed: list[int], state: str) -> None:
    """And is balanced only when each number came."""
    told, count = counted(*numbers)
    assert told == passed
    assert count.line().state == state


def test_a_jump_is_never_balanced_again() -> None:
    """What was missed then stays unknown."""
    _, count = counted(5, 500_000, 500_001)
    assert count.line().state == "unverified"
    assert count.line().counted is None
    assert count.line().triggered == 3


# ---- cameras --------------------------------------------------------------------------------------------------------


def test_a_camera_that_was_never_heard_of_is_closed() -> None:
    """And cannot be used."""
    two = cameras({}, {})
    assert [c.state for c in two.statuses()] == ["closed", "closed"]
    assert two.unusable(["cam1", "cam2"]) == "cam1"
    two.note(state("open"), 0)
    assert two.unusable(["cam1", "cam2"]) == "cam2"
    assert two.unusable(["cam1"]) == ""
    assert not two.all_in("open")


def test_the_next_process_is_told_what_was_open_and_seen() -> None:
    """A camera that never opened begins with the run; one that opened and saw nothing does not."""
    station = cameras()
    assert station.resume_from() == {}
    station.note(state("failed"), 0)
    assert station.resume_from() == {}
    station.note(state("open"), 0)
    station.lost("killed")
    assert station.resume_from() == {"cam1": 1}
    station.seen(frame(7), 0)
    assert station.resume_from() == {"cam1": 8}


def test_a_lost_process_takes_its_cameras_along() -> None:
    """What they reported last is where the next one goes on."""
    one = cameras()
    one.note(state("open"), 0)
    one.seen(frame(7), 0)
    one.lost("inspector 1 ended")
    [status] = one.statuses()
    assert (status.state, status.detail, status.last_frame) == ("closed", "inspector 1 ended", 7)
    assert one.resume_from() == {"cam1": 8}


def test_a_gap_within_one_open_has_verdicts_and_stays_balanced() -> None:
    """Each missing number is a part of its own."""
    one = cameras()
    one.note(state("open"), 0)
    assert [one.seen(frame(n), 0) for n in (1, 4)] == [0, 0]
    one.took("cam1", 1)
    one.took("cam1", 3)
    [line] = one.independent()
    assert (line.counted, line.triggered, line.state) == (4, 4, "balanced")


def test_a_gap_that_became_no_parts_is_not_balanced() -> None:
    """What the camera counted and nobody answered for is no product that was seen."""
    one = cameras()
    one.note(state("open"), 0)
    for number in (1, 4):
        one.seen(frame(number), 0)
        one.took("cam1", 1)
    assert one.independent()[0].state == "unbalanced"


@pytest.mark.parametrize("changes", [{"open_no": 2}, {"inspector": 2}])
def test_parts_that_pass_while_a_camera_is_closed_are_unseen(changes: dict[str, Any]) -> None:
    """Its own count goes on: three parts have no verdict, and the count is not balanced."""
    one = cameras()
    one.note(state("open"), 0)
    one.seen(frame(1), 0)
    one.note(state("open"), 0)
    assert one.seen(frame(5, **changes), 0) == 3
    assert one.independent()[0].state == "unbalanced"


def test_a_camera_that_counts_only_while_open_proves_nothing_after_it_was_closed() -> None:
    """Neither that parts passed unseen nor that none did."""
    one = cameras()
    one.note(state("open", counts=False), 0)
    one.seen(frame(1), 0)
    one.took("cam1", 1)
    assert one.independent()[0].state == "balanced"
    one.note(state("open", counts=False), 0)
    assert one.seen(frame(5, open_no=2), 0) == 0
    assert one.independent()[0].state == "unverified"


def test_a_camera_without_numbers_is_unverified() -> None:
    """It counts nothing by itself."""
    one = cameras()
    one.note(state("open", numbered=False), 0)
    assert one.seen(frame(1, numbered=False), 0) == one.seen(frame(9, numbered=False), 0) == 0
    [line] = one.independent()
    assert (line.counted, line.state) == (None, "unverified")


def test_a_camera_that_is_fired_is_no_second_count() -> None:
    """It takes a picture for each trigger, and knows of no other."""
    one = cameras({"trigger": "software"})
    one.note(state("open"), 0)
    assert one.seen(frame(1), 0) == 0
    assert one.independent() == ()


# ---- silence --------------------------------------------------------------------------------------------------------


def test_a_camera_may_be_silent_for_so_long_and_no_longer() -> None:
    """Counted from the beginning, from each frame, and from its opening."""
    one = cameras({"expect_every_ms": 50})
    assert one.silence_due_us() is None, "it is not open"
    one.note(state("open"), 0)
    one.begin(10 * MS)
    assert one.silence_due_us() == 60 * MS
    assert one.silent(60 * MS - 1) == ""
    assert one.silent(60 * MS) == "cam1"
    one.seen(frame(1), 70 * MS)
    assert one.silent(119 * MS) == ""
    assert one.silent(120 * MS) == "cam1"
    one.note(state("open"), 120 * MS)
    assert one.silent(169 * MS) == ""


def test_only_an_open_camera_is_expected_to_speak() -> None:
    """One that has failed is told as failed; one that may stand still, or is fired, is never silent."""
    three = cameras({"expect_every_ms": 50}, {}, {"expect_every_ms": 50, "trigger": "software"})
    for name in ("cam1", "cam2", "cam3"):
        three.note(state("open", name), 0)
    three.begin(0)
    three.note(state("failed"), 0)
    assert three.silent(10**9) == ""
    assert three.silence_due_us() is None
