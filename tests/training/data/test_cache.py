"""Decoded pictures in memory and in files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.errors import ConfigurationError
from tests.support.labelled import write_folder
from training.data.cache import PictureStore
from training.data.datasets import Dataset, read_dataset


def written(folder: Path) -> Dataset:
    return read_dataset(write_folder(folder, each=1))


def store(dataset: Dataset, folder: Path | None, memory_gb: float = 1.0) -> PictureStore:
    return PictureStore(dataset.sha256, "mono8", memory_gb=memory_gb, folder=folder)


def test_files_hold_what_decoding_gives(tmp_path: Path) -> None:
    """Pictures from files equal those in memory, in order, when they are decoded and when they are found again."""
    dataset = written(tmp_path / "d")
    expected = store(dataset, None).pictures(dataset.samples)
    for _ in range(2):
        found = store(dataset, tmp_path / "cache").pictures(dataset.samples)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert (one.image == other.image).all()
            assert (one.labels == other.labels).all()
            assert (one.class_ids, one.drawn) == (other.class_ids, other.drawn)
    assert [picture.class_ids for picture in found[1:3]] == [picture.class_ids for picture in expected[1:3]]


def test_a_picture_is_decoded_once(tmp_path: Path) -> None:
    """A second process finds the files and needs neither picture nor mask."""
    dataset = written(tmp_path / "d")
    first = store(dataset, tmp_path / "cache").pictures(dataset.samples)
    for sample in dataset.samples:
        sample.image.write_bytes(b"")
    second = store(dataset, tmp_path / "cache").pictures(dataset.samples)
    assert all((one.image == other.image).all() for one, other in zip(first, second, strict=True))


def test_other_data_get_other_files(tmp_path: Path) -> None:
    """After a picture has changed, the files of before are not used for it."""
    dataset = written(tmp_path / "d")
    before = store(dataset, tmp_path / "cache").pictures(dataset.samples)
    assert before[0].image.std() > 1.0
    other = dataset.samples[1].image.read_bytes()
    dataset.samples[0].image.write_bytes(other)
    changed = read_dataset(tmp_path / "d")
    after = store(changed, tmp_path / "cache").pictures(changed.samples[:1])
    assert not np.array_equal(after[0].image, before[0].image)


@pytest.mark.parametrize("size", [0, 40, 4000])
def test_a_file_that_is_cut_short_is_made_again(tmp_path: Path, size: int) -> None:
    """A machine that went down while writing leaves nothing that would be believed."""
    dataset = written(tmp_path / "d")
    expected = store(dataset, None).pictures(dataset.samples)
    list(store(dataset, tmp_path / "cache").pictures(dataset.samples))
    for file in (tmp_path / "cache").rglob("*.npy"):
        file.write_bytes(file.read_bytes()[:size])
    found = store(dataset, tmp_path / "cache").pictures(dataset.samples)
    assert all((one.image == other.image).all() for one, other in zip(found, expected, strict=True))
    assert all((one.labels == other.labels).all() for one, other in zip(found, expected, strict=True))
    assert [one.source for one in found] == [other.source for other in expected] != []


def test_nothing_half_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk ends in one line and leaves no part of a file."""
    dataset = written(tmp_path / "d")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("training.data.cache.np.save", full)
    with pytest.raises(ConfigurationError, match=r"--cache .*No space left on device"):
        store(dataset, tmp_path / "cache").pictures(dataset.samples)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_memory_has_a_bound_for_all_splits_together(tmp_path: Path) -> None:
    """Two splits that fit one by one and not together are refused; the line says what to do."""
    dataset = written(tmp_path / "d")
    train, val = dataset.split("train"), dataset.split("val")
    half = len(train) * 2 * 90 * 130 / 1e9
    holding = store(dataset, None, memory_gb=1.5 * half)
    holding.pictures(train)
    with pytest.raises(ConfigurationError, match=r"is full with 2 of 3 pictures, .* --cache FOLDER"):
        holding.pictures(val)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file in the way of the folder is one line."""
    dataset = written(tmp_path / "d")
    (tmp_path / "cache").write_text("")
    with pytest.raises(ConfigurationError, match=r"--cache .*expected a folder to write to"):
        store(dataset, tmp_path / "cache").pictures(dataset.samples)
