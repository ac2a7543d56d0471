"""When a challenge is due: clocks that are set, recipes that change, and what closes the line."""

from __future__ import annotations

from datetime import datetime

import msgspec
import pytest

from edge.records import ChallengeState
from edge.settings import ChallengeSettings, Master
from edge.station.due import (
    AHEAD_US,
    Basis,
    Calendar,
    Closed,
    Given,
    Kept,
    due_next,
    noted,
    state_at,
    utc_us_from_shift,
    with_given,
)

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
TEN = round(datetime(2026, 11, 23, 10).timestamp() * 1e6)
SHIFTS = ("06:00", "14:00", "22:00")
MASTERS = (Master(name="good-1", expect="PASS"), Master(name="bad-1", expect="REJECT"))
A, B, C = (Basis(recipe=name, bundle="b", setup="s") for name in "abc")


def given(utc_us: int = TEN, basis: Basis = A, *, passed: bool = True) -> Given:
    return Given(utc_us=utc_us, by="M. Muster", passed=passed, basis=basis, parts=(), unnamed=0)


def state(kept: Kept, calendar: Calendar, basis: Basis = A, every_h: float | None = None) -> ChallengeState:
    settings = ChallengeSettings(parts=MASTERS, every_h=every_h, grace_min=30)
    return state_at(kept, due_next(kept, basis, settings, SHIFTS, calendar), calendar.utc_us)


def at(utc_us: int) -> Calendar:
    calendar = Calendar(0, 0)
    calendar.look(0, utc_us)
    return calendar


PASSED = Kept(given=(given(),))


@pytest.mark.parametrize(
    ("kept", "after_us", "expected"),
    [
        (Kept(), 0, "overdue"),
        (PASSED, 0, "passed"),
        (PASSED, 4 * HOUR_US - 1, "passed"),
        (PASSED, 4 * HOUR_US, "due"),
        (PASSED, 4 * HOUR_US + 30 * MINUTE_US, "overdue"),
        (PASSED, 300 * HOUR_US, "overdue"),
        (Kept(given=(given(), given(passed=False))), 0, "failed"),
        (Kept(given=(given(passed=False), given())), 0, "passed"),
        (msgspec.structs.replace(PASSED, closed=Closed(utc_us=TEN, why="it was overdue")), 0, "overdue"),
    ],
)
def test_what_is_kept_and_the_time_decide(kept: Kept, after_us: int, expected: ChallengeState) -> None:
    """Nothing passed closes the line, and so does what was closed before, whatever the time."""
    assert state(kept, at(TEN + after_us)) == expected


def test_a_clock_that_is_set_back_each_few_hours_does_not_hold_time_up() -> None:
    """Three hours of running, three hours back: due as if nobody had touched the clock."""
    calendar, now_us, utc_us = Calendar(TEN, 0), 0, TEN
    found = []
    for _ in range(3):
        for _ in range(18):
            now_us, utc_us = now_us + 10 * MINUTE_US, utc_us + 10 * MINUTE_US
            calendar.look(now_us, utc_us)
            found.append(state(PASSED, calendar))
        utc_us -= 3 * HOUR_US
        calendar.look(now_us, utc_us)
        found.append(state(PASSED, calendar))
    assert found[17:19] == ["passed", "overdue"], "what was passed is not believed from the first step on"
    assert set(found[18:]) == {"overdue"}


def test_small_steps_back_are_borne_and_add_up_to_nothing() -> None:
    """A clock that is set back by a minute each hour: due at fourteen hours by what has passed, at the latest."""
    calendar, now_us, utc_us = Calendar(TEN, 0), 0, TEN
    for hour in range(1, 5):
        now_us, utc_us = now_us + HOUR_US, utc_us + HOUR_US - MINUTE_US
        calendar.look(now_us, utc_us)
        assert not calendar.set_back
        assert state(PASSED, calendar) == ("due" if hour == 4 else "passed")
    assert calendar.utc_us == TEN + 4 * HOUR_US


