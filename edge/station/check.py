"""``edge-inspectd --check``: validate configuration and bundle, say what would be done; no camera, no socket."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone

from rich.console import Console
from rich.table import Table

from edge.bundle import Bundle
from edge.calibration import calibrated, read_calibration_of, share_ignored, words_of_age
from edge.cores import cores_from_text, refuse_missing
from edge.errors import CameraError, ConfigurationError
from edge.inspector.link import endpoints
from edge.recipe import (
    RecipeFile,
    read_recipe,
    refuse_missing_package,
    refuse_other_format,
    station_recipe,
    work_out,
)
from edge.rules import Recipe
from edge.settings import (
    ArchiveSource,
    CalibrationFile,
    CameraSettings,
    ChallengeSettings,
    OpenCVSource,
    ReplaySource,
    Station,
    state_dir_of,
)
from edge.station.lastgood import read_known
from edge.tiles import Grid
from edge.trust import read_bundle_of
from engines.contract import Manifest, PixelFormat


def check(station: Station, console: Console) -> None:
    """
    Print what the station would do.

    What only a camera or an engine can tell stays untold: whether a device opens, whether this CPU has bf16 units.

    Raises:
        EdgeError: configuration or bundle is not usable; the first fault, in one line.
    """
    bundle = read_bundle_of(station, station.bundle.path, _releases(station))
    manifest = bundle.manifest
    _refuse_backend(station)
    if station.run_dir is not None:
        endpoints(station.run_dir, inspector=1)
    for camera in station.cameras:
        refuse_other_format(camera, manifest.format)
        refuse_missing_package(camera)
        _refuse_missing_replay(camera)
    calibration = read_calibration_of(station)
    station = calibrated(station, calibration)
    _refuse_unknown_defects(station, manifest)
    recipes = work_out(manifest, station, station_recipe(station)).by_camera
    console.print(f"station  {station.station}: a verdict within {station.budget_ms} ms of each trigger")
    console.print(_bundle_line(bundle))
    console.print(_journal_line(station))
    console.print(f"backend  {station.backend.name} {station.backend.precision}, {station.backend.threads} threads")
    console.print(_process_line(station))
    if station.backend.name == "tensorrt" or station.backend.precision in ("fp16", "int8"):
        console.print("engines  must have been built here: edge-engine list shows them, edge-engine build makes them")
    for name, endpoint in station.endpoints:
        console.print(f"{name:8} {endpoint}")
    for camera in station.cameras:
        console.print(_camera_line(camera, manifest))
        for caution in camera.source.cautions:
            console.print(f"caution  {camera.name}: {caution}", soft_wrap=True)
        for doubt in _doubts_of_format(camera, manifest.format):
            console.print(f"caution  {camera.name}: {doubt}", soft_wrap=True)
    if calibration is not None:
        console.print(*_calibration_lines(station, calibration), sep="\n")
    if station.challenge is not None:
        console.print(_challenge_line(station.challenge))
    for file in _recipes_of_folder(station):
        console.print(f"recipe   {file.name} by {file.author}: {work_out(manifest, station, file).hash[:12]}")
    for name, recipe in recipes.items():
        console.print(_recipe_table(name, recipe))


def _releases(station: Station) -> Mapping[str, int]:
    """Return how far back the station may go, as its last run has left it."""
    folder = None if station.journal.sync == "off" else state_dir_of(station)
    return read_known(folder).releases


def _bundle_line(bundle: Bundle) -> str:
    manifest = bundle.manifest
    if bundle.signed_by is not None:
        signed = f"signed by {bundle.signed_by}"
    else:
        unchecked = "unsigned" if bundle.signature is None else "signature not checked"
        signed = f"{unchecked}, as bundle.allow_unsigned accepts"
    return f"bundle   {manifest.name} {manifest.version}, release {manifest.release} ({bundle.path}), {signed}"


def _refuse_backend(station: Station) -> None:
    name = station.backend.name
    # Both vendors' packages are called as their backends are.
    if importlib.util.find_spec(name) is None:
        raise ConfigurationError(
            f"key 'backend.name' = {name}: its package is not installed; install it or use another"
        )


def _refuse_missing_replay(camera: CameraSettings) -> None:
    # With start = "wait" too: the folder of a replay is made before it, and is no device that comes later.
    source = camera.source
    if isinstance(source, (ReplaySource, ArchiveSource)) and not os.access(source.path, os.R_OK):
        raise CameraError(
            f"camera '{camera.name}': {source.kind}: {source.path} does not exist or cannot be read; "
            "expected a folder of pictures, a video file or, of kind archive, a station's archive"
        )


def _journal_line(station: Station) -> str:
    if station.journal.sync == "off":
        return "journal  none: verdicts cannot be replayed, each start is a new epoch"
    folder = state_dir_of(station)
    # Of what is not there yet, the folder that it will be made in tells.
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not (nearest.is_dir() and os.access(nearest, os.W_OK)):
        raise ConfigurationError(f"key 'state_dir' = {folder}: {nearest} cannot be written; choose another folder")
    return f"journal  {folder}, {station.journal.sync}"


def _process_line(station: Station) -> str:
    process = station.process
    memory = "locked" if process.lock_memory else "may be swapped out"
    if process.station_cpus is None or process.inspector_cpus is None:
        return f"process  any core, memory {memory}"
    for name, cores in (("station_cpus", process.station_cpus), ("inspector_cpus", process.inspector_cpus)):
        refuse_missing(cores_from_text(cores), f"process.{name}")
    return f"process  station on {process.station_cpus}, inspector on {process.inspector_cpus}, memory {memory}"


def _recipes_of_folder(station: Station) -> list[RecipeFile]:
    if station.recipes is None:
        return []
    if not station.recipes.is_dir():
        raise ConfigurationError(f"key 'recipes' = {station.recipes}: no such folder; make it, or leave the key out")
    return [read_recipe(station, path.stem) for path in sorted(station.recipes.glob("*.toml"))]


def _camera_line(camera: CameraSettings, manifest: Manifest) -> str:
    grid = Grid(camera.height, camera.width, manifest.tile)
    scale = "no scale" if camera.mm_per_px is None else f"{camera.mm_per_px} mm/px"
    size = f"{camera.width}x{camera.height} {manifest.format}"
    zones = f", {len(camera.ignore)} ignore zones: {share_ignored(camera):.1%} of it" if camera.ignore else ""
    return f"camera   {camera.name}: {camera.source.kind}, canvas {size}{zones}, {grid.count} tiles, {scale}"


def _doubts_of_format(camera: CameraSettings, format_: PixelFormat) -> Iterator[str]:
    """Yield what a camera that is not opened here may have against the bundle: else its first part would tell."""
    if camera.convert_to is None and format_ == "mono8" and isinstance(camera.source, OpenCVSource):
        yield (
            "the bundle takes mono8; an opencv camera most often gives bgr8, and each part is UNKNOWN(geometry) then: "
            'set convert_to = "mono8"'
        )


def _calibration_lines(station: Station, calibration: CalibrationFile) -> list[str]:
    now = datetime.now(timezone.utc)
    ages = {camera.name: words_of_age(camera, station.calibration_max_age_days, now) for camera in calibration.cameras}
    lines = [f"place    {station.calibration}"]
    return lines + [f"place    {camera.name}: {ages.get(camera.name, 'not calibrated')}" for camera in station.cameras]


def _challenge_line(challenge: ChallengeSettings) -> str:
    often = "each shift" if challenge.every_h is None else f"every {challenge.every_h:g} h"
    masters = ", ".join(f"{master.name} {master.expect}" for master in challenge.parts)
    return f"masters  {often}, within {challenge.grace_min:g} min: {masters}"


def _refuse_unknown_defects(station: Station, manifest: Manifest) -> None:
    for master in () if station.challenge is None else station.challenge.parts:
        if master.defect is not None and master.defect not in manifest.class_names:
            raise ConfigurationError(
                f"challenge.parts, '{master.name}': defect = '{master.defect}': the bundle has no such class; expected "
                f"{', '.join(manifest.class_names)}"
            )


def _recipe_table(camera: str, recipe: Recipe) -> Table:
    table = Table(title=f"recipe of camera {camera} ({recipe.hash[:12]})", title_justify="left")
    for heading in ("class", "gate", "threshold", "min area px", "min peak", "max count"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for c in recipe.classes:
        table.add_row(
            c.name, f"{c.gate:g}", f"{c.threshold:g}", f"{c.min_area_px:g}", f"{c.min_peak:g}", str(c.max_count)
        )
    return table
