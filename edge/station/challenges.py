"""
Challenges: masters that the station must be shown and judge rightly; when the next is due, and what follows if not.

Times are of the wall clock, since a shift is; one that lies ahead of it is not trusted. Fail closed: a challenge that
failed closes the line at once, one that is overdue too, whatever was passed before.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge.clock import Clock
from edge.records import VERSION, AuditEvent, ChallengeMark, ChallengeState, Reason, Verdict
from edge.requests import Challenge, Challenged, Judged
from edge.settings import Station
from edge.station.kept import KeptFile
from edge.station.ledger import next_shift_us
from edge.station.masters import fault_of_shown, judged
from edge.station.reporter import Reporter

log = logging.getLogger("edge.station")

_FILE = "challenge.json"
_KEPT = 100
_US_PER_MINUTE = 60_000_000
# What a clock is set by now and then; more is another time.
_AHEAD_US = 10 * _US_PER_MINUTE
# Verdicts of challenge parts that are remembered until they are named.
_RECENT = 64
_LOOK_US = 250_000


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """A challenge that was given, as it is kept."""

    utc_us: int
    by: str
    passed: bool
    recipe_hash: str
    bundle_hash: str
    parts: tuple[Judged, ...]
    unnamed: int
    """Parts of mode challenge since the one before that it does not name: tries that came to nothing."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What outlives a restart."""

    given: tuple[Given, ...] = ()
    """The last hundred, the newest last."""
    unproven_utc_us: int | None = None
    """Since when parts are judged by what no challenge was passed with; None = they are not, or it is not known."""


@dataclass(frozen=True)
class _Due:
    utc_us: int
    why: str
    at_once: bool = False
    """No grace: what was passed is not believed any more."""


