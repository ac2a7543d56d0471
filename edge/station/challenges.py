"""Challenges: masters that the station must be shown and judge rightly. Who keeps them; due.py says when one is due."""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from edge.clock import Clock
from edge.errors import ConfigurationError
from edge.records import VERSION, AuditEvent, ChallengeMark, ChallengeState, Reason, Verdict
from edge.requests import Challenge, Challenged, Judged
from edge.settings import Station
from edge.station.due import (
    Basis,
    Calendar,
    Closed,
    Due,
    Given,
    Kept,
    Told,
    due_next,
    is_closed_at_start,
    noted,
    shifts_ahead,
    state_at,
    taken_up,
    utc_us_seen,
    with_given,
)
from edge.station.masters import fault_of_shown, judged, name_of
from edge.station.reporter import Reporter
from edge.station.scribe import EventualFile, Scribe

log = logging.getLogger("edge.station")

_FILE = "challenge.json"
# Verdicts of challenge parts that are remembered until they are named: so many, and some rounds of all masters.
_RECENT = 64
_ROUNDS = 4
_LOOK_US = 250_000
_WRITE_AGAIN_US = 1_000_000
# A line that is closed waits for nobody: so long it may, for that to be known after a power cut too.
_CLOSED_S = 0.25


class Challenges:
    """
    Args:
        station: as it works, with what was calibrated.
        folder: the state directory; None = nothing outlives a restart.
        counted: returns the shifts that the ledger knows: the clock has shown their beginnings.
        scribe: writes what is kept; None = the loop does.

    Attributes:
        state: of the challenge; None = the settings ask for none.
        unkept: why the file cannot be written; empty = it holds what is so.
        line: what parts are seen by at present: another one, and what was shown before proves nothing any more.
    """

    def __init__(
        self,
        station: Station,
        folder: Path | None,
        clock: Clock,
        reporter: Reporter,
        counted: Callable[[], Iterable[str]] = tuple,
        scribe: Scribe | None = None,
    ) -> None:
        self._settings = station.challenge
        self._shifts = station.shifts
        self._seats = station.seats
        self._setup = _hash_of(station)
        self._clock = clock
        self._reporter = reporter
        self._counted = counted
        self._file = EventualFile(None if self._settings is None else folder, _FILE, Kept, scribe)
        self._recent: OrderedDict[int, Verdict] = OrderedDict()
        self._from_us = clock.now_us()
        self._looked_us: int | None = None
        self._write_us: int | None = None
        self._basis = Basis(recipe="", bundle="", setup=self._setup)
        self._due = Due(0, "", 0)
        self._line: object = None
        self.line: Callable[[], object] = lambda: None
        self.state: ChallengeState | None = None
        self.unkept = ""
        self._shown: tuple[ChallengeState | None, str] = (None, "")
        self._kept = self._read()
        self._calendar = Calendar(utc_us_seen(self._kept, counted()), clock.now_us())
        if self._settings is not None:
            self._begin()

    # ---- what the station sees -------------------------------------------------------------------------------

    def note(self, verdict: Verdict) -> None:
        """Remember the verdict of a part of mode challenge, as it was claimed, and tell of a master that was wrong."""
        if self._settings is None:
            return
        self.notice_line()
        self._change(tries=self._kept.tries + 1)
        if not self._kept.in_hand_utc_us:
            # Before it is known what comes of it: when it is, the disk may take nothing any more.
            self._change(in_hand_utc_us=self._calendar.utc_us)
            self._write()
        if verdict.trigger_us >= self._from_us:
            self._recent[verdict.part] = verdict
        if len(self._recent) > max(_RECENT, _ROUNDS * len(self._seats) * len(self._settings.parts)):
            self._recent.popitem(last=False)
        master = next((master for master in self._settings.parts if master.name == name_of(verdict)), None)
        if master is not None and not (said := judged(master, verdict)).right:
            # Whether somebody names it or not; how many there were outlives a restart.
            self._reporter.audit(AuditEvent.MASTER_WRONG, verdict.part, _in_words(said), verdict.outcome)
            self._write_us = self._clock.now_us()

    def notice_line(self) -> None:
        """Forget the masters that another inspector or another opening of a camera has seen; called when one may be."""
        line = self.line()
        if line != self._line:
            self._line = line
            self._begin_anew()

    def look_after(self, recipe_hash: str, bundle_hash: str) -> bool:
        """
        Notice what time and a change of recipe or bundle have made due; return whether the heartbeat is another.

        Args:
            recipe_hash, bundle_hash: what parts are judged by; empty = not known before an inspector was ready.
        """
        basis = Basis(recipe=recipe_hash, bundle=bundle_hash, setup=self._setup)
        now_us = self._clock.now_us()
        if self._settings is None or (self._waits(now_us) and basis == self._basis):
            return False
        self._looked_us, self._basis = now_us, basis
        self._look()
        if self._write_us is not None and now_us >= self._write_us:
            self._write()
        self._note_fault(self._file.fault)
        before, self._shown = self._shown, (self.state, self.unkept)
        return self._shown != before

    def _waits(self, now_us: int) -> bool:
        return self._looked_us is not None and now_us - self._looked_us < _LOOK_US

    def _look(self) -> None:
        assert self._settings is not None
        self._calendar.look(self._clock.now_us(), self._clock.utc_us())
        known = noted(self._kept, self._basis, self._calendar.utc_us)
        if known is not self._kept:
            self._keep(known)
        self._due = due_next(self._kept, self._basis, self._settings, self._shifts, self._calendar)
        before, self.state = self.state, state_at(self._kept, self._due, self._calendar.utc_us)
        if self.state == "overdue" and self._kept.closed is None and not self._calendar.settles:
            # From now on neither the clock nor another recipe opens the line, nor a restart.
            closed = Closed(utc_us=self._due.utc_us, why=self._due.why)
            self._keep(msgspec.structs.replace(self._kept, closed=closed))
        if self.state == "overdue" and before in ("passed", "due"):
            self._reporter.audit(AuditEvent.CHALLENGE_OVERDUE, None, self._words(), None)
        elif self.state != before and before in (None, "passed"):
            log.info("challenge %s: %s", self.state, self._due.why)

    def _begin_anew(self) -> None:
        self._recent.clear()
        self._from_us = self._clock.now_us()

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
            closes_utc_us=self._due.closes_utc_us,
            why=self._due.why,
        )

    def _words(self) -> str:
        if self.state == "failed":
            last = self._kept.given[-1]
            wrong = ", ".join(f"{part.name} {part.outcome}" for part in last.parts if not part.right)
            return f"the challenge by {last.by} failed ({wrong}): mend the cause and pass one: edge-inspectd challenge"
        return f"a challenge is overdue ({self._due.why}): edge-inspectd challenge"

    # ---- it is given -----------------------------------------------------------------------------------------

    def give(self, request: Challenge, recipe_hash: str, bundle_hash: str) -> Challenged | str:
        """
        Judge the masters by the station's own verdicts, and keep the result; a text says why that is no challenge.

        Args:
            recipe_hash, bundle_hash: what parts are judged by now.
        """
        if self._settings is None:
            return "the station's settings have no table [challenge]: name the masters there"
        self.notice_line()
        masters = {master.name: master for master in self._settings.parts}
        now_us = self._clock.now_us()
        fault = fault_of_shown(
            request.parts, self._settings.parts, self._seats, self._recent, now_us, recipe_hash, bundle_hash
        )
        if fault or (fault := self._fault_of_disk()):
            return fault
        parts = tuple(judged(masters[shown.name], self._recent[shown.part]) for shown in request.parts)
        utc_us = self._clock.utc_us()
        given = Given(
            utc_us=utc_us,
            by=request.by,
            passed=all(part.right for part in parts),
            basis=Basis(recipe=recipe_hash, bundle=bundle_hash, setup=self._setup),
            parts=tuple(map(_told, parts)),
            unnamed=self._kept.tries - len(parts),
            ahead=shifts_ahead(self._counted(), utc_us),
        )
        return self._given(request, given, parts)

    def _fault_of_disk(self) -> str:
        """Return why none can be judged: a restart would believe what lies on the disk. The line is closed then."""
        fault, lies = self._file.fault, self._file.lies
        if not fault or lies is None or is_closed_at_start(lies):
            return ""
        why = "masters were shown, and what came of it cannot be kept"
        self._change(closed=self._kept.closed or Closed(utc_us=self._calendar.utc_us, why=why))
        self._looked_us = None
        return f"{fault}, nor removed, and a restart would believe it: mend the disk, then show all masters again"

    def _given(self, request: Challenge, given: Given, parts: tuple[Judged, ...]) -> Challenged:
        # What was shown until now proves nothing for the next one.
        self._begin_anew()
        if given.passed:
            self._calendar.trust(self._clock.now_us(), given.utc_us)
        fault = self._keep(with_given(self._kept, given))
        wrong = [part for part in parts if not part.right]
        said = "passed" if given.passed else "failed: " + ", ".join(map(_in_words, wrong))
        shown = f"{len(parts)} masters" if len(self._seats) == 1 else f"{len(parts)} parts"
        tries = f", {given.unnamed} parts beside them" if given.unnamed else ""
        text = f"challenge by {given.by} {said}; {shown}{tries}{f'; {fault}' if fault else ''}"
        event = AuditEvent.CHALLENGE_PASSED if given.passed else AuditEvent.CHALLENGE_FAILED
        self._reporter.audit(event, None, text, None)
        self._looked_us = None
        return Challenged(version=VERSION, id=request.id, now_us=0, passed=given.passed, parts=parts, text=text)

    # ---- it is kept ------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Look for the first time, and see whether the file can be written: if not, what it says may be outdated."""
        self._look()
        fault = self._write(begins=True)
        if fault:
            self._change(closed=self._kept.closed or Closed(utc_us=self._calendar.utc_us, why=fault))
            self._look()
        self._shown = self.state, self.unkept

    def _read(self) -> Kept:
        try:
            return taken_up(self._file.read() or Kept())
        except ConfigurationError as error:
            aside = self._file.put_aside(self._clock.utc_us())
            why = f"{str(error).partition('; ')[0]}; {aside}"
            self._reporter.audit(AuditEvent.CHALLENGE_OVERDUE, None, why, None)
            return Kept(closed=Closed(utc_us=self._clock.utc_us(), why="what was passed cannot be read"))

    def _change(self, **changes: Any) -> None:
        """Change what is kept, in memory alone."""
        self._kept = msgspec.structs.replace(self._kept, **changes)

    def _keep(self, kept: Kept) -> str:
        self._kept = kept
        return self._write()

    def _write(self, *, begins: bool = False) -> str:
        """
        Have what is kept outlive a restart; return why it would not. It is tried again then.

        Args:
            begins: there is no loop yet that could be held up.
        """
        self._change(seen_utc_us=self._calendar.utc_us)
        # A full disk cannot say that the line is closed. Without the file it is.
        closed = self._kept.failed or self._kept.closed is not None
        within_s = None if begins else _CLOSED_S if closed else 0.0
        doubtful = closed or self._kept.in_hand_utc_us > 0
        fault = self._file.write(self._kept, or_remove=doubtful, within_s=within_s)
        self._write_us = self._clock.now_us() + _WRITE_AGAIN_US if fault else None
        return self._note_fault(fault)

    def _note_fault(self, fault: str) -> str:
        if fault and not self.unkept:
            log.error("%s", fault)
        self.unkept = fault
        return fault


def _hash_of(station: Station) -> str:
    """Return a hash of what a challenge proves beside recipe and bundle: which masters, seen by which cameras."""
    digest = hashlib.sha256()
    for table in (*(() if station.challenge is None else station.challenge.parts), *station.cameras):
        digest.update(table.model_dump_json().encode() + b"\n")
    return digest.hexdigest()


def _told(part: Judged) -> Told:
    return Told(
        name=part.name,
        part=part.part,
        expected=part.expected.value,
        defect=part.defect,
        outcome=part.outcome.value,
        reason=None if part.reason is None else part.reason.value,
        found=part.found,
        right=part.right,
    )


def _in_words(part: Judged) -> str:
    expected = part.expected.value if part.defect is None else f"{part.expected.value} for {part.defect}"
    reason = "" if part.reason is None else f"({part.reason.value})"
    found = f" for {', '.join(part.found)}" if part.found else ""
    return f"{part.name} {part.outcome.value}{reason}{found}, expected {expected}"
