"""
What consumers, bridges and people may ask of a station, and what it answers. Frozen records, no I/O.

Every request there is stands in REQUESTS, every refusal in REFUSALS. Their JSON form is the wire's (docs/protocol.md).
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Literal, TypeAlias

import msgspec

from edge.records import LedgerRow, Message, Mode, Outcome, Reason, Status

# To the very end, by \Z: $ would let a line feed pass. What people read later has no control characters.
_ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\Z"
_Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")]
_Line = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=_ONE_LINE)]
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=_ONE_LINE)]
_Count = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
_Position = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]

LONGEST_PAGE = 1000
"""Verdicts in one answer to a replay; the consumer asks for the next when it wants it."""

LEASE_S = 5.0
"""
A consumer that has asked for nothing for so long may be replaced by another of the same name; a part that nobody has
asked for again for so long is not expected any more.
"""


TRIGGER_MODES = (Mode.PRODUCTION, Mode.CHALLENGE, Mode.GAUGE, Mode.SIMULATED)
"""Modes that a trigger may name; the others are the station's to give."""


class Request(Message, frozen=True, kw_only=True):
    """Base of all requests."""

    version: Literal[1]
    id: _Id
    """The sender's own; the answer carries it. The same id again is the same request and is carried out once."""


class Trigger(Request, frozen=True, tag_field="request", tag="trigger"):
    """A part is here. Repeat it, with the same id, until it is answered: it counts once."""

    part_id: _Id | None
    """The line's own name of the part; one that came before is refused."""
    tag: Annotated[int, msgspec.Meta(ge=0, le=65535)] | None
    counter: Annotated[int, msgspec.Meta(ge=0, lt=2**32)] | None
    """The line's count of triggers: an independent count for the ledger. After 2^32 - 1 comes 0."""
    mode: Mode
    """One of TRIGGER_MODES."""
    cameras: Annotated[tuple[_Name, ...], msgspec.Meta(min_length=1, max_length=64)] | None
    """Cameras that shall see the part; null = every camera that is triggered by software."""

    def __post_init__(self) -> None:
        if self.mode not in TRIGGER_MODES:
            expected = ", ".join(mode.value for mode in TRIGGER_MODES)
            raise ValueError(f"mode = {self.mode.value}: expected one of {expected}")
        if self.cameras is not None and len(set(self.cameras)) != len(self.cameras):
            raise ValueError(f"cameras = {', '.join(self.cameras)}: expected each name once")


EXPECT_MODES = (Mode.CHALLENGE, Mode.GAUGE)
"""Modes in which the next part of a camera may be expected."""


class Expect(Request, frozen=True, tag_field="request", tag="expect"):
    """
    The next part that a camera sees by itself is this one. Answered when it has come, or when it has not in time.

    Repeat it, with the same id, every second or two: who has not for LEASE_S does not wait any more.
    """

    part_id: _Id | None
    """As of a trigger."""
    mode: Mode
    """One of EXPECT_MODES."""
    camera: _Name | None
    """That it comes before; null = those that see parts together, where there is no choice."""
    seconds: Annotated[float, msgspec.Meta(ge=0, le=600)]
    """Wait so long for it; 0 = what was expected is not any more."""

    def __post_init__(self) -> None:
        if self.mode not in EXPECT_MODES:
            expected = ", ".join(mode.value for mode in EXPECT_MODES)
            raise ValueError(f"mode = {self.mode.value}: expected one of {expected}")


class Shown(Message, frozen=True):
    """A part that was one of the masters."""

    name: _Id
    part: _Count


class Challenge(Request, frozen=True, tag_field="request", tag="challenge"):
    """These parts of mode challenge were the masters, before each camera: hold what you said against what they are."""

    by: _Line
    parts: Annotated[tuple[Shown, ...], msgspec.Meta(min_length=1, max_length=512)]


class Attach(Request, frozen=True, tag_field="request", tag="attach"):
    """Take a name and learn where its cursor is. A new name begins at *origin*."""

    consumer: _Name
    session: _Id
    """Random, the sender's own: who asks later under this name must say the same."""
    origin: Literal["now", "oldest"]
    take_over: bool
    """Replace who has the name now: for a consumer that knows that its predecessor is dead."""


class Replay(Request, frozen=True, tag_field="request", tag="replay"):
    """Give journaled verdicts after a position, oldest first: the payload parts of the answer, one JSON each."""

    epoch: _Position
    seq: _Position
    limit: Annotated[int, msgspec.Meta(ge=1, le=LONGEST_PAGE)]


