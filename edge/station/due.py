"""
When a challenge is due, and what follows if none is given: of what is kept, and of two clocks. Pure.

Fail closed. Without one that was passed the line is closed; what is overdue or failed stays so until one is passed,
whatever the clock says then. The wall clock counts, since a shift is of it, but it can only make a challenge due
sooner: it is believed to go on while time passes, and never to go back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import msgspec

from edge.records import ChallengeState
from edge.settings import ChallengeSettings
from edge.station.ledger import next_shift_us

_US_PER_MINUTE = 60_000_000
AHEAD_US = 10 * _US_PER_MINUTE
"""What a clock is set by now and then; set back by more it is another time."""
SETTLES_US = 2 * _US_PER_MINUTE
"""Of a machine without a battery for its clock: so long after a start the time may still be put right."""
_KEPT = 100
_MOST_UNPROVEN = 100
"""More recipes that were tried and never proven get no grace."""


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """What parts are judged by: hashes; empty = not known before an inspector was ready."""

    recipe: str
    bundle: str
    setup: str
    """Of the masters, and of the cameras with their exposure, scale and zones."""

    @property
    def known(self) -> bool:
        return bool(self.recipe and self.bundle)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What was said of a master, as it is kept: plain words, which any release reads."""

    name: str
    part: int
    expected: str
    defect: str | None
    outcome: str
    reason: str | None
    found: tuple[str, ...]
    right: bool


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """A challenge that was given, as it is kept."""

    utc_us: int
    by: str
    passed: bool
    basis: Basis
    parts: tuple[Told, ...]
    unnamed: int
    """Parts of mode challenge since the one before that it does not name: tries that came to nothing."""
    ahead: tuple[str, ...] = ()
    """Shifts that the ledger knew and that were still to begin: a clock that was ahead has counted parts in them."""


