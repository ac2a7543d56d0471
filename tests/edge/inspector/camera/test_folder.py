"""Folder watch, on a real folder: each finished file is one part; none is lost, taken twice, or read half-written."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import threading
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
from edge.inspector.camera import folder as folder_module
from edge.inspector.camera import spool as spool_module
from edge.inspector.camera import watch as watch_module
from edge.inspector.camera.folder import FolderCamera
from edge.inspector.camera.mark import Mark
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
        """Return those that people see."""
        files = (path for path in (self.folder / below).iterdir() if path.is_file())
        return sorted(path.name for path in files if not path.name.startswith("."))


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


def preallocated(folder: Path, name: str, data: bytes, have: float) -> int:
    """Write a share of a file that has its full length already, as a copy over a network does; return it, open."""
    file = os.open(folder / name, os.O_CREAT | os.O_RDWR)
    os.ftruncate(file, len(data))
    os.pwrite(file, data[: int(have * len(data))], 0)
    return file


def bmp(shape: tuple[int, ...] = (20, 32)) -> bytes:
    return cv2.imencode(".bmp", np.full(shape, 9, np.uint8))[1].tobytes()


@pytest.mark.parametrize("have", [0.6, 1.0])
@pytest.mark.parametrize("ending", ["bmp", "jpg", "pgm", "png", "tif"])
def test_a_file_that_is_open_is_not_taken_however_long_it_lies_there(bench: Bench, ending: str, have: float) -> None:
    """Its writer stalls, after it gave it its length: found when the folder is gone through, and left alone."""
    noise = np.random.default_rng(1).integers(90, 160, (40, 52), np.uint8)
    data = cv2.imencode(f".{ending}", noise)[1].tobytes()
    camera = bench.open(afterwards="move", **FAST)
    file = preallocated(bench.folder, f"a.{ending}", data, have)
    assert [camera.read() for _ in range(2)] == [None, None]
    os.pwrite(file, data, 0)
    os.close(file)
    found = frame(camera)
    assert np.array_equal(found.image, cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))
    assert camera.read() is None


def test_a_file_that_was_open_at_the_start_is_not_taken(bench: Bench) -> None:
    """Nor moved away from under its writer, nor answered before it is finished."""
    file = preallocated(bench.folder, "a.bmp", bmp(), 0.6)
    for resume_from in (1, 2):
        camera = bench.open(resume_from, afterwards="move", **FAST)
        assert [camera.read() for _ in range(2)] == [None, None]
        assert bench.names() == ["a.bmp"]
        camera.close()
    os.pwrite(file, bmp(), 0)
    camera = bench.open(existing="inspect", afterwards="move", **FAST)
    assert camera.read() is None
    os.close(file)
    assert value(frame(camera)) == 9


def test_of_another_users_file_a_close_is_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel does not tell whether it is open: one that was never closed is UNKNOWN(camera), however whole."""
    monkeypatch.setattr(folder_module, "is_written", lambda path: None)
    camera = bench.open(**FAST)
    file = preallocated(bench.folder, "a.png", png(1), 1.0)
    assert "was never closed, as far as can be told" in unusable(camera).detail
    os.close(file)
    put(bench.folder, "b.png", png(2))
    assert value(frame(camera)) == 2


