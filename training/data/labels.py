"""Where the labels of one picture come from, and what is refused about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge.errors import DataError
from training.data.images import read_mask
from training.data.windows import OUTSIDE

BINARY_MASK_VALUE = 255


class LabelSource(Protocol):
    """Where the labels of one picture come from."""

    def read(self, height: int, width: int) -> NDArray[np.uint8]:
        """Return the (height, width) labels, 0 = sound; DataError if they do not fit the picture."""


@dataclass(frozen=True)
class MaskFile:
    """
    Labels in an 8-bit picture: values 0 and 255 (255 = the one class id), or class ids themselves.

    Attributes:
        path: the mask; None for a picture without one, which is then sound all over.
        class_ids: what the picture is said to show, () = sound; a mask of class ids may show more.
        class_count: K, the largest class id.
    """

    path: Path | None
    class_ids: tuple[int, ...]
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
        self._require_agreement(labels)
        return labels

    def _require_agreement(self, labels: NDArray[np.uint8]) -> None:
        shown = (np.flatnonzero(np.bincount(labels.ravel(), minlength=256)[1:]) + 1).tolist()
        if bool(shown) != bool(self.class_ids):
            said = ", ".join(map(str, self.class_ids)) or "0"
            raise DataError(
                f"mask {self.path} marks {np.count_nonzero(labels)} px, labels.csv says class_id {said}; "
                "correct one of them"
            )
        missing = sorted(set(self.class_ids) - set(shown))
        if missing:
            raise DataError(
                f"mask {self.path} shows class ids {', '.join(map(str, shown))}, labels.csv says {missing[0]}; "
                "correct one of them"
            )

    def _from_binary(self, mask: NDArray[np.uint8], values: list[int]) -> NDArray[np.uint8]:
        between = [value for value in values if 0 < value < BINARY_MASK_VALUE]
        if between:
            raise DataError(f"mask {self.path}: value {between[0]} beside 255: expected 0 and 255 only; binarise it")
        if len(self.class_ids) > 1:
            raise DataError(
                f"mask {self.path}: 255 may be any of the classes {', '.join(map(str, self.class_ids))} of its rows in "
                "labels.csv; draw class ids"
            )
        marked = self.class_ids[0] if self.class_ids else BINARY_MASK_VALUE
        return np.where(mask == BINARY_MASK_VALUE, marked, 0).astype(np.uint8)


@dataclass(frozen=True)
class Undrawn:
    """Labels of a defective picture of which only the class is known: nothing is known of any pixel."""

    def read(self, height: int, width: int) -> NDArray[np.uint8]:
        return np.full((height, width), OUTSIDE, np.uint8)
