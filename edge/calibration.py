"""
The station's calibration: read from its file, laid over the settings, written anew.

What it gives stands in no other place: a scale or zones in the station's own file too are refused. A station reads it
at its start and tells its inspectors what it has read: an edited file changes nothing before the next start.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge.errors import ConfigurationError
from edge.faults import first_of, words_of
from edge.settings import (
    ArchiveSource,
    CalibratedCamera,
    CalibrationFile,
    CameraSettings,
    ReplaySource,
    Station,
    ZoneTable,
    read_toml,
)
from edge.zones import reach_of, share_from_zones

_HEAD = """\
# Calibration of station {station}: what belongs to the place of its cameras. Made by edge-inspectd calibrate; zones are
# added by hand: ignore = [{{ name = "clamp", box = [left, top, width, height] }}]. Read when the station starts.
"""
KNOBS = {"exposure": ("exposure", "exposure_us"), "gain": ("gain", "gain_db")}
"""What a camera's source calls its exposure and its gain."""
_AHEAD = timedelta(days=1)
_MADE_BY = "or make it: edge-inspectd calibrate STATION.toml --by NAME --chessboard 9x6 --pitch-mm 5"


# ---- read ----------------------------------------------------------------------------------------------------


def read_calibration_of(station: Station) -> CalibrationFile | None:
    """
    Return what the file says that key ``calibration`` names; None without that key.

    Raises:
        ConfigurationError: it is not there, or no calibration; names the file, the key, what was expected.
    """
    return None if station.calibration is None else read_calibration(station.calibration)


def read_calibration(path: Path) -> CalibrationFile:
    """
    Return what *path* says.

    Raises:
        ConfigurationError: as ``read_calibration_of``.
    """
    tree = read_toml(path, f"a calibration, {_MADE_BY}")
    try:
        return CalibrationFile.model_validate(tree)
    except ValidationError as error:
        raise ConfigurationError(f"{path}: {words_of(first_of(error.errors(include_url=False)))}") from error


def calibrated(station: Station, file: CalibrationFile | None) -> Station:
    """
    Return the station with what was calibrated: scale, zones, exposure and gain of its cameras.

    Raises:
        ConfigurationError: it is another station's, of a camera, source or canvas that there is not, or gives what the
            station's own file gives too; or zones leave too little of a camera's picture.
    """
    if file is not None:
        station = _over(station, file)
    for camera in station.cameras:
        _refuse_blind(camera, f"camera '{camera.name}'")
    return station


def _over(station: Station, file: CalibrationFile) -> Station:
    where = str(station.calibration)
    if file.station != station.station:
        raise ConfigurationError(f"{where}: key 'station' = '{file.station}': expected '{station.station}'")
    measured = {camera.name: camera for camera in file.cameras}
    unknown = set(measured) - {camera.name for camera in station.cameras}
    if unknown:
        names = ", ".join(camera.name for camera in station.cameras)
        raise ConfigurationError(
            f"{where}: camera '{unknown.pop()}': the station has none of this name; it has {names}"
        )
    cameras = tuple(
        _laid_over(camera, measured[camera.name], where) if camera.name in measured else camera
        for camera in station.cameras
    )
    return station.model_copy(update={"cameras": cameras})


def _laid_over(camera: CameraSettings, measured: CalibratedCamera, where: str) -> CameraSettings:
    at = f"{where}: camera '{camera.name}'"
    _refuse_other_canvas(camera, measured, at)
    _refuse_other_source(camera, measured, at)
    if measured.mm_per_px is not None or measured.ignore:
        refuse_nameless(camera, at)
    changes: dict[str, Any] = {}
    for key in ("mm_per_px", "ignore"):
        given = getattr(measured, key)
        if not given:
            continue
        if getattr(camera, key):
            raise ConfigurationError(f"{at}: {key} stands in the station's own file too; take it out there")
        changes[key] = given
    knobs = {}
    for knob in KNOBS:
        knobs.update(_knob(camera, measured, knob, at))
    if knobs:
        changes["source"] = camera.source.model_copy(update=knobs)
    return camera.model_copy(update=changes)


