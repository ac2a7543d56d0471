"""From result to record: what the outside reads is what was found, and nothing is claimed that was not."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from edge.inspector.link import Ready, ViewResult
from edge.records import MaskReference, Mode, Outcome, Reason
from edge.station.parts import Claim, Part, Parts
from edge.station.verdicts import (
    Identity,
    mask_from_result,
    verdict_from_claim,
    view_from_result,
    view_without_result,
)
from edge.wire import labels_from_payload, payload_from_labels, sha256
from tests.support.records import CLASS_NAMES, defect

LABELS = np.zeros((40, 50), np.uint8)
LABELS[3:5, 6:9] = 2
ENCODING, PAYLOAD = payload_from_labels(LABELS)
MASK = MaskReference(bytes=len(PAYLOAD), sha256=sha256(PAYLOAD), complete=True, sent=True)
IDENTITY = Identity("line1", 99)
READY = Ready(
    inspector=1,
    bundle_hash="b" * 64,
    backend="x",
    class_names=CLASS_NAMES,
    recipe_hashes={"cam1": "r" * 64},
    took_ms={},
    parity="fine",
)


def result(**changes: Any) -> ViewResult:
    values: dict[str, Any] = {
        "inspector": 1,
        "part": 1,
        "camera": "cam1",
        "outcome": Outcome.REJECT,
        "reason": None,
        "detail": "",
        "defects": (defect(),),
        "defects_total": 1,
        "scores": {"pits": 0.5},
        "tiles": 7,
        "segmented": 2,
        "timings_us": {"tile": 3, "classify": 900},
        "height": 40,
        "width": 50,
        "encoding": ENCODING,
        "mask": MASK,
        "payload": PAYLOAD,
        "sent_us": 5,
    }
    return ViewResult(**{**values, **changes})


def part() -> Part:
    return Part(1, "cam1", 2, 17, "part 17.png", 1_000, 101_000)


def claim_of(answer: ViewResult | None) -> Claim:
    parts = Parts()
    open_part = parts.trigger("cam1", 2, 17, "part 17.png", 1_000, 101_000)
    if answer is None:
        view = view_without_result(open_part, Reason.LATE)
        claim = parts.claim(1, Outcome.UNKNOWN, Reason.LATE, "no result", view)
    else:
        view = view_from_result(open_part, answer)
        claim = parts.claim(1, answer.outcome, answer.reason, answer.detail, view)
    assert claim is not None
    return claim


def test_a_view_says_what_was_found() -> None:
    """Outcome, defects, scores, tiles, timings, and the mask by size and hash."""
    view = view_from_result(part(), result())
    assert (view.camera, view.frame, view.source) == ("cam1", 17, "part 17.png")
    assert (view.outcome, view.reason, view.defects) == (Outcome.REJECT, None, (defect(),))
    assert (view.tiles, view.segmented, view.scores) == (7, 2, {"pits": 0.5})
    assert view.timings_us == {"tile": 3, "classify": 900}
    assert view.mask == MASK


def test_a_view_without_a_result_claims_nothing() -> None:
    """UNKNOWN with its reason, no tile, no mask, no score."""
    view = view_without_result(part(), Reason.LATE)
    assert (view.outcome, view.reason) == (Outcome.UNKNOWN, Reason.LATE)
    assert (view.defects, view.scores, view.tiles, view.segmented, view.mask) == ((), {}, 0, 0, None)


def test_a_verdict_carries_position_times_and_hashes() -> None:
    """The station's own stages are added to the view's; nothing is journalled or replayed yet."""
    verdict = verdict_from_claim(IDENTITY, claim_of(result()), READY, {"handover": 8}, 2_000, 3_000)
    assert (verdict.station, verdict.epoch, verdict.seq, verdict.part) == ("line1", 99, 1, 1)
    assert (verdict.outcome, verdict.reason, verdict.mode) == (Outcome.REJECT, None, Mode.PRODUCTION)
    assert (verdict.trigger_us, verdict.deadline_us) == (1_000, 101_000)
    assert (verdict.published_us, verdict.utc_us) == (2_000, 3_000)
    assert (verdict.recipe_hash, verdict.bundle_hash) == ("r" * 64, "b" * 64)
    assert verdict.timings_us == {"tile": 3, "classify": 900, "handover": 8}
    assert verdict.complete
    assert not verdict.journaled
    assert not verdict.replayed


def test_a_verdict_before_the_inspector_is_ready_has_no_hashes() -> None:
    """Nothing was proven yet: empty, not those of an earlier one."""
    verdict = verdict_from_claim(IDENTITY, claim_of(None), None, {}, 2_000, 3_000)
    assert (verdict.recipe_hash, verdict.bundle_hash) == ("", "")
    assert (verdict.outcome, verdict.reason, verdict.detail) == (Outcome.UNKNOWN, Reason.LATE, "no result")
    assert not verdict.complete


@pytest.mark.parametrize("answer", [None, result(mask=msgspec.structs.replace(MASK, complete=False))])
def test_what_was_not_looked_at_wholly_is_not_complete(answer: ViewResult | None) -> None:
    """Without a mask, or with one that leaves tiles out, absence of a label proves nothing."""
    assert not verdict_from_claim(IDENTITY, claim_of(answer), READY, {}, 0, 0).complete


def test_the_mask_header_describes_its_payload() -> None:
    """Who reads header and payload alone gets the labels back, and the verdict's position."""
    header = mask_from_result(IDENTITY, claim_of(result()), result(), CLASS_NAMES)
    assert header is not None
    assert (header.station, header.camera, header.epoch, header.seq, header.part) == ("line1", "cam1", 99, 1, 1)
    assert (header.source, header.class_names, header.sha256) == ("part 17.png", CLASS_NAMES, sha256(PAYLOAD))
    assert np.array_equal(labels_from_payload(header.encoding, PAYLOAD, header.height, header.width), LABELS)


@pytest.mark.parametrize("sent", [False, True])
def test_a_mask_that_is_not_sent_is_announced(sent: bool) -> None:
    """Size and hash stand in the verdict all the same; there is no header to send."""
    answer = result(mask=msgspec.structs.replace(MASK, sent=sent))
    claim = claim_of(answer)
    assert claim.view.mask == answer.mask
    assert (mask_from_result(IDENTITY, claim, answer, CLASS_NAMES) is not None) == sent


def test_a_result_without_a_mask_has_no_header() -> None:
    """UNKNOWN by the inspector itself: no mask, and it is no complete one."""
    answer = result(outcome=Outcome.UNKNOWN, reason=Reason.ENGINE, payload=b"", height=0, width=0, mask=None)
    claim = claim_of(answer)
    assert claim.view.mask is None
    assert mask_from_result(IDENTITY, claim, answer, CLASS_NAMES) is None
