"""Flags that several commands share."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import CliPositionalArg
from rich.console import Console

from training.data.datasets import Dataset, read_dataset


class Flags(BaseModel):
    """Base of all flags: a mistyped one is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
