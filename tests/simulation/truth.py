"""What really happened, kept beside the station and without its help: it is what the invariants compare with."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from typing import TypeAlias

from edge.records import Outcome, Reason, Verdict
from edge.requests import AnyAnswer, AnyRequest
from edge.settings import Station
from edge.station.entries import TriggerEntry, VerdictEntry
from edge.station.ledger import Ledger

FrameKey: TypeAlias = tuple[int, str, int, int]
"""Inspector, camera, open number, frame number; within one run of the station."""

Physical: TypeAlias = str
"""Names the piece of steel itself, whatever number the station gives it."""


@dataclass
class Frame:
    """One picture that an inspector reported."""

    physical: Physical
    severity: float
    """How bad the view is, 0..1: a recipe rejects what is above its limit."""
    fault: Reason | None
    repeated: bool = False
    """A second edge of the same trigger."""
    part: int | None = None
    """The part the station took it for."""
    poisoned: bool = False
    """The networks' answers to it held what is no number."""
    dropped: bool = False
    """Discarded: no view of any part."""


@dataclass
class Found:
    """A result as the loop heard it."""

    outcome: Outcome
    reason: Reason | None
    recipe: str
    frame: Frame
    at_us: int


@dataclass
class PartTruth:
    """A part of this run."""

    entry: TriggerEntry
    opened_us: int
    recipe: str = ""
    """Hash that was active when it was triggered."""
    closed: str = ""
    """Why it must not be a PASS whatever is found: paused, selftest."""
    adopted: bool = False
    found: dict[str, Found] = field(default_factory=dict)
    claim: VerdictEntry | None = None
    claimed_us: int = 0
    published: bool = False


@dataclass
class Run:
    """One life of the station's process."""

    epoch: int
    first_seq: int
    last_part: int
    ledger: Ledger
    database: sqlite3.Connection
    stall_end_us: int = 0
    disk_slow_until_us: int = 0
    """Until then a commit may take its time, or fail."""
    stopping: bool = False
    """A stop was asked for, at the latest in this cycle."""
    ending: bool = False
    """It was asked for before this cycle."""
    parts: dict[int, PartTruth] = field(default_factory=dict)
    waiting: dict[int, PartTruth] = field(default_factory=dict)
    """Parts whose verdict has not been published."""
    claims: dict[int, VerdictEntry] = field(default_factory=dict)
    frames: dict[FrameKey, Frame] = field(default_factory=dict)
    held: set[FrameKey] = field(default_factory=set)
    """Frames of the present inspector that wait for an answer."""
    proven: int = 0
    """Number of the inspector whose Ready was heard and whose end was not."""
    cameras: dict[str, str] = field(default_factory=dict)
    recipe: str = ""
    bereft: bool = False
    """An inspector ended in this cycle."""
    paused_until_us: int = 0
    paused_ever_us: int = 0
    """Latest end of any pause so far."""
    selftest_failed: bool = False
    selftest_ever_failed: bool = False
    seq: int = 0
    published: Counter[Outcome] = field(default_factory=Counter)


@dataclass
class Asked:
    """A request and every answer to it, over all runs."""

    request: AnyRequest
    severity: float = 0.0
    sent: int = 0
    answers: list[tuple[int, AnyAnswer]] = field(default_factory=list)
    """With the number of the run that gave it."""
    settled: bool = False
    """An answer was given that is not to be tried again."""
    heard: bool = False
    """The sender has got it."""


@dataclass
class Truth:
    """Over all runs of one world."""

    station: Station
    reserve_us: int
    limits: dict[str, float] = field(default_factory=dict)
    """By recipe hash: severity above which a view is rejected."""
    runs: int = 0
    triggers: int = 0
    stream: dict[tuple[int, int], Verdict] = field(default_factory=dict)
    last_seq: dict[int, int] = field(default_factory=dict)
    kept: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By part: where it was published as journaled."""
    asked: dict[str, Asked] = field(default_factory=dict)
    physical: dict[tuple[int, Physical], int] = field(default_factory=dict)
    """By run and piece: its part."""
    pieces: dict[tuple[int, int], Physical] = field(default_factory=dict)
    """By run and part: its piece."""
    pieces_seen: dict[tuple[int, Physical], list[Frame]] = field(default_factory=dict)
    """By run and piece: the frames of it that were heard."""
    numbers: dict[tuple[int, str, int], int] = field(default_factory=dict)
    """By run, camera (empty = joined by number) and number: its part."""
    pieces_lost: set[Physical] = field(default_factory=set)
    """Pieces of which a frame never came: their part may be known by a number alone."""
    outcomes: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    """How often each kind of trouble was made: a simulation without trouble proves nothing."""
    consumed: list[tuple[int, int, int]] = field(default_factory=list)
    """(epoch, seq, part) as a consumer read them back, page by page."""
