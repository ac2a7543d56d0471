"""What a station answers, as tables and lines for people. Text, not str: what comes from outside is no mark-up."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from rich.table import Table
from rich.text import Text

from edge.records import ALARMS, CameraStatus, ChallengeMark, LedgerRow, Outcome, Status, Verdict
from edge.requests import Challenged, Independent, Missing, Triggered

_OUTCOME_STYLES = {Outcome.PASS: "green", Outcome.UNKNOWN: "yellow", Outcome.REJECT: "bold red"}
_WRONG = "bold red"
_NUMBERS = {"triggers", "PASS", "REJECT", "UNKNOWN", "open", "last frame", "counted", "triggered"}


def table_from_status(status: Status) -> Table:
    """Return the state, a line each; red is what must be mended."""
    recipe = "none yet" if status.recipe is None else f"{status.recipe.name} by {status.recipe.author or 'unnamed'}"
    counts = "  ".join(f"{outcome} {n}" for outcome, n in status.counts.items())
    unsaved = status.seq - status.journaled_seq
    table = Table.grid(padding=(0, 2))
    table.add_row("station", Text(status.station))
    # What it does otherwise would contradict a pause; who has paused it stands below.
    state = status.state if status.paused is not None else f"{status.state}: {status.detail}"
    table.add_row("state", Text(state, "green" if status.ready else _WRONG))
    if not status.alarms:
        table.add_row("alarms", "none")
    for alarm in status.alarms:
        table.add_row("alarm", Text(f"{alarm.value}: {ALARMS[alarm]}", _WRONG))
    if status.paused is not None:
        paused = status.paused
        told = f"by {paused.role} until {_local(paused.until_utc_us)}: {paused.reason}"
        table.add_row("paused", Text(told, "yellow"))
    if status.challenge is not None:
        table.add_row("challenge", _line_from_challenge(status.challenge))
    table.add_row("recipe", Text(recipe))
    table.add_row("inspector", Text(f"number {status.inspector}"))
    table.add_row("parts", Text(f"{status.triggers} in this run: {counts}  open {status.open}"))
    if status.unknown:
        reasons = "  ".join(f"{reason} {n}" for reason, n in sorted(status.unknown.items(), key=lambda kind: -kind[1]))
        table.add_row("UNKNOWN", Text(reasons, _OUTCOME_STYLES[Outcome.UNKNOWN]))
    table.add_row("verdicts", Text(f"last {status.seq} of epoch {status.epoch:012x}, {unsaved} not journaled yet"))
    return table


def table_from_cameras(cameras: tuple[CameraStatus, ...]) -> Table:
    """Return a line a camera."""
    table = _table("camera", "state", "last frame", "detail")
    for camera in cameras:
        style = _WRONG if camera.state in ("closed", "failed") else ""
        frame = "-" if camera.last_frame is None else str(camera.last_frame)
        missed = "" if camera.numbered else " (missed is best effort)"
        table.add_row(Text(camera.name), Text(camera.state, style), frame, Text(camera.detail + missed))
    return table


def _line_from_challenge(mark: ChallengeMark) -> Text:
    """Return how the last challenge ended, and when the next is due."""
    last = "none given yet" if mark.last_utc_us is None else f"last {_local(mark.last_utc_us)} by {mark.last_by}"
    if mark.state == "passed":
        return Text(f"{last}; the next is due {_local(mark.due_utc_us)}", "green")
    if mark.state == "due":
        return Text(f"DUE, {mark.why}; no part passes from {_local(mark.closes_utc_us)} on; {last}", "yellow")
    return Text(f"{mark.state.upper()}, {mark.why}; {last}", _WRONG)


def table_from_challenged(answer: Challenged) -> Table:
    """Return a line a master; red where the station was wrong."""
    table = _table("master", "part", "expected", "said", "defects that count")
    for part in answer.parts:
        expected = part.expected.value if part.defect is None else f"{part.expected.value} for {part.defect}"
        said = part.outcome.value if part.reason is None else f"{part.outcome.value}({part.reason.value})"
        table.add_row(
            Text(part.name),
            str(part.part),
            Text(expected),
            Text(said, "green" if part.right else _WRONG),
            Text(", ".join(part.found) or "-"),
        )
    return table


def table_from_ledger(rows: tuple[LedgerRow, ...]) -> Table:
    """Return a line a shift and mode; red when it does not add up, or parts were not seen."""
    table = _table("shift", "mode", "triggers", "PASS", "REJECT", "UNKNOWN", "open", "no parts")
    for row in rows:
        answered = (row.passed, row.rejected, sum(row.unknown.values()), row.open)
        adds_up = row.triggers == sum(answered)
        table.add_row(
            *_shift_and_mode(row),
            Text(str(row.triggers) if adds_up else f"{row.triggers} != {sum(answered)}", "" if adds_up else _WRONG),
            *(str(number) for number in answered),
            _no_parts(row),
        )
    return table


def table_from_reasons(rows: tuple[LedgerRow, ...]) -> Table:
    """Return why parts were UNKNOWN, a line a shift and mode that has some."""
    table = _table("shift", "mode", "UNKNOWN because of")
    for row in rows:
        if row.unknown:
            table.add_row(*_shift_and_mode(row), Text(", ".join(f"{reason} {n}" for reason, n in row.unknown.items())))
    return table


def table_from_counts(counts: tuple[Independent, ...]) -> Table:
    """Return a line a second count; red when it says something else."""
    table = _table("independent count", "counted", "triggered", "state")
    styles = {"balanced": "green", "unbalanced": _WRONG, "unverified": "yellow"}
    for count in counts:
        counted = "-" if count.counted is None else str(count.counted)
        table.add_row(Text(count.source), counted, str(count.triggered), Text(count.state, styles[count.state]))
    return table


def line_from_triggered(answer: Triggered) -> Text:
    """Return the part's number, and whether a crash could lose it."""
    line = Text(f"part {answer.part}: ")
    if answer.journaled:
        return line.append("journaled", "green")
    return line.append("not journaled, a crash now would lose it", _WRONG)


