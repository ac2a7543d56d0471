"""What a reader finds in a folder: samples, each a picture and where its labels are, and all of them as a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import DataError
from engines.contract import PixelFormat
from training.data.images import read_image
from training.data.labels import LabelSource
from training.data.splits import Split
from training.data.windows import Picture


@dataclass(frozen=True)
class Sample:
    """
    One labelled picture; *source* is its file name, as a replayed frame names it on the wire.

    Attributes:
        class_ids: the defects that it is known to show, ascending, () = sound; known without decoding anything.
        drawn: the labels say where the defects are; else only *class_ids* is known of a defective picture.
        name: what the label file calls it; no other sample has it.
    """

    image: Path
    labels: LabelSource
    group: str
    split: Split
    class_ids: tuple[int, ...]
    drawn: bool = True
    name: str = ""

    @property
    def source(self) -> str:
        return self.image.name

    def read(self, pixel_format: PixelFormat) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """
        Decode picture and labels.

        Returns:
            (h, w, C) pixels as captured, and (h, w) labels; OUTSIDE all over where the picture is not drawn.

        Raises:
            DataError: the picture or its labels cannot be read, or do not fit each other.
        """
        image = read_image(self.image, pixel_format)
        labels = self.labels.read(image.shape[0], image.shape[1])
        return image.reshape(*image.shape[:2], -1), labels

    def picture(self, pixel_format: PixelFormat) -> Picture:
        """Decode picture and labels, as read() does."""
        return Picture(*self.read(pixel_format), self.class_ids, self.drawn, self.source)


@dataclass(frozen=True)
class Listing:
    """
    What the reader of one layout finds, before splits are made and anything is decoded.

    Attributes:
        where: what a complaint about the whole names.
        class_names: name of class k at index k - 1.
        has_splits: the samples' splits are the data's own; else they mean nothing yet.
        sources: files that say what the samples are, masks not counted.
        notes: what the engineer should know, a line each.
        shows_all: a class that no sample shows is a mistake; not so where the classes are another bundle's.
    """

    where: Path
    class_names: tuple[str, ...]
    samples: tuple[Sample, ...]
    has_splits: bool
    sources: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    shows_all: bool = True


@dataclass(frozen=True)
class Dataset:
    """
    All samples of a folder.

    Attributes:
        class_names: name of class k at index k - 1.
        sha256: over the names and bytes of all pictures and label files.
        notes: what the engineer should know of these data, a line each.
    """

    name: str
    class_names: tuple[str, ...]
    samples: tuple[Sample, ...]
    sha256: str
    notes: tuple[str, ...] = ()

    def split(self, name: Split) -> tuple[Sample, ...]:
        """
        Return the samples of one split.

        Raises:
            DataError: there is none.
        """
        chosen = tuple(sample for sample in self.samples if sample.split == name)
        if not chosen:
            raise DataError(f"{self.name}: split '{name}' is empty; the csv's column split needs images for it")
        return chosen
