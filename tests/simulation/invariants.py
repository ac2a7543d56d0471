"""What may never be otherwise: each a function that returns at once, or raises under its own name."""

from __future__ import annotations

import functools
import sqlite3
from collections import Counter
from collections.abc import Callable
from typing import ParamSpec

import msgspec

from edge.inspector.link import Fire, Inspect
from edge.records import Mode, Outcome, Reason, Status, Verdict
from edge.requests import Refused, Trigger, Triggered
from edge.station.control import NOT_YET, ONCE
from edge.station.entries import TriggerEntry, VerdictEntry
from edge.station.ledger import line_from_verdict
from edge.station.triggers import SOFTWARE
from tests.simulation.truth import Asked, Frame, FrameKey, PartTruth, Run, Truth

P = ParamSpec("P")


class InvariantBroken(AssertionError):
    """
    Attributes:
        name: of the invariant.
    """

    def __init__(self, name: str, fault: str) -> None:
        super().__init__(f"{name}: {fault}")
        self.name = name


def invariant(function: Callable[P, str | None]) -> Callable[P, None]:
    """Let *function* return what is wrong, None when nothing is; raised under its name."""

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> None:
        fault = function(*args, **kwargs)
        if fault is not None:
            raise InvariantBroken(function.__name__, fault)

    return checked


# ---- triggers ----------------------------------------------------------------------------------------------------


@invariant
def part_numbers_are_new(run: Run, entry: TriggerEntry) -> str | None:
    """No two parts of the journal have one number."""
    return None if entry.part > run.last_part else f"part {entry.part} after part {run.last_part}"


@invariant
def work_follows_its_trigger(run: Run, order: Fire | Inspect) -> str | None:
    """A trigger is handed to the journal before any work for it is ordered, and none is ordered after its verdict."""
    part = run.parts.get(order.part)
    if part is None:
        return f"{order} before the journal knows the part"
    if isinstance(order, Inspect) and order.recipe_hash != part.recipe:
        return f"{order}: recipe {part.recipe} was active at the trigger"
    return None if part.claim is None else f"{order} after the verdict"


@invariant
def an_acknowledged_trigger_is_journaled(run: Run, answer: Triggered) -> str | None:
    """A software trigger that is acknowledged as journaled is on the disk at that moment."""
    if not answer.journaled:
        return None
    row = run.database.execute("SELECT request FROM parts WHERE part = ?", (answer.part,)).fetchone()
    return None if row == (answer.id,) else f"{answer} but the disk has {row}"


@invariant
def answers_agree(asked: Asked) -> str | None:
    """A request is answered once for each time it was sent at most, finally by one answer, always the same."""
    if len(asked.answers) > asked.sent:
        return f"{len(asked.answers)} answers to {asked.sent} times {asked.request}"
    if not isinstance(asked.request, ONCE):
        return None  # Status and ledger say what is now, each time.
    run, answer = asked.answers[-1]
    for run_before, before in asked.answers[:-1]:
        if isinstance(before, Refused) and before.code in NOT_YET:
            continue
        kept = isinstance(before, Triggered) and before.journaled
        if (run == run_before or kept) and _essence(before) != _essence(answer):
            return f"{answer} after {before}"
    return None


def _essence(answer: object) -> object:
    if isinstance(answer, Triggered):
        return answer.part, answer.trigger_us, answer.deadline_us
    return msgspec.structs.replace(answer, now_us=0) if isinstance(answer, msgspec.Struct) else answer


# ---- frames ------------------------------------------------------------------------------------------------------


@invariant
def frames_are_named_truly(run: Run, key: FrameKey) -> str | None:
    """An order names only frames that this inspector has reported and that have not been freed."""
    return None if key in run.held else f"frame {key} is not held by this inspector"


@invariant
def slots_are_freed_once(run: Run, key: FrameKey) -> str | None:
    """Every captured frame gets one Answered or Discard, and no other frame gets any."""
    if key not in run.held:
        return f"frame {key} is freed, but is not held by this inspector"
    run.held.remove(key)
    return None


@invariant
def no_slot_leaks(run: Run) -> str | None:
    """When every part has its verdict no frame waits any longer."""
    return None if run.waiting or not run.held else f"no part waits, but the frames {sorted(run.held)[:3]} are held"


