"""
What the product says: frozen records, no I/O. Their JSON form is the wire's (docs/protocol.md).

Every trusted word stands in one table here: outcomes, reasons, modes, stages.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal, TypeAlias

import msgspec

VERSION: Literal[1] = 1


class Outcome(str, Enum):
    """Ordered by severity: of a part's views the worst one counts."""

    PASS = "PASS"
    UNKNOWN = "UNKNOWN"
    REJECT = "REJECT"


class Reason(str, Enum):
    """Why a part is UNKNOWN. Closed list; the meaning stands in REASONS."""

    LATE = "late"
    MISSED = "missed"
    OVERRUN = "overrun"
    OVERLOAD = "overload"
    CAMERA = "camera"
    GEOMETRY = "geometry"
    ENGINE = "engine"
    RECIPE = "recipe"
    DRIFT = "drift"
    SELFTEST = "selftest"
    PAUSED = "paused"
    RESTART = "restart"
    STOPPED = "stopped"


REASONS: dict[Reason, str] = {
    Reason.LATE: "the deadline was reached, and none of the reasons below holds",
    Reason.MISSED: "the camera's frame numbers have a gap: there was a part, but no frame of it arrived",
    Reason.OVERRUN: "a trigger came inside the minimum interval",
    Reason.OVERLOAD: "the part was accepted, then dropped or left unfinished by policy",
    Reason.CAMERA: "the camera failed, or its picture cannot be read",
    Reason.GEOMETRY: "the picture does not fit the canvas or the manifest's format",
    Reason.ENGINE: "the inspector or an engine failed, or returned what cannot be believed",
    Reason.RECIPE: "the recipe asked for is not active",
    Reason.DRIFT: "the picture is outside what the networks were trained for",
    Reason.SELFTEST: "the self-test failed, or a challenge with master parts failed or is overdue",
    Reason.PAUSED: "inspection is paused",
    Reason.RESTART: "the station was restarted while the part was open",
    Reason.STOPPED: "the station was stopped while the part was open",
}


class Mode(str, Enum):
    """What a part counts for; only production parts are products."""

    PRODUCTION = "production"
    CHALLENGE = "challenge"
    GAUGE = "gauge"
    SELFTEST = "selftest"
    SIMULATED = "simulated"
    PAUSED = "paused"


STAGES: dict[str, str] = {
    "trigger": "software trigger taken until the camera begins to read",
    "capture": "the camera's read call, until the picture lies in its slot",
    "wait": "picture in its slot until the inspector begins with it",
    "tile": "cutting tiles out of the slot",
    "classify": "the classifier's calls",
    "segment": "the segmenter's calls",
    "assemble": "cores to the frame's label map, run-lengths",
    "rules": "labels to defects to outcome",
    "handover": "result sent by the inspector until the station has it",
    "journal": "verdict handed to the journal until it is durable, or until there was no more time to wait",
    "publish": "claim and encoding, until the verdict is handed to the journal",
}
"""Stages of a part, in their order on the way. ``upload`` joins with the backend that needs it."""


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the records inside a message."""


class Defect(Message, frozen=True):
    """One connected region (8-connected) of one class over the whole frame."""

    class_id: int
    """Label value in the mask: 1..K."""
    name: str
    area_px: int
    area_mm2: float | None
    """None when the station has no scale."""
    box: tuple[int, int, int, int]
    """left, top, width, height [px]."""
    centroid: tuple[float, float]
    """x, y [px]."""
    peak: float
    """Highest confidence inside (0..1, steps of 1/255)."""
    cut: bool
    """The picture's edge cuts it: it may be larger than it looks."""
    counts: bool
    """It is large and certain enough for its class's rule."""


class MaskReference(Message, frozen=True):
    """Names the mask of a view; the mask itself is on the masks endpoint under the same (epoch, seq, camera)."""

    bytes: int
    sha256: str
    complete: bool
    """False when tiles over the gate were left out: absence of a label then proves nothing."""
    sent: bool
    """False when it is larger than max_mask_bytes: announced, not sent."""


