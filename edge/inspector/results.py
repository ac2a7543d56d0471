"""From what the cascade found in a frame to what the station is told, and to a picture's header."""

from __future__ import annotations

from edge.clock import SYSTEM_CLOCK
from edge.inspector.cascade import Inspection
from edge.inspector.link import Answered, Inspect, ViewResult
from edge.inspector.slots import Slot
from edge.records import VERSION, MaskReference, Outcome, PictureHeader, Reason
from edge.wire import payload_from_labels, sha256


def result_from_inspection(
    inspector: int, order: Inspect, slot: Slot, found: Inspection, wait_us: int, max_mask_bytes: int
) -> ViewResult:
    """
    Return the result of one view, its mask encoded.

    Args:
        inspector: number of this process.
        wait_us: how long the frame waited in its slot [us].
        max_mask_bytes: a larger mask is announced and left out.
    """
    started_us = SYSTEM_CLOCK.now_us()
    encoding, payload = payload_from_labels(found.labels)
    sent = len(payload) <= max_mask_bytes
    mask = MaskReference(bytes=len(payload), sha256=sha256(payload), complete=True, sent=sent)
    sent_us = SYSTEM_CLOCK.now_us()
    stages_us = {"capture": slot.capture_us, "wait": wait_us, **found.stages_us}
    stages_us["assemble"] = stages_us.get("assemble", 0) + sent_us - started_us
    return ViewResult(
        inspector=inspector,
        part=order.part,
        camera=order.camera,
        outcome=found.outcome,
        reason=None,
        detail="",
        defects=found.findings.defects,
        defects_total=found.findings.total,
        scores=found.scores,
        tiles=found.tiles,
        segmented=found.segmented,
        timings_us=stages_us,
        height=slot.canvas.region[0],
        width=slot.canvas.region[1],
        encoding=encoding,
        mask=mask,
        payload=payload if sent else b"",
        sent_us=sent_us,
    )


def unknown_result(inspector: int, order: Inspect, reason: Reason, detail: str) -> ViewResult:
    """Return the result of a view that could not be inspected."""
    return ViewResult(
        inspector=inspector,
        part=order.part,
        camera=order.camera,
        outcome=Outcome.UNKNOWN,
        reason=reason,
        detail=detail,
        defects=(),
        defects_total=0,
        scores={},
        tiles=0,
        segmented=0,
        timings_us={},
        height=0,
        width=0,
        encoding="runs",
        mask=None,
        payload=b"",
        sent_us=SYSTEM_CLOCK.now_us(),
    )


def picture_header(station: str, answer: Answered, slot: Slot) -> PictureHeader:
    height, width = slot.canvas.region
    return PictureHeader(
        version=VERSION,
        station=station,
        camera=answer.camera,
        epoch=answer.epoch,
        seq=answer.seq,
        part=answer.part,
        outcome=answer.outcome,
        source=slot.source,
        height=height,
        width=width,
        encoding="jpeg",
    )
