"""Replay: every file is a part, whatever lies in it, and the end is no failure."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.errors import CameraError, SourceEnded
from edge.inspector.camera import Frame, Unusable
from edge.inspector.camera.replay import ReplayCamera
from edge.records import Reason
from edge.settings import ReplaySource
from engines.contract import PixelFormat


def grey(value: int = 50, shape: tuple[int, ...] = (20, 30), dtype: Any = np.uint8) -> NDArray[Any]:
    return np.full(shape, value, dtype)


def write(path: Path, image: NDArray[Any]) -> Path:
    assert cv2.imwrite(str(path), image)
    return path


def opened(path: Path, format_: PixelFormat = "mono8", resume_from: int = 1, **source: Any) -> ReplayCamera:
    convert = source.pop("convert", False)
    camera = ReplayCamera(ReplaySource(kind="replay", path=path, **source), format_, convert=convert)
    camera.open(resume_from)
    return camera


def read_all(camera: ReplayCamera) -> None:
    while True:
        camera.read()


def rest(camera: ReplayCamera) -> list[Frame | Unusable]:
    """Read until the end, which every source here has."""
    found: list[Frame | Unusable] = []
    try:
        while True:
            found.append(camera.read())
    except SourceEnded:
        camera.close()
    return found


def unusable(path: Path, format_: PixelFormat = "mono8", **source: Any) -> Unusable:
    (found,) = rest(opened(path, format_, **source))
    assert isinstance(found, Unusable)
    return found


def test_files_come_by_name_with_their_pixels(tmp_path: Path) -> None:
    """Numbers begin at 1 and follow the names; other files of the folder are left out."""
    for value, name in ((3, "c.png"), (1, "a.bmp"), (2, "b.PGM")):
        write(tmp_path / name.lower(), grey(value)).rename(tmp_path / name)
    (tmp_path / "labels.csv").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    frames = rest(opened(tmp_path))
    assert [(f.number, f.source, int(f.image[0, 0])) for f in frames if isinstance(f, Frame)] == [
        (1, "a.bmp", 1),
        (2, "b.PGM", 2),
        (3, "c.png", 3),
    ]


def test_a_pattern_chooses(tmp_path: Path) -> None:
    """Only names that match are read."""
    for name in ("a1.png", "a2.png", "b1.png"):
        write(tmp_path / name, grey())
    assert [f.source for f in rest(opened(tmp_path, pattern="*1.png"))] == ["a1.png", "b1.png"]


def test_pictures_of_nested_folders_keep_their_folder(tmp_path: Path) -> None:
    """Names repeat in folders: the source is the path below the replayed one, and is unique."""
    for folder in ("b", "a/c"):
        (tmp_path / folder).mkdir(parents=True)
        write(tmp_path / folder / "1.png", grey())
    write(tmp_path / "1.png", grey())
    assert [f.source for f in rest(opened(tmp_path, pattern="**/*"))] == ["1.png", "a/c/1.png", "b/1.png"]


@pytest.mark.parametrize("call", ["is_dir", "glob"])
def test_what_may_not_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """A folder of somebody else is a camera that does not open, not a traceback."""
    write(tmp_path / "a.png", grey())

    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path))

    monkeypatch.setattr(Path, call, refuse)
    with pytest.raises(CameraError, match=rf"{tmp_path}: Permission denied; check its owner") as caught:
        opened(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_nested_folder_that_may_not_be_listed_is_told(tmp_path: Path) -> None:
    """Its pictures would be parts that nobody inspects."""
    write(tmp_path / "a.png", grey())
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(CameraError, match="closed: Permission denied"):
        opened(tmp_path, pattern="**/*")


def test_it_resumes_after_what_was_reported(tmp_path: Path) -> None:
    """From number 3 on, the files keep their numbers; beyond the last there is nothing."""
    for name in "abcd":
        write(tmp_path / f"{name}.png", grey())
    assert [(f.number, f.source) for f in rest(opened(tmp_path, resume_from=3))] == [(3, "c.png"), (4, "d.png")]
    assert rest(opened(tmp_path, resume_from=5)) == []


def test_it_can_be_opened_again(tmp_path: Path) -> None:
    """A closed camera starts where it is told."""
    write(tmp_path / "a.png", grey())
    camera = opened(tmp_path)
    assert len(rest(camera)) == 1
    camera.open(1)
    assert len(rest(camera)) == 1


def cut_off(ending: str, share: float) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (40, 60), np.uint8)
    data = cv2.imencode(ending, noise)[1].tobytes()
    return data[: int(len(data) * share)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("b.png", b"", id="empty"),
        pytest.param("b.png", b"no picture at all", id="text"),
        pytest.param("b.jpg", cut_off(".jpg", 0.5), id="JPEG, half"),
        pytest.param("b.jpg", cut_off(".jpg", 0.99), id="JPEG, all but the last percent"),
        pytest.param("b.png", cut_off(".png", 0.5), id="PNG, half"),
        pytest.param("b.png", cut_off(".png", 0.99), id="PNG, all but the last percent"),
        pytest.param("b.bmp", cut_off(".bmp", 0.9), id="BMP"),
        pytest.param("b.tif", cut_off(".tif", 0.9), id="TIFF"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_part_all_the_same(tmp_path: Path, name: str, content: bytes) -> None:
    """It becomes UNKNOWN(camera) with the file's name, never half a picture, and the next file follows."""
    write(tmp_path / "a.png", grey(1))
    (tmp_path / name).write_bytes(content)
    write(tmp_path / "c.png", grey(3))
    first, second, third = rest(opened(tmp_path))
    assert isinstance(second, Unusable)
    assert (second.number, second.reason, second.source) == (2, Reason.CAMERA, name)
    assert name in second.detail
    assert isinstance(first, Frame)
    assert isinstance(third, Frame)
    assert third.number == 3


