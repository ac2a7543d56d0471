"""From what the inspector found to what the outside reads: views, verdicts and mask headers."""

from __future__ import annotations

from dataclasses import dataclass

from edge.inspector.link import Ready, ViewResult
from edge.records import VERSION, MaskHeader, Mode, Outcome, Reason, Verdict, View
from edge.station.parts import Claim, Part


@dataclass(frozen=True)
class Identity:
    """What is the same in every message of this run."""

    station: str
    epoch: int


def view_without_result(part: Part, reason: Reason) -> View:
    """Return the view of a part that was not inspected."""
    return View(
        camera=part.camera,
        frame=part.frame_no,
        source=part.source,
        outcome=Outcome.UNKNOWN,
        reason=reason,
        defects=(),
        defects_total=0,
        scores={},
        tiles=0,
        segmented=0,
        timings_us={},
        mask=None,
    )


def view_from_result(part: Part, result: ViewResult) -> View:
    return View(
        camera=part.camera,
        frame=part.frame_no,
        source=part.source,
        outcome=result.outcome,
        reason=result.reason,
        defects=result.defects,
        defects_total=result.defects_total,
        scores=result.scores,
        tiles=result.tiles,
        segmented=result.segmented,
        timings_us=result.timings_us,
        mask=result.mask,
    )


def verdict_from_claim(
    identity: Identity, claim: Claim, ready: Ready | None, stages_us: dict[str, int], now_us: int, utc_us: int
) -> Verdict:
    """
    Return the record of a claim.

    Args:
        ready: what the inspector said when it was proven; None while there was none yet.
        stages_us: the station's own stages; the view's are added.
        now_us: monotonic, just before it is handed to the socket.
    """
    part = claim.part
    return Verdict(
        version=VERSION,
        station=identity.station,
        epoch=identity.epoch,
        seq=claim.seq,
        part=part.number,
        part_id=None,
        tag=None,
        mode=Mode.PRODUCTION,
        outcome=claim.outcome,
        reason=claim.reason,
        detail=claim.detail,
        views=(claim.view,),
        recipe_hash="" if ready is None else ready.recipe_hashes.get(part.camera, ""),
        bundle_hash="" if ready is None else ready.bundle_hash,
        trigger_us=part.trigger_us,
        deadline_us=part.deadline_us,
        published_us=now_us,
        utc_us=utc_us,
        timings_us={**claim.view.timings_us, **stages_us},
        journaled=False,
        replayed=False,
        complete=claim.view.mask is not None and claim.view.mask.complete,
    )


def mask_from_result(
    identity: Identity, claim: Claim, result: ViewResult, class_names: tuple[str, ...]
) -> MaskHeader | None:
    """Return the header of the mask to send; None when there is none, or when it is too large and only announced."""
    reference = claim.view.mask
    if reference is None or not reference.sent:
        return None
    return MaskHeader(
        version=VERSION,
        station=identity.station,
        camera=claim.part.camera,
        epoch=identity.epoch,
        seq=claim.seq,
        part=claim.part.number,
        source=claim.part.source,
        height=result.height,
        width=result.width,
        encoding=result.encoding,
        class_names=class_names,
        sha256=reference.sha256,
        complete=reference.complete,
    )
