"""Sets a GenICam camera up as the settings say, and believes what is read back: requested and actual, or an error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.errors import CameraError, FormatRefused
from edge.inspector.camera.driver import AUTOMATICS, TEST_PICTURES, Handle, Key
from edge.inspector.camera.pixels import LAYOUTS, becomes
from edge.settings import CameraSettings, GenicamSource
from engines.contract import PixelFormat

# Cameras round: exposure to lines, gain to steps, rates to clock ticks (relative, absolute). A region is what it is.
_TOLERANCE: dict[Key, tuple[float, float]] = {
    "exposure_us": (0.02, 0.0),
    "gain_db": (0.02, 0.1),
    "rate_hz": (0.02, 0.0),
}
_UNITS: dict[Key, str] = {"rate_hz": "Hz", "exposure_us": "us exposure", "gain_db": "dB"}
_SOFTWARE = "Software"
_OFF = ("Off", "unreadable")
# It goes to Off by itself, with whatever value it has found by then: no later open would find what the first did.
_ONCE = "Once"
_TRIGGERS = {"free-run": "free-run", "software": "software trigger", "camera": "hardware trigger"}


@dataclass(frozen=True)
class Setup:
    """
    What the camera does now, as read back.

    Attributes:
        pixel_format: its code.
        period_s: a frame comes so often while it runs free; None = it is triggered, or does not tell.
        description: one line for people.
        unset: what no setting says, by name: it must be the same at each open.
    """

    pixel_format: int
    period_s: float | None
    description: str
    unset: Mapping[str, str] = field(default_factory=dict)


def set_up(handle: Handle, settings: CameraSettings, source: GenicamSource, format_: PixelFormat) -> Setup:
    """
    Apply every setting.

    Args:
        format_: what the bundle takes.

    Raises:
        CameraError: one of them is refused, out of bounds, or reads back differently; says requested and actual.
    """
    numbers: dict[Key, float | None] = {"exposure_us": source.exposure_us, "gain_db": source.gain_db}
    if source.packet_size is not None:
        _settle(handle, "packet_size", source.packet_size)
    _settle_sensor(handle, source)
    code = _settle_format(handle, source, format_, convert=settings.convert_to is not None)
    _settle_region(handle, settings, source)
    for key, value in (*numbers.items(), ("rate_hz", source.rate_hz)):
        if value is not None:
            _settle(handle, key, value)
    _settle_trigger(handle, settings, source)
    period_s = _period_s(handle) if settings.trigger == "free-run" else None
    return Setup(code, period_s, _description(handle, settings), _unset(handle, source))


def refuse_changed(unset: Mapping[str, str], first: Mapping[str, str]) -> None:
    """
    Refuse a camera that is not any more as it was at the first open, where no setting says how it should be.

    Raises:
        CameraError: it was changed, by another program or by a loss of power; says what.
    """
    names = [name for name in {**first, **unset} if unset.get(name) != first.get(name)]
    if names:
        changed = ", ".join(f"{name} {unset.get(name, 'gone')}, at first {first.get(name, 'none')}" for name in names)
        raise CameraError(
            f"changed since its first open: {changed}; set it in the station's file or save it in the camera, so that "
            "it outlives a loss of power; if it is meant, restart the station"
        )


def _settle(handle: Handle, key: Key, value: float) -> None:
    bounds = handle.bounds(key)
    if bounds is None:
        raise CameraError(f"{key} requested {value:g}, but it has no such feature; leave it out")
    takes = f"it takes {bounds[0]:g} to {bounds[1]:g}"
    if not bounds[0] <= value <= bounds[1]:
        raise CameraError(f"{key} requested {value:g}, actual {handle.read(key):g}; {takes}")
    handle.write(key, value)
    actual = handle.read(key)
    relative, absolute = _TOLERANCE.get(key, (0.0, 0.0))
    if not math.isclose(actual, value, rel_tol=relative, abs_tol=absolute):
        raise CameraError(f"{key} requested {value:g}, actual {actual:g}; {takes}, in steps; choose one it has")


def _settle_sensor(handle: Handle, source: GenicamSource) -> None:
    """Pixels are joined, left out or mirrored where a setting says so, and nowhere else: the canvas would hide it."""
    asked: dict[Key, tuple[str, int | None, int]] = {
        "binning_x": ("binning", source.binning, 1),
        "binning_y": ("binning", source.binning, 1),
        "decimation_x": ("decimation", source.decimation, 1),
        "decimation_y": ("decimation", source.decimation, 1),
        "reverse_x": ("reverse_x", source.reverse_x, 0),
        "reverse_y": ("reverse_y", source.reverse_y, 0),
    }
    for key, (setting, value, plain) in asked.items():
        has = handle.bounds(key) is not None
        if value is not None and (has or value != plain):
            _settle(handle, key, value)
        elif has and (actual := handle.read(key)) != plain:
            raise CameraError(
                f"{key} is {actual:g}, expected {plain}: set in the camera by somebody; set it back there, or "
                f"{setting} in the station's file if it is meant"
            )


def _unset(handle: Handle, source: GenicamSource) -> dict[str, str]:
    """
    Return what makes the pictures what they are and is left to the camera.

    Raises:
        CameraError: it shows a picture of its own making, or is about to change by itself.
    """
    found = handle.marks()
    for name in TEST_PICTURES:
        if found.get(name, _OFF[0]) not in _OFF:
            raise CameraError(f"{name} is {found[name]}, expected Off: it shows no part; switch it off in the camera")
    for name in AUTOMATICS:
        if found.get(name) == _ONCE:
            raise CameraError(
                f"{name} is {_ONCE}, expected Off or Continuous: it changes by itself while parts pass; set it in the "
                "camera"
            )
    left: tuple[tuple[Key, float | None, str], ...] = (
        ("exposure_us", source.exposure_us, "ExposureAuto"),
        ("gain_db", source.gain_db, "GainAuto"),
    )
    for key, value, auto in left:
        if value is None and found.get(auto, _OFF[0]) == _OFF[0] and handle.bounds(key) is not None:
            found[key] = f"{handle.read(key):g}"
    return found if source.pixel_format is not None else {**found, "pixel_format": handle.read_format()[1]}


def _settle_format(handle: Handle, source: GenicamSource, format_: PixelFormat, *, convert: bool) -> int:
    asked = source.pixel_format
    refusal = ""
    if asked is not None:
        try:
            handle.write_format(LAYOUTS[asked].code)
        except CameraError as error:
            refusal = f" ({error})"
    code, name = handle.read_format()
    if asked is not None and (refusal or code != LAYOUTS[asked].code):
        has = ", ".join(handle.formats())
        raise CameraError(f"pixel_format requested {asked}, actual {name}; it has {has}{refusal}")
    given = becomes(code)
    if given is None:
        raise CameraError(f"pixel format {name} is none of {', '.join(LAYOUTS)}; set pixel_format to one of them")
    if given != format_ and not convert:
        raise FormatRefused(
            f"pixel format {name} gives {given}, the bundle takes {format_}; set pixel_format, or "
            f'convert_to = "{format_}" if a conversion is meant'
        )
    return code


def _settle_region(handle: Handle, settings: CameraSettings, source: GenicamSource) -> None:
    """Ask for the canvas, from the corner first: the offset of before may leave no room for it."""
    offsets: dict[Key, int] = {"offset_x": source.offset_x, "offset_y": source.offset_y}
    movable = [key for key in offsets if handle.bounds(key) is not None]
    for key in movable:
        handle.write(key, 0)
    _settle(handle, "width", settings.width)
    _settle(handle, "height", settings.height)
    for key, value in offsets.items():
        if value or key in movable:
            _settle(handle, key, value)


def _settle_trigger(handle: Handle, settings: CameraSettings, source: GenicamSource) -> None:
    wanted: tuple[str | None, str | None] = (None, None)
    if settings.trigger == "software":
        wanted = (_SOFTWARE, None)
    elif settings.trigger == "camera":
        wanted = (source.trigger_line, source.trigger_activation)
    if wanted[0] is not None and wanted[0] not in (has := handle.trigger_sources()):
        actual = _told(handle.read_trigger())
        raise CameraError(f"trigger requested {wanted[0]}, actual {actual}; it has {', '.join(has) or 'none'}")
    handle.write_trigger(*wanted)
    got = handle.read_trigger()
    if got[0] != wanted[0] or (wanted[1] is not None and got[1] not in (wanted[1], None)):
        raise CameraError(f"trigger requested {_told(wanted)}, actual {_told(got)}; choose one that it has")


def _period_s(handle: Handle) -> float | None:
    rate_hz = handle.read("rate_hz") if handle.bounds("rate_hz") is not None else 0.0
    exposure_us = handle.read("exposure_us") if handle.bounds("exposure_us") is not None else 0.0
    # A long exposure slows it down, whatever its rate says.
    return max(1 / rate_hz, exposure_us / 1e6) if rate_hz > 0 else None


def _description(handle: Handle, settings: CameraSettings) -> str:
    mode = f"{settings.width}x{settings.height} {handle.read_format()[1]}, {_TRIGGERS[settings.trigger]}"
    numbers = [f"{handle.read(key):g} {unit}" for key, unit in _UNITS.items() if handle.bounds(key) is not None]
    return ", ".join((handle.id, mode, *numbers))


def _told(trigger: tuple[str | None, str | None]) -> str:
    return " ".join(part for part in trigger if part) or "off"