@invariant
def one_part_for_each_piece(truth: Truth, frame: Frame, part: int) -> str | None:
    """All frames of one piece of steel are of one part, and none of another's."""
    if frame.part not in (None, part):
        return f"a frame of {frame.physical} was part {frame.part} and is part {part}"
    frame.part = part
    before = truth.physical.setdefault((truth.runs, frame.physical), part)
    other = truth.pieces.setdefault((truth.runs, part), frame.physical)
    if other != frame.physical:
        return f"part {part} is {other} and {frame.physical}"
    return None if before == part or frame.repeated else f"{frame.physical} is part {before} and part {part}"


@invariant
def no_frame_is_dropped(truth: Truth, frame: Frame) -> str | None:
    """A frame is discarded only when it is a second edge, or its piece has a part already."""
    frame.dropped = True
    others = truth.pieces_seen[truth.runs, frame.physical]
    known = any(not other.dropped for other in others) or frame.physical in truth.pieces_lost
    if frame.repeated or known or frame.physical in truth.asked:
        return None
    return f"the only frame of {frame.physical} was discarded"


# ---- verdicts ----------------------------------------------------------------------------------------------------


@invariant
def a_part_is_claimed_once(entry: VerdictEntry, part: PartTruth | None) -> str | None:
    """A verdict is of a part that was triggered and has none."""
    if part is None:
        return f"verdict {entry.seq} of part {entry.part}, which was never triggered"
    return None if part.claim is None else f"verdict {entry.seq} of part {entry.part}, which has {part.claim.seq}"


@invariant
def the_stream_has_no_gap(truth: Truth, run: Run, verdict: Verdict) -> str | None:
    """Numbers go on by one within and over epochs, and none is given twice within an epoch."""
    if verdict.epoch != run.epoch or (verdict.epoch, verdict.seq) in truth.stream:
        return f"({verdict.epoch}, {verdict.seq}) in epoch {run.epoch}"
    return None if verdict.seq == run.seq + 1 else f"verdict {verdict.seq} after {run.seq}"


@invariant
def what_is_said_was_claimed(run: Run, verdict: Verdict) -> str | None:
    """What is published is what the journal was told before."""
    claim = run.claims.get(verdict.seq)
    said = (verdict.part, verdict.outcome, verdict.reason)
    claimed = None if claim is None else (claim.part, claim.outcome, claim.reason)
    return None if said == claimed else f"verdict {verdict.seq}: {said} published, {claimed} told to the journal"


@invariant
def one_verdict_for_each_part(truth: Truth, part: PartTruth, verdict: Verdict) -> str | None:
    """A part is published once in a run, and never again once it went out as journaled."""
    if part.published:
        return f"part {verdict.part} again"
    before = truth.kept.get(verdict.part)
    return None if before is None else f"part {verdict.part} at {verdict.seq}, and journaled before at {before}"


@invariant
def journaled_is_durable(run: Run, verdict: Verdict) -> str | None:
    """A verdict that says it is journaled is on the disk at that moment."""
    if not verdict.journaled:
        return None
    row = run.database.execute("SELECT part, outcome FROM parts WHERE seq = ?", (verdict.seq,)).fetchone()
    expected = (verdict.part, verdict.outcome.value)
    return (
        None if row == expected else f"verdict {verdict.seq} {expected} is published as journaled; on the disk: {row}"
    )


@invariant
def what_a_well_disk_can_keep_is_kept(run: Run, part: PartTruth, verdict: Verdict, now_us: int) -> str | None:
    """A verdict that waited for two quick commits leaves as journaled, unless the disk or the loop was slow."""
    if verdict.journaled or part.adopted or run.stopping:
        return None
    waited_us = now_us - max(part.claimed_us, run.stall_end_us, run.disk_slow_until_us)
    return f"verdict {verdict.seq} is not journaled, {waited_us} us after its claim" if waited_us > 3_000 else None


