"""From what the cascade found in a frame to what the station is told, and to a picture's header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from edge.clock import SYSTEM_CLOCK
from edge.inspector.cascade import Inspection
from edge.inspector.link import Answered, FrameOf, Inspect, ViewResult
from edge.inspector.slots import Slot
from edge.records import VERSION, MaskReference, Outcome, PictureHeader, Reason
from edge.wire import payload_from_labels, sha256


@dataclass(frozen=True)
class Origin:
    """
    Who gives a result, and by what.

    Attributes:
        inspector: number of this process.
        bundle_hash: of the bundle in use.
    """

    inspector: int
    bundle_hash: str


def result_from_inspection(
    origin: Origin, order: Inspect, slot: Slot, found: Inspection, wait_us: int, max_mask_bytes: int
) -> ViewResult:
    """
    Return the result of one view, its mask encoded; the slot keeps the mask too.

    Args:
        wait_us: how long the frame waited in its slot [us].
        max_mask_bytes: a larger mask is announced and left out.
    """
    started_us = SYSTEM_CLOCK.now_us()
    slot.encoding, slot.mask = payload_from_labels(found.labels)
    sent = len(slot.mask) <= max_mask_bytes
    mask = MaskReference(bytes=len(slot.mask), sha256=sha256(slot.mask), complete=found.complete, sent=sent)
    stages_us = {**_before(slot, wait_us), **found.stages_us}
    stages_us["assemble"] = stages_us.get("assemble", 0) + SYSTEM_CLOCK.now_us() - started_us
    return _result(
        origin,
        order,
        slot,
        outcome=found.outcome,
        defects=found.findings.defects,
        defects_total=found.findings.total,
        scores=found.scores,
        tiles=found.tiles,
        segmented=found.segmented,
        timings_us=stages_us,
        encoding=slot.encoding,
        mask=mask,
        payload=slot.mask if sent else b"",
    )


def unknown_result(
    origin: Origin,
    order: Inspect,
    reason: Reason,
    detail: str,
    slot: Slot | None = None,
    wait_us: int = 0,
    stage: str | None = None,
) -> ViewResult:
    """
    Return the result of a view that could not be inspected.

    Args:
        slot: where its picture lies, None when it lies nowhere.
        wait_us: how long it waited there [us].
        stage: in which there was no more time.
    """
    timings_us = {} if slot is None else _before(slot, wait_us)
    return _result(origin, order, slot, reason=reason, detail=detail, stage=stage, timings_us=timings_us)


def doubted(result: ViewResult, reason: Reason, detail: str) -> ViewResult:
    """Return a PASS as UNKNOWN, with everything that was found; a REJECT stays one."""
    if result.outcome is not Outcome.PASS:
        return result
    return msgspec.structs.replace(result, outcome=Outcome.UNKNOWN, reason=reason, detail=detail)


def picture_header(station: str, answer: Answered, frame: FrameOf, slot: Slot) -> PictureHeader:
    height, width = slot.canvas.region
    return PictureHeader(
        version=VERSION,
        station=station,
        camera=frame.camera,
        epoch=answer.epoch,
        seq=answer.seq,
        part=answer.part,
        outcome=answer.outcome,
        source=slot.source,
        height=height,
        width=width,
        encoding="jpeg",
    )


def _result(origin: Origin, order: Inspect, slot: Slot | None, **found: Any) -> ViewResult:
    """Return UNKNOWN without a mask, but for what was *found*."""
    measures = None if slot is None else slot.measures
    values: dict[str, Any] = {
        "inspector": origin.inspector,
        "part": order.part,
        "camera": order.camera,
        "open_no": order.open_no,
        "frame_no": order.frame_no,
        "bundle_hash": origin.bundle_hash,
        "outcome": Outcome.UNKNOWN,
        "reason": None,
        "detail": "",
        "defects": (),
        "defects_total": 0,
        "scores": {},
        "tiles": 0,
        "segmented": 0,
        "stage": None,
        "timings_us": {},
        "brightness": None if measures is None else measures.brightness,
        "sharpness": None if measures is None else measures.sharpness,
        "height": 0 if slot is None else slot.canvas.region[0],
        "width": 0 if slot is None else slot.canvas.region[1],
        "encoding": "runs",
        "mask": None,
        "payload": b"",
        "sent_us": SYSTEM_CLOCK.now_us(),
    }
    return ViewResult(**{**values, **found})


def _before(slot: Slot, wait_us: int) -> dict[str, int]:
    """Return the stages before the cascade."""
    trigger = {} if slot.trigger_us is None else {"trigger": slot.trigger_us}
    return {**trigger, "capture": slot.capture_us, "wait": wait_us}
