"""Masters against the station's own verdicts: what is no challenge, and what is right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from edge.records import Mode, Outcome, RecipeMark, Verdict
from edge.requests import Shown
from edge.settings import Master
from edge.station.masters import FRESH_US, fault_of_shown, judged
from tests.support.records import defect, verdict, view

MASTERS = (Master(name="good-1", expect="PASS"), Master(name="bad-1", expect="REJECT", defect="pits"))
SHOWN = (Shown(name="bad-1", part=2), Shown(name="good-1", part=1))
RECIPE = RecipeMark(name="station", hash="r", author="a", since_utc_us=1)
NOW_US = 10 * FRESH_US


def said(part: int, part_id: str | None, **changes: Any) -> Verdict:
    values = {"part": part, "part_id": part_id, "mode": Mode.CHALLENGE, "recipe": RECIPE, "bundle_hash": "b"}
    return verdict(part, **{**values, "trigger_us": NOW_US, **changes})


def fault(shown: tuple[Shown, ...], *verdicts: Verdict, seats: Sequence[Sequence[str]] = (("cam1",),)) -> str:
    return fault_of_shown(shown, MASTERS, seats, {one.part: one for one in verdicts}, NOW_US, "r", "b")


GOOD, BAD = said(1, "good-1@x"), said(2, "bad-1@x")


def test_every_master_once_in_any_order_is_a_challenge() -> None:
    """Whether they were judged rightly is another question."""
    assert fault(SHOWN, GOOD, BAD) == ""


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (SHOWN[:1], "parts are bad-1: expected each master of the settings once: bad-1, good-1"),
        ((*SHOWN, SHOWN[0]), "parts are bad-1, bad-1, good-1"),
        ((SHOWN[0], Shown(name="good-1", part=2)), "one part was named as two masters"),
        ((SHOWN[0], Shown(name="good-1", part=7)), "part 7 as 'good-1': no such part of mode challenge"),
    ],
)
def test_what_was_not_shown_is_no_challenge(shown: tuple[Shown, ...], text: str) -> None:
    """A master that is missing, twice, or whose part the station does not know."""
    assert text in fault(shown, GOOD, BAD)


@pytest.mark.parametrize(
    ("good", "text"),
    [
        (said(1, None), "its part_id was 'None': expected good-1@..."),
        (said(1, "bad-1@x"), "its part_id was 'bad-1@x'"),
        (said(1, "good-1"), "its part_id was 'good-1'"),
        (said(1, "good-1@x", trigger_us=NOW_US - FRESH_US - 1), "more than 30 min ago"),
        (said(1, "good-1@x", recipe=None), "another recipe or bundle"),
        (said(1, "good-1@x", bundle_hash="c"), "another recipe or bundle"),
    ],
)
def test_a_part_proves_only_what_it_was_called_before_and_is_judged_by_now(good: Verdict, text: str) -> None:
    """Named afterwards, too old, or of another recipe or bundle: show all of them again."""
    assert text in fault(SHOWN, good, BAD)


def test_each_camera_must_have_seen_each_master() -> None:
    """Two that see parts of their own: a lamp that nobody looked by is not proven by the other one's pictures."""
    seats = (("cam1",), ("side", "back"))
    shown = (*SHOWN, Shown(name="good-1", part=3), Shown(name="bad-1", part=4))
    both = (view(camera="side"), view(camera="back"))
    others = (said(3, "good-1@y", views=both), said(4, "bad-1@y", views=both))
    assert fault(shown, GOOD, BAD, *others, seats=seats) == ""
    assert "once before each of cam1, side and back: bad-1, bad-1, good-1," in fault(SHOWN, GOOD, BAD, seats=seats)
    twice = (others[0], said(4, "bad-1@y"))
    assert fault(shown, GOOD, BAD, *twice, seats=seats) == (
        "'bad-1' was seen by camera cam1, not by side and back: show it there too"
    )
    half = (said(3, "good-1@y", views=both[:1]), others[1])
    assert "'good-1' was seen by camera cam1, side, not by side and back" in fault(shown, GOOD, BAD, *half, seats=seats)


@pytest.mark.parametrize(
    ("master", "outcome", "defects", "right"),
    [
        (MASTERS[0], Outcome.PASS, (), True),
        (MASTERS[0], Outcome.UNKNOWN, (), False),
        (MASTERS[1], Outcome.REJECT, (defect(),), True),
        (MASTERS[1], Outcome.REJECT, (defect(name="cracks", class_id=2), defect(counts=False)), False),
        (MASTERS[1], Outcome.PASS, (defect(),), False),
        (MASTERS[1], Outcome.UNKNOWN, (defect(),), False),
    ],
)
def test_a_master_is_judged_by_outcome_and_defect(
    master: Master, outcome: Outcome, defects: tuple[Any, ...], right: bool
) -> None:
    """UNKNOWN proves nothing; a bad part must be rejected for what it has, by a defect that counts."""
    found = judged(master, said(3, f"{master.name}@x", outcome=outcome, views=(view(defects=defects),)))
    assert (found.right, found.part, found.outcome) == (right, 3, outcome)
    assert found.found == tuple(sorted({d.name for d in defects if d.counts}))