def _refuse_other_canvas(camera: CameraSettings, measured: CalibratedCamera, at: str) -> None:
    if (measured.height, measured.width) != (camera.height, camera.width):
        raise ConfigurationError(
            f"{at}: made with a canvas of {measured.width}x{measured.height}, now it is {camera.width}x{camera.height} "
            "(width x height): calibrate again"
        )
    for zone in measured.ignore:
        refuse_zone_outside(zone, camera, at)


def _refuse_other_source(camera: CameraSettings, measured: CalibratedCamera, at: str) -> None:
    """Refuse what was measured with another camera or region: the same pixel shows something else there."""
    if isinstance(camera.source, (ReplaySource, ArchiveSource)):
        return  # Pictures that were taken before, by whatever took them.
    now = camera.source.place
    if not measured.source:
        raise ConfigurationError(
            f"{at}: no key 'source': which camera it is of is not said; calibrate again, or if it is this one, add "
            f"source = {json.dumps(now, ensure_ascii=False)}"
        )
    if measured.source != now:
        before = ", ".join(line for line in measured.source if line not in now) or "less"
        others = ", ".join(line for line in now if line not in measured.source) or "less"
        raise ConfigurationError(
            f"{at}: made with {before}, the station's file says {others}: the same pixel may show something else; "
            "calibrate again"
        )


def refuse_nameless(camera: CameraSettings, at: str) -> None:
    """
    Refuse a camera that another one may stand in for unnoticed: scale and zones would be taken over to it.

    Raises:
        ConfigurationError: says what names it.
    """
    if camera.source.nameless is not None:
        device = getattr(camera.source, "device", None)
        found = "without device" if device is None else f"with device = {device}"
        raise ConfigurationError(
            f"{at}: scale and zones hold for one camera alone, and {found} another one may take its place; set device "
            f"to {camera.source.nameless}, and calibrate again"
        )


def share_ignored(camera: CameraSettings) -> float:
    """Return which share of a camera's canvas its zones cover: 0..1."""
    return share_from_zones(tuple(table.zone for table in camera.ignore), camera.height, camera.width)


def _refuse_blind(camera: CameraSettings, at: str) -> None:
    for zone in camera.ignore:
        refuse_zone_outside(zone, camera, at)
    share = share_ignored(camera) if camera.ignore else 0.0
    if share > camera.most_ignored:
        raise ConfigurationError(
            f"{at}: ignore zones cover {share:.1%} of the canvas, most_ignored = {camera.most_ignored:g}: a camera "
            "that ignores what it sees passes everything; draw them smaller, or allow more there"
        )


def refuse_zone_outside(zone: ZoneTable, camera: CameraSettings, at: str) -> None:
    """
    Refuse a zone that reaches out of the canvas: it was meant for another picture.

    Raises:
        ConfigurationError: names the zone and how far it may reach.
    """
    _, _, right, bottom = reach_of(zone.zone)
    if right >= camera.width or bottom >= camera.height:
        raise ConfigurationError(
            f"{at}: ignore zone '{zone.name}' reaches to x = {right}, y = {bottom}: the canvas ends at "
            f"x = {camera.width - 1}, y = {camera.height - 1}"
        )


def _knob(camera: CameraSettings, measured: CalibratedCamera, knob: str, at: str) -> dict[str, float]:
    value, key = getattr(measured, knob), knob_key(camera, knob)
    if value is None:
        return {}
    if key is None:
        raise ConfigurationError(f"{at}: {knob} = {value:g}: a {camera.source.kind} source has none; take it out")
    own = getattr(camera.source, key)
    if own not in (None, value):
        raise ConfigurationError(
            f"{at}: {knob} = {value:g}, and {key} = {own:g} in the station's own file; take it out there, or calibrate "
            "again"
        )
    return {key: value}


