"""The tiles of one process."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from edge.errors import ConfigurationError, DataError
from engines.contract import TileShape
from tests.support.fits import run_of, spec_of
from tests.support.labelled import write_folder
from training.data.datasets import read_dataset
from training.fit.tiles import read_tiles
from training.networks.checkpoint import Kind


@pytest.mark.parametrize("rank", [0, 3])
def test_each_process_needs_a_tile_to_validate_on(tmp_path: Path, rank: int) -> None:
    """Three tiles for four processes are refused in each of them, whether it has one or not; for three they suffice."""
    dataset = read_dataset(write_folder(tmp_path / "data"))
    run = replace(run_of(tmp_path / "out"), devices=4, validation_tiles=2)
    with pytest.raises(ConfigurationError, match="--devices 4 --nodes 1: split 'val' gives fewer tiles than the 4 pro"):
        read_tiles(dataset, spec_of(dataset), run, rank, 4)
    assert [len(read_tiles(dataset, spec_of(dataset), run, of, 3).validation) for of in range(3)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("segmenter", "split 'val' shows no defect, so that no epoch could be chosen"),
        ("classifier", "no class of split 'val' has both tiles that show it and tiles that do not"),
    ],
)
def test_a_val_split_without_a_defect_is_refused(tmp_path: Path, kind: Kind, said: str) -> None:
    """Before anything is trained: each epoch would score the same, and the first one be kept."""
    dataset = read_dataset(write_folder(tmp_path / "data"))
    left = tuple(s for s in dataset.samples if s.split != "val" or s.group.startswith("free"))
    with pytest.raises(DataError, match=said):
        read_tiles(replace(dataset, samples=left), spec_of(dataset, kind), run_of(tmp_path / "out"), 0, 1)


def test_a_class_that_every_val_tile_shows_is_refused(tmp_path: Path) -> None:
    """A classifier of one class is not ranked by tiles that all have it; a segmenter's Dice needs no others."""
    dataset = read_dataset(write_folder(tmp_path / "data"))
    bright = tuple(s for s in dataset.samples if s.split != "val" or s.group.startswith("bright"))
    one = replace(dataset, class_names=("bright",), samples=tuple(s for s in bright if not s.group.startswith("dark")))
    whole = TileShape(core_height=96, core_width=144, halo=0)
    for kind in ("segmenter", "classifier"):
        spec = msgspec.structs.replace(spec_of(one, kind), tile=whole)
        with pytest.raises(DataError, match="no class of") if kind == "classifier" else nullcontext():
            read_tiles(one, spec, run_of(tmp_path / "out"), 0, 1)
