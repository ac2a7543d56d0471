"""What an inspector is made of, with stand-in engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge.bundle import Bundle
from edge.inspector.backend import Engine
from edge.inspector.equipment import Equipment
from edge.inspector.guard import NO_BAND, GuardBand
from edge.recipe import RecipeFile, Recipes, station_recipe, work_out
from edge.settings import Station
from engines.contract import Manifest
from tests.support.engines import Classifier, Segmenter
from tests.support.records import manifest

HEIGHT, WIDTH = 64, 80


def station(bundle: Path | None = None, **camera: Any) -> Station:
    """Return a station of one synthetic camera that is fired, on four rows and five columns of small tiles."""
    settings: dict[str, Any] = {
        "name": "cam1",
        "source": {"kind": "synthetic"},
        "trigger": "software",
        "height": HEIGHT,
        "width": WIDTH,
    }
    tree: dict[str, Any] = {
        "station": "line1",
        "cameras": [{**settings, **camera}],
        "bundle": {"allow_unsigned": True, **({} if bundle is None else {"path": bundle})},
        "picture_rate_hz": 0,
    }
    return Station.model_validate(tree)


def bundle(of: Manifest | None = None) -> Bundle:
    """Return a bundle without files."""
    return Bundle(Path("nowhere"), of or manifest(), "b" * 64, {})


def recipes(settings: Station, **classes: dict[str, float]) -> Recipes:
    return work_out(manifest(), settings, RecipeFile.model_validate({"name": "r", "author": "a", "classes": classes}))


def equipment(
    settings: Station,
    classifier: Engine | None = None,
    segmenter: Engine | None = None,
    band: GuardBand = NO_BAND,
) -> Equipment:
    """Return equipment with stand-in engines, warm."""
    engines = (classifier or Classifier(8), segmenter or Segmenter(8))
    asked = work_out(manifest(), settings, station_recipe(settings))
    made = Equipment(settings, bundle(), engines, "stand-in", asked, band)
    made.classifier.warm_up()
    made.segmenter.warm_up()
    return made
