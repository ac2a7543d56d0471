"""The synthetic strip: pure, honest about its defects, and written whole or not at all."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import ConfigurationError, DataError
from edge.synthetic import CLASS_NAMES, GROUP_FRAMES, Strip
from edge.synthetic.__main__ import main
from edge.synthetic.dataset import write_dataset

FRAMES = 160
VOID = 4


@pytest.fixture(scope="module")
def strip() -> Strip:
    return Strip(seed=7, defect_share=1.0)


def test_a_frame_does_not_depend_on_what_was_asked_before(strip: Strip) -> None:
    """Frame 31 is the same at first, after others, and from another instance."""
    other = Strip(seed=7, defect_share=1.0)
    for number in (5, 31, 30):
        other.frame(number)
    first, again = strip.frame(31), other.frame(31)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.labels, again.labels)


def test_a_frame_is_mono8_of_the_asked_size_in_fresh_arrays(strip: Strip) -> None:
    """What a caller writes into a frame never shows in a later one."""
    first = strip.frame(3)
    assert first.image.shape == first.labels.shape == (256, 1600)
    assert first.image.dtype == first.labels.dtype == np.uint8
    kept = first.image.copy()
    first.image[:] = 0
    assert np.array_equal(strip.frame(3).image, kept)


def test_another_size_keeps_the_labels_exact() -> None:
    """A strip of another size draws its defects within its own frames."""
    small = Strip(seed=2, defect_share=1.0, height=96, width=200)
    frames = [small.frame(number) for number in range(20)]
    assert {frame.image.shape for frame in frames} == {(96, 200)}
    assert sum(frame.labels.any() for frame in frames) >= 18


def test_seeds_give_different_strips(strip: Strip) -> None:
    """The surface of another seed is no shifted copy: the frames are not correlated."""
    other = Strip(seed=8)
    pairs = [(strip.sound_image(n), other.sound_image(n)) for n in range(0, 100, 10)]
    detail = [[cv2.subtract(p, cv2.blur(p, (31, 31)), dtype=cv2.CV_16S).ravel() for p in pair] for pair in pairs]
    assert max(abs(np.corrcoef(a, b)[0, 1]) for a, b in detail) < 0.2


def test_a_labelled_pixel_is_visibly_changed(strip: Strip) -> None:
    """Each labelled pixel differs by six grey levels or more from the same frame without its defects."""
    for number in range(0, FRAMES, 2):
        frame = strip.frame(number)
        change = cv2.absdiff(frame.image, strip.sound_image(number))
        assert (change[frame.labels > 0] >= 6).all(), number


def test_what_is_not_labelled_is_the_sound_frame_but_for_faint_fringes(strip: Strip) -> None:
    """Only pixels within three of a label change strongly, and a frame without labels is the sound frame."""
    for number in range(0, FRAMES, 4):
        frame = strip.frame(number)
        change = cv2.absdiff(frame.image, strip.sound_image(number))
        near = cv2.dilate(frame.labels, np.ones((7, 7), np.uint8)) > 0
        assert (change[~near] < 25).all(), number


def test_sound_marks_and_edges_are_never_labelled() -> None:
    """With a defect share of 0 there are stains, paint and edges, and no label."""
    sound = Strip(seed=7, defect_share=0.0)
    assert not any(sound.frame(number).labels.any() for number in range(60))


def test_the_share_of_defective_frames_is_the_one_asked_for() -> None:
    """Of 600 frames about 30 % have a defect (three standard deviations are 5.6 points)."""
    strip = Strip(seed=11, defect_share=0.3)
    defective = sum(bool(strip.frame(number).labels.any()) for number in range(600))
    assert abs(defective / 600 - 0.3) < 0.057


def test_all_classes_occur_in_a_wide_spread(strip: Strip) -> None:
    """Each class occurs, faint and strong, and some frames have several."""
    contrast: dict[int, list[float]] = {k: [] for k in range(1, len(CLASS_NAMES) + 1)}
    several = 0
    for number in range(FRAMES):
        frame = strip.frame(number)
        change = cv2.absdiff(frame.image, strip.sound_image(number))
        present = [k for k in contrast if (frame.labels == k).any()]
        several += len(present) > 1
        for k in present:
            contrast[k].append(float(change[frame.labels == k].mean()))
    assert all(len(values) > FRAMES // 10 for values in contrast.values())
    assert all(min(values) < 14 and max(values) > 30 for values in contrast.values())
    assert 0.1 < several / FRAMES < 0.4


def test_no_defect_lies_in_the_void(strip: Strip) -> None:
    """Frames with an edge exist, and their labels stay on the strip."""
    edges = 0
    for number in range(0, FRAMES * 2, 5):
        sound, labels = strip.sound_image(number), strip.frame(number).labels
        void = sound[:, [0, -1]].max(axis=0) < VOID
        edges += bool(void.any())
        if void.any():
            side = sound if void[0] else sound[:, ::-1]
            depth = np.maximum.accumulate(side >= VOID, axis=1)
            depth = depth if void[0] else depth[:, ::-1]
            assert not labels[~depth].any(), number
    assert edges > 5


def test_defects_touch_tile_borders_and_the_frame(strip: Strip) -> None:
    """Some defects lie across a multiple of 256 px, some at the frame's rim."""
    labels = [strip.frame(number).labels for number in range(40)]
    assert any((m[:, 255::256][:, :6] > 0).any() and (m[:, 256::256] > 0).any() for m in labels)
    assert any(m[0].any() for m in labels)
    assert any(m[-1].any() for m in labels)


