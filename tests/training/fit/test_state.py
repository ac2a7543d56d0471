"""The state of a training as a file."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import pytest
import torch

from edge.errors import BundleError
from training.fit.state import SafetensorsIO, read_state, write_state

TREE: dict[str, Any] = {
    "epoch": 3,
    "loss": 0.1 + 0.2,
    "nothing": None,
    "yes": True,
    "betas": (0.9, 0.999),
    "rows": [{"phase": "frozen"}, {"phase": "finetune", "names": ["a", "b"]}],
    "?": {"?": "tensor", "key": "no tensor"},
    "optimizer": {"state": {0: {"step": torch.tensor(7.0), "mean": torch.rand(2, 3)}, 1: {}}},
    "half": torch.rand(4).bfloat16(),
    "counts": torch.arange(5),
    "empty": torch.empty(0, 3),
}


def equal(left: Any, right: Any) -> bool:
    """Compare trees, tensors by type and value."""
    if isinstance(left, torch.Tensor):
        return left.dtype == right.dtype and torch.equal(left, right)
    if isinstance(left, dict):
        return list(left) == list(right) and all(equal(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return type(left) is type(right) and len(left) == len(right) and all(map(equal, left, right))
    return type(left) is type(right) and bool(left == right)


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    """Types, order, whole-number keys, tuples and every bit of every number survive."""
    write_state(tmp_path / "new" / "state.safetensors", TREE)
    assert equal(read_state(tmp_path / "new" / "state.safetensors"), TREE)


def test_tensors_that_share_memory_are_written_apart(tmp_path: Path) -> None:
    """Two views of one memory come back as two tensors."""
    whole = torch.arange(6.0).reshape(2, 3)
    SafetensorsIO().save_checkpoint({"a": whole, "b": whole.T}, tmp_path / "s")
    found = SafetensorsIO().load_checkpoint(tmp_path / "s")
    assert equal(found, {"a": whole, "b": whole.T})
    SafetensorsIO().remove_checkpoint(tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_what_has_no_place_in_such_a_file_is_named(tmp_path: Path) -> None:
    """Nothing is pickled: an object is refused, with its place in the tree, and no file is written."""
    with pytest.raises(TypeError, match=r"state at callbacks\.0\.path: PosixPath"):
        write_state(tmp_path / "s", {"callbacks": [{"path": tmp_path}]})
    with pytest.raises(TypeError, match="two tensors of this name"):
        write_state(tmp_path / "s", {"a": {"b": torch.zeros(1)}, "a.b": torch.zeros(1)})
    assert not (tmp_path / "s").exists()


def test_a_full_disk_leaves_the_old_state(tmp_path: Path) -> None:
    """Where the file may not grow to its size, the old one stays, and nothing lies beside it."""
    write_state(tmp_path / "s", {"a": torch.zeros(10)})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_state(tmp_path / "s", {"a": torch.zeros(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert equal(read_state(tmp_path / "s"), {"a": torch.zeros(10)})
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize("keep", [0, 5, 200, -1])
def test_a_cut_file_is_refused(tmp_path: Path, keep: int) -> None:
    """It is no state, and the message says how to go on without it."""
    write_state(tmp_path / "s", TREE)
    (tmp_path / "s").write_bytes((tmp_path / "s").read_bytes()[:keep])
    with pytest.raises(BundleError, match="begin again without --resume"):
        read_state(tmp_path / "s")
