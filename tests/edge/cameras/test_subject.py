"""A bare GenICam camera is looked at as it is set, and one that somebody has is told without being opened."""

from __future__ import annotations

import pytest

from edge.cameras import subject
from edge.cameras.subject import Looking, subject_of
from edge.errors import CameraError
from edge.settings import GenicamSource

TOLD = {
    "state": "free",
    "region [px]": "320x240 at (16, 8)",
    "binning, x": "2 (1 to 4)",
    "decimation, x": "1 (1 to 4)",
    "reverse_x": "1 (0 to 1)",
    "reverse_y": "none",
    "pixel_format": "BayerRG8",
}


def looked_at(monkeypatch: pytest.MonkeyPatch, told: dict[str, str], **flags: int) -> subject.Subject:
    monkeypatch.setattr(subject, "features_of", lambda device: told)
    return subject_of(Looking(device="Maker-1", **flags))


def test_nothing_is_changed_by_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Region, corner, binning, mirroring and format are asked for as they are; what is asked for by a flag is not."""
    found = looked_at(monkeypatch, TOLD)
    source = found.settings.source
    assert isinstance(source, GenicamSource)
    assert (found.settings.width, found.settings.height, found.format) == (320, 240, "bgr8")
    assert (source.offset_x, source.offset_y, source.binning, source.decimation) == (16, 8, 2, None)
    assert (source.reverse_x, source.reverse_y) == (True, None)
    assert looked_at(monkeypatch, TOLD, width=64).settings.width == 64


def test_a_camera_in_use_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Being refused takes seconds."""
    with pytest.raises(CameraError, match=r"Maker-1: is in use by another program or host, or gone"):
        looked_at(monkeypatch, {**TOLD, "state": "in use"})


def test_a_camera_that_does_not_tell_its_region_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking for another one would change it."""
    with pytest.raises(CameraError, match="does not tell its region"):
        looked_at(monkeypatch, {**TOLD, "region [px]": "not available"})
