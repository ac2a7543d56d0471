"""Which camera is meant: one of a station's file, or a bare device; opened as the station would, and left as it was."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import CliPositionalArg
from typing_extensions import Self

from edge.bundle import read_bundle
from edge.calibration import calibrated, read_calibration_of
from edge.control import Requester, new_id
from edge.errors import BundleError, CameraError, ConfigurationError, EdgeError, WireError
from edge.faults import first_of, without_secrets, words_of
from edge.records import VERSION, Status
from edge.requests import AskStatus, StatusAnswer
from edge.settings import CameraSettings, FolderSource, Station, read_station
from engines.contract import PixelFormat

_ASK_S = 0.2
_LARGEST_PX = 16384
_REGION, _BOX = "region [px]", re.compile(r"(\d+)x(\d+) at \((\d+), (\d+)\)")
_FORMAT = "pixel_format"
# What a camera may be set to that a station must be told of: a bare one is looked at as it is.
_SENSOR = {
    "binning": "binning, x",
    "decimation": "decimation, x",
    "reverse_x": "reverse_x",
    "reverse_y": "reverse_y",
}
_PLAIN = {"binning": 1, "decimation": 1, "reverse_x": 0, "reverse_y": 0}


class Looking(BaseModel):
    """Flags of every command that looks at one camera."""

    model_config = ConfigDict(populate_by_name=True)

    name: CliPositionalArg[str | None] = Field(None, description="camera of the station; needed where it has several")
    config: Path | None = Field(None, description="the station's TOML file")
    device: str | None = Field(
        None,
        description="instead of a station's camera: /dev/video0, 0, rtsp://..., http://..., a video file, a folder of "
        "pictures, or a GenICam id of camera list",
    )
    width: int | None = Field(None, ge=16, le=16384, description="ask --device for it [px]; none = as it is")
    height: int | None = Field(None, ge=16, le=16384, description="ask --device for it [px]; none = as it is")
    rate_hz: float | None = Field(None, gt=0, le=1000, description="ask --device for it; none = as it is")
    patience_s: float = Field(10.0, gt=0, le=3600, description="a camera that gives no picture for so long has failed")
    as_json: bool = Field(False, alias="json", description="print JSON")

    @model_validator(mode="after")
    def _one_camera(self) -> Self:
        if (self.config is None) == (self.device is None):
            raise ValueError("expected one of --config FILE (and the camera's NAME) and --device DEVICE")
        if self.device is None and (self.width, self.height, self.rate_hz) != (None, None, None):
            raise ValueError("expected --width, --height and --rate-hz with --device alone: a station's file has them")
        if self.device is not None and self.name is not None:
            raise ValueError("expected NAME with --config alone")
        return self


@dataclass(frozen=True)
class Subject:
    """
    The camera that is looked at.

    Attributes:
        where: its settings come from, for people.
        station: None = a bare device, of which any size and format is right.
        format: what the station's bundle takes; None = nobody knows yet.
    """

    settings: CameraSettings
    where: str
    station: Station | None
    format: PixelFormat | None


def subject_of(flags: Looking) -> Subject:
    """
    Return the camera that the flags mean; nothing is opened, but that a GenICam device is asked for its region.

    Raises:
        ConfigurationError: no such camera in the file, or what is asked of the device cannot be.
    """
    if flags.config is None:
        return _bare(flags)
    station = station_of(flags.config)
    settings = _named(station, flags.name, flags.config)
    return Subject(left_as_it_is(settings), str(flags.config), station, format_of(station, settings))


def station_of(config: Path) -> Station:
    """
    Return the station of a file, with what was measured for it: exposure and gain of a calibration are set, too.

    Raises:
        ConfigurationError: it is no station's, or the calibration does not fit it.
    """
    station = read_station(config)
    # A camera is looked at before it is calibrated: the file may come later.
    if station.calibration is None or not station.calibration.exists():
        return station
    return calibrated(station, read_calibration_of(station))


def left_as_it_is(settings: CameraSettings) -> CameraSettings:
    """Return the camera so that looking at it takes nothing from the line: files in a folder stay where they are."""
    if not isinstance(settings.source, FolderSource):
        return settings
    # What is there already is looked at, too, or there would be nothing to see while the line stands.
    source = settings.source.model_copy(update={"afterwards": "keep", "existing": "inspect"})
    return settings.model_copy(update={"source": source})


def running(station: Station) -> Status | None:
    """Return the status of that station if one runs on this machine."""
    try:
        with Requester(station.endpoints.control) as requester:
            answer = requester.ask(AskStatus(version=VERSION, id=new_id()), _ASK_S)
    except (WireError, ConfigurationError):
        return None
    if not isinstance(answer, StatusAnswer) or answer.status.station != station.station:
        return None
    return answer.status


def in_use_or_dead(error: EdgeError, station: Station | None) -> CameraError:
    """Return why a camera does not open, with what a running station has to do with it."""
    status = None if station is None else running(station)
    if status is None:
        return CameraError(str(error))
    return CameraError(
        f"{error}. Station {status.station} is running and has its cameras: this one is in use, or dead; "
        "edge-inspectd ctl status tells, or stop the station first"
    )


def _named(station: Station, name: str | None, config: Path) -> CameraSettings:
    names = [camera.name for camera in station.cameras]
    if name is None and len(names) > 1:
        raise ConfigurationError(f"{config}: several cameras, and none is named; say {' or '.join(names)}")
    found = [camera for camera in station.cameras if name in (None, camera.name)]
    if not found:
        raise ConfigurationError(f"{config}: no camera '{name}'; it has {', '.join(names)}")
    return found[0]


def _bare(flags: Looking) -> Subject:
    device = flags.device or ""
    asked = {key: value for key, value in (("width", flags.width), ("height", flags.height)) if value is not None}
    path = Path(device)
    # The canvas of a bare device is what it gives.
    largest = {"width": _LARGEST_PX, "height": _LARGEST_PX, **asked}
    if path.is_dir():
        return _subject(device, {"kind": "replay", "path": path, "rate_hz": flags.rate_hz}, largest)
    if device.isdigit() or device.startswith("/dev/") or "://" in device or path.is_file():
        number_or_path = int(device) if device.isdigit() else device
        source = {"kind": "opencv", "device": number_or_path, "rate_hz": flags.rate_hz, **asked}
        return _subject(device, source, largest)
    if "/" in device:
        raise ConfigurationError(
            f"--device {device}: no such file or folder; expected one, or /dev/video0, an address as rtsp://..., or a "
            "GenICam id of camera list"
        )
    return _genicam(device, flags.rate_hz, asked)


def _genicam(device: str, rate_hz: float | None, asked: dict[str, int]) -> Subject:
    """Return a GenICam camera with the region that it is set to: looking at it changes none."""
    told = features_of(device)
    if told.get("state") == "in use":
        # Opening it would say so too, after the seconds that it takes to be refused.
        raise CameraError(f"{device}: is in use by another program or host, or gone this moment; close the other one")
    found = _BOX.fullmatch(told.get(_REGION, ""))
    if found is None:
        raise CameraError(f"{device}: does not tell its region; look at it with a station's file")
    width, height, left, top = (int(number) for number in found.groups())
    source = {"kind": "genicam", "device": device, "rate_hz": rate_hz, "offset_x": left, "offset_y": top}
    source |= {key: number for key, name in _SENSOR.items() if (number := _number(told.get(name, ""))) > _PLAIN[key]}
    return _subject(
        device, source, {"width": width, "height": height, **asked}, _format_of_pixels(told.get(_FORMAT, ""))
    )


def _number(text: str) -> int:
    """Return the number that a feature's text begins with, 0 when there is none."""
    digits = text.split(" ")[0]
    return int(digits) if digits.isdigit() else 0