class Challenges:
    """
    Args:
        folder: the state directory; None = nothing outlives a restart.

    Attributes:
        state: of the challenge; None = the settings ask for none.
    """

    def __init__(self, station: Station, folder: Path | None, clock: Clock, reporter: Reporter) -> None:
        self._settings = station.challenge
        self._shifts = station.shifts
        self._clock = clock
        self._reporter = reporter
        self._file = KeptFile(None if self._settings is None else folder, _FILE, Kept)
        self._kept = self._file.read() or Kept()
        self._recent: OrderedDict[int, Verdict] = OrderedDict()
        self._unnamed = 0
        self._active = ("", "")
        self._looked_us: int | None = None
        self._due = _Due(0, "")
        self.state: ChallengeState | None = None
        self.look_after("", "")

    # ---- what the station sees -------------------------------------------------------------------------------

    def note(self, verdict: Verdict) -> None:
        """Remember the verdict of a part of mode challenge, as it was claimed."""
        self._unnamed += 1
        self._recent[verdict.part] = verdict
        if len(self._recent) > _RECENT:
            self._recent.popitem(last=False)

    def look_after(self, recipe_hash: str, bundle_hash: str) -> bool:
        """
        Notice what time and a change of recipe or bundle have made due; return whether that changes the state.

        Args:
            recipe_hash, bundle_hash: what parts are judged by; empty = not known before an inspector was ready.
        """
        now_us, active = self._clock.now_us(), (recipe_hash, bundle_hash)
        if self._settings is None or (self._waits(now_us) and active == self._active):
            return False
        self._looked_us, self._active = now_us, active
        self._note_unproven()
        before, self._due = self.state, self._next()
        self.state = self._state_now()
        if self.state == "overdue" and before in ("passed", "due"):
            self._reporter.audit(AuditEvent.CHALLENGE_OVERDUE, None, self._words(), None)
        elif self.state != before and before in (None, "passed"):
            log.info("challenge %s: %s", self.state, self._due.why)
        return self.state != before

    def _waits(self, now_us: int) -> bool:
        return self._looked_us is not None and now_us - self._looked_us < _LOOK_US

    # ---- what follows ----------------------------------------------------------------------------------------

    def closed(self) -> tuple[Reason, str] | None:
        """Return why products are not inspected; None = they are. Parts of other modes are: a challenge must be."""
        return (Reason.SELFTEST, self._words()) if self.state in ("overdue", "failed") else None

    def mark(self) -> ChallengeMark | None:
        """Return what the heartbeat says; None when the settings ask for no challenge."""
        if self._settings is None or self.state is None:
            return None
        last = self._kept.given[-1] if self._kept.given else None
        return ChallengeMark(
            state=self.state,
            last_by="" if last is None else last.by,
            last_utc_us=None if last is None else last.utc_us,
            due_utc_us=self._due.utc_us,
            closes_utc_us=self._closes_us(),
            why=self._due.why,
        )

    def _words(self) -> str:
        if self.state == "failed":
            last = self._kept.given[-1]
            wrong = ", ".join(f"{part.name} {part.outcome.value}" for part in last.parts if not part.right)
            return f"the challenge by {last.by} failed ({wrong}): mend the cause and pass one: edge-inspectd challenge"
        return f"a challenge is overdue ({self._due.why}): edge-inspectd challenge"

    # ---- when it is due --------------------------------------------------------------------------------------

    def _state_now(self) -> ChallengeState:
        utc_us = self._clock.utc_us()
        if self._has_failed():
            return "failed"
        if utc_us >= self._closes_us():
            return "overdue"
        return "due" if utc_us >= self._due.utc_us else "passed"

    def _closes_us(self) -> int:
        assert self._settings is not None
        grace_us = 0 if self._due.at_once else round(self._settings.grace_min * _US_PER_MINUTE)
        return self._due.utc_us + grace_us

    def _next(self) -> _Due:
        """Return what makes the next challenge due first."""
        assert self._settings is not None
        utc_us, unproven_us = self._clock.utc_us(), self._kept.unproven_utc_us
        if self._has_failed():
            return _Due(self._kept.given[-1].utc_us, "the last one failed", at_once=True)
        passed = self._passed()
        times = [given.utc_us for given in (passed,) if given is not None]
        times += [] if unproven_us is None else [unproven_us]
        if times and max(times) - utc_us > _AHEAD_US:
            return _Due(utc_us, "what was passed lies ahead of the clock: it was set back", at_once=True)
        if passed is None:
            return _Due(unproven_us or utc_us, "none was ever passed here")
        if self._settings.every_h is None:
            due = _Due(next_shift_us(passed.utc_us, self._shifts), "a shift has begun since the last one was passed")
        else:
            hours = self._settings.every_h
            due = _Due(passed.utc_us + round(3600e6 * hours), f"the last one was passed {hours:g} h ago")
        if unproven_us is not None and unproven_us < due.utc_us:
            return _Due(unproven_us, "recipe or bundle are others than the last one was passed with")
        return due

    def _has_failed(self) -> bool:
        return bool(self._kept.given) and not self._kept.given[-1].passed

    def _passed(self) -> Given | None:
        return next((given for given in reversed(self._kept.given) if given.passed), None)

    def _note_unproven(self) -> None:
        """Note since when parts are judged by what no challenge was passed with; a restart begins no new grace."""
        passed = self._passed()
        if passed is None:
            unproven = True
        elif "" in self._active:
            return
        else:
            unproven = (passed.recipe_hash, passed.bundle_hash) != self._active
        if unproven and self._kept.unproven_utc_us is None:
            self._keep(msgspec.structs.replace(self._kept, unproven_utc_us=self._clock.utc_us()))
        elif not unproven and self._kept.unproven_utc_us is not None:
            self._keep(msgspec.structs.replace(self._kept, unproven_utc_us=None))

    # ---- it is given -----------------------------------------------------------------------------------------

    def give(self, request: Challenge, recipe_hash: str, bundle_hash: str) -> Challenged | str:
        """
        Judge the masters by the station's own verdicts, and keep the result; a text says why that is no challenge.

        Args:
            recipe_hash, bundle_hash: what parts are judged by now.
        """
        if self._settings is None:
            return "the station's settings have no table [challenge]: name the masters there"
        masters = {master.name: master for master in self._settings.parts}
        now_us = self._clock.now_us()
        fault = fault_of_shown(request.parts, self._settings.parts, self._recent, now_us, recipe_hash, bundle_hash)
        if fault:
            return fault
        parts = tuple(judged(masters[shown.name], self._recent.pop(shown.part)) for shown in request.parts)
        given = Given(
            utc_us=self._clock.utc_us(),
            by=request.by,
            passed=all(part.right for part in parts),
            recipe_hash=recipe_hash,
            bundle_hash=bundle_hash,
            parts=parts,
            unnamed=self._unnamed - len(parts),
        )
        return self._given(request, given)

    def _given(self, request: Challenge, given: Given) -> Challenged:
        self._unnamed = 0
        kept = (*self._kept.given, given)[-_KEPT:]
        fault = self._keep(Kept(given=kept, unproven_utc_us=None if given.passed else self._kept.unproven_utc_us))
        wrong = [part for part in given.parts if not part.right]
        said = "passed" if given.passed else "failed: " + ", ".join(map(_in_words, wrong))
        tries = f", {given.unnamed} parts beside them" if given.unnamed else ""
        text = f"challenge by {given.by} {said}; {len(given.parts)} masters{tries}{f'; {fault}' if fault else ''}"
        event = AuditEvent.CHALLENGE_PASSED if given.passed else AuditEvent.CHALLENGE_FAILED
        self._reporter.audit(event, None, text, None)
        self._looked_us = None
        return Challenged(version=VERSION, id=request.id, now_us=0, passed=given.passed, parts=given.parts, text=text)

    def _keep(self, kept: Kept) -> str:
        self._kept = kept
        fault = self._file.write(kept)
        if fault:
            log.error("%s", fault)
        return fault


def _in_words(part: Judged) -> str:
    expected = part.expected.value if part.defect is None else f"{part.expected.value} for {part.defect}"
    reason = "" if part.reason is None else f"({part.reason.value})"
    found = f" for {', '.join(part.found)}" if part.found else ""
    return f"{part.name} {part.outcome.value}{reason}{found}, expected {expected}"
