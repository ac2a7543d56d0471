"""From manifest and settings to the values that decide: within the bundle's bounds, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.errors import ConfigurationError
from edge.recipe import RecipeFile, read_recipe, recipe_for_camera, station_recipe, work_out
from edge.rules import Recipe
from edge.settings import ClassRecipe, Station
from engines.contract import Manifest
from tests.support.records import manifest, scale


def station_of(**changes: Any) -> Station:
    cameras = [{"name": name, "source": {"kind": "synthetic"}} for name in ("cam1", "cam2")]
    return Station.model_validate({"station": "line1", "cameras": cameras, **changes})


def recipe_of(
    rules: dict[str, dict[str, Any]], bundle: Manifest | None = None, mm_per_px: float | None = None
) -> Recipe:
    camera = {"name": "cam1", "source": {"kind": "synthetic"}, "mm_per_px": mm_per_px}
    station = Station.model_validate({"station": "line1", "cameras": [camera], "recipe": rules})
    return recipe_for_camera(bundle or manifest(), station_recipe(station), station.cameras[0])


def test_what_is_left_out_is_the_bundles_default() -> None:
    """A station without a recipe decides as the bundle says, for each class."""
    found = recipe_of({})
    assert [c.name for c in found.classes] == ["pits", "cracks"]
    for c in found.classes:
        assert (c.gate, c.threshold, c.min_area_px, c.min_peak, c.max_count) == (0.5, 0.5, 4, 0.5, 0)
    assert found.mm_per_px is None


def test_what_is_set_holds_for_its_class_alone() -> None:
    """Each value reaches its place, the bounds themselves included."""
    asked = {"gate": 0.1, "threshold": 0.8, "min_area_px": 1000, "min_peak": 1.0, "max_count": 3}
    pits, cracks = recipe_of({"pits": asked}).classes
    assert {key: getattr(pits, key) for key in asked} == asked
    assert cracks.gate == 0.5


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("gate", 0.09),
        ("gate", 0.91),
        ("gate", -1.0),
        ("threshold", 0.1),
        ("threshold", 0.81),
        ("min_area_px", 0.5),
        ("min_area_px", 1001.0),
        ("min_peak", 1.01),
        ("max_count", 4),
        ("max_count", -1),
    ],
)
def test_a_value_outside_the_bundles_bounds_is_refused(key: str, value: float) -> None:
    """Key, value and both bounds are told."""
    with pytest.raises(ConfigurationError, match=rf"recipe\.pits\.{key.removesuffix('_px')}.*{value:g}.*allows .* to "):
        recipe_of({"pits": {key: value}})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_no_number_is_refused(value: float) -> None:
    """Also when it did not come through the settings' own check: NaN compares false with every bound."""
    station = station_of()
    poisoned = station_recipe(station).model_copy(update={"classes": {"pits": ClassRecipe.model_construct(gate=value)}})
    with pytest.raises(ConfigurationError, match=r"recipe\.pits\.gate"):
        recipe_for_camera(manifest(), poisoned, station.cameras[0])


def test_an_unknown_class_is_refused() -> None:
    """A rule for a class that the bundle does not know would never act; the known ones are told."""
    with pytest.raises(ConfigurationError, match=r"recipe\.pit'.*pits, cracks"):
        recipe_of({"pit": {"gate": 0.5}})


def test_an_area_in_mm2_becomes_pixels() -> None:
    """At 0.5 mm/px, 25 mm2 are 100 px."""
    found = recipe_of({"pits": {"min_area_mm2": 25}}, mm_per_px=0.5)
    assert found.classes[0].min_area_px == pytest.approx(100)
    assert found.mm_per_px == 0.5


def test_an_area_in_mm2_needs_a_scale() -> None:
    """Key, value and the two ways out are told."""
    with pytest.raises(ConfigurationError, match=r"recipe\.pits\.min_area_mm2' = 25.*cam1.*mm_per_px"):
        recipe_of({"pits": {"min_area_mm2": 25}})


def test_an_area_in_mm2_is_bounded_in_pixels() -> None:
    """Its bounds are the bundle's, which are in px."""
    with pytest.raises(ConfigurationError, match=r"recipe\.pits\.min_area.*1 to 1000"):
        recipe_of({"pits": {"min_area_mm2": 25}}, mm_per_px=0.01)


@pytest.mark.parametrize("mm_per_px", [0.089, 0.111])
def test_a_scale_the_bundle_was_not_trained_for_is_refused(mm_per_px: float) -> None:
    """Camera, value and the range are told."""
    with pytest.raises(ConfigurationError, match=rf"cam1.*{mm_per_px}.*0\.09 to 0\.11"):
        recipe_of({}, manifest(scale=scale(0.1, 0.1)), mm_per_px)


