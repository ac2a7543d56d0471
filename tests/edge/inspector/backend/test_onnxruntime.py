"""edge.inspector.backend.onnxruntime: the reference, and how it is refused."""

from __future__ import annotations

import sys

import pytest

from edge.errors import ConfigurationError
from edge.inspector.backend import BackendSettings, open_engine


def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without onnxruntime, choosing it is one line that says what to install."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "edge.inspector.backend.onnxruntime", raising=False)
    monkeypatch.delattr("edge.inspector.backend.onnxruntime", raising=False)
    with pytest.raises(ConfigurationError, match=r"install 'edge-inspect\[onnx\]'"):
        open_engine(BackendSettings(name="onnxruntime"), b"", "tiles", (1,))


def test_gpu_needs_the_other_package() -> None:
    """The package of the extra onnx has no CUDA provider: the error names the one that has."""
    with pytest.raises(ConfigurationError, match=r"no CUDA provider; put 'edge-inspect\[nvidia-onnx\]'"):
        open_engine(BackendSettings(name="onnxruntime", device="cuda"), b"", "tiles", (1,))
