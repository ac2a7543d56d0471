"""Spread of what is measured: pooled within parts, worst of one part, and what lies near a limit."""

from __future__ import annotations

import math

import pytest

from edge.records import Outcome, Reason
from edge.repeatability.spread import Measured, measured, near_limits, spreads
from tests.support.records import defect, limits, recipe, unknown, verdict, view


def one(area_px: float, peak: float = 0.5, score: float = 0.5) -> dict[str, Measured]:
    return {"pits": Measured(area_px=area_px, peak=peak, score=score)}


def test_a_presentation_measures_the_largest_and_the_most_certain() -> None:
    """Over all views; of a class without a region the area is 0."""
    views = (
        view(defects=(defect(area_px=12, peak=0.8), defect(area_px=30, peak=0.4)), scores={"pits": 0.7, "cracks": 0.1}),
        view(camera="cam2", scores={"pits": 0.9, "cracks": 0.05}),
    )
    assert measured(verdict(1, views=views, outcome=Outcome.REJECT)) == {
        "pits": Measured(area_px=30.0, peak=0.8, score=0.9),
        "cracks": Measured(area_px=0.0, peak=0.0, score=0.1),
    }


def test_a_region_that_was_not_seen_whole_has_no_area() -> None:
    """An early REJECT leaves tiles out: its 90 of 900 px would be taken for a spread of the station."""
    views = (view(defects=(defect(area_px=900),), scores={"pits": 0.9}),)
    cut = (view(defects=(defect(area_px=90),), scores={"pits": 0.9}),)
    whole = verdict(1, views=views, outcome=Outcome.REJECT)
    early = verdict(2, views=cut, outcome=Outcome.REJECT, complete=False)
    assert measured(early) == {"pits": Measured(area_px=None, peak=None, score=0.9)}
    found = spreads({"1": [measured(whole), measured(early), measured(whole)]})
    assert [(s.quantity, s.parts, s.worst_range) for s in found] == [
        ("area_px", 1, 0.0),
        ("peak", 1, 0.0),
        ("score", 1, 0.0),
    ]


def test_unknown_measures_nothing() -> None:
    """What it saw, if it saw anything, was not believed."""
    assert measured(unknown(1, Reason.LATE)) == {}


def test_the_deviation_is_pooled_within_parts() -> None:
    """10, 12 and 100, 104, 108: sums of squares 2 and 32 over 1 + 2 degrees of freedom; the parts' distance is none."""
    found = {"a": [one(10), one(12)], "b": [one(100), one(104), one(108)], "c": [one(0), one(0)], "d": [one(7)]}
    area = next(s for s in spreads(found) if s.quantity == "area_px")
    assert area.repeatability_sd == pytest.approx(math.sqrt(34 / 3))
    assert (area.parts, area.worst_range, area.worst_part) == (2, 8.0, "b")


def test_parts_near_a_limit_are_named() -> None:
    """Within three deviations; a limit of 0 excludes nothing, and a part without a region has none near it."""
    found = {"near": [one(20), one(24)], "far": [one(90), one(94)], "none": [one(0), one(0)]}
    values = recipe(limits("pits", min_area_px=28.0, min_peak=0.0, gate=0.9))
    near = near_limits(found, values)
    assert [(n.part, n.quantity, n.limit) for n in near] == [("near", "area_px", 28.0)]


def test_a_study_of_one_presentation_has_no_deviation() -> None:
    """Nothing is invented."""
    assert [s.repeatability_sd for s in spreads({"a": [one(10)]})] == [None, None, None]
