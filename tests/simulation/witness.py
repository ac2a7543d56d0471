"""Stands at every seam of the station, writes down what passes, and asks the invariants."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from edge.clock import Clock
from edge.inspector.link import (
    Answered,
    BundleTaken,
    CameraState,
    Captured,
    Discard,
    Fire,
    Inspect,
    Ready,
    RecipeTaken,
    SelfTested,
    ToInspector,
    ToStation,
    ViewResult,
)
from edge.records import Audit, AuditEvent, Status, Verdict
from edge.requests import AnyAnswer, Pause, Refused, Triggered
from edge.station.control import NOT_YET
from edge.station.entries import TriggerEntry, VerdictEntry
from edge.station.journal import Journal
from edge.station.ledger import line_from_verdict
from tests.simulation import invariants
from tests.simulation.truth import Asked, Found, Frame, PartTruth, Run, Truth


class Witness:
    """
    Attributes:
        run: the present life of the station.
    """

    def __init__(self, truth: Truth, clock: Clock) -> None:
        self._truth = truth
        self._clock = clock
        self.run: Run

    # ---- lives of the station --------------------------------------------------------------------------------

    def began(self, journal: Journal, file: Path) -> Run:
        """Note what the journal begins with, by its own table."""
        self._truth.runs += 1
        database = sqlite3.connect(file, isolation_level=None)
        self.run = run = Run(
            epoch=journal.epoch,
            first_seq=journal.seq + 1,
            last_part=journal.part,
            ledger=journal.ledger,
            database=database,
            seq=journal.seq,
        )
        for (part,) in database.execute("SELECT part FROM parts WHERE seq IS NULL ORDER BY part").fetchall():
            entry = next((entry for entry in journal.left_open if entry.part == part), None)
            invariants.open_parts_are_found_again(part, entry)
            if entry is not None:
                adopted = PartTruth(entry, self._clock.now_us(), adopted=True)
                run.parts[part] = run.waiting[part] = adopted
        return run

    def ended(self) -> None:
        self.run.database.close()

    # ---- the link --------------------------------------------------------------------------------------------

    def heard(self, message: ToStation, frame: Frame | None, recipe: str) -> None:
        """Note what the loop reads now."""
        run = self.run
        if isinstance(message, Captured):
            assert frame is not None
            key = (message.inspector, message.camera, message.open_no, message.frame_no)
            run.frames[key] = frame
            run.held.add(key)
            self._truth.pieces_seen.setdefault((self._truth.runs, frame.physical), []).append(frame)
        elif isinstance(message, ViewResult):
            self._found(message, frame, recipe)
        elif isinstance(message, CameraState):
            run.cameras[message.camera] = message.state
        elif isinstance(message, Ready):
            run.proven, run.recipe = message.inspector, message.recipe_hash
        elif isinstance(message, (RecipeTaken, BundleTaken)):
            run.recipe = message.recipe_hash or run.recipe
        elif isinstance(message, SelfTested):
            run.selftest_failed = not message.passed
            run.selftest_ever_failed = run.selftest_ever_failed or run.selftest_failed

    def _found(self, message: ViewResult, frame: Frame | None, recipe: str) -> None:
        part = self.run.parts.get(message.part)
        now_us = self._clock.now_us()
        if part is None or frame is None or part.claim is not None or now_us >= part.entry.deadline_us:
            return
        part.found.setdefault(message.camera, Found(message.outcome, message.reason, recipe, frame, now_us))

    def ordered(self, inspector: int, order: ToInspector) -> None:
        run = self.run
        if isinstance(order, (Fire, Inspect)):
            invariants.work_follows_its_trigger(run, order)
        if isinstance(order, Inspect):
            key = (inspector, order.camera, order.open_no, order.frame_no)
            invariants.frames_are_named_truly(run, key)
            invariants.one_part_for_each_piece(self._truth, run.frames[key], order.part)
        elif isinstance(order, Answered):
            for frame in order.frames:
                key = (inspector, frame.camera, frame.open_no, frame.frame_no)
                invariants.slots_are_freed_once(run, key)
                invariants.one_part_for_each_piece(self._truth, run.frames[key], order.part)
        elif isinstance(order, Discard):
            frame = order.frame
            key = (inspector, frame.camera, frame.open_no, frame.frame_no)
            invariants.slots_are_freed_once(run, key)
            invariants.no_frame_is_dropped(self._truth, run.frames[key])

    def buried(self) -> None:
        """The inspector is gone, and its frames with it."""
        self.run.held.clear()
        self.run.bereft = True
        self.run.proven = 0
        self.run.cameras.clear()

    # ---- the journal -----------------------------------------------------------------------------------------

    def triggered(self, entry: TriggerEntry) -> None:
        run = self.run
        invariants.part_numbers_are_new(run, entry)
        now_us = self._clock.now_us()
        part = PartTruth(entry, now_us, recipe=run.recipe)
        if now_us < run.paused_until_us:
            part.closed = "paused"
        elif run.selftest_failed:
            part.closed = "selftest"
        run.last_part = entry.part
        run.parts[entry.part] = run.waiting[entry.part] = part
        self._truth.triggers += 1

    def claimed(self, entry: VerdictEntry) -> None:
        part = self.run.parts.get(entry.part)
        invariants.a_part_is_claimed_once(entry, part)
        assert part is not None
        part.claim, part.claimed_us = entry, self._clock.now_us()
        self.run.claims[entry.seq] = entry
        self._truth.outcomes[line_from_verdict(entry.outcome, entry.reason)] += 1

    # ---- outside ---------------------------------------------------------------------------------------------

    def published(self, verdict: Verdict) -> None:
        run, truth = self.run, self._truth
        part = run.parts.get(verdict.part)
        invariants.the_stream_has_no_gap(truth, run, verdict)
        invariants.what_is_said_was_claimed(run, verdict)
        assert part is not None
        invariants.one_verdict_for_each_part(truth, part, verdict)
        invariants.journaled_is_durable(run, verdict)
        invariants.what_a_well_disk_can_keep_is_kept(run, part, verdict, self._clock.now_us())
        invariants.a_pass_is_proven(truth, part, verdict)
        invariants.nothing_follows_from_what_is_no_number(part, verdict)
        invariants.a_reject_was_found(truth, part, verdict)
        invariants.a_reject_is_never_lost(part, verdict)
        invariants.nothing_is_unknown_without_need(part, verdict)
        invariants.unknown_has_a_true_reason(truth, run, part, verdict)
        invariants.late_is_not_what_never_came(truth, run, part, verdict)
        invariants.one_part_for_each_number(truth, verdict)
        part.published = True
        run.waiting.pop(verdict.part, None)
        run.seq = verdict.seq
        run.published[verdict.outcome] += 1
        truth.stream[verdict.epoch, verdict.seq] = verdict
        if verdict.journaled:
            truth.kept[verdict.part] = (verdict.epoch, verdict.seq)

    def said(self, status: Status) -> None:
        run = self.run
        invariants.ready_is_proven(self._truth, run, status, self._clock.now_us())
        invariants.restarted_parts_come_first(run, status)
        invariants.the_heartbeat_adds_up(run, status)

    def audited(self, audit: Audit) -> None:
        if audit.event is AuditEvent.RESUMED:
            self.run.paused_until_us = 0

    def answered(self, asked: Asked, answer: AnyAnswer) -> None:
        asked.answers.append((self._truth.runs, answer))
        invariants.answers_agree(asked)
        if isinstance(answer, Triggered):
            invariants.an_acknowledged_trigger_is_journaled(self.run, answer)
        first_here = sum(run == self._truth.runs for run, _ in asked.answers) == 1
        if isinstance(asked.request, Pause) and first_here and not isinstance(answer, Refused):
            us = round(asked.request.minutes * 60e6)
            self.run.paused_until_us = self._clock.now_us() + us if us else 0
            self.run.paused_ever_us = max(self.run.paused_ever_us, self._clock.now_us() + us)
        if not (isinstance(answer, Refused) and answer.code in NOT_YET):
            asked.settled = True

    # ---- always ----------------------------------------------------------------------------------------------

    def cycled(self) -> None:
        """Between two cycles of the loop."""
        now_us = self._clock.now_us()
        invariants.every_part_is_answered_in_time(self._truth, self.run, now_us)
        invariants.no_slot_leaks(self.run)
        invariants.nothing_is_left_in_dead_hands(self.run)
        self.run.bereft = False

    def closed(self, file: Path) -> None:
        """Compare everything with what lies on the disk at the end."""
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as database:
            invariants.every_journaled_part_has_one_verdict(database)
            invariants.what_was_acknowledged_is_kept(self._truth, database)
            invariants.what_was_published_is_kept(self._truth, database)
            invariants.the_ledger_is_exact(self.run, database)
            invariants.a_consumer_gets_everything(self._truth, database)