class View(Message, frozen=True):
    """One camera's part of a verdict."""

    camera: str
    frame: int | None
    """Frame number of the camera; None when there was no frame."""
    source: str
    """File name of a replayed picture, else the frame number as text."""
    outcome: Outcome
    reason: Reason | None
    defects: tuple[Defect, ...]
    """The largest 256, by descending area."""
    defects_total: int
    """How many there are, described or not; the outcome is judged on all of them."""
    scores: dict[str, float]
    """Highest classifier probability over the frame's tiles, by class name."""
    tiles: int
    """Tiles the classifier saw."""
    segmented: int
    """Tiles the segmenter saw."""
    timings_us: dict[str, int]
    brightness: float | None
    """Mean grey value of the picture, 0..255; None when nothing was measured."""
    sharpness: float | None
    """Variance of the Laplacian of the picture, grey values squared; None when nothing was measured."""
    mask: MaskReference | None


class RecipeMark(Message, frozen=True):
    """Which recipe decided, who wrote it, since when it is active."""

    name: str
    hash: str
    """SHA-256 (hex) of the working values of all cameras."""
    author: str
    since_utc_us: int


class Verdict(Message, frozen=True, tag_field="schema", tag="verdict"):
    """The one answer to one part."""

    version: Literal[1]
    station: str
    epoch: int
    seq: int
    part: int
    part_id: str | None
    tag: int | None
    mode: Mode
    outcome: Outcome
    reason: Reason | None
    detail: str
    """One line for people; empty for PASS and REJECT."""
    stage: str | None
    """The stage that had the part when its time was over: of late and overload only."""
    views: tuple[View, ...]
    """One a camera that the part was to be seen by, in the order of the settings."""
    recipe: RecipeMark | None
    """None when the part's recipe was never active: the inspector had not been proven yet."""
    bundle_hash: str
    trigger_us: int
    """Monotonic time of the trigger [us]."""
    deadline_us: int
    published_us: int
    """Monotonic time just before the verdict is handed to the socket [us]; replayed: to the journal, the first time."""
    utc_us: int
    timings_us: dict[str, int]
    journaled: bool
    replayed: bool
    complete: bool


class MaskHeader(Message, frozen=True, tag_field="schema", tag="mask"):
    """Header of a mask message; the payload follows as the third part."""

    version: Literal[1]
    station: str
    camera: str
    epoch: int
    seq: int
    part: int
    source: str
    height: int
    width: int
    encoding: Literal["runs", "raw"]
    class_names: tuple[str, ...]
    """Label k is class_names[k - 1]; 0 is sound."""
    sha256: str
    """Of the payload."""
    complete: bool


class PictureHeader(Message, frozen=True, tag_field="schema", tag="picture"):
    """Header of a picture message; the JPEG follows as the third part."""

    version: Literal[1]
    station: str
    camera: str
    epoch: int
    seq: int
    part: int
    outcome: Outcome
    source: str
    height: int
    width: int
    encoding: Literal["jpeg"]


CameraStateName: TypeAlias = Literal["closed", "open", "failed", "ended"]
ChallengeState: TypeAlias = Literal["passed", "due", "overdue", "failed"]
StationState: TypeAlias = Literal["starting", "ready", "degraded", "paused", "stopping", "stopped"]

STATES: dict[StationState, str] = {
    "starting": "not ready yet",
    "ready": "engines are proven, every camera is open, parts are inspected",
    "degraded": "is not ready: inspector or camera are gone, or the self-test or a challenge failed, or one is overdue",
    "paused": "people work on the line: every part is UNKNOWN(paused)",
    "stopping": "told to end: no further part is taken, what is in hand may finish",
    "stopped": "its last message",
}

CHALLENGE_STATES: dict[ChallengeState, str] = {
    "passed": "every master was judged rightly, and the next challenge is not due yet",
    "due": "one must be given; products are inspected until closes_utc_us",
    "overdue": "none was given in time: the station is not ready, products are UNKNOWN(selftest)",
    "failed": "the last one failed: the station is not ready, products are UNKNOWN(selftest)",
}


