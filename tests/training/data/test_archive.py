"""An archive as training data: only what a person has confirmed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from edge.archive import ArchiveWriter, KeptPart
from edge.errors import DataError
from edge.records import MaskReference, Outcome
from tests.support.archived import CLASS_NAMES, HOUR_US, NOON_US, kept_part, kept_view, pixels, verdict, view
from training.data.datasets import read_dataset
from training.main import main


def inspected(seq: int, *, complete: bool = True, hour: int = 0, scores: tuple[str, ...] = CLASS_NAMES) -> KeptPart:
    """Return a part whose mask the verdict names."""
    mask = MaskReference(bytes=1, sha256="0" * 64, complete=complete, sent=True)
    seen = view(outcome=Outcome.REJECT, mask=mask, scores=dict.fromkeys(scores, 0.9))
    record = verdict(seq, Outcome.REJECT, views=(seen,), utc_us=NOON_US + hour * HOUR_US + seq)
    return KeptPart("reject", msgspec.json.encode(record), (kept_view(seq),))


def write(root: Path, *parts: KeptPart) -> list[Path]:
    """Return the parts' folders."""
    with ArchiveWriter(root) as writer:
        return [writer.write(part).folder for part in parts]


def review(folder: Path, labels: str) -> None:
    (folder / "review.json").write_text(json.dumps({"by": "Ana", "labels": labels}))


def test_only_reviewed_parts_count(tmp_path: Path) -> None:
    """Of three parts one is reviewed; the picture and its labels are those that were offered."""
    _, reviewed, _ = write(tmp_path, inspected(1), inspected(2), inspected(3))
    review(reviewed, "found")
    dataset = read_dataset(tmp_path)
    (sample,) = dataset.samples
    image, labels = sample.read("mono8")
    assert dataset.class_names == CLASS_NAMES
    assert (image[..., 0] == pixels(2)[0]).all()
    assert (labels == pixels(2)[1]).all()


def test_a_false_alarm_becomes_sound(tmp_path: Path) -> None:
    """What a person calls sound has no label, whatever the networks marked."""
    (folder,) = write(tmp_path, inspected(1))
    review(folder, "sound")
    (sample,) = read_dataset(tmp_path).samples
    assert not sample.read("mono8")[1].any()


def test_a_drawn_mask_replaces_the_one_that_was_found(tmp_path: Path) -> None:
    """The truth beside the picture counts; a value that is no class is refused."""
    (folder,) = write(tmp_path, inspected(1))
    review(folder, "drawn")
    truth = np.zeros((40, 60), np.uint8)
    truth[5:9, 5:9] = 2
    cv2.imwrite(str(folder / "cam1.truth.png"), truth)
    (sample,) = read_dataset(tmp_path).samples
    assert (sample.read("mono8")[1] == truth).all()
    cv2.imwrite(str(folder / "cam1.truth.png"), truth * 100)
    with pytest.raises(DataError, match="value 200, expected class ids 0 to 2"):
        read_dataset(tmp_path)


def test_trust_takes_complete_masks_only(tmp_path: Path) -> None:
    """Without a review the networks' word counts when asked for, but where they did not look there is no label."""
    write(tmp_path, inspected(1), inspected(2, complete=False), kept_part(3, "unknown", with_pixels=False))
    with pytest.raises(DataError, match=r"none has a review\.json"):
        read_dataset(tmp_path)
    assert [s.image.parent.name[:10] for s in read_dataset(tmp_path, trust_archive=True).samples] == ["0000000001"]


def test_an_incomplete_mask_cannot_be_right(tmp_path: Path) -> None:
    """A review that calls it found is refused."""
    (folder,) = write(tmp_path, inspected(1, complete=False))
    review(folder, "found")
    with pytest.raises(DataError, match="incomplete"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", '{"by": "A", "labels": "fine"}', '{"by": "A", "labels": "sound", "x": 1}'])
def test_a_review_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    """A mistyped review is neither yes nor no: the file is named."""
    (folder,) = write(tmp_path, inspected(1))
    (folder / "review.json").write_text(text)
    with pytest.raises(DataError, match=r"review\.json"):
        read_dataset(tmp_path)


def test_parts_of_two_bundles_do_not_mix(tmp_path: Path) -> None:
    """Class 1 of one bundle is not class 1 of another."""
    write(tmp_path, inspected(1), inspected(2, scores=("dark", "bright")))
    with pytest.raises(DataError, match="another bundle"):
        read_dataset(tmp_path, trust_archive=True)


def test_a_changed_picture_is_refused(tmp_path: Path) -> None:
    """Nothing is learned from bytes that are not those of the line."""
    (folder,) = write(tmp_path, inspected(1))
    path = folder / "cam1.frame.png"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match="SHA-256"):
        read_dataset(tmp_path, trust_archive=True)


def test_hours_are_not_torn_apart(tmp_path: Path) -> None:
    """Neighbouring parts are alike: an hour lies in one split, each split gets hours, and twice the same."""
    write(tmp_path, *(inspected(10 * hour + n, hour=hour) for hour in range(10) for n in range(3)))
    dataset = read_dataset(tmp_path, trust_archive=True)
    assert Counter(sample.split for sample in dataset.samples) == {"train": 18, "val": 6, "test": 6}
    assert all(len({s.split for s in dataset.samples if s.group == g}) == 1 for g in {s.group for s in dataset.samples})
    assert dataset == read_dataset(tmp_path, trust_archive=True)


def test_a_network_is_trained_from_an_archive(tmp_path: Path) -> None:
    """edge-train takes the archive's root where it takes a folder of labelled pictures."""
    write(tmp_path / "archive", *(inspected(10 * hour + n, hour=hour) for hour in range(10) for n in range(2)))
    tile = (
        "--core-height 64 --core-width 64 --halo 0 --epochs 1 --steps-per-epoch 1 --batch 2 --threads 1 --no-progress "
        "--strategy scratch"
    )
    flags = [*tile.split(), "--out", str(tmp_path / "run"), "--width", "2", "--depth", "1"]
    assert main(["segmenter", str(tmp_path / "archive"), "--trust-archive", *flags]) == 0
    assert (tmp_path / "run" / "segmenter.safetensors").is_file()
    assert main(["segmenter", str(tmp_path / "archive"), *flags]) == DataError.exit_code
