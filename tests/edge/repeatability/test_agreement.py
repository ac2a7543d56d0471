"""Agreement with itself and with the truth, against values worked out by hand or known from tables."""

from __future__ import annotations

import pytest

from edge.records import Outcome
from edge.repeatability.agreement import agreement, fleiss_kappa, share

PASS, REJECT, UNKNOWN = Outcome.PASS, Outcome.REJECT, Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("n", "of", "low", "high"),
    [(10, 10, 0.7225, 1.0), (0, 10, 0.0, 0.2775), (1, 4, 0.0456, 0.6994), (81, 263, 0.2553, 0.3662)],
)
def test_the_interval_is_wilsons(n: int, of: int, low: float, high: float) -> None:
    """The last one is the example of Newcombe, Statistics in Medicine 17 (1998) 857, table I."""
    found = share(n, of)
    assert found is not None
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)
    assert share(0, 0) is None


def test_kappa_is_fleisss() -> None:
    """Two parts twice, one of them both ways: (1/2 - 5/8) / (3/8)."""
    assert fleiss_kappa([[PASS, PASS], [PASS, REJECT]]) == pytest.approx(-1 / 3)
    assert fleiss_kappa([[PASS] * 3, [REJECT] * 3]) == pytest.approx(1.0)
    # Three outcomes: P = (1 + 1/3 + 0) / 3, by chance (16 + 9 + 4) / 81... of 4, 3 and 2 in 9.
    mixed = [[PASS] * 3, [REJECT, REJECT, UNKNOWN], [PASS, REJECT, UNKNOWN]]
    chance = (4**2 + 3**2 + 2**2) / 81
    assert fleiss_kappa(mixed) == pytest.approx(((1 + 1 / 3 + 0) / 3 - chance) / (1 - chance))


def test_kappa_is_not_defined_where_nothing_could_disagree() -> None:
    """Always the same outcome, one part, one presentation."""
    assert fleiss_kappa([[PASS, PASS], [PASS, PASS]]) is None
    assert fleiss_kappa([[PASS, REJECT]]) is None
    assert fleiss_kappa([[PASS], [REJECT]]) is None
    assert fleiss_kappa([]) is None


def test_parts_are_counted_not_presentations() -> None:
    """A bad part that passed once is missed, a good one that is UNKNOWN once is a false alarm."""
    found = agreement(
        {"1": [PASS, PASS], "2": [REJECT, PASS], "3": [REJECT, REJECT], "4": [UNKNOWN, PASS], "5": [PASS]},
        {"1": "PASS", "2": "REJECT", "3": "REJECT", "4": "PASS"},
    )
    counted = {
        name: (value.n, value.of)
        for name in ("within", "unknown", "right", "missed", "false_alarms")
        if (value := getattr(found, name)) is not None
    }
    assert counted == {"within": (2, 4), "unknown": (1, 5), "right": (2, 4), "missed": (1, 2), "false_alarms": (1, 2)}


def test_a_station_that_always_says_unknown_agrees_with_nothing() -> None:
    """It says nothing."""
    found = agreement({"1": [UNKNOWN] * 3, "2": [UNKNOWN] * 3, "3": [PASS] * 3}, {})
    assert found.within is not None
    assert (found.within.n, found.within.of) == (1, 3)


def test_without_a_truth_there_is_agreement_alone() -> None:
    """Nothing is right or wrong then."""
    found = agreement({"1": [PASS, PASS]}, {})
    assert (found.right, found.missed, found.false_alarms) == (None, None, None)
    assert found.within is not None