@invariant
def a_pass_is_proven(truth: Truth, part: PartTruth, verdict: Verdict) -> str | None:
    """PASS: every view was found good in time, of one piece, by the recipe active at the trigger, with no fault."""
    if verdict.outcome is not Outcome.PASS:
        return None
    expected = _cameras_of(truth, part)
    if part.closed or part.adopted or {view.camera for view in verdict.views} != expected:
        return f"part {verdict.part} PASS: {part.closed or 'views'}: {verdict.views}, expected {expected}"
    if verdict.recipe is None or verdict.recipe.hash != part.recipe:
        return f"part {verdict.part} PASS under {verdict.recipe}, active was {part.recipe}"
    for camera in expected:
        found = part.found.get(camera)
        if found is None or found.outcome is not Outcome.PASS or found.at_us >= part.entry.deadline_us:
            return f"part {verdict.part} PASS, but camera {camera} found {found}"
        if found.recipe != part.recipe or found.frame.fault is not None:
            return f"part {verdict.part} PASS, but camera {camera} judged {found} by another recipe or a bad frame"
        if found.frame.severity > truth.limits[part.recipe]:
            return f"part {verdict.part} PASS, but {found.frame} is bad by {truth.limits[part.recipe]}"
    pieces = {found.frame.physical for found in part.found.values()}
    return None if len(pieces) == 1 else f"part {verdict.part} PASS of the pieces {pieces}"


def _cameras_of(truth: Truth, part: PartTruth) -> set[str]:
    """Return the cameras that a part is to be seen by, from settings and request alone."""
    cameras = truth.station.cameras
    if part.entry.source == SOFTWARE:
        assert part.entry.request is not None
        request = truth.asked[part.entry.request].request
        assert isinstance(request, Trigger)
        return set(request.cameras or [c.name for c in cameras if c.trigger == "software"])
    joined = truth.station.parts.join != "each"
    return {c.name for c in cameras if c.trigger != "software"} if joined else {part.entry.source}


@invariant
def nothing_follows_from_what_is_no_number(part: PartTruth, verdict: Verdict) -> str | None:
    """A view of which a score or the health was not finite is UNKNOWN(engine), and its part is no PASS."""
    for camera, found in part.found.items():
        is_unknown = (found.outcome, found.reason) == (Outcome.UNKNOWN, Reason.ENGINE)
        if found.frame.poisoned and not (is_unknown and verdict.outcome is not Outcome.PASS):
            return f"part {verdict.part} {verdict.outcome}, but camera {camera} found {found}"
    return None


@invariant
def a_reject_was_found(truth: Truth, part: PartTruth, verdict: Verdict) -> str | None:
    """REJECT: at least one view was found bad, and is."""
    if verdict.outcome is not Outcome.REJECT:
        return None
    limit = truth.limits.get(part.recipe, 1.0)
    found = [f for f in part.found.values() if f.outcome is Outcome.REJECT and f.frame.severity > limit]
    return None if found else f"part {verdict.part} REJECT, but found was {part.found}"


@invariant
def a_reject_is_never_lost(part: PartTruth, verdict: Verdict) -> str | None:
    """REJECT > UNKNOWN > PASS: a view found bad before the claim makes the part a REJECT."""
    if verdict.outcome is Outcome.REJECT:
        return None
    # What is read at the moment at which the part is late came too late itself.
    last_us = part.claimed_us - (verdict.reason is Reason.LATE)
    found = [f for f in part.found.values() if f.outcome is Outcome.REJECT and f.at_us <= last_us]
    return f"part {verdict.part} {verdict.outcome}, but {found[0]}" if found else None


@invariant
def nothing_is_unknown_without_need(part: PartTruth, verdict: Verdict) -> str | None:
    """A part whose every view was found good before the claim is a PASS."""
    if verdict.outcome is not Outcome.UNKNOWN or not verdict.views:
        return None
    good = [f for f in part.found.values() if f.outcome is Outcome.PASS and f.at_us < part.claimed_us]
    return f"part {verdict.part} {verdict.reason}, but all {part.found}" if len(good) == len(verdict.views) else None


@invariant
def unknown_has_a_true_reason(truth: Truth, run: Run, part: PartTruth, verdict: Verdict) -> str | None:
    """UNKNOWN always has a reason and a line for people, and a reason that the station alone gives is true."""
    if verdict.outcome is not Outcome.UNKNOWN:
        return None if verdict.reason is None else f"part {verdict.part} {verdict.outcome} with {verdict.reason}"
    if verdict.reason is None:
        return f"part {verdict.part} UNKNOWN without a reason"
    true = {
        Reason.RESTART: part.adopted,
        Reason.PAUSED: part.claimed_us <= max(run.paused_ever_us, run.stall_end_us),
        Reason.STOPPED: run.stopping,
        Reason.SELFTEST: run.selftest_ever_failed,
        Reason.LATE: part.claimed_us >= part.entry.deadline_us - truth.reserve_us,
        Reason.OVERRUN: truth.station.parts.min_interval_ms > 0,
    }.get(verdict.reason, not part.adopted)
    if not true:
        return f"part {verdict.part} UNKNOWN({verdict.reason.value}) at {part.claimed_us}: {part.entry}"
    if part.adopted and verdict.reason is not Reason.RESTART:
        return f"part {verdict.part} of an earlier run is {verdict.reason}"
    return None