@pytest.mark.parametrize("mm_per_px", [0.0901, 0.1, 0.1099, None])
def test_a_scale_within_the_tolerance_is_used(mm_per_px: float | None) -> None:
    """So is a station without a scale: its rules are in px."""
    assert recipe_of({}, manifest(scale=scale(0.1, 0.1)), mm_per_px).mm_per_px == mm_per_px


# ---- recipes as files ---------------------------------------------------------------------------------------------

GOOD = """
name = "steel-a"
author = "Q. Engineer"
[classes.pits]
gate = 0.3
"""


def folder_with(tmp_path: Path, text: str, file: str = "steel-a.toml") -> Station:
    (tmp_path / file).write_text(text)
    return station_of(recipes=str(tmp_path))


def test_the_stations_own_recipe_is_there_without_a_file() -> None:
    """Under the name "station", with the values of the settings and the station as author."""
    recipe = read_recipe(station_of(recipe={"pits": {"gate": 0.3}}), "station")
    assert (recipe.name, recipe.author) == ("station", "settings of station line1")
    assert recipe.classes == {"pits": ClassRecipe(gate=0.3)}


def test_a_recipe_is_read_from_its_file(tmp_path: Path) -> None:
    """Name, author and values; what it leaves out is left to the manifest, not to the station's own recipe."""
    recipe = read_recipe(folder_with(tmp_path, GOOD), "steel-a")
    assert recipe == RecipeFile(name="steel-a", author="Q. Engineer", classes={"pits": ClassRecipe(gate=0.3)})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(
            GOOD.replace("steel-a", "steel-b"), r"steel-a\.toml: key 'name' = 'steel-b'.*'steel-a'", id="name"
        ),
        pytest.param(GOOD.replace('author = "Q. Engineer"', ""), r"steel-a\.toml: key 'author'", id="author"),
        pytest.param(GOOD.replace("gate", "gaet"), r"steel-a\.toml: key 'classes\.pits\.gaet' = 0\.3", id="mistyped"),
        pytest.param(GOOD.replace("0.3", "nan"), r"steel-a\.toml: key 'classes\.pits\.gate' = nan", id="no number"),
        pytest.param("name = ", r"steel-a\.toml: not TOML", id="no TOML"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, text: str, told: str) -> None:
    """One line with file, key and value."""
    with pytest.raises(ConfigurationError, match=told) as refused:
        read_recipe(folder_with(tmp_path, text), "steel-a")
    assert "\n" not in str(refused.value)


def test_a_recipe_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """With the path that was looked for; without a folder, with the key that names one."""
    with pytest.raises(ConfigurationError, match=r"steel-z\.toml.*No such file"):
        read_recipe(folder_with(tmp_path, GOOD), "steel-z")
    with pytest.raises(ConfigurationError, match=r"'steel-z'.*no folder of recipes.*'recipes'"):
        read_recipe(station_of(), "steel-z")


def test_one_value_of_one_camera_makes_another_hash() -> None:
    """The hash covers the working values of all cameras, and nothing else: not the name, not the author."""
    station = station_of()
    recipe = station_recipe(station)
    renamed = recipe.model_copy(update={"name": "other", "author": "somebody"})
    stricter = recipe.model_copy(update={"classes": {"pits": ClassRecipe(gate=0.4)}})
    told = recipe.model_copy(update={"classes": {"pits": ClassRecipe(gate=0.5)}})
    hash_ = work_out(manifest(), station, recipe).hash
    assert work_out(manifest(), station, renamed).hash == hash_
    assert work_out(manifest(), station, told).hash == hash_, "the default written out is the default"
    assert work_out(manifest(), station, stricter).hash != hash_
    other_scale = station_of(
        cameras=[
            {"name": "cam1", "source": {"kind": "synthetic"}},
            {"name": "cam2", "source": {"kind": "synthetic"}, "mm_per_px": 0.5},
        ]
    )
    assert work_out(manifest(), other_scale, recipe).hash != hash_


def test_a_recipe_survives_as_json() -> None:
    """The inspector is told the active recipe as JSON, and so is the state directory."""
    recipe = RecipeFile(name="a", author="b", classes={"pits": ClassRecipe(gate=0.1, min_area_mm2=0.3, max_count=2)})
    assert RecipeFile.model_validate_json(recipe.model_dump_json()) == recipe
