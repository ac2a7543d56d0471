"""Which parts are kept."""

from __future__ import annotations

import pytest

from edge.archive import reason_to_keep
from edge.records import Outcome
from tests.support.archived import GATES, defect, verdict, view


def test_rejects_and_unknowns_are_always_kept() -> None:
    """No share and no gate decides about a part that is no PASS."""
    assert reason_to_keep(verdict(1, Outcome.REJECT), {}, 0.0, 0.0) == "reject"
    assert reason_to_keep(verdict(1, Outcome.UNKNOWN), {}, 0.0, 0.0) == "unknown"


@pytest.mark.parametrize(
    ("score", "kept"), [(0.1, None), (0.29, None), (0.31, "near_miss"), (0.39, "near_miss"), (0.7, "near_miss")]
)
def test_a_score_near_its_gate_is_a_near_miss(score: float, kept: str | None) -> None:
    """Gate 0.4, 0.1 below it counts as near; a tile that was segmented without a find is nearer still."""
    near = verdict(1, views=(view(scores={"bright": 0.0, "dark": score}),))
    assert reason_to_keep(near, GATES, 0.1, 0.0) == kept


def test_a_defect_that_does_not_count_is_a_near_miss() -> None:
    """A mark too small for the rule makes no reject, but the part is kept."""
    near = verdict(1, views=(view(), view(camera="cam2", defects=(defect(counts=False),))))
    assert reason_to_keep(near, GATES, 0.0, 0.0) == "near_miss"


def test_a_camera_without_gates_is_no_near_miss() -> None:
    """A camera or a class that the recipe does not name is passed over."""
    odd = verdict(1, views=(view(camera="cam9", scores={"bright": 0.9}), view(scores={"scratch": 0.9})))
    assert reason_to_keep(odd, GATES, 0.1, 0.0) is None


def test_the_sample_is_reproducible_and_of_the_share_asked_for() -> None:
    """The position alone draws: twice the same parts, about a tenth of them, others in another epoch."""

    def drawn(epoch: int) -> list[int]:
        return [n for n in range(5000) if reason_to_keep(verdict(n, epoch=epoch), {}, 0.0, 0.1) == "sample"]

    assert drawn(5) == drawn(5)
    assert 420 < len(drawn(5)) < 580
    assert drawn(5) != drawn(6)


@pytest.mark.parametrize(("share", "kept"), [(0.0, 0), (1.0, 200)])
def test_a_share_of_all_or_none(share: float, kept: int) -> None:
    """0 keeps no sound part, 1 keeps every one."""
    assert sum(reason_to_keep(verdict(n), GATES, 0.1, share) == "sample" for n in range(200)) == kept
