"""The commented example is a valid configuration, whole, and tells the true defaults."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from edge.settings import (
    ArchiveSource,
    CameraSettings,
    ClassRecipe,
    DriftLimits,
    FolderSource,
    GenicamSource,
    OpenCVSource,
    ReplaySource,
    Station,
    SyntheticSource,
    read_toml,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXAMPLE = Path(__file__).parents[2] / "systemd" / "example.toml"
SOURCES = {
    "archive": ArchiveSource,
    "folder": FolderSource,
    "genicam": GenicamSource,
    "opencv": OpenCVSource,
    "replay": ReplaySource,
    "synthetic": SyntheticSource,
}


@pytest.fixture(scope="module")
def uncommented() -> dict[str, Any]:
    """Return the tree with every key that the file shows: "#key" and "#[table]" count, "# prose" does not."""
    return tomllib.loads(re.sub(r"^#(?=[a-z\[])", "", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE))


def test_example_is_valid() -> None:
    """The file as it lies there describes one station with one camera."""
    station = Station.model_validate(read_toml(EXAMPLE))
    assert [camera.name for camera in station.cameras] == ["top"]


def test_example_invents_no_scale_and_no_rule() -> None:
    """What only the place and the bundle can tell stands there as a comment: nobody has measured it yet."""
    written = read_toml(EXAMPLE)
    assert "recipe" not in written
    assert "mm_per_px" not in written["cameras"][0]


def test_every_key_shown_is_valid(uncommented: dict[str, Any]) -> None:
    """With every # taken away it still is a valid station, with a camera of each kind."""
    station = Station.model_validate(uncommented)
    assert {camera.source.kind for camera in station.cameras} == set(SOURCES)


def test_every_key_of_the_tree_is_shown(uncommented: dict[str, Any]) -> None:
    """No key is missing from the example."""
    cameras = uncommented["cameras"]
    recipes = uncommented["recipe"].values()
    assert set(uncommented) == set(Station.model_fields)
    assert set().union(*cameras) == set(CameraSettings.model_fields)
    assert set().union(*recipes) == set(ClassRecipe.model_fields)
    defaults = {name: field.default for name, field in Station.model_fields.items()}
    tables = {name: default for name, default in defaults.items() if isinstance(default, BaseModel)}
    assert {"parts", "journal", "archive", "endpoints"} <= set(tables)
    for name, table in tables.items():
        assert set(uncommented[name]) == set(type(table).model_fields)
    assert set().union(*(camera.get("drift", {}) for camera in cameras)) == set(DriftLimits.model_fields)
    for camera in cameras:
        source = camera["source"]
        assert set(source) == set(SOURCES[source["kind"]].model_fields)


def test_commented_values_are_the_defaults(uncommented: dict[str, Any]) -> None:
    """A line that is commented out shows the default wherever there is one."""
    station = Station.model_validate(uncommented)
    written = read_toml(EXAMPLE)
    shown = {(type(model).__name__, key): (value, default) for model, key, value, default in _defaults(station)}
    changed = {(model, key) for (model, key), (value, default) in shown.items() if value != default}
    assert len(shown) > 20
    assert changed == {
        ("Station", "start"),
        ("BundleSettings", "path"),
        ("BundleSettings", "trusted_keys"),
    }
    assert {"start", "bundle"} <= set(written)


def _defaults(model: BaseModel) -> Iterator[tuple[BaseModel, str, Any, Any]]:
    """Yield each value below *model* that has a default other than none, with that default."""
    for key, field in type(model).model_fields.items():
        value = getattr(model, key)
        children = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple) else (value,)
        models = [child for child in children if isinstance(child, BaseModel)]
        for child in models:
            yield from _defaults(child)
        if not models and field.default is not None and not field.is_required():
            yield model, key, value, field.default
