"""engines.limits: defaults and bounds of a new bundle."""

from __future__ import annotations

import pytest

from edge.errors import ConfigurationError
from engines.limits import GATE, MIN_AREA_PX, defect_classes

NAMES = ("pits", "patch")


def test_defaults_apply_to_every_class() -> None:
    """Without flags each class gets the default limits, in the order of the labels."""
    classes = defect_classes(NAMES)
    assert [c.name for c in classes] == ["pits", "patch"]
    assert all(c.gate == GATE and c.rule.min_area_px == MIN_AREA_PX for c in classes)


@pytest.mark.parametrize("gate", [["0.4", "pits=0.2"], ["pits=0.2", "0.4"]])
def test_exception_wins_over_the_value_for_all(gate: list[str]) -> None:
    """A class's own value holds wherever it stands on the command line."""
    pits, patch = defect_classes(NAMES, gate=gate)
    assert (pits.gate.default, patch.gate.default) == (0.2, 0.4)
    assert (pits.gate.low, pits.gate.high) == (GATE.low, GATE.high)


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["rust=0.3"], "--gate = rust=0.3: no such class; expected pits, patch"),
        (["many"], "--gate = many: expected a number"),
        (["pits="], "--gate = pits=: expected a number"),
        (["1.5"], "--gate = 1.5: expected 0.001 to 0.999"),
        (["nan"], "--gate = nan: expected 0.001 to 0.999"),
    ],
)
def test_bad_value_names_the_flag(texts: list[str], told: str) -> None:
    """An unknown class, no number, or a value out of bounds is one line."""
    with pytest.raises(ConfigurationError) as refused:
        defect_classes(NAMES, gate=texts)
    assert told in str(refused.value)
