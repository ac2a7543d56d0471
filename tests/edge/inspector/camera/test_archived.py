"""An archive as a camera: its parts in the order of time, each with its place, and nothing damaged is inspected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.archive import ArchiveWriter, KeptPart, KeptView
from edge.errors import CameraError, SourceEnded
from edge.inspector.camera import Frame, Unusable, make_camera
from edge.inspector.camera.archived import ArchiveCamera
from edge.records import Reason
from edge.settings import ArchiveSource, CameraSettings, Station
from engines.contract import PixelFormat
from tests.support.archived import HOUR_US, NOON_US, kept_part, kept_view, pixels, view


def write(root: Path, *parts: KeptPart) -> list[str]:
    """Return the parts' folders below the root."""
    with ArchiveWriter(root) as writer:
        return [writer.write(part).folder.relative_to(root).as_posix() for part in parts]


def opened(root: Path, format_: PixelFormat = "mono8", resume_from: int = 1, **source: Any) -> ArchiveCamera:
    convert = source.pop("convert", False)
    camera = ArchiveCamera(ArchiveSource(kind="archive", path=root, **source), format_, convert=convert)
    camera.open(resume_from)
    return camera


def rest(camera: ArchiveCamera) -> list[Frame | Unusable]:
    found: list[Frame | Unusable] = []
    try:
        while True:
            found.append(camera.read())
    except SourceEnded:
        camera.close()
    return found


def test_parts_come_in_the_order_of_time_with_place_and_tag(tmp_path: Path) -> None:
    """The source says hour, position and why it was kept; a part without a picture is left out."""
    later = kept_part(3, "near_miss", tag=9)
    earlier = kept_part(8, utc_us=NOON_US - HOUR_US)
    folders = write(tmp_path, later, earlier, kept_part(4, "unknown", with_pixels=False))
    camera = ArchiveCamera(ArchiveSource(kind="archive", path=tmp_path), "mono8", convert=False)
    actual = camera.open(1)
    assert (actual.numbered, actual.triggerable) == (True, True)
    assert "2 pictures of archive" in actual.description
    assert "1 PASS, 1 REJECT" in actual.description
    found = rest(camera)
    assert [(each.number, each.source, each.tag) for each in found] == [
        (1, f"{folders[1]}/cam1.frame.png", None),
        (2, f"{folders[0]}/cam1.frame.png", 9),
    ]
    assert isinstance(found[1], Frame)
    assert np.array_equal(found[1].image, pixels(3)[0])


def test_it_resumes_after_what_was_reported(tmp_path: Path) -> None:
    """Frame n is the n-th picture, also for an inspector that was started again."""
    write(tmp_path, *(kept_part(n) for n in range(1, 4)))
    assert [each.number for each in rest(opened(tmp_path, resume_from=3))] == [3]


def test_one_camera_of_several_is_asked_for(tmp_path: Path) -> None:
    """Its pictures alone; one that the archive does not have is refused with those that it has."""
    both = KeptPart(
        "reject", kept_part(1, views=(view(), view(camera="top"))).verdict, (kept_view(1), kept_view(2, "top"))
    )
    write(tmp_path, both, kept_part(2))
    found = rest(opened(tmp_path, camera="top"))
    assert [Path(each.source).name for each in found] == ["top.frame.png"]
    assert len(rest(opened(tmp_path))) == 3
    with pytest.raises(CameraError, match="no picture of camera 'side'; it has those of cam1, top"):
        opened(tmp_path, camera="side")


def test_what_is_damaged_is_not_inspected(tmp_path: Path) -> None:
    """Other pixels than were written, or none any more: UNKNOWN(camera); a damaged record is named at the start."""
    spoilt, gone, whole, torn = write(tmp_path, *(kept_part(n) for n in range(1, 5)))
    data = (tmp_path / spoilt / "cam1.frame.png").read_bytes()
    (tmp_path / torn / "record.json").write_bytes(b"{")
    camera = ArchiveCamera(ArchiveSource(kind="archive", path=tmp_path), "mono8", convert=False)
    assert "1 damaged parts left out" in camera.open(1).description
    (tmp_path / spoilt / "cam1.frame.png").write_bytes(data[:-20] + bytes(20))
    (tmp_path / gone / "cam1.frame.png").unlink()
    found = rest(camera)
    assert [type(each) for each in found] == [Unusable, Unusable, Frame]
    assert [each.reason for each in found[:2] if isinstance(each, Unusable)] == [Reason.CAMERA] * 2
    assert found[2].source.startswith(whole)


def test_another_format_is_geometry_or_converted(tmp_path: Path) -> None:
    """As in replay."""
    write(tmp_path, KeptPart("sample", kept_part(1, "sample").verdict, (KeptView("cam1", pixels(1)[0]),)))
    (found,) = rest(opened(tmp_path, "bgr8"))
    assert isinstance(found, Unusable)
    assert found.reason is Reason.GEOMETRY
    (found,) = rest(opened(tmp_path, "bgr8", convert=True))
    assert found.image.shape == (40, 60, 3) if isinstance(found, Frame) else False


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    """One line; and a replay of an archive's folder says which kind to use."""
    with pytest.raises(CameraError, match="expected an archive"):
        opened(tmp_path)
    write(tmp_path, kept_part(1))
    settings = CameraSettings.model_validate({"name": "a", "source": {"kind": "replay", "path": tmp_path}})
    with pytest.raises(CameraError, match='use kind = "archive"'):
        make_camera(settings, "mono8").open(1)


def test_settings_make_it_and_a_station_does_not_feed_on_itself(tmp_path: Path) -> None:
    """Its own archive would grow by what it inspects."""
    camera = {"name": "again", "source": {"kind": "archive", "path": tmp_path}}
    assert isinstance(make_camera(CameraSettings.model_validate(camera), "mono8"), ArchiveCamera)
    with pytest.raises(ValueError, match="fed with its own parts"):
        Station.model_validate({"station": "s", "cameras": [camera], "archive": {"path": tmp_path}})
