"""The fault table's truth: what it holds against a PASS, and what not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge.records import Outcome, Verdict
from tests.qualify.scenes import BUDGET_MS, Line, Truth, truth_of_plate, wrong_with
from tests.support.bundles import picture
from tests.support.records import verdict

TAKEN_US = 10_000_000


def passed(**values: Any) -> Verdict:
    times = {"trigger_us": TAKEN_US, "published_us": TAKEN_US + 20_000}
    return verdict(1, **{"outcome": Outcome.PASS, **times, **values})


def line(rate_hz: float | None = None) -> Line:
    return Line({}, rate_hz, truth_of_plate)


def test_a_pass_of_a_good_and_fresh_picture_is_right() -> None:
    """Also when nothing is known of it, and when it was taken just before the station heard of it."""
    good = Truth(defect=False, taken_us=TAKEN_US)
    assert list(wrong_with(line(), passed(trigger_us=TAKEN_US + 40_000), [good, Truth(defect=False)])) == []
    assert list(wrong_with(line(), passed(), [])) == []


@pytest.mark.parametrize(
    ("truth", "values", "rate_hz", "what"),
    [
        (Truth(defect=True), {}, None, "with a defect"),
        (Truth(False, TAKEN_US), {"published_us": TAKEN_US + 1000 * BUDGET_MS + 1000}, None, "301 ms old"),
        (Truth(False, TAKEN_US), {"trigger_us": TAKEN_US + 5000}, 8.0, "5 ms before its trigger"),
    ],
    ids=["defect", "old", "another part's"],
)
def test_a_wrong_pass_is_told(truth: Truth, values: dict[str, Any], rate_hz: float | None, what: str) -> None:
    """A picture with a defect, an old one, one that was taken before it was asked for."""
    [line_] = wrong_with(line(rate_hz), passed(**values), [Truth(defect=False), truth])
    assert what in line_


def test_only_a_pass_can_be_wrong() -> None:
    """A REJECT or UNKNOWN of the same picture is the safe side."""
    for outcome in (Outcome.REJECT, Outcome.UNKNOWN):
        assert list(wrong_with(line(), passed(outcome=outcome), [Truth(defect=True, taken_us=0)])) == []


def test_plates_show_their_squares() -> None:
    """Every one of a hundred, bright or dark, and none where there is none."""
    for seed in range(100):
        class_ids = () if seed % 2 else (1 + seed // 2 % 2,)
        assert truth_of_plate(np.asarray(picture(seed, *class_ids))).defect == bool(class_ids)
