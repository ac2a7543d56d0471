"""From result to record: what the outside reads is what was found, and nothing is claimed that was not."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import edge.station
from edge.inspector.link import FrameOf, ViewResult
from edge.records import MaskReference, Mode, Outcome, Reason, RecipeMark
from edge.station.parts import Claim, Part, Parts, PartView
from edge.station.verdicts import Identity, masks_from_claim, verdict_from_claim, view_from_part
from edge.wire import labels_from_payload, payload_from_labels, sha256
from tests.support import records
from tests.support.records import CLASS_NAMES, defect

LABELS = np.zeros((40, 50), np.uint8)
LABELS[3:5, 6:9] = 2
ENCODING, PAYLOAD = payload_from_labels(LABELS)
MASK = MaskReference(bytes=len(PAYLOAD), sha256=sha256(PAYLOAD), complete=True, sent=True)
IDENTITY = Identity("line1", 99)
MARK = RecipeMark(name="steel-a", hash="r" * 64, author="Q. Engineer", since_utc_us=7)


def result(**changes: Any) -> ViewResult:
    rejected = {
        "outcome": Outcome.REJECT,
        "defects": (defect(),),
        "encoding": ENCODING,
        "mask": MASK,
        "payload": PAYLOAD,
    }
    return records.result(**{**rejected, **changes})


def seen(camera: str, answer: ViewResult | None, reason: Reason | None = None) -> PartView:
    frame = FrameOf(camera=camera, open_no=2, frame_no=17)
    return PartView(camera, frame=frame, source=f"{camera} 17.png", inspector=1, result=answer, reason=reason)


def claim_of(*views: PartView, **changes: Any) -> Claim:
    """Return the claim of a part with these views: REJECT when one of them is, else UNKNOWN(late)."""
    part = Part(
        number=1,
        mode=Mode.PRODUCTION,
        source="cam1",
        trigger_us=1_000,
        deadline_us=101_000,
        shift="2026-11-22T06:00",
        views={view.camera: view for view in views},
        **{"recipe": MARK, "bundle_hash": "b" * 64, "class_names": CLASS_NAMES, **changes},
    )
    parts = Parts()
    parts.add(part)
    rejected = any(view.outcome is Outcome.REJECT for view in views)
    claim = (
        parts.claim(1, Outcome.REJECT, None)
        if rejected
        else parts.claim(1, Outcome.UNKNOWN, Reason.LATE, "no result", "classify")
    )
    assert claim is not None
    return claim


def test_a_view_says_what_was_found() -> None:
    """Outcome, defects, scores, tiles, timings, brightness, sharpness, and the mask by size and hash."""
    view = view_from_part(seen("cam1", result()))
    assert (view.camera, view.frame, view.source) == ("cam1", 17, "cam1 17.png")
    assert (view.outcome, view.reason, view.defects, view.defects_total) == (Outcome.REJECT, None, (defect(),), 1)
    assert (view.tiles, view.segmented, view.scores) == (7, 2, {"pits": 0.5})
    assert view.timings_us == {"tile": 3, "classify": 900}
    assert (view.brightness, view.sharpness) == (120.0, 55.5)
    assert view.mask == MASK


def test_a_view_without_a_result_claims_nothing() -> None:
    """UNKNOWN with its reason, no tile, no mask, no score; the frame it had is still named."""
    view = view_from_part(seen("cam1", None, Reason.CAMERA))
    assert (view.outcome, view.reason, view.frame) == (Outcome.UNKNOWN, Reason.CAMERA, 17)
    assert (view.defects, view.scores, view.tiles, view.segmented, view.mask) == ((), {}, 0, 0, None)
    assert (view.brightness, view.sharpness) == (None, None)


def test_a_view_that_was_never_taken_has_no_frame() -> None:
    """Neither a number nor a source."""
    view = view_from_part(PartView("cam1", reason=Reason.CAMERA))
    assert (view.frame, view.source, view.outcome) == (None, "", Outcome.UNKNOWN)


def test_a_verdict_carries_position_times_and_hashes() -> None:
    """The station's own stages are added to the view's."""
    claim = claim_of(seen("cam1", result()), part_id="A-17", tag=4711)
    verdict = verdict_from_claim(IDENTITY, claim, {"handover": 8}, 2_000, 3_000)
    assert (verdict.station, verdict.epoch, verdict.seq, verdict.part) == ("line1", 99, 1, 1)
    assert (verdict.part_id, verdict.tag) == ("A-17", 4711)
    assert (verdict.outcome, verdict.reason, verdict.mode) == (Outcome.REJECT, None, Mode.PRODUCTION)
    assert (verdict.trigger_us, verdict.deadline_us) == (1_000, 101_000)
    assert (verdict.published_us, verdict.utc_us) == (2_000, 3_000)
    assert (verdict.recipe, verdict.bundle_hash) == (MARK, "b" * 64)
    assert verdict.timings_us == {"tile": 3, "classify": 900, "handover": 8}
    assert verdict.complete
    assert not verdict.replayed


def test_a_verdict_before_the_inspector_is_ready_has_no_hashes() -> None:
    """Nothing was proven yet: none, not those of an earlier one; reason, detail and stage say why."""
    claim = claim_of(PartView("cam1", reason=Reason.LATE), recipe=None, bundle_hash="")
    verdict = verdict_from_claim(IDENTITY, claim, {}, 2_000, 3_000)
    assert (verdict.recipe, verdict.bundle_hash) == (None, "")
    assert (verdict.outcome, verdict.reason, verdict.detail) == (Outcome.UNKNOWN, Reason.LATE, "no result")
    assert verdict.stage == "classify"
    assert not verdict.complete


def test_views_stand_in_the_order_of_the_part_and_the_slowest_counts() -> None:
    """Each stage's time is the longest that a view spent in it: they were worked on side by side."""
    views = [
        seen("cam2", result(camera="cam2", timings_us={"tile": 5, "classify": 100})),
        seen("cam1", result(timings_us={"tile": 3, "segment": 40})),
    ]
    verdict = verdict_from_claim(IDENTITY, claim_of(*views), {"publish": 1}, 0, 0)
    assert [view.camera for view in verdict.views] == ["cam2", "cam1"]
    assert verdict.timings_us == {"tile": 5, "classify": 100, "segment": 40, "publish": 1}


