"""Frames to parts: which belong together, which are missing, which are the last one again."""

from __future__ import annotations

from typing import Any

import pytest

from edge.inspector.link import Captured, FrameOf
from edge.records import Mode
from edge.settings import CameraSettings, PartsSettings
from edge.station.intake import LARGEST_GAP, FrameSequence, Gap, Intake
from edge.station.parts import Part, PartView

MS = 1000


def camera(name: str = "cam1", **changes: Any) -> CameraSettings:
    return CameraSettings.model_validate({"name": name, "source": {"kind": "synthetic"}, **changes})


LIVE = {"source": {"kind": "opencv", "device": 0, "rate_hz": 100}}


def captured(frame_no: int, ms: float = 0, name: str = "cam1", **changes: Any) -> Captured:
    values: dict[str, Any] = {
        "inspector": 1,
        "camera": name,
        "part": None,
        "open_no": 1,
        "frame_no": frame_no,
        "t_us": round(ms * MS),
        "tag": None,
        "source": str(frame_no),
        "numbered": True,
        "fault": None,
        "detail": "",
    }
    return Captured(**{**values, **changes})


# ---- gaps -----------------------------------------------------------------------------------------------------------


def missing(before: Captured, after: Captured, **changes: Any) -> Gap:
    sequence = FrameSequence(camera(**changes))
    assert sequence.gap_before(before) == Gap(())
    return sequence.gap_before(after)


def test_numbers_in_a_row_have_no_gap() -> None:
    """Whatever the time between them."""
    assert missing(captured(7), captured(8, 5000)) == Gap(())


def test_missing_numbers_are_named() -> None:
    """Each of them, in their order."""
    assert list(missing(captured(7), captured(10)).numbers) == [8, 9]


@pytest.mark.parametrize(("frame_no", "counted"), [(LARGEST_GAP, LARGEST_GAP - 1), (LARGEST_GAP + 1, 0), (0, 0)])
def test_a_jump_is_told_where_it_cannot_be_counted(frame_no: int, counted: int) -> None:
    """Far ahead, back, or the same number again; the line names both numbers."""
    gap = missing(captured(0), captured(frame_no))
    assert len(gap.numbers) == counted
    assert bool(gap.jumped) == (counted == 0)
    if gap.jumped:
        assert f"frame {frame_no} follows 0" in gap.jumped


@pytest.mark.parametrize("changes", [{"open_no": 2}, {"inspector": 2}])
def test_numbers_of_two_opens_are_not_compared(changes: dict[str, Any]) -> None:
    """Neither of one inspector nor of two."""
    assert missing(captured(7), captured(20, **changes)) == Gap(())


@pytest.mark.parametrize(("ms", "count"), [(10, 0), (15, 0), (16, 1), (20, 1), (24, 1), (30, 2), (54, 4), (2, 0)])
def test_a_live_camera_without_numbers_is_judged_by_its_time_stamps(ms: float, count: int) -> None:
    """At 100 Hz a distance of 20 ms is one frame that never came; less than 16 ms is jitter."""
    gap = missing(captured(1, numbered=False), captured(2, ms, numbered=False), **LIVE)
    assert len(gap.numbers) == count
    assert not gap.jumped


def test_a_long_silence_is_told_not_counted() -> None:
    """An hour of frames is not answered part by part."""
    gap = missing(captured(1, numbered=False), captured(2, 3_600_000, numbered=False), **LIVE)
    assert len(gap.numbers) == 0
    assert "no frame for 3600.0 s" in gap.jumped


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"source": {"kind": "opencv", "device": 0}}, id="no rate"),
        pytest.param({"source": {"kind": "opencv", "device": __file__, "rate_hz": 100}}, id="file"),
        pytest.param({**LIVE, "trigger": "camera"}, id="frames come as parts do"),
        pytest.param({}, id="not live"),
    ],
)
def test_time_tells_nothing_of_a_camera_without_a_pace(changes: dict[str, Any]) -> None:
    """Its frames may be as far apart as they are."""
    assert missing(captured(1, numbered=False), captured(2, 5000, numbered=False), **changes) == Gap(())


# ---- which frames show one part -------------------------------------------------------------------------------------


def intake(join: str, *, offset: int = 0, **changes: Any) -> Intake:
    cameras = [camera("cam1"), camera("cam2", counter_offset=offset)]
    return Intake(PartsSettings.model_validate({"join": join, "window_ms": 20, **changes}), cameras)


def opened(intake: Intake, message: Captured) -> Part:
    """Open a part as the registrar does, and give it its first view."""
    part = Part(
        number=message.frame_no,
        mode=Mode.PRODUCTION,
        source=message.camera,
        trigger_us=message.t_us,
        deadline_us=message.t_us + 100 * MS,
        shift="2026-11-22T06:00",
        views={name: PartView(name) for name in intake.cameras_of(message.camera)},
        recipe=None,
    )
    intake.opened(message, part)
    see(part, message)
    return part


