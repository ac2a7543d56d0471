"""engines.reference: which pictures prove an engine, and what PyTorch says about them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge.errors import DataError
from engines.contract import PLANES_FROM, TileShape
from engines.graphs import ClassifierGraph, SegmenterGraph
from engines.limits import THRESHOLD
from engines.reference import Oracle, Picture, chosen, pictures_in
from training.networks.classifier import TileClassifier

TILE = TileShape(core_height=16, core_width=16, halo=4)


class Brightest(TileClassifier):
    """One cell a pixel; logit = (pixel - 128) / 16."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.factor = nn.Parameter(torch.tensor(1 / 16))

    def cells(self, pixels: Tensor) -> Tensor:
        return (pixels - 128.0) * self.factor


class Brightness(nn.Module):
    """Logits (0, (pixel - 128) / 16)."""

    def forward(self, pixels: Tensor) -> Tensor:
        bright = (pixels - 128.0) / 16.0
        return torch.cat([torch.zeros_like(bright), bright], dim=1)


@pytest.fixture
def oracle() -> Oracle:
    """Finds bright pixels; a tile's score is that of its brightest one, halo included."""
    return Oracle(ClassifierGraph(Brightest()), SegmenterGraph(Brightness(), TILE), pad_value=0, gates=[0.5])


def sigmoid(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-(pixels.astype(float) - 128) / 16))


def test_answers_cover_the_whole_frame(oracle: Oracle) -> None:
    """Scores are one a tile of the grid, planes as large as the picture, whatever overhangs."""
    image = np.random.default_rng(1).integers(60, 200, (20, 50, 1), dtype=np.uint8)
    planes = oracle.planes(image)
    assert oracle.scores(image).shape == (2 * 4, 1)
    assert planes.shape == (1, 20, 50)
    np.testing.assert_allclose(planes[0], sigmoid(image[:, :, 0]), atol=max(PLANES_FROM, 1 / 4096))


def test_no_threshold_lies_among_the_answers_left_out() -> None:
    """What is stored as 0 could not have been a label under any recipe."""
    assert THRESHOLD.low > PLANES_FROM


def write(folder: Path, name: str, brightest: int) -> None:
    """Write a dark picture with one pixel of its own."""
    image = np.full((16, 16), 20, np.uint8)
    image[8, 8] = brightest
    cv2.imwrite(str(folder / name), image)


def test_half_of_the_frames_are_near_a_gate(oracle: Oracle, tmp_path: Path) -> None:
    """Of defective and of sound pictures, some come near a gate, where a deviation shows, and some are clear."""
    brightness = {"a": 129, "b": 180, "c": 200, "d": 250, "e": 127, "f": 60, "g": 40, "h": 25}
    for name, value in brightness.items():
        write(tmp_path, f"{name}.png", value)
    taken = chosen(oracle, pictures_in(tmp_path, "mono8"), 4, "mono8")
    assert [picture.path.stem for picture in taken] == ["a", "d", "e", "h"]


def test_few_pictures_are_all_taken(oracle: Oracle, tmp_path: Path) -> None:
    """Fewer pictures than frames asked for are no error."""
    for name, value in {"a": 129, "b": 25}.items():
        write(tmp_path, f"{name}.png", value)
    taken = chosen(oracle, pictures_in(tmp_path, "mono8"), 9, "mono8")
    assert [picture.path.stem for picture in taken] == ["a", "b"]


def test_data_set_gives_its_val_and_test_pictures(tmp_path: Path) -> None:
    """Training pictures prove nothing; whether a picture is defective is what its mask says."""
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    rows = ["image,class,class_id,group,split"]
    for number, (class_id, split) in enumerate([(1, "train"), (1, "val"), (0, "test"), (0, "train")]):
        write(tmp_path / "images", f"{number}.png", 100)
        cv2.imwrite(str(tmp_path / "masks" / f"{number}.png"), np.full((16, 16), class_id, np.uint8))
        rows.append(f"{number}.png,{'bright' if class_id else 'free'},{class_id},{number},{split}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    images = tmp_path / "images"
    assert pictures_in(tmp_path, "mono8") == [Picture(images / "1.png", True), Picture(images / "2.png", False)]


def test_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    """Other files are not taken for pictures."""
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(DataError, match="no picture in it"):
        pictures_in(tmp_path, "mono8")