def knob_key(camera: CameraSettings, knob: str) -> str | None:
    """Return what the camera's source calls its exposure or gain; None where it has none."""
    return next((key for key in KNOBS[knob] if key in type(camera.source).model_fields), None)


def knob_of(camera: CameraSettings, knob: str) -> float | None:
    """Return the exposure or gain that the settings ask of a camera; None = as it is."""
    key = knob_key(camera, knob)
    value: float | None = None if key is None else getattr(camera.source, key)
    return value


# ---- its age -------------------------------------------------------------------------------------------------


def is_old(file: CalibrationFile, max_age_days: float, now: datetime) -> bool:
    """Tell whether some camera should be calibrated again; also when a date lies ahead: its age is not known then."""
    newest = max(camera.date for camera in file.cameras)
    return now - file.oldest > timedelta(days=max_age_days) or newest - now > _AHEAD


def words_of_age(camera: CalibratedCamera, max_age_days: float, now: datetime) -> str:
    """Return when a camera was calibrated and by whom, and whether that is too long ago."""
    days = (now - camera.date).total_seconds() / 86400
    said = f"calibrated {camera.date:%Y-%m-%d %H:%M} UTC by {camera.by}, {max(days, 0):.0f} days ago"
    if camera.date - now > _AHEAD:
        return f"{said}: IN THE FUTURE, the clock or the date is wrong"
    return f"{said}: OLDER than {max_age_days:g} days, calibrate again" if days > max_age_days else said


# ---- write ---------------------------------------------------------------------------------------------------


def keep_calibration(path: Path, file: CalibrationFile, replaced: CalibrationFile | None) -> Path | None:
    """
    Write a calibration, whole or not at all; the one before stays beside it under its date.

    Args:
        replaced: what lies at *path*; None = nothing does.

    Returns:
        Where the one before lies now: NAME.2026-11-22T063000Z.toml; None without one.

    Raises:
        ConfigurationError: it cannot be written; the old one is still in place.
    """
    half = path.with_name(f"{path.name}.new")
    try:
        with half.open("w", encoding="utf-8") as target:
            target.write(toml_from_calibration(file))
            target.flush()
            os.fsync(target.fileno())
        # By a second name, so that there is a calibration at every moment.
        dated = None if replaced is None else _second_name(path, max(camera.date for camera in replaced.cameras))
        half.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written ({error.strerror}); name another --out") from error
    return dated


def _second_name(path: Path, date: datetime) -> Path:
    name = f"{path.name.removesuffix('.toml')}.{date:%Y-%m-%dT%H%M%SZ}"
    number = 1
    dated = path.with_name(f"{name}.toml")
    while dated.exists():
        number += 1
        dated = path.with_name(f"{name}-{number}.toml")
    os.link(path, dated)
    return dated


def toml_from_calibration(file: CalibrationFile) -> str:
    """Return the file's text; reading it gives the same calibration."""
    lines = [_HEAD.format(station=file.station), f"version = {file.version}", f"station = {json.dumps(file.station)}"]
    for camera in file.cameras:
        lines += ["", "[[cameras]]", *_lines_of(camera)]
    return "\n".join([*lines, ""])


def _lines_of(camera: CalibratedCamera) -> Iterator[str]:
    for key, value in camera.model_dump(exclude={"date", "ignore"}, exclude_none=True).items():
        if value != ():
            yield f"{key} = {_text(value)}"
        if key == "name":
            yield f"date = {camera.date:%Y-%m-%dT%H:%M:%SZ}"
    if camera.ignore:
        yield "ignore = ["
        for zone in camera.ignore:
            given = zone.model_dump(exclude_defaults=True)
            yield "  { " + ", ".join(f"{key} = {_text(value)}" for key, value in given.items()) + " },"
        yield "]"


def _text(value: object) -> str:
    # JSON's strings, numbers and lists are TOML's, but for DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