def see(part: Part, message: Captured) -> None:
    part.views[message.camera].frame = FrameOf(camera=message.camera, open_no=1, frame_no=message.frame_no)


def test_without_a_join_each_frame_is_a_part() -> None:
    """Seen by its own camera alone, waiting for nobody."""
    each = intake("each")
    opened(each, captured(1))
    assert each.find(captured(1, 0, "cam2")) is None
    assert each.cameras_of("cam2") == ("cam2",)
    assert each.window_us(5) is None


def test_one_camera_has_nothing_to_join() -> None:
    """Whatever the settings say."""
    alone = Intake(PartsSettings(join="tag"), [camera()])
    assert not alone.joins
    assert alone.window_us(5) is None


@pytest.mark.parametrize(
    ("join", "first", "second", "other"),
    [
        ("tag", captured(1, tag=7), captured(90, 3, "cam2", tag=7), captured(90, 3, "cam2", tag=8)),
        ("counter", captured(1), captured(101, 3, "cam2"), captured(102, 3, "cam2")),
        ("time", captured(1), captured(90, 20, "cam2"), captured(90, 20.001, "cam2")),
        ("time", captured(1, 20), captured(90, 0, "cam2"), captured(90, 41, "cam2")),
    ],
)
def test_the_other_camera_joins_by_what_they_share(
    join: str, first: Captured, second: Captured, other: Captured
) -> None:
    """A tag, a number with the camera's offset, or a moment; another one is another part. A part has one view each."""
    joined = intake(join, offset=-100)
    part = opened(joined, first)
    assert list(part.views) == ["cam1", "cam2"]
    assert joined.window_us(first.t_us) == first.t_us + 20 * MS
    assert joined.find(other) is None
    assert joined.find(second) is part
    see(part, second)
    assert joined.find(second) is None


def test_a_frame_without_a_tag_joins_nothing() -> None:
    """Two frames without one have nothing in common."""
    tagged = intake("tag")
    opened(tagged, captured(1))
    assert tagged.find(captured(1, 0, "cam2")) is None


def test_a_number_that_is_not_the_cameras_own_joins_nothing() -> None:
    """It slips with the first frame that is lost, and would join the picture of another part for ever."""
    counted = intake("counter")
    opened(counted, captured(1))
    assert counted.find(captured(1, 0, "cam2", numbered=False)) is None


def test_the_nearest_part_in_time_is_joined_not_the_newest() -> None:
    """Two parts 15 ms apart, a window of 20 ms, and a view that was reported after both."""
    timed = intake("time")
    first, second = opened(timed, captured(1, 0)), opened(timed, captured(2, 15))
    assert timed.find(captured(1, 1, "cam2")) is first
    assert timed.find(captured(2, 14, "cam2")) is second


def test_a_tag_that_comes_round_is_the_newer_parts() -> None:
    """Also for the camera that never saw the old part."""
    tagged = intake("tag")
    opened(tagged, captured(1, 0, tag=7))
    newer = opened(tagged, captured(2, 8000, tag=7))
    assert tagged.find(captured(2, 8001, "cam2", tag=7)) is newer


def test_a_tag_that_comes_round_is_not_the_old_parts() -> None:
    """The camera that missed it then may be the first to see it now."""
    tagged = intake("tag")
    old = opened(tagged, captured(1, 0, tag=7))
    assert tagged.find(captured(2, 120, "cam2", tag=7)) is old
    assert tagged.find(captured(2, 121, "cam2", tag=7)) is None


# ---- once or twice --------------------------------------------------------------------------------------------------


def test_a_trigger_soon_after_the_last_is_the_same_or_too_many() -> None:
    """Inside debounce_ms, inside min_interval_ms, at their ends neither; of another camera never."""
    each = intake("each", debounce_ms=5, min_interval_ms=10)
    assert not each.bounces("cam1", 0)
    each.accept("cam1", 0)
    assert [each.bounces("cam1", us) for us in (0, 4_999, 5_000)] == [True, True, False]
    assert [each.overruns("cam1", us) for us in (9_999, 10_000)] == [True, False]
    assert not each.bounces("cam2", 1_000)


def test_nothing_bounces_where_no_time_is_set() -> None:
    """Also where the second report has the earlier time."""
    each = intake("each")
    each.accept("cam1", 1_000)
    for us in (1_000, 999, 0):
        assert not each.bounces("cam1", us)
        assert not each.overruns("cam1", us)


def test_cameras_of_one_part_bounce_together() -> None:
    """A part that cam1 opened bounces at cam2 too: else it would be opened by cam2, and its view of cam1 be missing."""
    timed = intake("time", debounce_ms=50)
    timed.accept("cam1", 0)
    assert timed.bounces("cam2", 30 * MS)
    assert not timed.bounces("software", 30 * MS)
