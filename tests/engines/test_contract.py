"""What a manifest may say."""

from __future__ import annotations

import msgspec
import pytest

from engines.contract import PLANES_FROM, DefectClass

CLASS = {
    "name": "pits",
    "gate": {"default": 0.5, "low": 0.1, "high": 0.9},
    "threshold": {"default": 0.5, "low": 0.1, "high": 0.9},
    "rule": {
        "min_area_px": {"default": 20.0, "low": 1.0, "high": 100.0},
        "min_peak": {"default": 0.0, "low": 0.0, "high": 1.0},
        "max_count": {"default": 0.0, "low": 0.0, "high": 3.0},
    },
}


@pytest.mark.parametrize(
    ("key", "low", "high", "said"),
    [
        ("gate", -3.0, 0.9, "gate: bounds -3 to 0.9, expected 0 to 1"),
        ("gate", 0.1, 99.0, "gate: bounds 0.1 to 99, expected 0 to 1"),
        ("threshold", PLANES_FROM, 0.9, "threshold: low 0.04, expected more than 0.04"),
        ("threshold", 0.0, 0.9, "threshold: bounds 0 to 0.9, expected 0.04 to 1"),
        ("threshold", 0.1, 1.5, "threshold: bounds"),
        ("min_area_px", 0.0, 100.0, "min_area_px: bounds 0 to 100, expected 1 or more"),
        ("min_peak", 0.0, 1.1, "min_peak: bounds"),
        ("max_count", -1.0, 3.0, "max_count: bounds -1 to 3, expected 0 or more"),
        ("max_count", 0.0, 2.5, "max_count: 2.5, expected whole numbers"),
    ],
)
def test_bounds_that_no_recipe_could_mean_are_refused(key: str, low: float, high: float, said: str) -> None:
    """Whatever wrote the manifest or the calibration: reading it names the key and what was expected."""
    limit = {"default": low, "low": low, "high": high}
    rule = CLASS["rule"]
    assert isinstance(rule, dict)
    changed = CLASS | ({key: limit} if key in CLASS else {"rule": rule | {key: limit}})
    assert msgspec.convert(CLASS, DefectClass).name == "pits"
    with pytest.raises(msgspec.ValidationError, match=said):
        msgspec.convert(changed, DefectClass)
