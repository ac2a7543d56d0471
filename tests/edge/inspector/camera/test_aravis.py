"""Aravis is not on every machine: without it, one line says what to install. With it: tests/integration."""

from __future__ import annotations

import sys

import pytest

from edge.errors import ConfigurationError
from edge.inspector.camera import make_camera
from edge.settings import CameraSettings


def test_without_aravis_one_line_tells_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package of the system, and the extra."""
    monkeypatch.delitem(sys.modules, "edge.inspector.camera.aravis", raising=False)
    monkeypatch.setitem(sys.modules, "gi", None)
    settings = CameraSettings.model_validate({"name": "cam1", "source": {"kind": "genicam"}})
    with pytest.raises(ConfigurationError, match=r"gir1\.2-aravis-0\.8.*edge-inspect\[genicam\]") as caught:
        make_camera(settings, "mono8")
    assert "\n" not in str(caught.value)
