"""The built-in strip as a camera: the same frames whoever asks, whenever."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge.errors import CameraError, SourceEnded
from edge.inspector.camera import Frame
from edge.inspector.camera.synthetic import SyntheticCamera
from edge.settings import SyntheticSource
from edge.synthetic import Strip


def opened(resume_from: int = 1, **source: Any) -> SyntheticCamera:
    camera = SyntheticCamera(SyntheticSource(kind="synthetic", **source), 64, 96)
    camera.open(resume_from)
    return camera


def taken(camera: SyntheticCamera, count: int) -> list[Frame]:
    frames = [camera.read() for _ in range(count)]
    assert all(isinstance(frame, Frame) for frame in frames)
    return [frame for frame in frames if isinstance(frame, Frame)]


def test_frames_are_those_of_the_strip() -> None:
    """Frame n of the camera is frame n of the strip with the same seed, share and size, mono8."""
    strip = Strip(3, 0.5, 64, 96)
    for frame in taken(opened(seed=3, defect_share=0.5), 4):
        assert np.array_equal(frame.image, strip.frame(frame.number).image)
        assert frame.source == str(frame.number)


def test_it_resumes_after_what_was_reported() -> None:
    """A new camera that begins at 3 goes on as the first one did."""
    first = taken(opened(), 4)
    resumed = taken(opened(resume_from=3), 2)
    assert [frame.number for frame in resumed] == [3, 4]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first[2:], resumed, strict=True))


def test_it_ends_where_it_was_told_to() -> None:
    """After the asked number of frames there is none, also for one who resumes there; that is no failure."""
    camera = opened(frames=2)
    assert [frame.number for frame in taken(camera, 2)] == [1, 2]
    for done in (camera, opened(resume_from=3, frames=2)):
        with pytest.raises(SourceEnded, match="2 frames"):
            done.read()


def test_times_never_go_back() -> None:
    """A paced camera's frames carry rising times of the monotonic clock."""
    times = [frame.captured_us for frame in taken(opened(rate_hz=1000), 5)]
    assert times == sorted(times)


@pytest.mark.parametrize("close", [False, True])
def test_a_closed_camera_gives_no_frame(close: bool) -> None:
    """Before it is opened, and after it was closed, it says so."""
    camera = SyntheticCamera(SyntheticSource(kind="synthetic"), 64, 96)
    if close:
        camera.open(1)
        camera.close()
    with pytest.raises(CameraError, match="before open"):
        camera.read()


def test_it_tells_what_it_is() -> None:
    """Numbered, mono8, and one line with seed, size and rate."""
    actual = SyntheticCamera(SyntheticSource(kind="synthetic", seed=5, rate_hz=12.5), 64, 96).open(1)
    assert actual.numbered
    assert actual.format == "mono8"
    assert "seed 5, 96x64 mono8, 12.5 Hz" in actual.description


def test_tags_are_the_numbers_and_come_round() -> None:
    """Two cameras at the same frame give the same tag, as those that stamp a part's do; it has 16 bits."""
    assert [frame.tag for frame in taken(opened(resume_from=65535), 3)] == [65535, 0, 1]
