"""What the journal is told, and what it gives back: frozen records, no file."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from edge.records import Mode, Outcome, Reason


class TriggerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A part that was heard of; its fields are the columns of the same name."""

    part: int
    request: str | None
    """Id of the control request that triggered it; None = a camera did."""
    part_id: str | None
    tag: int | None
    counter: int | None
    mode: Mode
    source: str
    trigger_us: int
    """Monotonic [us]: means nothing after a reboot."""
    deadline_us: int
    utc_us: int
    shift: str


class VerdictEntry(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a part that was heard of before."""

    seq: int
    part: int
    outcome: Outcome
    reason: Reason | None
    mode: Mode
    """Of the trigger, as is the shift: otherwise the ledger of neither shift adds up."""
    shift: str
    utc_us: int
    record: bytes
    """The verdict's header as it is published."""


Entry: TypeAlias = TriggerEntry | VerdictEntry


class Position(msgspec.Struct, frozen=True):
    """A place in the verdict stream: behind the verdict *seq* of *epoch*."""

    epoch: int
    seq: int


BEGINNING = Position(0, 0)
"""Before the oldest verdict that is kept; no epoch is 0."""


class Gap(msgspec.Struct, frozen=True):
    """Verdicts that can no longer be given."""

    first: int | None
    """Seq of the first and the last of them; None = not known, as after an unknown epoch."""
    last: int | None
    why: Literal["retention", "unknown epoch", "lost"]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Consecutive verdicts; *gap* lies before the first of them."""

    records: tuple[bytes, ...] = ()
    last: Position
    """Of the last record, or of the gap's end; if there is neither, where the asker stands in today's epochs."""
    gap: Gap | None = None
    end: bool
    """Nothing more is journaled as yet."""
    ahead: bool = False
    """The position asked for lies beyond the last verdict that was ever given."""
    fault: str = ""
    """Why it could not be read, twice; then *last* is where the asker stood, and nothing is known of what follows."""
