"""Flags that several commands share."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import CliPositionalArg
from rich.console import Console

from engines.contract import PixelFormat
from training.data.datasets import Dataset, read_dataset
from training.data.presets import Augmentation


class Flags(BaseModel):
    """Base of all flags: a mistyped one is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TileFlags(Flags):
    """What both networks see."""

    format: PixelFormat = Field("mono8", description="pictures are read as this, and the line's camera must deliver it")
    core_height: int = Field(256, ge=16, le=4096, description="height of a tile's core [px]")
    core_width: int = Field(256, ge=16, le=4096, description="width of a tile's core [px]")
    halo: int = Field(16, ge=0, le=256, description="context on every side of the core [px]")
    pad_value: int = Field(0, ge=0, le=255, description="grey level outside the picture")
    augment: Augmentation = Field(Augmentation(), description="how far tiles are varied")


class DataFlags(Flags):
    """Which labelled pictures."""

    folder: CliPositionalArg[Path] = Field(
        description="labelled pictures: images/ masks/ labels.csv, Severstal's layout, COCO's, or a station's archive"
    )
    labels_file: str | None = Field(None, description="another name of the csv or json file in the folder")
    seed: int = Field(7, ge=0, lt=2**32, description="of weights, tiles, and of the split where the data bring none")
    trust_archive: bool = Field(
        False, description="of an archive, take also the parts nobody has reviewed, as the networks marked them"
    )

    class_only: bool = Field(
        False, description="let defective pictures have a class and no mask; they teach the classifier only"
    )

    def dataset(self) -> Dataset:
        """Read the data set and say what the engineer should know of it."""
        dataset = read_dataset(
            self.folder,
            self.seed,
            self.labels_file,
            class_only=self.class_only,
            trust_archive=self.trust_archive,
        )
        for note in dataset.notes:
            Console(stderr=True).print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)
        return dataset
