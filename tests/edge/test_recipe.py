"""From manifest and settings to the values that decide: within the bundle's bounds, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from edge.errors import ConfigurationError
from edge.recipe import recipe_for_camera
from edge.rules import Recipe
from edge.settings import ClassRecipe, Station
from engines.contract import Manifest
from tests.support.records import manifest, scale


def recipe_of(
    rules: dict[str, dict[str, Any]], bundle: Manifest | None = None, mm_per_px: float | None = None
) -> Recipe:
    camera = {"name": "cam1", "source": {"kind": "synthetic"}, "mm_per_px": mm_per_px}
    station = Station.model_validate({"station": "line1", "cameras": [camera], "recipe": rules})
    return recipe_for_camera(bundle or manifest(), station, station.cameras[0])


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
    camera = {"name": "cam1", "source": {"kind": "synthetic"}}
    station = Station.model_validate({"station": "line1", "cameras": [camera]})
    poisoned = station.model_copy(update={"recipe": {"pits": ClassRecipe.model_construct(gate=value)}})
    with pytest.raises(ConfigurationError, match=r"recipe\.pits\.gate"):
        recipe_for_camera(manifest(), poisoned, poisoned.cameras[0])


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