def test_a_file_that_is_gone_is_a_part_all_the_same(tmp_path: Path) -> None:
    """Removed after the folder was listed: UNKNOWN(camera), and the next file follows."""
    for name in "abc":
        write(tmp_path / f"{name}.png", grey())
    camera = opened(tmp_path)
    (tmp_path / "b.png").unlink()
    assert [type(f) for f in rest(camera)] == [Frame, Unusable, Frame]


def test_a_name_that_is_no_text_can_be_sent(tmp_path: Path) -> None:
    """A file name that is not UTF-8 becomes a source that JSON can hold."""
    write(tmp_path / "a.png", grey()).rename(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")))
    (frame,) = rest(opened(tmp_path))
    assert isinstance(frame, Frame)
    assert frame.source.encode() == "\N{REPLACEMENT CHARACTER}.png".encode()


def test_sixteen_bits_are_refused_and_never_cut_to_eight(tmp_path: Path) -> None:
    """A 16-bit picture is UNKNOWN(geometry), with and without a conversion of channels."""
    write(tmp_path / "a.png", grey(0x1234, dtype=np.uint16))
    write(tmp_path / "b.png", grey(0x1234, (20, 30, 3), np.uint16))
    for convert in (False, True):
        for found in rest(opened(tmp_path, convert=convert)):
            assert isinstance(found, Unusable)
            assert found.reason is Reason.GEOMETRY
            assert "uint16" in found.detail
            assert "expected 8 bit" in found.detail
            assert "convert_to" not in found.detail


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_other_depths_are_refused(tmp_path: Path, dtype: Any) -> None:
    """A colour TIFF of floats or of 32 bits is UNKNOWN, also where OpenCV cannot convert it."""
    write(tmp_path / "a.tiff", grey(1, (20, 30, 3), dtype))
    assert unusable(tmp_path, convert=True).reason in (Reason.GEOMETRY, Reason.CAMERA)


@pytest.mark.parametrize(
    ("format_", "shape"), [("mono8", (20, 30, 3)), ("mono8", (20, 30, 4)), ("bgr8", (20, 30)), ("bgr8", (20, 30, 4))]
)
def test_other_channels_are_refused_without_a_setting(
    tmp_path: Path, format_: PixelFormat, shape: tuple[int, ...]
) -> None:
    """The message says what came, what the bundle takes, and which key converts."""
    write(tmp_path / "a.png", grey(9, shape))
    found = unusable(tmp_path, format_)
    assert found.reason is Reason.GEOMETRY
    channels = shape[2] if len(shape) == 3 else 1
    for part in ("a.png", f"{channels} channel", format_, "convert_to"):
        assert part in found.detail


@pytest.mark.parametrize(
    ("format_", "shape"), [("mono8", (20, 30, 3)), ("mono8", (20, 30, 4)), ("bgr8", (20, 30)), ("bgr8", (20, 30, 4))]
)
def test_a_setting_converts(tmp_path: Path, format_: PixelFormat, shape: tuple[int, ...]) -> None:
    """With convert_to the picture has the bundle's channels; equal grey stays that grey."""
    write(tmp_path / "a.png", grey(90, shape))
    (frame,) = rest(opened(tmp_path, format_, convert=True))
    assert isinstance(frame, Frame)
    assert frame.image.shape == ((20, 30) if format_ == "mono8" else (20, 30, 3))
    assert (frame.image == 90).all()


def test_colour_that_fits_is_not_touched(tmp_path: Path) -> None:
    """Blue, green, red, in this order."""
    image = np.zeros((20, 30, 3), np.uint8)
    image[:] = (10, 20, 30)
    write(tmp_path / "a.png", image)
    (frame,) = rest(opened(tmp_path, "bgr8"))
    assert isinstance(frame, Frame)
    assert np.array_equal(frame.image, image)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        pytest.param(lambda path: None, "does not exist", id="missing"),
        pytest.param(lambda path: path.mkdir(), "no picture", id="empty folder"),
        pytest.param(lambda path: path.write_text("no video"), "does not open", id="no video"),
    ],
)
def test_a_source_that_cannot_be_opened_says_so(tmp_path: Path, make: Any, expected: str) -> None:
    """One line with the path, what is wrong and what is expected."""
    make(tmp_path / "source")
    with pytest.raises(CameraError, match=rf"source.*{expected}|{expected}.*source") as caught:
        opened(tmp_path / "source")
    assert not isinstance(caught.value, SourceEnded)
    assert "\n" not in str(caught.value)


