"""torchvision beside a CPU build of PyTorch."""

from __future__ import annotations

import torch

from training.torchvision_shim import declare_missing_operators


def test_the_operators_are_declared_and_only_once() -> None:
    """After import both schemas exist, and a second call declares nothing."""
    assert declare_missing_operators() == []
    assert "iou_threshold" in str(torch.ops.torchvision.nms.default._schema)
