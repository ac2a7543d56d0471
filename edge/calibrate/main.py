"""``edge-inspectd calibrate``: measure a camera's scale from a known target, and keep it with its date."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, model_validator
from pydantic_settings import CliPositionalArg
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typing_extensions import Self

from edge.calibrate.picture import picture_of
from edge.calibrate.target import Scale, fault_of_scale, scale_from_grid, scale_from_points
from edge.calibration import KNOBS, keep_calibration, knob_key, knob_of, read_calibration, refuse_nameless
from edge.commandline import run
from edge.errors import ConfigurationError, DataError
from edge.settings import CalibratedCamera, CalibrationFile, CameraSettings, Station, read_station

_LITTLE = 0.5
"""A target that covers less of the picture, both ways, leaves most of it unproven."""

_Grid = Annotated[str, Field(pattern=r"^[1-9]\d?x[1-9]\d?$")]
_NUMBER = r"\d{1,5}(\.\d{1,3})?"


class Calibrate(BaseModel):
    """
    Measure millimetres per pixel from a picture of a known target, and write the station's calibration.

    Exactly one of --chessboard, --circles, --points. Without --picture one is taken by the camera, which no running
    station may have open. The calibration before stays beside the new one under its date; its zones are taken over.

    Exit codes: 0 done; 2 a bad flag or file; 4 no picture can be taken; 6 the target is not found, or one scale cannot
    describe the picture. But for 0 nothing is written.
    """

    config: CliPositionalArg[Path] = Field(description="the station's TOML file")
    camera: str | None = Field(None, description="name of the camera; needed where the station has several")
    by: str = Field(min_length=1, max_length=200, description="who answers for it")
    picture: Path | None = Field(None, description="picture of the target, of the camera's full size; none = take one")
    chessboard: _Grid | None = Field(None, description="inner corners of a chessboard, COLUMNSxROWS, as in 9x6")
    circles: _Grid | None = Field(None, description="dark circles in rows and columns, COLUMNSxROWS, as in 7x5")
    pitch_mm: float | None = Field(None, gt=0, le=10_000, description="distance of two neighbours of the grid [mm]")
    points: str | None = Field(
        None,
        pattern=rf"^{_NUMBER}(,{_NUMBER}){{3}}$",
        description="two points of the picture, X,Y,X,Y [px]: no grid is at hand",
    )
    distance_mm: float | None = Field(None, gt=0, le=100_000, description="distance of the two points [mm]")
    exposure: float | None = Field(None, description="set it for the camera, and keep it; in the unit of its source")
    gain: float | None = Field(None, description="set it for the camera, and keep it; in the unit of its source")
    tolerance: float = Field(
        0.01, gt=0, le=0.2, description="by so much, as a share, the scales along rows and columns may differ"
    )
    most_residual_px: float = Field(
        0.5, gt=0, le=10, description="root mean square that one scale may leave unexplained [px]"
    )
    out: Path | None = Field(None, description="file to write; none = the one of key calibration")
    dry_run: bool = Field(False, description="measure and print, write nothing")

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        given = [name for name in ("chessboard", "circles", "points") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("expected one target: --chessboard, --circles or --points")
        needed = "distance_mm" if self.points is not None else "pitch_mm"
        if getattr(self, needed) is None:
            raise ValueError(f"expected --{needed.replace('_', '-')} with --{given[0]}")
        for grid in (self.chessboard, self.circles):
            if grid is not None and min(map(int, grid.split("x"))) < 3:
                raise ValueError(f"expected 3x3 or more for --{given[0]}, not {grid}")
        return self


def main(args: list[str] | None = None) -> int:
    """Calibrate and return the exit code."""
    return run("edge-inspectd calibrate", Calibrate, args, calibrate)


def calibrate(command: Calibrate) -> int:
    """
    Measure, refuse what one scale cannot describe, write.

    Raises:
        ConfigurationError: station, camera or file do not fit.
        CameraError: no picture can be taken.
        DataError: the target is not found, or is tilted or distorted.
    """
    console = Console()
    station = read_station(command.config)
    camera = _camera_of(station, command.camera)
    path = command.out or station.calibration
    if path is None and not command.dry_run:
        raise ConfigurationError(
            f"{command.config}: no key 'calibration': name the file there that the station shall read, or give --out"
        )
    before = None if path is None or not path.exists() else read_calibration(path)
    old = next((c for c in before.cameras if c.name == camera.name), None) if before is not None else None
    camera = _with_knobs(camera, command, old)
    scale = _measured(command, picture_of(station, camera, command.picture))
    console.print(_table(camera, scale))
    fault = fault_of_scale(scale, command.tolerance, command.most_residual_px)
    if fault:
        raise DataError(f"camera '{camera.name}': {fault}; nothing was written")
    if path is not None and not command.dry_run:
        _keep(console, path, station, before, _record(command, camera, scale, old))
    else:
        console.print(Text("nothing was written: --dry-run"))
    return 0


def _camera_of(station: Station, name: str | None) -> CameraSettings:
    names = [camera.name for camera in station.cameras]
    if name is None and len(names) > 1:
        raise ConfigurationError(f"station {station.station} has several cameras: give --camera {' or '.join(names)}")
    camera = next((camera for camera in station.cameras if name in (None, camera.name)), None)
    if camera is None:
        raise ConfigurationError(f"camera '{name}': the station has none of this name; it has {', '.join(names)}")
    if camera.mm_per_px is not None:
        raise ConfigurationError(
            f"camera '{camera.name}': mm_per_px = {camera.mm_per_px} stands in the station's own file; a scale is "
            "given in one place: take it out there first"
        )
    refuse_nameless(camera, f"camera '{camera.name}'")
    return camera


def _with_knobs(camera: CameraSettings, command: Calibrate, old: CalibratedCamera | None) -> CameraSettings:
    """Return the camera as it is to be opened: with the exposure and gain that are asked for, or were before."""
    changes: dict[str, float] = {}
    for knob in KNOBS:
        key, asked = knob_key(camera, knob), getattr(command, knob)
        if key is None:
            if asked is not None:
                kind = camera.source.kind
                raise ConfigurationError(f"--{knob} = {asked:g}: a {kind} source has none; leave it out")
            continue
        own = getattr(camera.source, key)
        if None not in (asked, own) and asked != own:
            raise ConfigurationError(
                f"--{knob} = {asked:g}: {key} = {own:g} in the station's own file; take it out there"
            )
        kept = None if old is None else getattr(old, knob)
        known = [value for value in (asked, own, kept) if value is not None]
        if known:
            changes[key] = known[0]
    return camera.model_copy(update={"source": camera.source.model_copy(update=changes)})


# ---- measured ----------------------------------------------------------------------------------------------


def _measured(command: Calibrate, image: NDArray[np.uint8]) -> Scale:
    if command.points is not None:
        assert command.distance_mm is not None
        x, y, other_x, other_y = map(float, command.points.split(","))
        return scale_from_points((x, y), (other_x, other_y), command.distance_mm, (image.shape[0], image.shape[1]))
    assert command.pitch_mm is not None
    columns, rows = map(int, (command.chessboard or command.circles or "").split("x"))
    return scale_from_grid(
        image, "circles" if command.chessboard is None else "chessboard", columns, rows, command.pitch_mm
    )


# ---- the file ------------------------------------------------------------------------------------------------


def _record(command: Calibrate, camera: CameraSettings, scale: Scale, old: CalibratedCamera | None) -> CalibratedCamera:
    now = (camera.height, camera.width, camera.source.place)
    same = old is not None and (old.height, old.width, old.source) == now
    return CalibratedCamera(
        name=camera.name,
        date=datetime.now(timezone.utc).replace(microsecond=0),
        by=command.by,
        height=camera.height,
        width=camera.width,
        mm_per_px=_rounded(scale.mm_per_px),
        mm_per_px_x=_rounded(scale.x),
        mm_per_px_y=_rounded(scale.y),
        residual_px=None if scale.residual_px is None else round(scale.residual_px, 3),
        target=scale.target,
        source=camera.source.place,
        exposure=knob_of(camera, "exposure"),
        gain=knob_of(camera, "gain"),
        ignore=old.ignore if old is not None and same else (),
    )


def _rounded(value: float | None) -> float | None:
    """Return seven digits: more than any target has."""
    return None if value is None else float(f"{value:.7g}")


def _keep(
    console: Console, path: Path, station: Station, before: CalibrationFile | None, camera: CalibratedCamera
) -> None:
    if before is not None and before.station != station.station:
        raise ConfigurationError(
            f"{path}: of station '{before.station}', this is '{station.station}'; name another --out"
        )
    cameras = () if before is None else before.cameras
    others = tuple(other for other in cameras if other.name != camera.name)
    file = CalibrationFile(version=1, station=station.station, cameras=(*others, camera))
    dated = keep_calibration(path, file, before)
    console.print(Text(f"written: {path}, with {len(camera.ignore)} ignore zones"), soft_wrap=True)
    if dated is not None:
        console.print(Text(f"the one before: {dated}"), soft_wrap=True)
    lost = sum(len(other.ignore) for other in cameras if other.name == camera.name) - len(camera.ignore)
    if lost:
        console.print(
            Text(f"{lost} zones were of another canvas or source and are left out: draw anew", "red"), soft_wrap=True
        )
    console.print(Text("it holds from the station's next start on"), soft_wrap=True)


def _table(camera: CameraSettings, scale: Scale) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row("camera", Text(camera.name))
    table.add_row("target", Text(scale.target))
    across, down = (f"{share:.0%}" for share in scale.share)
    little = max(scale.share) < _LITTLE
    said = f"{across} of the width, {down} of the height" + (": elsewhere it proves nothing" if little else "")
    table.add_row("covers", Text(said, "yellow" if little else ""))
    table.add_row("scale", Text(f"{scale.mm_per_px:.6g} mm/px"))
    if scale.x is None or scale.y is None:
        table.add_row("", Text("two points tell neither a tilt nor a distortion: a grid would", "yellow"))
        return table
    table.add_row("along rows", Text(f"{scale.x:.6g} mm/px"))
    table.add_row("along columns", Text(f"{scale.y:.6g} mm/px, differs by {abs(scale.x / scale.y - 1):.2%}"))
    table.add_row("unexplained", Text(f"{scale.residual_px:.3f} px by one scale, {scale.flat_px:.3f} px by a tilt too"))
    return table