def line_from_verdict(verdict: Verdict) -> Text:
    """Return position, part, outcome and reason."""
    reason = "" if verdict.reason is None else f"{verdict.reason.value}: {verdict.detail}"
    line = Text(f"{verdict.epoch:012x} {verdict.seq:>8} part {verdict.part:>8} ")
    return line.append(f"{verdict.outcome.value:<8}", _OUTCOME_STYLES[verdict.outcome]).append(reason)


def line_from_missing(missing: Missing) -> Text:
    """Return which verdicts can no longer be given."""
    last = "?" if missing.last is None else missing.last
    return Text(f"verdicts {missing.first} to {last} of epoch {missing.epoch:012x} are gone: {missing.why}", _WRONG)


def _no_parts(row: LedgerRow) -> Text:
    """Return what was counted beside the parts, as far as there is some."""
    counts = {"unseen": row.unseen, "bounced": row.bounced, "refused": row.refused}
    return Text(", ".join(f"{n} {what}" for what, n in counts.items() if n), _WRONG if row.unseen else "")


def _local(utc_us: int) -> str:
    return f"{datetime.fromtimestamp(utc_us / 1e6):%Y-%m-%d %H:%M}"


def _shift_and_mode(row: LedgerRow) -> tuple[Text, Text]:
    return Text(row.shift or "for ever"), Text(row.mode.value)


def _table(*headings: str) -> Table:
    """Return an empty table; only its last column is folded when the terminal is narrow."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    for heading in headings:
        justify: Literal["right", "left"] = "right" if heading in _NUMBERS else "left"
        table.add_column(heading, justify=justify, no_wrap=heading != headings[-1], overflow="fold")
    return table