def _subject(
    device: str, source: dict[str, Any], canvas: dict[str, int], format_: PixelFormat | None = None
) -> Subject:
    try:
        settings = CameraSettings.model_validate({"name": "device", "source": source, **canvas})
    except ValidationError as error:
        fault = words_of(first_of(error.errors(include_url=False)))
        raise ConfigurationError(f"--device {without_secrets(device)}: {fault}") from error
    return Subject(settings, "--device", None, format_)


def _format_of_pixels(name: str) -> PixelFormat | None:
    from edge.inspector.camera.pixels import LAYOUTS

    return next((layout.becomes for known, layout in LAYOUTS.items() if known == name), None)


def features_of(device: str | None) -> dict[str, str]:
    """
    Return what a GenICam camera is set to.

    Args:
        device: as in the settings: id, serial number or address, None = the only one.

    Raises:
        ConfigurationError: what it needs is not installed.
        CameraError: it does not open.
    """
    from edge.inspector.camera.aravis import features, found
    from edge.inspector.camera.driver import chosen

    return features(chosen(found(), device))


def format_of(station: Station, settings: CameraSettings) -> PixelFormat | None:
    """Return what the station takes of that camera, None when there is no bundle to tell."""
    if settings.convert_to is not None:
        return settings.convert_to
    try:
        # Whoever signed it: nothing is inspected here. And a camera is set up before there is a bundle, too.
        return read_bundle(station.bundle.path).manifest.format
    except BundleError:
        return None