def test_after_an_overflow_another_users_file_is_taken(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its close may be among what was not told: when it has not changed for a while."""
    monkeypatch.setattr(folder_module, "is_written", lambda path: None)
    monkeypatch.setattr(FolderWatch, "note", lambda *_: None)
    camera = bench.open(**FAST)
    put(bench.folder, "a.png", png(1))
    logging.getLogger("watchdog.observers.inotify_c").warning("Inotify queue overflowed")
    assert value(frame(camera)) == 1


@pytest.mark.parametrize("ending", ["bmp", "pgm"])
def test_on_a_network_drive_a_dark_end_is_doubtful(bench: Bench, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be what is not written yet, of a format that cannot tell: UNKNOWN(camera); else it is taken."""
    monkeypatch.setattr(folder_module, "is_local", lambda path: False)
    monkeypatch.setattr(FolderWatch, "note", lambda *_: None)
    camera = bench.open(**FAST)
    dark = np.full((40, 52), 99, np.uint8)
    dark[:10] = dark[-10:] = 0
    put(bench.folder, f"a.{ending}", cv2.imencode(f".{ending}", dark)[1].tobytes())
    assert "ends in zeros, which may be a dark border" in unusable(camera).detail
    put(bench.folder, f"b.{ending}", cv2.imencode(f".{ending}", dark + 1)[1].tobytes())
    assert frame(camera).source == f"b.{ending}"


@pytest.mark.parametrize("ending", ["bmp", "pgm", "png", "tif"])
def test_a_dark_end_is_no_doubt_where_the_close_was_told(bench: Bench, ending: str) -> None:
    """A black border is common, and takes no time."""
    camera = bench.open(complete_ms=60_000, rescan_ms=60_000)
    dark = np.zeros((40, 52), np.uint8)
    put(bench.folder, f"a.{ending}", cv2.imencode(f".{ending}", dark)[1].tobytes())
    assert value(frame(camera)) == 0


def test_a_file_of_zeros_that_was_closed_too_early_is_waited_for(bench: Bench) -> None:
    """Made with its length, closed, and opened again to be filled: one part, when it is closed again."""
    camera = bench.open(complete_ms=60_000, **{k: v for k, v in FAST.items() if k != "complete_ms"})
    file = preallocated(bench.folder, "a.bmp", bmp(), 0.6)
    os.close(os.open(bench.folder / "a.bmp", os.O_WRONLY))
    assert camera.read() is None
    os.pwrite(file, bmp(), 0)
    os.close(file)
    assert value(frame(camera)) == 9


def test_what_is_linked_into_place_is_found(bench: Bench, tmp_path: Path) -> None:
    """The system tells nothing of that; nobody has it open."""
    camera = bench.open(**FAST)
    (tmp_path / "a.png").write_bytes(png(7))
    os.link(tmp_path / "a.png", bench.folder / "a.png")
    assert value(frame(camera)) == 7


def test_a_file_that_was_found_and_taken_away_is_answered(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is told of files: it was a part, unless it lies there under another name."""
    monkeypatch.setattr(folder_module, "is_local", lambda path: False)
    monkeypatch.setattr(FolderWatch, "note", lambda *_: None)
    camera = bench.open(**{**FAST, "settle_ms": 1000})
    put(bench.folder, "a.png", png(1))
    put(bench.folder, "b.png", png(2))
    assert camera.read() is None
    (bench.folder / "a.png").unlink()
    (bench.folder / "b.png").rename(bench.folder / "c.png")
    found = [part(camera) for _ in range(2)]
    assert [(type(each), each.source) for each in found] == [(Unusable, "a.png"), (Frame, "c.png")]
    assert camera.read() is None


def test_a_watch_that_ended_is_told(bench: Bench) -> None:
    """A folder that was made anew may have the old one's inode, by which it could not be told apart."""
    camera = bench.open(**FAST)
    shutil.rmtree(bench.folder)
    until(lambda: not camera._watch.alive)
    bench.folder.mkdir()
    camera._place = folder_module._place(bench.folder)
    with pytest.raises(CameraError, match="another one than before"):
        camera.read()
    camera.close()
    camera.open(1)
    put(bench.folder, "a.png", png(1))
    assert value(frame(camera)) == 1


def test_a_watch_that_hangs_holds_nothing_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread asks a drive that answers no more."""
    monkeypatch.setattr(watch_module, "_STOP_S", 0.05)
    hangs, go_on = threading.Event(), threading.Event()

    def hang(*_: Any) -> None:
        hangs.set()
        go_on.wait()

    camera = bench.open()
    with monkeypatch.context() as held:
        held.setattr(FolderWatch, "note", hang)
        put(bench.folder, "a.png", png(1))
        assert hangs.wait(10)
        before_us = SYSTEM_CLOCK.now_us()
        camera.close()
        assert SYSTEM_CLOCK.now_us() - before_us < 5_000_000
    go_on.set()


def test_what_came_while_no_process_watched_is_answered_also_where_files_are_kept(bench: Bench) -> None:
    """A new inspector of the same run: what was taken before is none, what came then is UNKNOWN(camera), once."""
    put(bench.folder, "old.png", png(0))
    camera = bench.open()
    for n in (1, 2):
        put(bench.folder, f"{n}.png", png(n))
        assert value(frame(camera)) == n
    camera.close()
    put(bench.folder, "3.png", png(3))
    for resume_from, names in ((3, ["3.png"]), (4, [])):
        camera = bench.camera(**FAST)
        said = camera.open(resume_from).description
        assert f"{len(names)} pictures came while nobody watched, {4 - len(names)} that lie there" in said
        assert [unusable(camera).source for _ in names] == names
        assert [camera.read() for _ in range(2)] == [None, None]
        camera.close()
    camera = bench.open(5)
    put(bench.folder, "4.png", png(4))
    assert value(frame(camera)) == 4
    assert bench.names() == ["1.png", "2.png", "3.png", "4.png", "old.png"]


def test_what_waits_when_its_process_ends_is_answered_by_the_next(bench: Bench) -> None:
    """Also where a later one was answered meanwhile, which is then answered twice."""
    camera = bench.open(complete_ms=600_000)
    put(bench.folder, "1.png", png(1)[:40])
    assert camera.read() is None
    put(bench.folder, "2.png", png(2))
    assert value(frame(camera)) == 2
    assert camera.read() is None
    camera = bench.open(2, **FAST)
    assert [unusable(camera).source for _ in range(2)] == ["1.png", "2.png"]
    camera.close()
    assert "0 pictures came while" in bench.camera().open(4).description


@pytest.mark.parametrize("afterwards", ["keep", "move"])
def test_what_came_before_the_first_part_of_a_run_is_answered(bench: Bench, afterwards: Any) -> None:
    """A process of the run had watched the folder, and ended before it had seen one."""
    bench.open(afterwards=afterwards).close()
    put(bench.folder, "1.png", png(1))
    source = FolderSource(kind="folder", path=bench.folder, afterwards=afterwards, **FAST)
    camera = FolderCamera(source, "mono8", convert=False, from_arrival=True, resumed=True)
    bench.cameras.append(camera)
    assert camera.open(1).description.count("1 pictures came while nobody watched")
    assert "came while nobody watched the folder" in unusable(camera).detail


def test_a_new_run_begins_with_what_comes(bench: Bench) -> None:
    """Also where an old mark lies there."""
    bench.open().close()
    put(bench.folder, "a.png", png(1))
    camera = bench.open(1)
    assert camera.read() is None
    camera.close()
    assert (
        bench.camera()
        .open(2)
        .description.endswith("0 pictures came while nobody watched, 1 that lie there are left alone")
    )


def test_a_folder_that_cannot_be_marked_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nobody can say what came meanwhile."""
    monkeypatch.setattr(Mark, "open", lambda *_: False)
    assert bench.camera().open(1).description.endswith("what comes while nobody watches will not be noticed")
    assert "which of them came while nobody watched is not known" in bench.camera().open(2).description


def test_kept_files_are_not_asked_about_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was taken and not written since costs little; what is written anew is a part."""
    for n in range(20):
        put(bench.folder, f"{n}.png", png(n))
    camera = bench.open(**FAST)
    asked: list[str] = []
    scanned = spool_module.Spool._scanned

    def count(*args: Any) -> Iterator[tuple[str, os.stat_result]]:
        for name, stat in scanned(*args):
            asked.append(name)
            yield name, stat

    monkeypatch.setattr(spool_module.Spool, "_scanned", count)
    assert camera.read() is None
    assert asked == []
    (bench.folder / "3.png").write_bytes(png(100))
    assert value(frame(camera)) == 100
    assert camera.read() is None
    assert set(asked) == {"3.png"}
    camera._watch.overflowed = True
    assert camera.read() is None
    assert len(set(asked)) == 20


def test_a_folder_with_too_many_files_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once: going through it takes time that no part is taken in."""
    monkeypatch.setattr(folder_module, "_LONG_LOOK_US", -1)
    camera = bench.open(**FAST)
    for _ in range(3):
        camera.read()
    (said,) = [record.getMessage() for record in caplog.records]
    assert "too many files lie there; use afterwards" in said


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
