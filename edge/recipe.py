"""From the manifest's defaults and the engineer's settings to the values that decide, each within its bounds."""

from __future__ import annotations

import hashlib
import importlib.util
import math
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from pydantic import Field, ValidationError

from edge.errors import ConfigurationError
from edge.faults import first_of, words_of
from edge.rules import ClassLimits, Recipe
from edge.settings import CameraSettings, ClassRecipe, Name, Station, Strict, SyntheticSource, read_toml
from engines.contract import DefectClass, Limit, Manifest, PixelFormat

STATION_RECIPE = "station"
"""Name of the recipe that stands in the station's own TOML file."""


class RecipeFile(Strict):
    """A recipe as the quality engineer writes it: what is left out is the manifest's default."""

    name: Name = Field(description="as the file is called, without .toml")
    author: str = Field(min_length=1, max_length=200, description="who answers for these values; in each verdict")
    classes: dict[str, ClassRecipe] = Field(
        default_factory=dict, description="by class name: [classes.pits] gate = 0.3"
    )


@dataclass(frozen=True)
class Recipes:
    """
    One recipe worked out for every camera of a station.

    Attributes:
        hash: SHA-256 (hex) of all working values, the same wherever the same values decide.
    """

    file: RecipeFile
    by_camera: Mapping[str, Recipe]

    @property
    def hash(self) -> str:
        return hashlib.sha256(msgspec.json.encode(dict(self.by_camera), order="deterministic")).hexdigest()


def station_recipe(station: Station) -> RecipeFile:
    """Return the recipe that stands in the station's own file."""
    return RecipeFile(name=STATION_RECIPE, author=f"settings of station {station.station}", classes=station.recipe)


def read_recipe(station: Station, name: str) -> RecipeFile:
    """
    Return the recipe of that name: the station's own, or a file of the folder ``recipes``.

    Raises:
        ConfigurationError: there is no such file, or it is not a recipe; names the file, the key, what was expected.
    """
    if name == STATION_RECIPE:
        return station_recipe(station)
    if station.recipes is None:
        raise ConfigurationError(
            f"recipe '{name}': the station has no folder of recipes; set key 'recipes', or use '{STATION_RECIPE}'"
        )
    path = station.recipes / f"{name}.toml"
    try:
        recipe = RecipeFile.model_validate(read_toml(path, "a recipe of that folder"))
    except ValidationError as error:
        raise ConfigurationError(f"{path}: {words_of(first_of(error.errors(include_url=False)))}") from error
    if recipe.name != name:
        raise ConfigurationError(f"{path}: key 'name' = '{recipe.name}': expected '{name}', as the file is called")
    return recipe


def work_out(manifest: Manifest, station: Station, recipe: RecipeFile) -> Recipes:
    """
    Return the working values for every camera of the station.

    Raises:
        ConfigurationError: as recipe_for_camera.
    """
    return Recipes(recipe, {c.name: recipe_for_camera(manifest, recipe, c) for c in station.cameras})


def recipe_for_camera(manifest: Manifest, recipe: RecipeFile, camera: CameraSettings) -> Recipe:
    """
    Return the working values for one camera.

    Raises:
        ConfigurationError: a class the bundle does not have, a value out of its bounds, mm2 without a scale, or a scale
            the bundle was not trained for; names the key, the value, what was expected.
    """
    _refuse_unknown_classes(manifest, recipe)
    _refuse_other_scale(manifest, camera)
    return Recipe(
        classes=tuple(_limits(c, recipe.classes.get(c.name, ClassRecipe()), camera) for c in manifest.classes),
        mm_per_px=camera.mm_per_px,
        ignore=tuple(table.zone for table in camera.ignore),
    )


def refuse_other_format(camera: CameraSettings, format_: PixelFormat) -> None:
    """
    Refuse a camera that can never deliver *format_*: every one of its parts would be UNKNOWN(geometry).

    Raises:
        ConfigurationError: names the camera and the key.
    """
    if camera.convert_to not in (None, format_):
        raise ConfigurationError(
            f"camera '{camera.name}': convert_to = {camera.convert_to}: the bundle takes {format_}; say that"
        )
    if isinstance(camera.source, SyntheticSource) and format_ != "mono8":
        raise ConfigurationError(
            f"camera '{camera.name}': the synthetic strip is mono8, the bundle takes {format_}; use another"
        )


def refuse_missing_package(camera: CameraSettings) -> None:
    """
    Refuse a source whose package is not installed.

    Raises:
        ConfigurationError: names the camera and the extra.
    """
    package, extra = camera.source.package or ("", "")
    if package and importlib.util.find_spec(package) is None:
        raise ConfigurationError(
            f"camera '{camera.name}': kind = \"{camera.source.kind}\" needs {package}, which is not installed; "
            f"pip install 'edge-inspect[{extra}]'"
        )


def _limits(defect_class: DefectClass, asked: ClassRecipe, camera: CameraSettings) -> ClassLimits:
    key = f"recipe.{defect_class.name}"
    rule = defect_class.rule
    return ClassLimits(
        name=defect_class.name,
        gate=_within(f"{key}.gate", asked.gate, defect_class.gate),
        threshold=_within(f"{key}.threshold", asked.threshold, defect_class.threshold),
        min_area_px=_within(f"{key}.min_area", _area_px(key, asked, camera), rule.min_area_px),
        min_peak=_within(f"{key}.min_peak", asked.min_peak, rule.min_peak),
        max_count=round(_within(f"{key}.max_count", asked.max_count, rule.max_count)),
    )


def _area_px(key: str, asked: ClassRecipe, camera: CameraSettings) -> float | None:
    if asked.min_area_mm2 is None:
        return asked.min_area_px
    if camera.mm_per_px is None:
        raise ConfigurationError(
            f"key '{key}.min_area_mm2' = {asked.min_area_mm2}: camera '{camera.name}' has no mm_per_px; "
            "set its scale, or give min_area_px"
        )
    return asked.min_area_mm2 / camera.mm_per_px**2


def _within(key: str, asked: float | None, limit: Limit) -> float:
    if asked is None:
        return limit.default
    # Written so that NaN, which compares false with everything, is refused.
    if not (math.isfinite(asked) and limit.low <= asked <= limit.high):
        raise ConfigurationError(f"key '{key}' = {asked}: the bundle allows {limit.low:g} to {limit.high:g}")
    return asked


def _refuse_unknown_classes(manifest: Manifest, recipe: RecipeFile) -> None:
    for name in recipe.classes:
        if name not in manifest.class_names:
            raise ConfigurationError(
                f"key 'recipe.{name}': the bundle has no such class; expected {', '.join(manifest.class_names)}"
            )


def _refuse_other_scale(manifest: Manifest, camera: CameraSettings) -> None:
    if manifest.scale is None or camera.mm_per_px is None:
        return
    low = manifest.scale.mm_per_px * (1 - manifest.scale.tolerance)
    high = manifest.scale.mm_per_px * (1 + manifest.scale.tolerance)
    if not low <= camera.mm_per_px <= high:
        raise ConfigurationError(
            f"camera '{camera.name}': mm_per_px = {camera.mm_per_px}: the bundle was trained for {low:.4g} to "
            f"{high:.4g}; use a bundle of this scale, frames are never resampled"
        )