class Unproven(msgspec.Struct, frozen=True, kw_only=True):
    """Parts are, or were, judged by what no challenge was passed with since."""

    basis: Basis
    utc_us: int


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """Products are not inspected any more, until a challenge is passed."""

    utc_us: int
    why: str


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What outlives a restart."""

    given: tuple[Given, ...] = ()
    """The last hundred, the newest last."""
    unproven: tuple[Unproven, ...] = ()
    closed: Closed | None = None
    in_hand_utc_us: int = 0
    """When the first part of mode challenge came since one was passed; 0 = none did."""
    tries: int = 0
    """Parts of mode challenge since the last one was given."""
    seen_utc_us: int = 0
    """The latest that the wall clock has shown."""

    @property
    def failed(self) -> bool:
        return bool(self.given) and not self.given[-1].passed

    @property
    def passed(self) -> Given | None:
        """The last one that was passed."""
        return next((given for given in reversed(self.given) if given.passed), None)

    def is_unproven(self, basis: Basis) -> bool:
        """Tell whether the last one that was passed proves nothing of it; what is not known yet judges no part."""
        return self.passed is not None and basis.known and self.passed.basis != basis

    def unproven_since(self, basis: Basis) -> int | None:
        return next((one.utc_us for one in self.unproven if one.basis == basis), None)


class Calendar:
    """
    The wall clock as far as it is believed.

    Args:
        seen_utc_us: the latest that it has shown in earlier runs.
        now_us: monotonic.

    Attributes:
        utc_us: never goes back, and goes on while time passes.
        set_back: the clock shows an earlier time than that.
        settles: it has done so at every look since the start, which was just now: it may yet be put right.
    """

    def __init__(self, seen_utc_us: int, now_us: int) -> None:
        self.utc_us = seen_utc_us
        self.set_back = self.settles = False
        self._at_us = now_us
        self._settles_until_us = now_us + SETTLES_US

    def look(self, now_us: int, utc_us: int) -> None:
        """Read both clocks."""
        lived_us = self.utc_us + now_us - self._at_us
        self.set_back = lived_us - utc_us > AHEAD_US
        if not self.set_back or now_us >= self._settles_until_us:
            self._settles_until_us = 0
        self.settles = self._settles_until_us > 0
        self.utc_us, self._at_us = max(lived_us, utc_us), now_us

    def trust(self, now_us: int, utc_us: int) -> None:
        """Begin anew with what the clock shows: a challenge was passed at that time."""
        self.utc_us, self._at_us, self.set_back = utc_us, now_us, False
        self.settles, self._settles_until_us = False, 0


@dataclass(frozen=True)
class Due:
    """
    The next challenge.

    Attributes:
        utc_us: since or from when it is due.
        why: what makes it due, for people.
        closes_utc_us: from then on products are not inspected without it.
    """

    utc_us: int
    why: str
    closes_utc_us: int


def utc_us_seen(kept: Kept, shifts: Iterable[str]) -> int:
    """
    Return the latest time that a clock has shown, as far as it is believed.

    Args:
        shifts: what the ledger knows; those that were ahead of the challenge that was passed last prove nothing.
    """
    ahead = () if kept.passed is None else kept.passed.ahead
    return max((kept.seen_utc_us, *(utc_us_from_shift(shift) for shift in shifts if shift not in ahead)))


def shifts_ahead(shifts: Iterable[str], utc_us: int) -> tuple[str, ...]:
    """Return which of these begin later than that."""
    return tuple(sorted(shift for shift in shifts if utc_us_from_shift(shift) > utc_us))


def utc_us_from_shift(shift: str) -> int:
    """Return when a shift of that name began, as the ledger calls it; 0 of none."""
    return round(datetime.fromisoformat(shift).timestamp() * 1e6) if shift else 0


def taken_up(kept: Kept) -> Kept:
    """
    Return *kept* as a start believes it.

    Masters were shown, and that one was passed is not kept: it may have failed where the disk could not take that.
    """
    if not kept.in_hand_utc_us or kept.failed or kept.closed is not None:
        return kept
    closed = Closed(
        utc_us=kept.in_hand_utc_us, why="masters were shown before the last start, and none was passed then"
    )
    return msgspec.structs.replace(kept, closed=closed)


def is_closed_at_start(kept: Kept) -> bool:
    """Tell whether a start that reads this inspects no products."""
    return kept.passed is None or kept.failed or taken_up(kept).closed is not None


def noted(kept: Kept, basis: Basis, utc_us: int) -> Kept:
    """
    Return *kept* with the time from which parts are judged by *basis*, if nothing proves that.

    There is one grace between two challenges that are passed, however often recipes are changed; and what was used once
    has used it up until a challenge is passed with that very basis.
    """
    if not kept.is_unproven(basis) or kept.unproven_since(basis) is not None or len(kept.unproven) >= _MOST_UNPROVEN:
        return kept
    passed_us = 0 if kept.passed is None else kept.passed.utc_us
    since_us = min((one.utc_us for one in kept.unproven if one.utc_us >= passed_us), default=utc_us)
    one = Unproven(basis=basis, utc_us=since_us)
    return msgspec.structs.replace(kept, unproven=(*kept.unproven, one))


def with_given(kept: Kept, given: Given) -> Kept:
    """Return *kept* with a challenge that was given; one that was passed opens the line and proves its basis."""
    all_given = (*kept.given, given)[-_KEPT:]
    if not given.passed:
        return msgspec.structs.replace(kept, given=all_given, tries=0)
    unproven = tuple(_before(one, given.utc_us) for one in kept.unproven if one.basis != given.basis)
    return msgspec.structs.replace(kept, given=all_given, tries=0, in_hand_utc_us=0, unproven=unproven, closed=None)


def _before(one: Unproven, utc_us: int) -> Unproven:
    """Return it as used before that moment, as it was: a clock that was ahead then must not put it off for years."""
    return one if one.utc_us < utc_us else msgspec.structs.replace(one, utc_us=utc_us - 1)


def due_next(kept: Kept, basis: Basis, settings: ChallengeSettings, shifts: tuple[str, ...], calendar: Calendar) -> Due:
    """Return what makes the next challenge due first."""
    passed, now_us = kept.passed, calendar.utc_us
    grace_us = round(settings.grace_min * _US_PER_MINUTE)
    if kept.failed:
        return _at_once(kept.given[-1].utc_us, "the last one failed")
    if kept.closed is not None:
        return _at_once(kept.closed.utc_us, kept.closed.why)
    if passed is None:
        return _at_once(now_us, "none was ever passed here")
    if calendar.set_back:
        return _at_once(now_us, "the clock was set back: when the last one was passed is not known")
    utc_us, why = _by_time(passed, settings, shifts)
    if kept.is_unproven(basis):
        since_us = kept.unproven_since(basis)
        if since_us is None or since_us > now_us:
            return _at_once(now_us, _others(passed.basis, basis))
        if since_us < utc_us:
            utc_us, why = since_us, _others(passed.basis, basis)
    return Due(utc_us, why, utc_us + grace_us)


def state_at(kept: Kept, due: Due, utc_us: int) -> ChallengeState:
    """Return how it stands with the next challenge at that time."""
    if kept.failed:
        return "failed"
    if utc_us >= due.closes_utc_us:
        return "overdue"
    return "due" if utc_us >= due.utc_us else "passed"


def _at_once(utc_us: int, why: str) -> Due:
    """No grace: nothing that is believed speaks for the station."""
    return Due(utc_us, why, utc_us)


def _by_time(passed: Given, settings: ChallengeSettings, shifts: tuple[str, ...]) -> tuple[int, str]:
    if settings.every_h is None:
        return next_shift_us(passed.utc_us, shifts), "a shift has begun since the last one was passed"
    hours = settings.every_h
    return passed.utc_us + round(3600e6 * hours), f"the last one was passed {hours:g} h ago"


def _others(passed: Basis, now: Basis) -> str:
    what = "masters or cameras" if (passed.recipe, passed.bundle) == (now.recipe, now.bundle) else "recipe or bundle"
    return f"{what} are others than the last one was passed with"
