"""Findings to an outcome, and the recipe that decides."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from edge.records import Outcome
from edge.rules import Findings, Recipe, outcome_from_findings
from edge.zones import Zone
from tests.support.records import limits, recipe


@pytest.mark.parametrize(
    ("counting", "outcome"),
    [
        ((), Outcome.PASS),
        ((0, 0), Outcome.PASS),
        ((2, 0), Outcome.PASS),
        ((3, 0), Outcome.REJECT),
        ((0, 1), Outcome.REJECT),
        ((2, 1), Outcome.REJECT),
    ],
)
def test_a_class_may_have_so_many(counting: tuple[int, ...], outcome: Outcome) -> None:
    """max_count is judged class by class: one more is a REJECT."""
    two_pits = recipe(limits("pits", max_count=2), limits("cracks", max_count=0))
    findings = Findings(defects=(), total=sum(counting), counting=counting)
    assert outcome_from_findings(findings, two_pits) is outcome


def test_the_recipe_hash_tells_every_value_apart() -> None:
    """Equal recipes have equal hashes; any other value, class or scale has another."""

    def hash_of(value: Recipe) -> str:
        return value.hash

    same = {hash_of(recipe(limits("pits"))), hash_of(recipe(limits("pits")))}
    others = {
        hash_of(recipe(limits("pits", **{key: value})))
        for key, value in {"gate": 0.51, "threshold": 0.51, "min_area_px": 2, "min_peak": 0.1, "max_count": 1}.items()
    }
    others |= {hash_of(recipe(limits("cracks"))), hash_of(recipe(limits("pits"), mm_per_px=0.1))}
    assert len(same) == 1
    assert len(others - same) == 7


def test_gates_and_thresholds_come_in_the_order_of_the_classes() -> None:
    """They are what the engines read: float32, one a class."""
    two = recipe(limits("pits", gate=0.25, threshold=0.75), limits("cracks", gate=0.5, threshold=0.125))
    assert two.gates.tolist() == [0.25, 0.5]
    assert two.thresholds.tolist() == [0.75, 0.125]
    assert two.gates.dtype == two.thresholds.dtype == np.float32


def test_zones_are_hashed_with_the_other_values() -> None:
    """A verdict tells that a zone was added."""
    small, large = (msgspec.structs.replace(recipe(), ignore=(Zone(box=(0, 0, 2, height)),)).hash for height in (2, 3))
    assert small != large != recipe().hash