@invariant
def late_is_not_what_never_came(truth: Truth, run: Run, part: PartTruth, verdict: Verdict) -> str | None:
    """A part of which all that came is judged is not late: a view that never came is the camera's."""
    if verdict.reason is not Reason.LATE or truth.station.parts.join == "each" or part.entry.source == SOFTWARE:
        return None
    window_us = part.entry.trigger_us + 1000 * truth.station.parts.window_ms
    awaited = [view.camera for view in verdict.views if view.frame is not None and view.camera not in part.found]
    in_time = max([window_us, run.stall_end_us, *(f.at_us for f in part.found.values())]) < part.claimed_us
    return f"part {verdict.part} late, awaiting nothing: {part.found}" if in_time and not awaited else None


@invariant
def one_part_for_each_number(truth: Truth, verdict: Verdict) -> str | None:
    """What a camera numbers is one part for each number, also when its picture never came."""
    for view in verdict.views:
        camera = next(c for c in truth.station.cameras if c.name == view.camera)
        if view.frame is None or camera.source.kind != "synthetic" or camera.trigger == "software":
            continue
        by_counter = truth.station.parts.join == "counter"
        name, number = ("", view.frame + camera.counter_offset) if by_counter else (camera.name, view.frame)
        if (other := truth.numbers.setdefault((truth.runs, name, number), verdict.part)) != verdict.part:
            return f"number {number} of {view.camera} is part {other} and part {verdict.part}"
    return None


@invariant
def nothing_is_left_in_dead_hands(run: Run) -> str | None:
    """When an inspector has ended, every part that was open has its verdict in the same cycle."""
    left = [number for number, part in run.waiting.items() if part.claim is None] if run.bereft else []
    return f"the inspector has ended, the parts {left} are open" if left else None


@invariant
def every_part_is_answered_in_time(truth: Truth, run: Run, now_us: int) -> str | None:
    """A verdict is out at the deadline, unless the loop itself was not given time, or heard of the part too late."""
    for number, part in run.waiting.items():
        if part.adopted:
            continue
        due_us = max(part.entry.deadline_us, max(run.stall_end_us, part.opened_us) + truth.reserve_us)
        if now_us >= due_us:
            return f"part {number} waits at {now_us}, {now_us - due_us} us after {due_us}; its claim: {part.claim}"
    return None


# ---- what the station says of itself -----------------------------------------------------------------------------


@invariant
def ready_is_proven(truth: Truth, run: Run, status: Status, now_us: int) -> str | None:
    """Ready only with a living, proven inspector, every camera open, no pause, no failed self-test."""
    if not status.ready:
        return None
    closed = [c.name for c in truth.station.cameras if run.cameras.get(c.name) != "open"]
    paused = now_us < run.paused_until_us
    if run.proven and run.proven == status.inspector and not (closed or paused or run.selftest_failed or run.ending):
        return None
    return f"ready with inspector {run.proven} proven, cameras closed: {closed}, paused: {paused}"


@invariant
def restarted_parts_come_first(run: Run, status: Status) -> str | None:
    """What an earlier run left open is answered before the station is ready."""
    waiting = [number for number, part in run.waiting.items() if part.adopted and part.claim is None]
    return f"ready, but the parts {waiting} are open" if status.ready and waiting else None


@invariant
def the_heartbeat_adds_up(run: Run, status: Status) -> str | None:
    """triggers = PASS + REJECT + UNKNOWN + open, by the station's count and by ours."""
    counted = (status.triggers, sum(status.counts.values()), status.open)
    open_ = sum(part.claim is None for part in run.waiting.values())
    expected = (len(run.parts), len(run.claims), open_)
    if counted != expected or not run.ledger.balanced(status.open):
        return f"triggers, verdicts, open = {counted}, expected {expected}; ledger {run.ledger.open} open"
    return None if status.journaled_seq <= status.seq == run.seq else f"{status.journaled_seq}, {status.seq}, {run.seq}"


# ---- restart and end ---------------------------------------------------------------------------------------------


