"""From what the inspector found to what the outside reads: views, verdicts and mask headers."""

from __future__ import annotations

from dataclasses import dataclass

from edge.inspector.link import ViewResult
from edge.records import VERSION, MaskHeader, Outcome, Verdict, View
from edge.station.parts import Claim, PartView


@dataclass(frozen=True)
class Identity:
    """What is the same in every message of this run."""

    station: str
    epoch: int


def view_from_part(view: PartView) -> View:
    """Return what one camera has to say; UNKNOWN without a reason when the part did not wait for it."""
    frame = None if view.frame is None else view.frame.frame_no
    if view.result is not None:
        return view_from_result(view.camera, frame, view.source, view.result)
    return View(
        camera=view.camera,
        frame=frame,
        source=view.source,
        outcome=Outcome.UNKNOWN,
        reason=view.reason,
        defects=(),
        defects_total=0,
        scores={},
        tiles=0,
        segmented=0,
        timings_us={},
        brightness=None,
        sharpness=None,
        mask=None,
    )


def view_from_result(camera: str, frame: int | None, source: str, result: ViewResult) -> View:
    return View(
        camera=camera,
        frame=frame,
        source=source,
        outcome=result.outcome,
        reason=result.reason,
        defects=result.defects,
        defects_total=result.defects_total,
        scores=result.scores,
        tiles=result.tiles,
        segmented=result.segmented,
        timings_us=result.timings_us,
        brightness=result.brightness,
        sharpness=result.sharpness,
        mask=result.mask,
    )


def verdict_from_claim(
    identity: Identity, claim: Claim, stages_us: dict[str, int], now_us: int, utc_us: int
) -> Verdict:
    """
    Return the record of a claim, as it goes into the journal.

    Args:
        stages_us: the station's own stages; those of the views are added, the slowest view's of each.
        now_us: monotonic.
    """
    part = claim.part
    views = tuple(view_from_part(view) for view in part.views.values())
    return Verdict(
        version=VERSION,
        station=identity.station,
        epoch=identity.epoch,
        seq=claim.seq,
        part=part.number,
        part_id=part.part_id,
        tag=part.tag,
        mode=part.mode,
        outcome=claim.outcome,
        reason=claim.reason,
        detail=claim.detail,
        stage=claim.stage,
        views=views,
        recipe=part.recipe,
        bundle_hash=part.bundle_hash,
        trigger_us=part.trigger_us,
        deadline_us=part.deadline_us,
        published_us=now_us,
        utc_us=utc_us,
        timings_us={**_slowest(views), **stages_us},
        journaled=True,
        replayed=False,
        complete=bool(views) and all(view.mask is not None and view.mask.complete for view in views),
    )


def _slowest(views: tuple[View, ...]) -> dict[str, int]:
    stages_us: dict[str, int] = {}
    for view in views:
        for stage, us in view.timings_us.items():
            stages_us[stage] = max(us, stages_us.get(stage, 0))
    return stages_us


def masks_from_claim(identity: Identity, claim: Claim) -> tuple[tuple[MaskHeader, bytes], ...]:
    """Return the masks to send with a verdict: those that there are, and that are not too large and only announced."""
    masks = []
    for view in claim.part.views.values():
        if view.result is not None and view.result.mask is not None and view.result.mask.sent:
            masks.append((_mask_header(identity, claim, view, view.result), view.result.payload))
    return tuple(masks)


def _mask_header(identity: Identity, claim: Claim, view: PartView, result: ViewResult) -> MaskHeader:
    assert result.mask is not None
    return MaskHeader(
        version=VERSION,
        station=identity.station,
        camera=view.camera,
        epoch=identity.epoch,
        seq=claim.seq,
        part=claim.part.number,
        source=view.source,
        height=result.height,
        width=result.width,
        encoding=result.encoding,
        class_names=claim.part.class_names,
        sha256=result.mask.sha256,
        complete=result.mask.complete,
    )
