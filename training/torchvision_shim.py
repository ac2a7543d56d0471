"""
Let torchvision be imported beside a CPU build of PyTorch.

timm, lightning and torchmetrics import it for names that this project never calls. A torchvision wheel built for CUDA
cannot load its compiled operators beside a CPU PyTorch; its import then fails with ``operator torchvision::nms does not
exist``. Declaring the operators' schemas first, without any kernel, is enough. The package imports this module first.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
from pathlib import Path

import torch

_SCHEMAS = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}

# A library object takes its definitions back when it is collected.
_library: torch.library.Library | None = None


def declare_missing_operators() -> list[str]:
    """
    Declare torchvision's ``nms`` and ``qnms`` where nothing else does.

    Returns:
        The names that were declared here; empty if torchvision's own operators load, or on a second call.
    """
    global _library
    if _library is not None or _own_operators_load():
        return []
    _library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    missing = [name for name in _SCHEMAS if not hasattr(torch.ops.torchvision, name)]
    for name in missing:
        _library.define(name + _SCHEMAS[name])  # type: ignore[no-untyped-call]
    return missing


def _own_operators_load() -> bool:
    """Load torchvision's compiled operators, if it brings any that fit this PyTorch."""
    package = importlib.util.find_spec("torchvision")
    if package is None or package.origin is None:
        return False
    folder = Path(package.origin).parent
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        extension = folder / f"_C{suffix}"
        if extension.exists():
            try:
                torch.ops.load_library(extension)  # type: ignore[no-untyped-call]
            except OSError:
                return False
            return True
    return False


declare_missing_operators()