@invariant
def open_parts_are_found_again(part: int, entry: TriggerEntry | None) -> str | None:
    """A trigger on the disk without a verdict is known to the next run."""
    return f"part {part} is open on the disk and not known" if entry is None else None


@invariant
def every_journaled_part_has_one_verdict(database: sqlite3.Connection) -> str | None:
    """At the end no part is left open, and no number is given twice."""
    left, seqs, rows = database.execute("SELECT sum(seq IS NULL), count(DISTINCT seq), count(*) FROM parts").fetchone()
    return None if not left and seqs == rows else f"{left} of {rows} parts are open, {seqs} numbers"


@invariant
def what_was_acknowledged_is_kept(truth: Truth, database: sqlite3.Connection) -> str | None:
    """A trigger acknowledged as journaled is one part of the journal; one refused for good is none."""
    found = Counter(row[0] for row in database.execute("SELECT request FROM parts WHERE request IS NOT NULL"))
    named = "SELECT part_id, count(*) FROM parts WHERE part_id IS NOT NULL GROUP BY part_id HAVING count(*) > 1"
    for part_id, times in database.execute(named):
        return f"part_id {part_id} is {times} parts"
    for id_, asked in truth.asked.items():
        if not isinstance(asked.request, Trigger):
            continue
        if found[id_] > 1:
            return f"request {id_} is {found[id_]} parts"
        kept = any(isinstance(answer, Triggered) and answer.journaled for _, answer in asked.answers)
        if kept and not found[id_]:
            return f"{asked} is not in the journal"
        if asked.settled and isinstance(asked.answers[-1][1], Refused) and found[id_]:
            return f"{asked} was refused and is a part"
    return None


@invariant
def what_was_published_is_kept(truth: Truth, database: sqlite3.Connection) -> str | None:
    """Every verdict that went out as journaled is in the journal as it was."""
    rows = {row[0]: row[1:] for row in database.execute("SELECT part, seq, outcome, reason FROM parts")}
    for part, position in truth.kept.items():
        verdict = truth.stream[position]
        said = (verdict.seq, verdict.outcome.value, None if verdict.reason is None else verdict.reason.value)
        if rows.get(part) != said:
            return f"part {part}: published {said}, kept {rows.get(part)}"
    return None


@invariant
def the_ledger_is_exact(run: Run, database: sqlite3.Connection) -> str | None:
    """The ledger on the disk is the count of the rows, by shift and mode and line, and so is the one in memory."""
    counts = {row[:3]: row[3] for row in database.execute("SELECT shift, mode, what, n FROM ledger")}
    in_memory = {(shift, mode.value, what): n for (shift, mode, what), n in run.ledger.counts().items() if n}
    if counts != in_memory:
        return f"on the disk {counts}, in memory {in_memory}"
    lost = database.execute("SELECT sum(last_seq - first_seq + 1) FROM lost").fetchone()[0] or 0
    rows: Counter[tuple[str, str, str]] = Counter()
    for shift, mode, outcome, reason in database.execute("SELECT shift, mode, outcome, reason FROM parts"):
        line = line_from_verdict(Outcome(outcome), None if reason is None else Reason(reason))
        rows.update([(shift, mode, "triggers"), (shift, mode, line)])
    beside = ("unseen", "bounced", "refused")
    differences = {key: n - rows[key] for key, n in counts.items() if key[2] not in beside and n != rows[key]}
    triggers = sum(n for key, n in differences.items() if key[2] == "triggers")
    verdicts = sum(n for key, n in differences.items() if key[2] != "triggers")
    short = any(n < 0 for n in differences.values())
    fault = short or triggers != lost or verdicts != lost or not all(key in counts for key in rows)
    return f"{differences}, with {lost} lost; modes {[mode.value for mode in Mode]}" if fault else None


@invariant
def a_consumer_gets_everything(truth: Truth, database: sqlite3.Connection) -> str | None:
    """Reading page by page, over every restart, gives each journaled verdict once and in order."""
    rows = database.execute("SELECT seq, part FROM parts ORDER BY seq").fetchall()
    read = [(seq, part) for _, seq, part in truth.consumed]
    if read == rows:
        return None
    wrong = next((i for i, (a, b) in enumerate(zip(read, rows, strict=False)) if a != b), min(len(read), len(rows)))
    return f"{len(read)} read, {len(rows)} journaled; they part at {read[wrong : wrong + 2]}, {rows[wrong : wrong + 2]}"