def test_a_pattern_that_matches_nothing_names_itself(tmp_path: Path) -> None:
    """A folder of pictures and no match is a camera that does not open."""
    write(tmp_path / "a.png", grey())
    with pytest.raises(CameraError, match=r"\*\.jpg"):
        opened(tmp_path, pattern="*.jpg")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Write five frames of rising grey as motion JPEG."""
    path = tmp_path / "strip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for number in range(1, 6):
        writer.write(grey(40 * number, (48, 64, 3)))
    writer.release()
    return path


@pytest.mark.parametrize("resume_from", [1, 4, 9])
def test_a_video_gives_its_frames_by_number(video: Path, resume_from: int) -> None:
    """Frame n is the n-th of the video, also when it is resumed; then it ends."""
    frames = rest(opened(video, "mono8", resume_from, convert=True))
    assert [f.number for f in frames] == list(range(resume_from, 6))
    for frame in frames:
        assert isinstance(frame, Frame)
        assert abs(int(frame.image.mean()) - 40 * frame.number) <= 2


def test_a_video_that_is_cut_off_says_so(video: Path) -> None:
    """It ends before the frame its index promised; that is told with the end."""
    data = video.read_bytes()
    third = [match.start() for match in re.finditer(b"\xff\xd8\xff", data)][2]
    index = data.rindex(b"idx1")
    video.write_bytes(data[:third] + bytes(index - third) + data[index:])
    camera = opened(video, "mono8", convert=True)
    with pytest.raises(SourceEnded, match=r"ends after frame \d of 5: damaged"):
        read_all(camera)
    camera.close()


def test_a_colour_video_for_a_grey_bundle_is_refused(video: Path) -> None:
    """Video frames are bgr8: without convert_to each of them is UNKNOWN(geometry)."""
    found = rest(opened(video))
    assert [f.reason for f in found if isinstance(f, Unusable)] == [Reason.GEOMETRY] * 5


def test_the_rate_is_told(tmp_path: Path) -> None:
    """The description names what is read, and how fast."""
    write(tmp_path / "a.png", grey())
    camera = ReplayCamera(ReplaySource(kind="replay", path=tmp_path, rate_hz=1000), "mono8", convert=False)
    actual = camera.open(1)
    assert actual.numbered
    assert "1 pictures" in actual.description
    assert "1000 Hz" in actual.description
    assert len(rest(camera)) == 1


def test_a_files_name_gives_the_parts_tag(tmp_path: Path) -> None:
    """Also where the picture cannot be read; a name without one, or with too large a number for a tag, has none."""
    (tmp_path / "part9_folder").mkdir()
    for name in ("part7_a.png", "part65535_b.png", "part65536_c.png", "other.png", "part9_folder/z.png"):
        write(tmp_path / name, grey())
    (tmp_path / "part8_broken.png").write_bytes(b"no picture")
    found = rest(opened(tmp_path, pattern="**/*", tag_pattern=r"part(\d+)_"))
    assert {each.source: each.tag for each in found} == {
        "part7_a.png": 7,
        "part65535_b.png": 65535,
        "part65536_c.png": None,
        "other.png": None,
        "part9_folder/z.png": None,
        "part8_broken.png": 8,
    }


@pytest.mark.parametrize("pattern", [None, "part([a-z]+)_", "(x)?part"])
def test_without_digits_there_is_no_tag(tmp_path: Path, pattern: str | None) -> None:
    """No pattern, a group of letters, a group that takes no part."""
    write(tmp_path / "partx_7.png", grey())
    assert [each.tag for each in rest(opened(tmp_path, tag_pattern=pattern))] == [None]


def test_a_video_has_no_names_to_find_tags_in(tmp_path: Path) -> None:
    """The key is refused when it is opened."""
    (tmp_path / "video.avi").write_bytes(b"")
    with pytest.raises(CameraError, match="is a video, expected a folder for tag_pattern"):
        opened(tmp_path / "video.avi", tag_pattern=r"(\d)")


@pytest.mark.parametrize("ending", ["bmp", "jpg", "pgm", "png", "tif", "webp"])
def test_half_a_picture_is_none(tmp_path: Path, ending: str) -> None:
    """A copy that was broken off: OpenCV would make up the rest of some formats."""
    noise = np.random.default_rng(1).integers(90, 160, (60, 80), np.uint8)
    data = cv2.imencode(f".{ending}", noise)[1].tobytes()
    for number, share in enumerate((0.3, 0.9, 0.99)):
        (tmp_path / f"{number}.{ending}").write_bytes(data[: int(share * len(data))])
    found = rest(opened(tmp_path, convert=True))
    assert [type(each) for each in found] == [Unusable] * 3


def test_a_jpeg_that_was_filled_up_with_zeros_is_none(tmp_path: Path) -> None:
    """Where a copy keeps the length from the beginning. Of BMP and PNM it cannot be told from a black border."""
    data = cv2.imencode(".jpg", np.random.default_rng(1).integers(90, 160, (60, 80), np.uint8))[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(data[: len(data) // 2] + bytes(len(data) // 2))
    assert unusable(tmp_path).reason is Reason.CAMERA