class AuditEvent(str, Enum):
    """What must be seen but is no verdict. Closed list; the meaning stands in AUDIT_EVENTS."""

    LATE_RESULT = "late_result"
    LATE_VIEW = "late_view"
    INSPECTOR_LOST = "inspector_lost"
    CAMERA_LOST = "camera_lost"
    CAMERA_SILENT = "camera_silent"
    NUMBERS_JUMPED = "numbers_jumped"
    BOUNCED = "bounced"
    UNSEEN = "unseen"
    RECIPE_ACTIVE = "recipe_active"
    RECIPE_REFUSED = "recipe_refused"
    BUNDLE_ACTIVE = "bundle_active"
    BUNDLE_REFUSED = "bundle_refused"
    LAST_GOOD_BUNDLE = "last_good_bundle"
    PAUSED = "paused"
    RESUMED = "resumed"
    SELFTEST_PASSED = "selftest_passed"
    SELFTEST_FAILED = "selftest_failed"
    JOURNAL_FAILING = "journal_failing"
    JOURNAL_RECOVERED = "journal_recovered"
    JOURNAL_SET_ASIDE = "journal_set_aside"
    CRASH_LOOP = "crash_loop"
    CHALLENGE_PASSED = "challenge_passed"
    CHALLENGE_FAILED = "challenge_failed"
    CHALLENGE_OVERDUE = "challenge_overdue"
    MASTER_WRONG = "master_wrong"


AUDIT_EVENTS: dict[AuditEvent, str] = {
    AuditEvent.LATE_RESULT: "a view's result came after its part had its verdict; the first claim stands",
    AuditEvent.LATE_VIEW: "a camera reported a part that had its verdict already; the picture was not inspected",
    AuditEvent.INSPECTOR_LOST: "the inspecting process ended; its open parts are UNKNOWN, a new one is started",
    AuditEvent.CAMERA_LOST: "an open camera failed; it is tried again",
    AuditEvent.CAMERA_SILENT: "a camera reported nothing for expect_every_ms; the station is not ready until it does",
    AuditEvent.NUMBERS_JUMPED: "frame or trigger numbers ran back or far ahead: how many are missing is not known",
    AuditEvent.BOUNCED: "a trigger inside debounce_ms of the last one is the same trigger: no part",
    AuditEvent.UNSEEN: "an independent count went on while nobody could see the parts; they have no verdict",
    AuditEvent.RECIPE_ACTIVE: "another recipe is active: parts triggered from now on are judged by it",
    AuditEvent.RECIPE_REFUSED: "a recipe was not made active; the old one stays",
    AuditEvent.BUNDLE_ACTIVE: "another bundle is active",
    AuditEvent.BUNDLE_REFUSED: "a bundle was not made active; the old one stays",
    AuditEvent.LAST_GOOD_BUNDLE: "a bundle was refused at a start, and why; one that was active before is taken",
    AuditEvent.PAUSED: "inspection is paused, by whom and why; every part is UNKNOWN(paused)",
    AuditEvent.RESUMED: "inspection goes on",
    AuditEvent.SELFTEST_PASSED: "the reference frames were judged as they must be",
    AuditEvent.SELFTEST_FAILED: "a reference frame was judged wrongly; the station is not ready, parts are UNKNOWN",
    AuditEvent.JOURNAL_FAILING: "the journal cannot be written; verdicts go on with journaled = false",
    AuditEvent.JOURNAL_RECOVERED: "the journal can be written again; what waited is in it",
    AuditEvent.JOURNAL_SET_ASIDE: "the journal was damaged and is kept beside a new one",
    AuditEvent.CRASH_LOOP: "three or more starts of the service in a row came to nothing; this one waited first",
    AuditEvent.CHALLENGE_PASSED: "the master parts were judged as they must be; by whom, and how often it was tried",
    AuditEvent.CHALLENGE_FAILED: "a master part was judged wrongly; the station is not ready, products are UNKNOWN",
    AuditEvent.CHALLENGE_OVERDUE: "no challenge was given in time; the station is not ready, products are UNKNOWN",
    AuditEvent.MASTER_WRONG: "a part that was announced as a master was judged wrongly; a challenge need not name it",
}


class Alarm(str, Enum):
    """What somebody must look at while inspection goes on. Closed list; the meaning stands in ALARMS."""

    JOURNAL_FAILING = "journal_failing"
    JOURNAL_SET_ASIDE = "journal_set_aside"
    JOURNAL_OFF = "journal_off"
    SELFTEST_FAILED = "selftest_failed"
    CAMERA_SILENT = "camera_silent"
    LAST_GOOD_BUNDLE = "last_good_bundle"
    CRASH_LOOP = "crash_loop"
    CALIBRATION_OLD = "calibration_old"
    CHALLENGE_OVERDUE = "challenge_overdue"
    CHALLENGE_FAILED = "challenge_failed"
    CHALLENGE_NOT_KEPT = "challenge_not_kept"


