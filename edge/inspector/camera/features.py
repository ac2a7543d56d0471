"""How the settings of a GenICam camera are found, read and written on Aravis' camera, which is not imported here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge.inspector.camera.driver import AUTOMATICS, TEST_PICTURES, Key

MARKS = (
    *AUTOMATICS,
    "BlackLevel",
    "Gamma",
    "GammaEnable",
    "LUTEnable",
    "TriggerDelay",
    *TEST_PICTURES,
)
"""What makes pictures what they are and is no setting here, by the Standard Features Naming Convention."""
_AUTO_OFF = 0
_PACKETS = (220.0, 16_384.0)


@dataclass(frozen=True)
class Feature:
    """
    Attributes:
        name: for people, with its unit.
        is_there: the camera has it; the other three are of use then only.
    """

    name: str
    is_there: Callable[[Any], bool]
    bounds: Callable[[Any], tuple[float, float]]
    read: Callable[[Any], float]
    write: Callable[[Any, float], None]


def _number(name: str, feature: str, *, always: bool = False) -> Feature:
    return Feature(
        name,
        lambda camera: always or bool(camera.is_feature_available(feature)),
        lambda camera: _pair(camera.get_integer_bounds(feature)),
        lambda camera: float(camera.get_integer(feature)),
        lambda camera, value: camera.set_integer(feature, int(value)),
    )


def _switch(name: str, feature: str) -> Feature:
    return Feature(
        name,
        lambda camera: bool(camera.is_feature_available(feature)),
        lambda camera: (0.0, 1.0),
        lambda camera: float(camera.get_boolean(feature)),
        lambda camera, value: camera.set_boolean(feature, bool(value)),
    )


def _write_exposure(camera: Any, value: float) -> None:
    if camera.is_exposure_auto_available():
        camera.set_exposure_time_auto(_AUTO_OFF)
    camera.set_exposure_time(value)


def _write_gain(camera: Any, value: float) -> None:
    if camera.is_gain_auto_available():
        camera.set_gain_auto(_AUTO_OFF)
    camera.set_gain(value)


def _pair(values: Any) -> tuple[float, float]:
    """Unpack what the binding returns as a structure of results."""
    low, high = values
    return float(low), float(high)


FEATURES: dict[Key, Feature] = {
    "width": _number("width [px]", "Width", always=True),
    "height": _number("height [px]", "Height", always=True),
    "offset_x": _number("offset_x [px]", "OffsetX"),
    "offset_y": _number("offset_y [px]", "OffsetY"),
    "binning_x": _number("binning, x", "BinningHorizontal"),
    "binning_y": _number("binning, y", "BinningVertical"),
    "decimation_x": _number("decimation, x", "DecimationHorizontal"),
    "decimation_y": _number("decimation, y", "DecimationVertical"),
    "reverse_x": _switch("reverse_x", "ReverseX"),
    "reverse_y": _switch("reverse_y", "ReverseY"),
    # Aravis knows how the makers' older names and units of these differ.
    "exposure_us": Feature(
        "exposure_us [us]",
        lambda camera: bool(camera.is_exposure_time_available()),
        lambda camera: _pair(camera.get_exposure_time_bounds()),
        lambda camera: float(camera.get_exposure_time()),
        _write_exposure,
    ),
    "gain_db": Feature(
        "gain_db [dB]",
        lambda camera: bool(camera.is_gain_available()),
        lambda camera: _pair(camera.get_gain_bounds()),
        lambda camera: float(camera.get_gain()),
        _write_gain,
    ),
    "rate_hz": Feature(
        "rate_hz [Hz]",
        lambda camera: bool(camera.is_frame_rate_available()),
        lambda camera: _pair(camera.get_frame_rate_bounds()),
        lambda camera: float(camera.get_frame_rate()),
        lambda camera, value: camera.set_frame_rate(value),
    ),
    "packet_size": Feature(
        "packet_size [bytes]",
        lambda camera: bool(camera.is_gv_device()),
        lambda camera: _PACKETS,
        lambda camera: float(camera.gv_get_packet_size()),
        lambda camera, value: camera.gv_set_packet_size(int(value)),
    ),
}
"""By the names of the settings."""