def test_a_clock_ahead_makes_it_due_and_back_again_closes() -> None:
    """A year ahead and back: nothing is believed until one is passed, which begins anew with what the clock shows."""
    calendar = at(TEN)
    calendar.look(MINUTE_US, TEN + 8760 * HOUR_US)
    assert (calendar.set_back, state(PASSED, calendar)) == (False, "overdue")
    calendar.look(2 * MINUTE_US, TEN + 2 * MINUTE_US)
    assert (calendar.set_back, state(PASSED, calendar)) == (True, "overdue")
    calendar.trust(3 * MINUTE_US, TEN + 3 * MINUTE_US)
    calendar.look(4 * MINUTE_US, TEN + 4 * MINUTE_US)
    assert (calendar.set_back, state(Kept(given=(given(TEN + 3 * MINUTE_US),)), calendar)) == (False, "passed")


def test_what_earlier_runs_have_seen_is_not_undone_by_a_start() -> None:
    """Behind it by more than a clock is set by: back."""
    for behind_us, back in ((AHEAD_US, False), (AHEAD_US + 1, True)):
        calendar = Calendar(TEN, 500)
        calendar.look(500, TEN - behind_us)
        assert (calendar.set_back, calendar.utc_us) == (back, TEN)


def test_one_grace_for_all_that_is_unproven() -> None:
    """The second recipe, and a third, find the first one's grace; what is proven, or not known, begins none."""
    kept = noted(noted(noted(PASSED, A, TEN + 1), Basis(recipe="", bundle="b", setup="s"), TEN + 2), B, TEN + 3)
    assert [(one.basis, one.utc_us) for one in kept.unproven] == [(B, TEN + 3)]
    kept = noted(noted(kept, B, TEN + 4), C, TEN + 20 * MINUTE_US)
    assert [(one.basis, one.utc_us) for one in kept.unproven] == [(B, TEN + 3), (C, TEN + 3)]
    assert state(kept, at(TEN + 29 * MINUTE_US), C) == "due"
    assert state(kept, at(TEN + 31 * MINUTE_US), C) == "overdue"
    assert state(kept, at(TEN + 31 * MINUTE_US), A) == "passed"


def test_after_the_next_challenge_another_recipe_has_a_grace_again_but_not_the_same_one() -> None:
    """B was used on Monday and never proven."""
    kept = noted(PASSED, B, TEN + 3)
    later = TEN + 3 * HOUR_US
    kept = msgspec.structs.replace(kept, given=(*kept.given, given(later)))
    kept = noted(noted(kept, B, later + 1), C, later + 2)
    assert [one.utc_us for one in kept.unproven] == [TEN + 3, later + 2]
    assert (state(kept, at(later + 3), B), state(kept, at(later + 3), C)) == ("overdue", "due")


def test_what_was_tried_while_the_clock_was_ahead_is_due_all_the_same() -> None:
    """B was tried in 2031, as the clock said, and A is passed now: B is due from now on, not in five years."""
    ahead = noted(PASSED, B, TEN + 5 * 8760 * HOUR_US)
    later = TEN + HOUR_US
    kept = with_given(msgspec.structs.replace(ahead, closed=Closed(utc_us=later, why="a shift")), given(later))
    assert [(one.basis, one.utc_us) for one in kept.unproven] == [(B, later - 1)]
    assert (state(kept, at(later + 29 * MINUTE_US), B), state(kept, at(later + 30 * MINUTE_US), B)) == (
        "due",
        "overdue",
    )
    kept = noted(kept, C, later + 20 * MINUTE_US)
    assert kept.unproven[-1].utc_us == later + 20 * MINUTE_US, "C was not in use before"
    # As a release before this one has kept it.
    kept = msgspec.structs.replace(ahead, given=(*ahead.given, given(later)))
    assert state(kept, at(later + 1), B) == "overdue"


def test_the_hundred_and_first_recipe_has_no_grace() -> None:
    """The list is not for ever, and nobody gets a new grace by filling it."""
    kept = PASSED
    for number in range(101):
        kept = noted(kept, Basis(recipe=str(number), bundle="b", setup="s"), TEN + 1)
    assert len(kept.unproven) == 100
    assert state(kept, at(TEN + 2), Basis(recipe="99", bundle="b", setup="s")) == "due"
    assert state(kept, at(TEN + 2), Basis(recipe="100", bundle="b", setup="s")) == "overdue"


def test_a_shift_is_a_time() -> None:
    """As the ledger calls it."""
    assert utc_us_from_shift("2026-11-23T10:00") == TEN
    assert utc_us_from_shift("") == 0
