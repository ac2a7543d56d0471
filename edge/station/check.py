"""``edge-inspectd --check``: validate configuration and bundle, say what would be done; no camera, no socket."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from edge.bundle import read_trusted_bundle
from edge.recipe import recipe_for_camera
from edge.rules import Recipe
from edge.settings import CameraSettings, Station
from edge.tiles import Grid
from engines.contract import Manifest


def check(station: Station, console: Console) -> None:
    """
    Print what the station would do.

    Raises:
        EdgeError: configuration or bundle is not usable; the first fault, in one line.
    """
    bundle = read_trusted_bundle(station.bundle.path, allow_unsigned=station.bundle.allow_unsigned)
    manifest = bundle.manifest
    recipes = {camera.name: recipe_for_camera(manifest, station, camera) for camera in station.cameras}
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