@pytest.mark.parametrize(
    "other", [None, result(camera="cam2", mask=msgspec.structs.replace(MASK, complete=False)), result(mask=None)]
)
def test_what_was_not_looked_at_wholly_is_not_complete(other: ViewResult | None) -> None:
    """One view without a mask, or with one that leaves tiles out, and absence of a label proves nothing."""
    claim = claim_of(seen("cam1", result()), seen("cam2", other))
    assert not verdict_from_claim(IDENTITY, claim, {}, 0, 0).complete


def test_a_part_of_an_earlier_run_is_not_complete() -> None:
    """It has no views at all."""
    assert not verdict_from_claim(IDENTITY, claim_of(), {}, 0, 0).complete


def test_a_mask_header_describes_its_payload() -> None:
    """Who reads header and payload alone gets the labels back, and the verdict's position; one for each camera."""
    claim = claim_of(seen("cam1", result()), seen("cam2", result(camera="cam2")))
    (header, payload), (second, _) = masks_from_claim(IDENTITY, claim)
    assert (header.station, header.camera, header.epoch, header.seq, header.part) == ("line1", "cam1", 99, 1, 1)
    assert (header.source, header.class_names, header.sha256) == ("cam1 17.png", CLASS_NAMES, sha256(PAYLOAD))
    assert np.array_equal(labels_from_payload(header.encoding, payload, header.height, header.width), LABELS)
    assert (second.camera, second.source) == ("cam2", "cam2 17.png")


@pytest.mark.parametrize("sent", [False, True])
def test_a_mask_that_is_not_sent_is_announced(sent: bool) -> None:
    """Size and hash stand in the verdict all the same; there is no header to send."""
    answer = result(mask=msgspec.structs.replace(MASK, sent=sent))
    claim = claim_of(seen("cam1", answer))
    assert verdict_from_claim(IDENTITY, claim, {}, 0, 0).views[0].mask == answer.mask
    assert len(masks_from_claim(IDENTITY, claim)) == sent


def test_a_result_without_a_mask_has_no_header() -> None:
    """UNKNOWN by the inspector itself: no mask, and it is no complete one."""
    answer = result(outcome=Outcome.UNKNOWN, reason=Reason.ENGINE, payload=b"", height=0, width=0, mask=None)
    claim = claim_of(seen("cam1", answer))
    assert verdict_from_claim(IDENTITY, claim, {}, 0, 0).views[0].mask is None
    assert masks_from_claim(IDENTITY, claim) == ()


def _calls(name: str) -> list[str]:
    """Return which functions of the station's process call *name*, as "file.function"."""
    found = []
    for file in sorted(Path(edge.station.__path__[0]).glob("*.py")):
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(function, ast.FunctionDef):
                continue
            calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
            if any(getattr(call, "attr", getattr(call, "id", None)) == name for call in calls):
                found.append(f"{file.stem}.{function.name}")
    return found


def test_the_claim_is_the_only_way_to_a_verdict() -> None:
    """One place makes the record, one place calls it, and that place has claimed before."""
    assert _calls("Verdict") == ["verdicts.verdict_from_claim"]
    assert _calls("verdict_from_claim") == ["registrar.answer"]
    assert _calls("claim") == ["registrar.answer"]
    assert _calls("Claim") == ["parts.claim"]
