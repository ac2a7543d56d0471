"""What the witness's files and the station's journal prove about each other. Pure: records in, faults out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import msgspec

from edge.records import Reason, Verdict
from edge.requests import LedgerAnswer


@dataclass
class Triggers:
    """What the generator wrote: ids in the order of their first sending, and what was answered."""

    sent: list[str] = field(default_factory=list)
    parts: dict[str, int] = field(default_factory=dict)
    unkept: list[str] = field(default_factory=list)
    """Answered with ``journaled: false``."""
    refused: dict[str, str] = field(default_factory=dict)


@dataclass
class Life:
    """What one process of the consumer got, until it was killed."""

    got: list[Verdict] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    acked_before: set[tuple[int, int]] = field(default_factory=set)
    """Positions that earlier lives had got and durably acknowledged."""


def triggers_from_file(path: Path) -> Triggers:
    """Read what tests.qualify.generator wrote."""
    found = Triggers()
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, id_, *rest = line.split()
        if kind == "T":
            found.sent.append(id_)
        elif kind == "R":
            found.refused[id_] = rest[0]
        else:
            found.parts[id_] = int(rest[0])
            if rest[1] == "0":
                found.unkept.append(id_)
    return found


def lives_from_file(path: Path) -> list[Life]:
    """Read what tests.qualify.consumer wrote."""
    lives: list[Life] = []
    acked: set[tuple[int, int]] = set()
    waiting: list[tuple[int, int]] = []
    for line in path.read_bytes().splitlines():
        kind, *rest = msgspec.json.decode(line)
        if kind == "begin":
            lives.append(Life(acked_before=set(acked)))
            waiting = []
        elif kind == "got":
            verdict = msgspec.convert(rest[0], Verdict)
            lives[-1].got.append(verdict)
            waiting.append((verdict.epoch, verdict.seq))
        elif kind == "missed":
            lives[-1].missed.append(f"{rest[0]} to {rest[1]}: {rest[2]}")
        else:
            acked.update(waiting)
            waiting = []
    return lives


@dataclass(frozen=True)
class Judgement:
    """
    Attributes:
        lost: acknowledged triggers without a verdict, in the journal or at the consumer.
        twice: parts and triggers with two verdicts in the journal.
        repeated: verdicts that came to the consumer again after it had acknowledged them, or twice in one life.
        disordered: a verdict that came, or stands in the journal, before one with a lower number.
        superseded: un-journaled verdicts that a kill took, whose parts were answered again. No fault: they said so.
    """

    triggers: int
    verdicts: int
    lost: int
    twice: int
    repeated: int
    disordered: int
    missed: int
    unkept: int
    refused: int
    superseded: int
    frames_lost: int
    ledger: str
    outcomes: dict[str, int]

    @property
    def broken(self) -> list[str]:
        """One line for each promise that was not kept."""
        faults = {
            "lost": self.lost,
            "repeated in the journal": self.twice,
            "repeated to the consumer": self.repeated,
            "out of order": self.disordered,
            "missed by the consumer": self.missed,
            "refused": self.refused,
            "camera frames without a verdict": self.frames_lost,
        }
        lines = [f"{count} {name}" for name, count in faults.items() if count]
        return lines + ([self.ledger] if self.ledger else [])


def judge(triggers: Triggers, lives: Sequence[Life], journal: Sequence[Verdict], ledger: LedgerAnswer) -> Judgement:
    """
    Compare all that was written down.

    Args:
        journal: every verdict in it, in its order.
    """
    kept = {verdict.part_id for verdict in journal if verdict.part_id is not None}
    consumed = [verdict for life in lives for verdict in life.got]
    reached = {(verdict.epoch, verdict.seq) for verdict in consumed}
    names = {verdict.part_id for verdict in consumed}
    positions = {(verdict.epoch, verdict.seq) for verdict in journal}
    wanted = set(triggers.parts) - set(triggers.unkept)
    return Judgement(
        triggers=len(triggers.sent),
        verdicts=len(journal),
        lost=len(wanted - kept) + len(wanted - names) + len(positions - reached),
        twice=_twice(journal),
        repeated=sum(map(_repeated, lives)),
        disordered=_disordered(journal) + sum(_disordered(life.got) for life in lives),
        missed=sum(len(life.missed) for life in lives),
        unkept=len(triggers.unkept),
        refused=len(triggers.refused),
        superseded=len(reached - positions),
        frames_lost=_frames_lost(journal),
        ledger=_ledger_fault(ledger, journal),
        outcomes=dict(Counter((verdict.reason or verdict.outcome).value for verdict in journal)),
    )


def _twice(journal: Sequence[Verdict]) -> int:
    parts = Counter(verdict.part for verdict in journal)
    names = Counter(verdict.part_id for verdict in journal if verdict.part_id is not None)
    return sum(count - 1 for counted in (parts, names) for count in counted.values())


def _repeated(life: Life) -> int:
    positions = [(verdict.epoch, verdict.seq) for verdict in life.got]
    return len(positions) - len(set(positions)) + len(set(positions) & life.acked_before)


def _disordered(verdicts: Sequence[Verdict]) -> int:
    """
    Count the steps that are not to the next number.

    At the consumer an un-journaled verdict that a kill took gives its number to another: the number comes again then,
    in a new epoch.
    """
    faults = 0
    for before, after in pairwise(verdicts):
        again = after.epoch != before.epoch and after.seq <= before.seq and not before.journaled
        faults += after.seq != before.seq + 1 and not again
    return faults


def _frames_lost(journal: Sequence[Verdict]) -> int:
    """
    Count what is missing among the numbers of cameras that number their frames, epoch by epoch.

    A part that was open at a kill is UNKNOWN(restart) in the next epoch, and has no frame number there. A station that
    ended in order goes on in its epoch, with a camera that counts from one again.
    """
    counts: dict[tuple[int, str], list[list[int]]] = {}
    restarted = 0
    for verdict in sorted(journal, key=lambda verdict: verdict.part):
        restarted += verdict.reason is Reason.RESTART and verdict.part_id is None
        if verdict.part_id is None:
            for view in verdict.views:
                if view.frame is not None:
                    of = counts.setdefault((verdict.epoch, view.camera), [[]])
                    if view.frame == 1 and of[-1]:
                        of.append([])
                    of[-1].append(view.frame)
    numbers = [frames for of in counts.values() for frames in of]
    doubled = sum(len(frames) - len(set(frames)) for frames in numbers)
    holes = sum(max(frames) - min(frames) + 1 - len(set(frames)) for frames in numbers)
    return doubled + max(0, holes - restarted)


def _ledger_fault(ledger: LedgerAnswer, journal: Sequence[Verdict]) -> str:
    """Return what does not add up in the ledger for ever; empty when it does."""
    rows = [row for row in ledger.rows if not row.shift]
    counted = Counter(verdict.reason or verdict.outcome for verdict in journal)
    triggers = sum(row.triggers for row in rows)
    answered = sum(row.passed + row.rejected + sum(row.unknown.values()) for row in rows)
    waiting = sum(row.open for row in rows)
    if triggers != answered + waiting:
        return f"ledger: {triggers} triggers, {answered} answered and {waiting} open"
    if answered != sum(counted.values()):
        return f"ledger: {answered} answered, {sum(counted.values())} verdicts in the journal"
    return ""
