"""The tiles of one process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge.errors import ConfigurationError
from tests.support.fits import run_of, spec_of
from tests.support.labelled import write_folder
from training.data.datasets import read_dataset
from training.fit.tiles import read_tiles


@pytest.mark.parametrize("rank", [0, 3])
def test_each_process_needs_a_tile_to_validate_on(tmp_path: Path, rank: int) -> None:
    """Three tiles for four processes are refused in each of them, whether it has one or not; for three they suffice."""
    dataset = read_dataset(write_folder(tmp_path / "data"))
    run = replace(run_of(tmp_path / "out"), devices=4, validation_tiles=2)
    with pytest.raises(ConfigurationError, match="--devices 4 --nodes 1: split 'val' gives fewer tiles than the 4 pro"):
        read_tiles(dataset, spec_of(dataset), run, rank, 4)
    assert [len(read_tiles(dataset, spec_of(dataset), run, of, 3).validation) for of in range(3)] == [1, 1, 1]
