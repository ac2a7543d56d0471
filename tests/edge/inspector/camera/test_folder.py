"""Folder watch, on a real folder: each finished file is one part; none is lost, taken twice, or read half-written."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from watchdog.observers.api import BaseObserver

from edge.clock import SYSTEM_CLOCK
from edge.errors import CameraError, ConfigurationError
from edge.inspector.camera import Actual, Frame, Unusable, make_camera
from edge.inspector.camera import spool as spool_module
from edge.inspector.camera import watch as watch_module
from edge.inspector.camera.folder import FolderCamera
from edge.inspector.camera.watch import FolderWatch
from edge.records import Reason
from edge.settings import CameraSettings, FolderSource

PATIENCE = 100
"""Reads, of 0.2 s at most."""
FAST = {"complete_ms": 60, "settle_ms": 10, "rescan_ms": 20}


def png(value: int, shape: tuple[int, ...] = (20, 30)) -> bytes:
    return cv2.imencode(".png", np.full(shape, value, np.uint8))[1].tobytes()


def put(folder: Path, name: str, data: bytes) -> Path:
    """Write a file as it should be done: under a hidden name, then renamed."""
    (folder / ".unfinished").write_bytes(data)
    return (folder / ".unfinished").rename(folder / name)


class Bench:
    """A folder, and its camera."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cameras: list[FolderCamera] = []

    def camera(self, *, from_arrival: bool = True, convert: bool = False, **source: Any) -> FolderCamera:
        settings = FolderSource(kind="folder", path=self.folder, **source)
        self.cameras.append(FolderCamera(settings, "mono8", convert=convert, from_arrival=from_arrival))
        return self.cameras[-1]

    def open(self, resume_from: int = 1, **source: Any) -> FolderCamera:
        camera = self.camera(**source)
        camera.open(resume_from)
        return camera

    def names(self, below: str = ".") -> list[str]:
        return sorted(path.name for path in (self.folder / below).iterdir() if path.is_file())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "in").mkdir()
    bench = Bench(tmp_path / "in")
    yield bench
    for camera in bench.cameras:
        camera.close()


def until(true: Callable[[], bool]) -> None:
    """Give way to other threads until it is true."""
    while not true():
        os.sched_yield()


def part(camera: FolderCamera) -> Frame | Unusable:
    """Return the next part, however long it takes."""
    for _ in range(PATIENCE):
        found = camera.read()
        if found is not None:
            return found
    raise AssertionError("no part came")


def frame(camera: FolderCamera) -> Frame:
    found = part(camera)
    assert isinstance(found, Frame), found
    return found


def unusable(camera: FolderCamera) -> Unusable:
    found = part(camera)
    assert isinstance(found, Unusable), found
    return found


def value(found: Frame) -> int:
    """Return the grey value of an even picture."""
    assert (found.image == found.image.flat[0]).all()
    return int(found.image.flat[0])


def test_a_file_renamed_into_place_is_a_part_at_once(bench: Bench) -> None:
    """It has our own count as number, its name as source, the tag in that name, and the time at which it came."""
    camera = bench.camera(tag_pattern=r"part(\d+)_")
    actual = camera.open(1)
    assert (actual.numbered, actual.triggerable, actual.counts) == (False, False, False)
    before_us = SYSTEM_CLOCK.now_us()
    put(bench.folder, "part7_a.png", png(9))
    found = frame(camera)
    assert (found.number, found.source, found.tag, value(found)) == (1, "part7_a.png", 7, 9)
    assert before_us <= found.captured_us <= SYSTEM_CLOCK.now_us()
    assert camera.read() is None
    assert bench.names() == ["part7_a.png"]


def test_a_file_from_another_folder_is_a_part(bench: Bench, tmp_path: Path) -> None:
    """The system reports it in another way than a rename within the folder."""
    camera = bench.open()
    (tmp_path / "a.png").write_bytes(png(5))
    (tmp_path / "a.png").rename(bench.folder / "a.png")
    assert value(frame(camera)) == 5


def test_a_file_that_is_still_written_is_no_part(bench: Bench) -> None:
    """Written in two halves with a pause: it is read when it is closed, whole."""
    camera = bench.open()
    data = png(3)
    with (bench.folder / "a.png").open("wb") as file:
        file.write(data[:60])
        file.flush()
        assert camera.read() is None
        file.write(data[60:])
        file.flush()
        assert camera.read() is None
    assert value(frame(camera)) == 3


