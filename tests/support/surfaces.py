"""Surfaces for tests of likeness: each seed is another one, all under one lamp."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def surface(seed: int, height: int = 96, width: int = 128) -> NDArray[np.uint8]:
    """Return (height, width, 1) grey levels: a texture of its own, a lamp from the left."""
    rng = np.random.default_rng(seed)
    texture = sum(cv2.GaussianBlur(rng.normal(0.0, size * 8, (height, width)), (0, 0), size) for size in (2.0, 5.0))
    lamp = np.linspace(-40.0, 40.0, width)
    return np.clip(120.0 + lamp + texture * 2.0, 0, 255).astype(np.uint8)[..., np.newaxis]


def write_folder(folder: Path, rows: list[tuple[str, NDArray[np.uint8], int, str, str]]) -> None:
    """Write the folder layout; a row is (image, pixels, class_id, group, split); defects are a square in a corner."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "class", "class_id", "group", "split", "shift"])
        for name, image, class_id, group, split in rows:
            cv2.imwrite(str(folder / "images" / name), image)
            mask = np.zeros(image.shape[:2], np.uint8)
            mask[4:20, 4:20] = class_id
            if class_id:
                cv2.imwrite(str(folder / "masks" / name), mask)
            writer.writerow([name, ("sound", "scratch", "dent")[class_id], class_id, group, split, "night"])


def plain_rows(count: int = 12, split: bool = True) -> list[tuple[str, NDArray[np.uint8], int, str, str]]:
    """Return rows of *count* surfaces, two of each class in turn, each a group of its own, none like another."""
    splits = ["train", "train", "train", "val", "val", "val", "test", "test", "test"]
    return [(f"p{k:02}.png", surface(k), k % 3, f"g{k:02}", splits[k % 9] if split else "") for k in range(count)]
