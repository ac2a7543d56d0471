"""Where the labels of one picture come from, and what is refused about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge.errors import DataError
from training.data.images import read_mask
from training.data.severstal import labels_from_runs
from training.data.windows import OUTSIDE

BINARY_MASK_VALUE = 255


class LabelSource(Protocol):
    """Where the labels of one picture come from."""

    def read(self, height: int, width: int) -> NDArray[np.uint8]:
        """Return the (height, width) labels, 0 = sound; DataError if they do not fit the picture."""


@dataclass(frozen=True)
class MaskFile:
    """
    Labels in an 8-bit picture: values 0 and 255 (255 = *class_id*), or class ids themselves.

    Attributes:
        path: the mask; None for a picture without one, which is then sound all over.
        class_id: of the picture, from labels.csv.
        class_count: K, the largest class id.
    """

    path: Path | None
    class_id: int
    class_count: int

    def read(self, height: int, width: int) -> NDArray[np.uint8]:
        if self.path is None:
            return np.zeros((height, width), np.uint8)
        mask = read_mask(self.path)
        if mask.shape != (height, width):
            raise DataError(
                f"mask {self.path} is {mask.shape[0]}x{mask.shape[1]} px, its image {height}x{width} (height x width)"
            )
        values = np.flatnonzero(np.bincount(mask.ravel(), minlength=256)).tolist()
        labels = mask
        if values[-1] == BINARY_MASK_VALUE:
            labels = self._from_binary(mask, values)
        elif values[-1] > self.class_count:
            raise DataError(
                f"mask {self.path}: value {values[-1]}: expected 0 and 255, or class ids 0 to {self.class_count}"
            )
        if bool(labels.any()) != bool(self.class_id):
            raise DataError(
                f"mask {self.path} marks {np.count_nonzero(labels)} px, labels.csv says class_id {self.class_id}; "
                "correct one of them"
            )
        return labels

    def _from_binary(self, mask: NDArray[np.uint8], values: list[int]) -> NDArray[np.uint8]:
        between = [value for value in values if 0 < value < BINARY_MASK_VALUE]
        if between:
            raise DataError(f"mask {self.path}: value {between[0]} beside 255: expected 0 and 255 only; binarise it")
        return np.where(mask == BINARY_MASK_VALUE, self.class_id or BINARY_MASK_VALUE, 0).astype(np.uint8)


@dataclass(frozen=True)
class Undrawn:
    """Labels of a defective picture of which only the class is known: nothing is known of any pixel."""

    def read(self, height: int, width: int) -> NDArray[np.uint8]:
        return np.full((height, width), OUTSIDE, np.uint8)


@dataclass(frozen=True)
class RunLengths:
    """Labels in a Severstal csv file: run-lengths by class id, empty for a sound picture."""

    where: str
    runs: dict[int, str]

    def read(self, height: int, width: int) -> NDArray[np.uint8]:
        try:
            return labels_from_runs(self.runs, height, width)
        except DataError as error:
            raise DataError(f"{self.where}: {error}") from error
