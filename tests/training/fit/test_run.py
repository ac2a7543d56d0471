"""What decides how a training goes."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from edge.errors import ConfigurationError
from tests.support.fits import run_of, spec_of
from training.data.datasets import Dataset
from training.fit.run import NO_MATTER, essence, require_same

SPEC = spec_of(Dataset("squares", ("bright", "dark"), (), "0" * 64))


def test_what_does_not_matter_is_a_field() -> None:
    """No name in the list is stale."""
    assert {part.name for part in fields(run_of(Path("out")))} >= set(NO_MATTER)


def test_a_training_may_move_to_another_machine() -> None:
    """Folder, threads, accelerator and what is shown may change between two sittings."""
    run = run_of(Path("out"))
    moved = replace(run, out=Path("elsewhere"), threads=None, accelerator="gpu", progress=True, resume=True, loaders=4)
    require_same(essence(run, SPEC), essence(moved, SPEC), Path("state"))


@pytest.mark.parametrize("name", ["torch", "lightning", "timm"])
def test_another_version_is_named(name: str) -> None:
    """A library that computes otherwise cannot go on with the training."""
    ours = essence(run_of(Path("out")), SPEC)
    with pytest.raises(ConfigurationError, match=f"--resume: state was begun with {name} = 0.1, this is"):
        require_same({**ours, name: "0.1"}, ours, Path("state"))


def test_what_only_one_of_them_knows_is_named() -> None:
    """A state of an older release lacks a flag, or has one too many."""
    ours = essence(run_of(Path("out")), SPEC)
    older = {key: value for key, value in ours.items() if key != "loss"}
    with pytest.raises(ConfigurationError, match=r"loss = None, this is ce \+ dice"):
        require_same(older, ours, Path("state"))