ALARMS: dict[Alarm, str] = {
    Alarm.JOURNAL_FAILING: "verdicts are not kept at present: disk full, read-only or gone",
    Alarm.JOURNAL_SET_ASIDE: "the journal was damaged and set aside at the start; consumers may have a gap",
    Alarm.JOURNAL_OFF: "the station is told to keep no journal: nothing can be replayed",
    Alarm.SELFTEST_FAILED: "the last self-test failed",
    Alarm.CAMERA_SILENT: "a camera has reported nothing for longer than expect_every_ms",
    Alarm.LAST_GOOD_BUNDLE: "the bundle that is meant was refused at a start; the last good one is in use instead",
    Alarm.CRASH_LOOP: "the service was started again and again; until a start has lived for 5 minutes each waits first",
    Alarm.CALIBRATION_OLD: "a camera was calibrated longer ago than calibration_max_age_days, or its date lies ahead",
    Alarm.CHALLENGE_OVERDUE: "master parts must be shown before products are inspected again",
    Alarm.CHALLENGE_FAILED: "a master part was judged wrongly: products are not inspected until a challenge is passed",
    Alarm.CHALLENGE_NOT_KEPT: "how it stands with the master parts cannot be written: disk full, read-only or gone",
}


class CameraStatus(Message, frozen=True):
    name: str
    state: CameraStateName
    detail: str
    last_frame: int | None
    numbered: bool
    """Its frames carry its own numbers: a gap proves a missed part. False = missed is best effort, by time stamps."""


class PauseMark(Message, frozen=True):
    """Who paused inspection, why, and until when."""

    role: str
    reason: str
    until_utc_us: int


class ChallengeMark(Message, frozen=True):
    """How it stands with the master parts that must be shown to the station."""

    state: ChallengeState
    last_by: str
    """Who gave the last one; empty = there was none."""
    last_utc_us: int | None
    due_utc_us: int
    """Since or from when the next one is due."""
    closes_utc_us: int
    """From then on products are not inspected without it."""
    why: str
    """What makes it due, for people."""


class Status(Message, frozen=True, tag_field="schema", tag="status"):
    """The heartbeat: once a second, at once after a change and after each new subscription; on results and masks."""

    version: Literal[1]
    station: str
    epoch: int
    seq: int
    """Last verdict's number: a lost last message is found by it. 0 before the first."""
    journaled_seq: int
    """All verdicts up to this one are in the journal: they can be acknowledged and replayed."""
    state: StationState
    ready: bool
    """Our own state, not the process manager's: engines proven, every camera open."""
    detail: str
    alarms: tuple[Alarm, ...]
    recipe: RecipeMark | None
    paused: PauseMark | None
    challenge: ChallengeMark | None
    """None when the station's settings ask for none."""
    inspector: int
    """Number of the inspector process: how often it was started."""
    start_ms: dict[str, int]
    """What the present inspector's start took, by stage; empty until it is proven."""
    triggers: int
    """Of this run; the ledger for ever and per shift comes on request."""
    counts: dict[str, int]
    """Verdicts of this run by outcome; triggers = PASS + REJECT + UNKNOWN + open."""
    unknown: dict[str, int]
    """Those that are UNKNOWN, by reason."""
    open: int
    cameras: tuple[CameraStatus, ...]
    sent_us: int
    utc_us: int


class Audit(Message, frozen=True, tag_field="schema", tag="audit"):
    """What must be seen but is no verdict: a result after its part's claim, a dropped message."""

    version: Literal[1]
    station: str
    epoch: int
    part: int | None
    """The part it is about, if it is about one; its verdict has the same number."""
    event: AuditEvent
    detail: str
    outcome: Outcome | None
    sent_us: int


class LedgerRow(Message, frozen=True):
    """Parts of one shift and mode; triggers = passed + rejected + unknown + open."""

    shift: str
    """Local time at which the shift began, as in 2026-11-22T14:00; empty = for ever."""
    mode: Mode
    triggers: int
    passed: int
    rejected: int
    unknown: dict[str, int]
    """By reason."""
    open: int
    unseen: int
    """Counted by an independent source while nobody could see them: no parts of the line above."""
    bounced: int
    """Triggers taken for the same one: no parts of this line."""
    refused: int
    """Requests that were refused for another reason: no parts of this line."""