class Ack(Request, frozen=True, tag_field="request", tag="ack"):
    """Move the cursor: every verdict up to this one is dealt with. Answered when that is durable."""

    consumer: _Name
    session: _Id
    epoch: _Position
    seq: _Position


class Detach(Request, frozen=True, tag_field="request", tag="detach"):
    """Give the name back; with *forget* its cursor too."""

    consumer: _Name
    session: _Id
    forget: bool


class UseRecipe(Request, frozen=True, tag_field="request", tag="recipe"):
    """Verify a recipe and make it active. Answered when it is, or when it is refused."""

    name: _Name


class Pause(Request, frozen=True, tag_field="request", tag="pause"):
    """Inspect nothing for a while: every part is UNKNOWN(paused). 0 minutes ends it."""

    role: _Line
    reason: _Line
    minutes: Annotated[float, msgspec.Meta(ge=0, le=24 * 60)]


class Selftest(Request, frozen=True, tag_field="request", tag="selftest"):
    """Judge the bundle's reference frames with the engines in use. Answered when that is done."""


class Reload(Request, frozen=True, tag_field="request", tag="reload"):
    """Verify a bundle and make it active between two parts. Answered when it is, or when it is refused."""

    bundle: Annotated[str, msgspec.Meta(min_length=1, max_length=4096, pattern=_ONE_LINE)] | None
    """Folder on the station's machine; null = the one of the settings, read again."""


class Ledger(Request, frozen=True, tag_field="request", tag="ledger"):
    """Count what was triggered and answered."""

    shifts: Annotated[int, msgspec.Meta(ge=0, le=1000)]
    """So many of the last shifts, beside the totals for ever."""


class AskStatus(Request, frozen=True, tag_field="request", tag="status"):
    """Give the status now; its times tell the offset of the station's clock."""


AnyRequest: TypeAlias = (
    Trigger
    | Expect
    | Challenge
    | Attach
    | Replay
    | Ack
    | Detach
    | UseRecipe
    | Pause
    | Selftest
    | Reload
    | Ledger
    | AskStatus
)


class Refusal(str, Enum):
    """Why a request was not carried out. Closed list; the meaning stands in REFUSALS."""

    MALFORMED = "malformed"
    VERSION = "version"
    ID_USED = "id_used"
    UNKNOWN_CAMERA = "unknown_camera"
    NOT_TRIGGERED = "not_triggered"
    PART_ID_USED = "part_id_used"
    BOUNCED = "bounced"
    BUSY = "busy"
    NOT_READY = "not_ready"
    NOT_JOURNALED = "not_journaled"
    NAME_TAKEN = "name_taken"
    NOT_ATTACHED = "not_attached"
    AHEAD = "ahead"
    UNKNOWN_EPOCH = "unknown_epoch"
    TOO_MANY = "too_many"
    RECIPE = "recipe"
    BUNDLE = "bundle"
    SELFTEST = "selftest"
    NO_PART = "no_part"
    CHALLENGE = "challenge"
    STOPPING = "stopping"


REFUSALS: dict[Refusal, str] = {
    Refusal.MALFORMED: "not JSON, no request of this list, or a field is missing, unknown or out of its bounds",
    Refusal.VERSION: "the request is of another protocol version",
    Refusal.ID_USED: "another request came under this id before",
    Refusal.UNKNOWN_CAMERA: "the station has no camera of this name, or which of several is meant was not said",
    Refusal.NOT_TRIGGERED: "the camera is not triggered by software, or no camera of the station is",
    Refusal.PART_ID_USED: "a part of this name was triggered before, under another request id",
    Refusal.BOUNCED: "inside debounce_ms of the last trigger: taken for the same one",
    Refusal.BUSY: "one like it is being carried out; ask again when that is answered",
    Refusal.NOT_READY: "there is no inspector that could do it at present",
    Refusal.NOT_JOURNALED: "the journal cannot be written, or is off: repeat it later",
    Refusal.NAME_TAKEN: "somebody else is attached under this name",
    Refusal.NOT_ATTACHED: "the session does not hold this name: attach first",
    Refusal.AHEAD: "the position lies ahead of the journal",
    Refusal.UNKNOWN_EPOCH: "the journal knows no such epoch: it is a new one, or another station's",
    Refusal.TOO_MANY: "there are as many consumers as there may be: detach one and forget its cursor",
    Refusal.RECIPE: "the recipe cannot be used; the text says why",
    Refusal.BUNDLE: "the bundle cannot be used; the text says why",
    Refusal.SELFTEST: "the self-test failed; the text says where",
    Refusal.NO_PART: "the part that was expected did not come in time, may have been lost, or none can come by itself",
    Refusal.CHALLENGE: "these parts are no challenge: not all masters, not shown lately; the text says which",
    Refusal.STOPPING: "the station is being stopped",
}


