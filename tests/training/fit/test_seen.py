"""What a trained network says it has seen."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge.errors import ConfigurationError
from tests.support.fits import run_of, spec_of
from tests.support.labelled import write_folder
from training.data.datasets import Dataset, read_dataset
from training.data.digests import picture_digests
from training.fit.state import read_state
from training.fit.train import train
from training.networks.checkpoint import load_spec, network_from_spec, save


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return read_dataset(write_folder(tmp_path_factory.mktemp("data")))


def learned_from(dataset: Dataset) -> set[str]:
    """Return the digests of all that is trained on or chosen by."""
    return set(picture_digests([*dataset.split("train"), *dataset.split("val")]))


def test_a_checkpoint_says_what_it_has_seen(dataset: Dataset, tmp_path: Path) -> None:
    """All pictures of train and val, none of test; what it began from has seen counts, also after a restart."""
    begun = save(tmp_path / "begun", network_from_spec(spec_of(dataset)), spec_of(dataset))
    run = run_of(tmp_path / "run", "finetune", weights=str(begun))
    expected = learned_from(dataset) | {"f" * 16}
    assert set(load_spec(train(dataset, spec_of(dataset), run).path).seen) == expected
    assert not expected & set(picture_digests(dataset.split("test")))
    state = read_state(tmp_path / "run" / "segmenter" / "state.safetensors")
    assert state["record"]["seen"] == ["f" * 16]
    alone = train(dataset, spec_of(dataset), run_of(tmp_path / "alone")).path
    assert set(load_spec(alone).seen) == learned_from(dataset)


def test_weights_that_do_not_say_what_they_have_seen_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    """What is made of them could never prove anything."""
    silent = msgspec.structs.replace(spec_of(dataset), seen=())
    begun = save(tmp_path / "begun", network_from_spec(silent), silent)
    with pytest.raises(ConfigurationError, match="does not say which pictures it has seen"):
        train(dataset, spec_of(dataset), run_of(tmp_path / "run", "finetune", weights=str(begun)))