@pytest.mark.parametrize("bad", [{"seed": -1}, {"defect_share": 1.5}, {"height": 20}])
def test_arguments_out_of_bounds_are_refused(bad: dict[str, int]) -> None:
    """The message names the argument's value."""
    with pytest.raises(ConfigurationError, match=str(next(iter(bad.values())))):
        Strip(**bad)


def test_the_data_set_reads_back_as_the_frames(tmp_path: Path, strip: Strip) -> None:
    """Pictures, masks and the table say what the strip drew; groups are never split; nothing else is left behind."""
    write_dataset(strip, 4 * GROUP_FRAMES, tmp_path / "set")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    with (tmp_path / "set" / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * GROUP_FRAMES
    for number in (0, 17, 39):
        row, frame = rows[number], strip.frame(number)
        image = cv2.imread(str(tmp_path / "set" / "images" / row["image"]), cv2.IMREAD_UNCHANGED)
        mask = cv2.imread(str(tmp_path / "set" / "masks" / row["image"]), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(image, frame.image)
        assert np.array_equal(mask, frame.labels)
        counts = [np.count_nonzero(frame.labels == k) for k in range(1, 5)]
        assert row["class"] == CLASS_NAMES[int(np.argmax(counts))]
        assert int(row["defect_px"]) == sum(counts)
        assert int(row["group"]) == number // GROUP_FRAMES
    assert {row["split"] for row in rows} == {"train", "val", "test"}
    assert len({(row["group"], row["split"]) for row in rows}) == 4


def test_the_command_refuses_a_folder_that_holds_something(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line that names the folder, exit code of DataError, and the folder stays as it was."""
    (tmp_path / "kept.txt").write_text("mine")
    assert main(["--out", str(tmp_path), "--frames", "1"]) == DataError.exit_code
    assert str(tmp_path) in capsys.readouterr().err.splitlines()[0]
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


def test_the_command_writes_sound_frames_as_free(tmp_path: Path) -> None:
    """A defect share of 0 gives class ``free``, id 0, in an empty folder that existed."""
    assert main(["--out", str(tmp_path), "--frames", "2", "--defect-share", "0"]) == 0
    lines = (tmp_path / "labels.csv").read_text().splitlines()
    assert lines[1] == "000000.png,free,0,0,train,1600,256,0"