class Answer(Message, frozen=True, kw_only=True):
    """Base of all answers."""

    version: Literal[1]
    id: str
    """Of the request; empty when it could not be read."""
    now_us: int
    """Monotonic time of the station when it answered [us]."""


class Refused(Answer, frozen=True, tag_field="answer", tag="refused"):
    code: Refusal
    text: str
    """One line for people: what, the value, what was expected, what to do."""


class Triggered(Answer, frozen=True, tag_field="answer", tag="triggered"):
    """The part is in the journal: it will have its one verdict, whatever happens."""

    part: int
    trigger_us: int
    deadline_us: int
    journaled: bool
    """False while the journal fails or is off: a crash now would lose the part."""


class Judged(Message, frozen=True):
    """What the station said of a master."""

    name: str
    part: int
    expected: Outcome
    defect: str | None
    """Class of a defect that it had to be rejected for; None = any."""
    outcome: Outcome
    reason: Reason | None
    found: tuple[str, ...]
    """Classes of the defects that counted."""
    right: bool


class Challenged(Answer, frozen=True, tag_field="answer", tag="challenged"):
    """The challenge is on record, passed or not."""

    passed: bool
    parts: tuple[Judged, ...]
    text: str


class Missing(Message, frozen=True):
    """Verdicts that can no longer be given."""

    epoch: int
    first: int
    last: int | None
    """None when it is not known how many there were."""
    why: Literal["retention", "unknown_epoch", "lost"]


class Attached(Answer, frozen=True, tag_field="answer", tag="attached"):
    epoch: int
    seq: int
    """The cursor: everything up to here is acknowledged. Replay from it."""
    new: bool
    """The name had no cursor before."""
    live_epoch: int
    live_seq: int
    """The station's last verdict."""


class Replayed(Answer, frozen=True, tag_field="answer", tag="replayed"):
    """The verdicts follow as further parts of the message."""

    count: int
    epoch: int
    seq: int
    """Position of the last one given, or where the next will follow if none was."""
    end: bool
    """There is nothing further in the journal at present."""
    missing: Missing | None
    """Verdicts between the position asked for and the first one given that are lost for good."""


class Acknowledged(Answer, frozen=True, tag_field="answer", tag="acknowledged"):
    """The cursor stands here, durably. An ack of an earlier position does not move it back."""

    epoch: int
    seq: int


class Done(Answer, frozen=True, tag_field="answer", tag="done"):
    """Of detach, recipe, pause, selftest, reload."""

    text: str


class Independent(Message, frozen=True):
    """The ledger's second count: what the line or a camera counted, beside what was triggered here."""

    source: str
    """``counter`` = the counter of software triggers; else the camera's name."""
    counted: int | None
    """Since the start of this run; None when the source counts nothing."""
    triggered: int
    state: Literal["balanced", "unbalanced", "unverified"]


class LedgerAnswer(Answer, frozen=True, tag_field="answer", tag="ledger"):
    """triggers = passed + rejected + unknown + open, in each row."""

    rows: tuple[LedgerRow, ...]
    independent: tuple[Independent, ...]


class StatusAnswer(Answer, frozen=True, tag_field="answer", tag="status"):
    status: Status


AnyAnswer: TypeAlias = (
    Refused | Triggered | Challenged | Attached | Replayed | Acknowledged | Done | LedgerAnswer | StatusAnswer
)

REQUESTS: dict[type[Request], type[Answer]] = {
    Trigger: Triggered,
    Expect: Triggered,
    Challenge: Challenged,
    Attach: Attached,
    Replay: Replayed,
    Ack: Acknowledged,
    Detach: Done,
    UseRecipe: Done,
    Pause: Done,
    Selftest: Done,
    Reload: Done,
    Ledger: LedgerAnswer,
    AskStatus: StatusAnswer,
}
"""What each request is answered with when it is not refused."""