def test_a_file_closed_too_early_is_waited_for(bench: Bench) -> None:
    """Some writers make an empty file first, or close it half-way: one part, when it is whole."""
    camera = bench.open(complete_ms=60_000)
    data = png(4)
    for have in (0, 60, len(data)):
        assert camera.read() is None
        (bench.folder / "a.png").write_bytes(data[:have])
    assert value(frame(camera)) == 4
    assert camera.read() is None


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "tif", "webp"])
def test_a_file_that_never_becomes_whole_is_unknown(bench: Bench, ending: str) -> None:
    """Half a picture is never inspected: the part is UNKNOWN(camera), and the next file follows."""
    noise = np.random.default_rng(1).integers(0, 255, (40, 50), np.uint8)
    data = cv2.imencode(f".{ending}", noise)[1].tobytes()
    camera = bench.open(complete_ms=60, convert=True)
    put(bench.folder, f"a.{ending}", data[: len(data) // 2])
    found = unusable(camera)
    assert (found.number, found.reason, found.source) == (1, Reason.CAMERA, f"a.{ending}")
    assert "no whole picture 60 ms after" in found.detail
    put(bench.folder, f"b.{ending}", data)
    assert frame(camera).number == 2


def test_other_files_are_left_alone(bench: Bench) -> None:
    """Hidden ones, other endings, other names than the pattern's, folders."""
    camera = bench.open(pattern="cam1_*")
    for name in (".cam1_a.png", "cam1_a.txt", "cam1_a.png.part", "cam2_a.png"):
        put(bench.folder, name, png(1))
    (bench.folder / "cam1_folder.png").mkdir()
    put(bench.folder, "cam1_b.png", png(2))
    assert frame(camera).source == "cam1_b.png"
    assert camera.read() is None


@pytest.mark.parametrize(
    ("source", "said", "left"),
    [
        ({}, "1 pictures that lie there are left alone", ["a.png"]),
        ({"afterwards": "move"}, "1 pictures that lie there are moved away", []),
    ],
)
def test_what_lies_there_at_the_start_is_no_part(bench: Bench, source: Any, said: str, left: list[str]) -> None:
    """The default: the line goes on with the parts that come. What is moved later would look like new ones."""
    put(bench.folder, "a.png", png(1))
    camera = bench.camera(**source, **FAST)
    assert said in camera.open(1).description
    put(bench.folder, "b.png", png(2))
    assert frame(camera).source == "b.png"
    assert camera.read() is None
    assert bench.names() == [*left, *(["b.png"] if left else [])]


def test_what_lies_there_at_the_start_can_be_inspected(bench: Bench) -> None:
    """In the order in which it came, before what comes then; its time is when it is read."""
    for name in ("z.png", "a.png"):
        put(bench.folder, name, png(1))
    camera = bench.open(existing="inspect", afterwards="move", **FAST)
    before_us = SYSTEM_CLOCK.now_us()
    found = [frame(camera) for _ in range(2)]
    assert [each.source for each in found] == ["z.png", "a.png"]
    assert found[0].captured_us >= before_us
    put(bench.folder, "b.png", png(2))
    assert frame(camera).source == "b.png"


def test_a_file_that_was_unfinished_at_the_start_is_a_part(bench: Bench) -> None:
    """It is not moved away from under its writer."""
    with (bench.folder / "a.png").open("wb") as file:
        file.write(png(6)[:50])
        file.flush()
        camera = bench.open(afterwards="move", settle_ms=10_000)
        assert camera.read() is None
        file.write(png(6)[50:])
    assert value(frame(camera)) == 6


def test_what_came_while_no_process_watched_is_answered(bench: Bench) -> None:
    """A new inspector of the same run: those parts have passed, so they are UNKNOWN(camera), and moved away."""
    put(bench.folder, "a.png", png(1))
    camera = bench.camera(afterwards="move", **FAST)
    assert "1 pictures came while nobody watched" in camera.open(8).description
    found = unusable(camera)
    assert (found.number, found.reason) == (8, Reason.CAMERA)
    assert "came while nobody watched" in found.detail
    assert camera.read() is None
    assert (bench.names(), bench.names("done")) == ([], ["a.png"])


def test_a_file_is_moved_when_its_picture_was_taken(bench: Bench) -> None:
    """Not before the next one is asked for: the picture is copied by then. A name that comes again keeps both files."""
    camera = bench.open(afterwards="move")
    for n in range(2):
        put(bench.folder, "a.png", png(n))
        assert value(frame(camera)) == n
        assert bench.names() == ["a.png"]
        assert camera.read() is None
        assert bench.names() == []
    first, second = bench.names("done")
    assert {first, second} >= {"a.png"}
    assert [(bench.folder / "done" / name).read_bytes() for name in sorted((first, second), key=len)] == [
        png(0),
        png(1),
    ]


def test_a_file_can_be_deleted_but_none_that_was_not_inspected(bench: Bench) -> None:
    """What holds no picture, or one of another format, is moved."""
    camera = bench.open(afterwards="delete", complete_ms=10)
    put(bench.folder, "a.png", png(1))
    put(bench.folder, "colour.png", png(1, (20, 30, 3)))
    put(bench.folder, "broken.png", b"no picture")
    found = {each.source: type(each) for each in (part(camera) for _ in range(3))}
    assert found == {"a.png": Frame, "colour.png": Unusable, "broken.png": Unusable}
    camera.close()
    assert (bench.names(), bench.names("done")) == ([], ["broken.png", "colour.png"])


def test_a_picture_of_another_format_is_geometry(bench: Bench) -> None:
    """As in replay; with convert it is inspected."""
    put(bench.folder, "a.png", png(8, (20, 30, 3)))
    plain = bench.open(existing="inspect", afterwards="move", **FAST)
    found = unusable(plain)
    assert found.reason is Reason.GEOMETRY
    assert "convert_to" in found.detail
    plain.close()
    converting = bench.open(convert=True)
    put(bench.folder, "b.png", png(8, (20, 30, 3)))
    assert value(frame(converting)) == 8


@pytest.mark.parametrize("afterwards", ["keep", "move"])
def test_the_same_name_again_is_another_part(bench: Bench, afterwards: Any) -> None:
    """A writer that always uses one name; each picture is seen once, and the newer one is not moved unseen."""
    camera = bench.open(afterwards=afterwards, **FAST)
    for n in range(3):
        put(bench.folder, "now.png", png(n))
        assert value(frame(camera)) == n
        put(bench.folder, "now.png", png(100 + n))
        assert value(frame(camera)) == 100 + n


def test_a_picture_that_was_overwritten_before_it_was_read_is_answered(bench: Bench) -> None:
    """Two parts passed: the first is UNKNOWN(camera), the second is inspected."""
    camera = bench.open(afterwards="move")
    put(bench.folder, "now.png", png(1))
    until(lambda: camera._watch.notes.qsize() == 1)
    put(bench.folder, "now.png", png(2))
    found = [part(camera) for _ in range(2)]
    assert [type(each) for each in found] == [Unusable, Frame]
    assert isinstance(found[0], Unusable)
    assert "written anew before it was read" in found[0].detail
    assert camera.read() is None


def test_a_file_that_somebody_takes_away_is_answered(bench: Bench) -> None:
    """It was a part, and there is no picture of it."""
    camera = bench.open()
    put(bench.folder, "a.png", png(1)).unlink()
    assert "gone before it could be read" in unusable(camera).detail


@pytest.mark.parametrize("afterwards", ["keep", "move"])
def test_a_file_that_is_renamed_later_is_no_other_part(bench: Bench, afterwards: Any) -> None:
    """The same picture under another name; it is moved all the same."""
    camera = bench.open(afterwards=afterwards)
    put(bench.folder, "a.png", png(1))
    assert frame(camera).source == "a.png"
    (bench.folder / "a.png").rename(bench.folder / "b.png")
    assert camera.read() is None
    camera.close()
    assert bench.names() == (["b.png"] if afterwards == "keep" else [])


def test_a_folder_that_vanishes_is_told_and_nothing_is_lost_when_it_is_back(bench: Bench, tmp_path: Path) -> None:
    """What was written meanwhile is found: its time is the last at which it was seen not to be there."""
    camera = bench.open(**FAST)
    put(bench.folder, "a.png", png(1))
    assert frame(camera).number == 1
    seen_us = SYSTEM_CLOCK.now_us()
    bench.folder.rename(tmp_path / "away")
    with pytest.raises(CameraError, match="No such file or directory; expected a folder"):
        part(camera)
    camera.close()
    with pytest.raises(CameraError, match="No such file"):
        camera.open(2)
    put(tmp_path / "away", "b.png", png(2))
    (tmp_path / "away").rename(bench.folder)
    assert "watched again" in camera.open(2).description
    found = frame(camera)
    assert (found.number, found.source) == (2, "b.png")
    assert found.captured_us <= seen_us
    assert camera.read() is None


def test_another_folder_in_its_place_is_told(bench: Bench, tmp_path: Path) -> None:
    """A drive that was not mounted leaves an empty folder where pictures came from."""
    camera = bench.open()
    bench.folder.rename(tmp_path / "away")
    bench.folder.mkdir()
    with pytest.raises(CameraError, match="another one than before"):
        part(camera)


@pytest.mark.parametrize("afterwards", ["keep", "move"])
def test_what_the_system_does_not_tell_is_found(bench: Bench, afterwards: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network drive, or more changes at once than it keeps: once each, in their order."""
    monkeypatch.setattr(FolderWatch, "note", lambda *_: None)
    camera = bench.open(afterwards=afterwards, **FAST)
    for n in range(5):
        put(bench.folder, f"{9 - n}.png", png(n))
    assert [value(frame(camera)) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert camera.read() is None


def test_more_files_than_are_noted_are_all_found(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notes are bounded; what found no room is found in the folder."""
    for module in (spool_module, watch_module):
        monkeypatch.setattr(module, "MOST_NOTES", 4)
    camera = bench.open(afterwards="move", rescan_ms=600_000, settle_ms=10)
    for n in range(40):
        put(bench.folder, f"{n:02}.png", png(n))
    assert sorted(value(frame(camera)) for _ in range(40)) == list(range(40))
    assert camera.read() is None
    assert bench.names() == []


def test_what_was_found_and_moved_before_it_was_told_is_one_part(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system was slower than a look into the folder: its word comes too late, and is of no other part."""
    late: list[Path] = []
    with monkeypatch.context() as held:
        held.setattr(FolderWatch, "note", lambda _, path: late.append(path))
        camera = bench.open(afterwards="move", **FAST)
        put(bench.folder, "a.png", png(1))
        assert value(frame(camera)) == 1
        assert camera.read() is None
    assert late == [bench.folder / "a.png"]
    camera._watch.note(late[0])
    assert camera.read() is None
    put(bench.folder, "a.png", png(2))
    assert value(frame(camera)) == 2


def test_under_every_a_parts_time_is_when_it_is_read(bench: Bench) -> None:
    """A batch that lies in the folder is each in its turn, and not late for having waited."""
    camera = bench.open(from_arrival=False)
    put(bench.folder, "a.png", png(1))
    before_us = SYSTEM_CLOCK.now_us()
    assert frame(camera).captured_us >= before_us


@pytest.mark.parametrize(
    ("done", "told"),
    [(".", "expected another folder on the same file system"), ("/dev/shm", "same file system")],
)
def test_a_folder_that_nothing_can_be_moved_to_is_refused(bench: Bench, done: str, told: str) -> None:
    """Before the first part: itself, and one on another drive."""
    if not Path(done).exists() or Path(done).stat().st_dev == bench.folder.stat().st_dev:
        done = "."
    with pytest.raises(CameraError, match=told):
        bench.open(afterwards="move", done=Path(done))


def test_a_file_that_cannot_be_moved_stops_the_camera(bench: Bench) -> None:
    """It would be inspected once more: said at each open until it is mended, and then it goes on."""
    camera = bench.open(afterwards="move")
    put(bench.folder, "a.png", png(1))
    assert frame(camera).number == 1
    shutil.rmtree(bench.folder / "done")
    with pytest.raises(CameraError, match=r"a\.png.*No such file"):
        camera.read()
    camera.close()
    camera.open(2)
    assert camera.read() is None
    assert bench.names("done") == ["a.png"]


@pytest.mark.parametrize(
    ("number", "told"),
    [(errno.ENOSPC, "max_user_watches"), (errno.EMFILE, "max_user_instances"), (errno.EACCES, "Permission denied")],
)
def test_a_limit_of_the_system_is_named(bench: Bench, number: int, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to raise."""

    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(BaseObserver, "start", refuse)
    with pytest.raises(CameraError, match=told):
        bench.open()


def test_it_is_read_only_while_it_is_open(bench: Bench) -> None:
    """Before, and after a close."""
    camera = bench.camera()
    with pytest.raises(CameraError, match="before open"):
        camera.read()
    assert isinstance(camera.open(1), Actual)
    camera.close()
    with pytest.raises(CameraError, match="before open"):
        camera.read()


def test_what_was_taken_is_forgotten_with_its_file(bench: Bench) -> None:
    """The memory is bounded by what lies in the folder."""
    camera = bench.open(**FAST)
    for n in range(20):
        path = put(bench.folder, f"{n}.png", png(n))
        frame(camera)
        path.unlink()
    assert camera.read() is None
    assert camera._spool is not None
    assert len(camera._spool._taken) == 0


def test_settings_make_a_folder_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its package: one line with the extra to install."""
    settings = CameraSettings.model_validate(
        {"name": "cam1", "source": {"kind": "folder", "path": tmp_path}, "overload": "every"}
    )
    assert isinstance(make_camera(settings, "mono8"), FolderCamera)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"edge-inspect\[folder\]"):
        make_camera(settings, "mono8")


@pytest.mark.parametrize(
    ("source", "camera", "told"),
    [
        ({"existing": "inspect"}, {}, "each start would inspect everything once more"),
        ({"afterwards": "delete"}, {}, "deleted unseen"),
        ({"tag_pattern": "x"}, {}, "one group"),
        ({"pattern": "a/b"}, {}, "pattern"),
        ({}, {"trigger": "software", "overload": "every"}, "each request is a part of its own"),
    ],
)
def test_settings_that_would_lose_or_repeat_parts_are_refused(source: Any, camera: Any, told: str) -> None:
    """With what to write instead."""
    tree = {"name": "cam1", "source": {"kind": "folder", "path": "in", **source}, **camera}
    with pytest.raises(ValueError, match=told):
        CameraSettings.model_validate(tree)
