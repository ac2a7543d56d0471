"""One picture of a data set, looked at once: its size, the area of its defects, what it looks like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge.errors import DataError
from engines.contract import PixelFormat
from training.data.hashes import Fingerprint, fingerprint
from training.data.labels import MaskFile
from training.data.samples import Sample
from training.data.windows import OUTSIDE


@dataclass(frozen=True)
class Look:
    """
    A picture that can be used.

    Attributes:
        height, width: of the picture [px].
        areas_px: marked pixels by class id; empty for a sound picture, and for one of which only the class is known.
        blank_mask: there is a mask, and nothing is marked in it.
    """

    sample: Sample
    height: int
    width: int
    areas_px: dict[int, int]
    blank_mask: bool
    fingerprint: Fingerprint

    @property
    def class_ids(self) -> tuple[int, ...]:
        """Return what it shows: as drawn, else as the label file says; () = sound."""
        return tuple(self.areas_px) if self.sample.drawn else self.sample.class_ids


@dataclass(frozen=True)
class Fault:
    """A picture that cannot be used, and why."""

    sample: Sample
    line: str


def look_at(sample: Sample, pixel_format: PixelFormat) -> Look | Fault:
    """Decode a picture and its labels once; what is wrong with them is returned, so that all of it can be listed."""
    try:
        picture = sample.picture(pixel_format)
    except DataError as error:
        return Fault(sample, str(error))
    height, width = picture.labels.shape
    counts = np.bincount(picture.labels.ravel(), minlength=256)[:OUTSIDE]
    areas = {class_id: int(counts[class_id]) for class_id in np.flatnonzero(counts).tolist() if class_id}
    has_mask = isinstance(sample.labels, MaskFile) and sample.labels.path is not None
    return Look(sample, height, width, areas, has_mask and not areas, fingerprint(picture.image))
