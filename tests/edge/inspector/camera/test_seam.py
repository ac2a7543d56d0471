"""The seam: settings become the camera they describe, and a format that cannot be is told at the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from edge.errors import ConfigurationError
from edge.inspector.camera import fault_of_format, make_camera
from edge.inspector.camera.opencv import OpenCVCamera
from edge.inspector.camera.replay import ReplayCamera
from edge.inspector.camera.synthetic import SyntheticCamera
from edge.settings import CameraSettings


def settings(source: dict[str, Any], **changes: Any) -> CameraSettings:
    return TypeAdapter(CameraSettings).validate_python({"name": "cam1", "source": source, **changes})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"kind": "synthetic"}, SyntheticCamera),
        ({"kind": "replay", "path": Path("pictures")}, ReplayCamera),
        ({"kind": "opencv", "device": 0}, OpenCVCamera),
    ],
)
def test_each_kind_has_its_camera(source: dict[str, Any], expected: type) -> None:
    """Nothing is opened yet: a device that is not there is told by open()."""
    assert isinstance(make_camera(settings(source), "mono8"), expected)


def test_the_strip_is_grey() -> None:
    """A bundle for colour cannot inspect it: refused before any frame."""
    with pytest.raises(ConfigurationError, match=r"cam1.*bgr8"):
        make_camera(settings({"kind": "synthetic"}), "bgr8")


@pytest.mark.parametrize("source", [{"kind": "replay", "path": "x"}, {"kind": "opencv", "device": "x"}])
def test_a_conversion_to_another_format_than_the_bundles_is_refused(source: dict[str, Any]) -> None:
    """It would make every single part UNKNOWN(geometry): said once, at the start, with the key."""
    with pytest.raises(ConfigurationError, match=r"cam1.*convert_to = bgr8.*mono8"):
        make_camera(settings(source, convert_to="bgr8"), "mono8")


@pytest.mark.parametrize(
    ("shape", "dtype", "format_", "fits"),
    [
        ((4, 5), np.uint8, "mono8", True),
        ((4, 5, 1), np.uint8, "mono8", True),
        ((4, 5, 3), np.uint8, "bgr8", True),
        ((4, 5, 3), np.uint8, "mono8", False),
        ((4, 5), np.uint8, "bgr8", False),
        ((4, 5, 4), np.uint8, "bgr8", False),
    ],
)
def test_only_eight_bits_and_the_right_channels_fit(shape: Any, dtype: Any, format_: Any, fits: bool) -> None:
    """Everything else has a fault that names what came, what is taken, and the key."""
    fault = fault_of_format(np.zeros(shape, dtype), format_)
    assert (fault is None) == fits
    if fault is not None:
        assert np.dtype(dtype).name in fault
        assert f'convert_to = "{format_}"' in fault


@pytest.mark.parametrize(
    ("shape", "dtype", "told"),
    [
        ((4, 5), np.uint16, "expected 8 bit"),
        ((4, 5, 3), np.float32, "expected 8 bit"),
        ((4, 5, 2), np.uint8, "no conversion"),
    ],
)
def test_a_conversion_that_does_not_exist_is_not_advised(shape: Any, dtype: Any, told: str) -> None:
    """The key would change nothing."""
    fault = fault_of_format(np.zeros(shape, dtype), "mono8")
    assert fault is not None
    assert told in fault
    assert "convert_to" not in fault
