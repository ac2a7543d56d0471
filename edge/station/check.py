"""``edge-inspectd --check``: validate configuration and bundle, say what would be done; no camera, no socket."""

from __future__ import annotations

import importlib.util
import os

from rich.console import Console
from rich.table import Table

from edge.bundle import read_trusted_bundle
from edge.errors import CameraError, ConfigurationError
from edge.inspector.link import endpoints
from edge.recipe import refuse_other_format, station_recipe, work_out
from edge.rules import Recipe
from edge.settings import CameraSettings, ReplaySource, Station
from edge.tiles import Grid
from engines.contract import Manifest


def check(station: Station, console: Console) -> None:
    """
    Print what the station would do.

    What only a camera or an engine can tell stays untold: whether a device opens, whether this CPU has bf16 units.

    Raises:
        EdgeError: configuration or bundle is not usable; the first fault, in one line.
    """
    bundle = read_trusted_bundle(station.bundle.path, allow_unsigned=station.bundle.allow_unsigned)
    manifest = bundle.manifest
    _refuse_backend(station)
    if station.run_dir is not None:
        endpoints(station.run_dir, inspector=1)
    for camera in station.cameras:
        refuse_other_format(camera, manifest.format)
        _refuse_missing_replay(camera)
    recipes = work_out(manifest, station, station_recipe(station)).by_camera
    console.print(f"station  {station.station}: a verdict within {station.budget_ms} ms of each trigger")
    console.print(
        f"bundle   {manifest.name} {manifest.version} ({bundle.path}), unsigned, as bundle.allow_unsigned accepts"
    )
    console.print(f"backend  {station.backend.name} {station.backend.precision}, {station.backend.threads} threads")
    for name, endpoint in station.endpoints:
        console.print(f"{name:8} {endpoint}")
    for camera in station.cameras:
        console.print(_camera_line(camera, manifest))
    for name, recipe in recipes.items():
        console.print(_recipe_table(name, recipe))


def _refuse_backend(station: Station) -> None:
    name, precision = station.backend.name, station.backend.precision
    # Both vendors' packages are called as their backends are.
    if importlib.util.find_spec(name) is None:
        raise ConfigurationError(
            f"key 'backend.name' = {name}: its package is not installed; install it or use another"
        )
    if name == "onnxruntime" and precision != "fp32":
        raise ConfigurationError(
            f"key 'backend.precision' = {precision}: onnxruntime computes as the network was exported; "
            "choose fp32 or backend openvino"
        )


def _refuse_missing_replay(camera: CameraSettings) -> None:
    # With start = "wait" too: the folder of a replay is made before it, and is no device that comes later.
    if isinstance(camera.source, ReplaySource) and not os.access(camera.source.path, os.R_OK):
        raise CameraError(
            f"camera '{camera.name}': replay: {camera.source.path} does not exist or cannot be read; "
            "expected a folder of pictures or a video file"
        )


def _camera_line(camera: CameraSettings, manifest: Manifest) -> str:
    grid = Grid(camera.height, camera.width, manifest.tile)
    scale = "no scale" if camera.mm_per_px is None else f"{camera.mm_per_px} mm/px"
    size = f"{camera.width}x{camera.height} {manifest.format}"
    return f"camera   {camera.name}: {camera.source.kind}, canvas {size}, {grid.count} tiles, {scale}"


def _recipe_table(camera: str, recipe: Recipe) -> Table:
    table = Table(title=f"recipe of camera {camera} ({recipe.hash[:12]})", title_justify="left")
    for heading in ("class", "gate", "threshold", "min area px", "min peak", "max count"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for c in recipe.classes:
        table.add_row(
            c.name, f"{c.gate:g}", f"{c.threshold:g}", f"{c.min_area_px:g}", f"{c.min_peak:g}", str(c.max_count)
        )
    return table
