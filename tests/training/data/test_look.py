from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from training.data.labels import MaskFile, Undrawn
from training.data.look import Fault, Look, look_at
from training.data.samples import Sample


def sample(
    folder: Path, mask: np.ndarray[tuple[int, int], np.dtype[np.uint8]] | None, class_ids: tuple[int, ...]
) -> Sample:
    cv2.imwrite(str(folder / "a.png"), np.full((30, 40), 90, np.uint8))
    if mask is not None:
        cv2.imwrite(str(folder / "m.png"), mask)
    path = None if mask is None else folder / "m.png"
    return Sample(folder / "a.png", MaskFile(path, class_ids, 2), "g", "train", class_ids)


def test_areas_are_counted_by_class(tmp_path: Path) -> None:
    """A mask of two classes gives both areas, and the classes it shows."""
    mask = np.zeros((30, 40), np.uint8)
    mask[:2, :5], mask[10:, 10:20] = 1, 2
    seen = look_at(sample(tmp_path, mask, (1, 2)), "mono8")
    assert isinstance(seen, Look)
    assert seen.areas_px == {1: 10, 2: 200}
    assert seen.class_ids == (1, 2)
    assert (seen.height, seen.width) == (30, 40)


def test_a_blank_mask_of_a_sound_picture_is_noticed(tmp_path: Path) -> None:
    """An empty mask is told from no mask."""
    seen = look_at(sample(tmp_path, np.zeros((30, 40), np.uint8), ()), "mono8")
    assert isinstance(seen, Look)
    assert seen.blank_mask
    bare = look_at(sample(tmp_path, None, ()), "mono8")
    assert isinstance(bare, Look)
    assert not bare.blank_mask


def test_a_picture_with_a_class_only_shows_it_without_an_area(tmp_path: Path) -> None:
    """Of an undrawn picture only the class is known."""
    drawn = sample(tmp_path, None, ())
    seen = look_at(Sample(drawn.image, Undrawn(), "g", "train", (2,), drawn=False), "mono8")
    assert isinstance(seen, Look)
    assert seen.areas_px == {}
    assert seen.class_ids == (2,)


def test_what_cannot_be_read_is_a_fault_with_its_line(tmp_path: Path) -> None:
    """A mask of another size is handed back, not raised."""
    seen = look_at(sample(tmp_path, np.ones((30, 41), np.uint8), (1,)), "mono8")
    assert isinstance(seen, Fault)
    assert "30x41 px, its image 30x40" in seen.line
