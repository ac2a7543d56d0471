"""Flags that several commands share."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import CliPositionalArg

from edge.archive import is_archive
from training.data.archive import read_archive_dataset
from training.data.datasets import Dataset, read_dataset


class Flags(BaseModel):
    """Base of all flags: a mistyped one is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataFlags(Flags):
    """Which labelled pictures."""

    folder: CliPositionalArg[Path] = Field(
        description="labelled pictures: images/ masks/ labels.csv, Severstal's layout, or a station's archive"
    )
    labels_file: str | None = Field(None, description="another name of the csv file in the folder")
    seed: int = Field(7, ge=0, lt=2**32, description="of weights, tiles, and of the split where the data bring none")
    trust_archive: bool = Field(
        False, description="of an archive, take also the parts nobody has reviewed, as the networks marked them"
    )

    def dataset(self) -> Dataset:
        if is_archive(self.folder):
            return read_archive_dataset(self.folder, self.seed, trust=self.trust_archive)
        return read_dataset(self.folder, self.seed, self.labels_file)
