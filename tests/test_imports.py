"""What a process really loads: import-linter reads the source and cannot see that an import waits to be needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

VENDORS = ("onnxruntime", "openvino", "pycuda", "tensorrt", "torch")


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("edge.station.daemon", (*VENDORS, "cv2", "edge.inspector.cascade", "edge.inspector.camera")),
        ("edge.inspector.main", VENDORS),
        ("edge.client", (*VENDORS, "cv2", "pydantic")),
        ("edge.control", (*VENDORS, "cv2", "pydantic")),
        ("edge.ctl", (*VENDORS, "cv2")),
        ("edge.watch", VENDORS),
        ("edge.demo", VENDORS),
        ("edge.settings", (*VENDORS, "cv2", "zmq")),
        ("engines.main", (*VENDORS, "onnx")),
    ],
)
def test_process_loads_only_what_it_needs(module: str, absent: tuple[str, ...]) -> None:
    """Importing an entry point loads no vendor package: those come when a backend or an export asks for them."""
    code = f"import sys, {module}; print(*sorted(set(sys.modules) & set({absent!r})))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.split() == []
