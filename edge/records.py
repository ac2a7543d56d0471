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
    Reason.SELFTEST: "the self-test failed",
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
    "capture": "the camera's read call, until the picture lies in its slot",
    "wait": "picture in its slot until the inspector begins with it",
    "tile": "cutting tiles out of the slot",
    "classify": "the classifier's calls",
    "segment": "the segmenter's calls",
    "assemble": "cores to the frame's label map, run-lengths",
    "rules": "labels to defects to outcome",
    "handover": "result sent by the inspector until the station has it",
    "publish": "claim and encoding, until the verdict is handed to the socket",
}
"""Stages of a part, in their order on the way. ``upload`` and ``journal`` join with the parts that need them."""


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
    mask: MaskReference | None


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
    views: tuple[View, ...]
    recipe_hash: str
    bundle_hash: str
    trigger_us: int
    """Monotonic time of the trigger [us]."""
    deadline_us: int
    published_us: int
    """Monotonic time just before the verdict is handed to the socket [us]."""
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
StationState: TypeAlias = Literal["starting", "ready", "degraded", "stopping", "stopped"]
AuditEvent: TypeAlias = Literal["late_result", "inspector_lost", "camera_lost", "numbers_jumped"]


class CameraStatus(Message, frozen=True):
    name: str
    state: CameraStateName
    detail: str
    last_frame: int | None


class Status(Message, frozen=True, tag_field="schema", tag="status"):
    """The heartbeat: once a second, at once after a change and after each new subscription; on results and masks."""

    version: Literal[1]
    station: str
    epoch: int
    seq: int
    """Last verdict's number: a lost last message is found by it. 0 before the first."""
    state: StationState
    ready: bool
    """Our own state, not the process manager's: engines proven, every camera open."""
    detail: str
    inspector: int
    """Number of the inspector process: how often it was started."""
    start_ms: dict[str, int]
    """What the present inspector's start took, by stage; empty until it is proven."""
    triggers: int
    counts: dict[str, int]
    """Verdicts by outcome; triggers = PASS + REJECT + UNKNOWN + open."""
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
