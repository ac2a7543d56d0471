"""From a finding to what the station is told: the mask is encoded, hashed and kept small here, not in the station."""

from __future__ import annotations

import numpy as np
import pytest

from edge.inspector.cascade import Inspection
from edge.inspector.drift import Measures
from edge.inspector.link import Answered, FrameOf, Inspect
from edge.inspector.results import Origin, doubted, picture_header, result_from_inspection, unknown_result
from edge.inspector.slots import Slot
from edge.records import Outcome, Reason
from edge.rules import NO_FINDINGS
from edge.tiles import Canvas, Grid
from edge.wire import labels_from_payload, sha256
from engines.contract import TileShape

ORDER = Inspect(part=3, camera="cam1", open_no=1, frame_no=9, deadline_us=0, recipe_hash="")
ORIGIN = Origin(inspector=1, bundle_hash="b" * 64)


def slot() -> Slot:
    canvas = Canvas(Grid(64, 80, TileShape(core_height=32, core_width=32, halo=0)), 1, 0)
    canvas.write(np.zeros((40, 50), np.uint8))
    return Slot(canvas, captured_us=5, source="a.png", capture_us=7, measures=Measures(99.5, 12.25))


def inspection(labels: np.ndarray, outcome: Outcome = Outcome.PASS, *, complete: bool = True) -> Inspection:
    return Inspection(
        outcome=outcome,
        findings=NO_FINDINGS,
        labels=labels,
        scores={},
        tiles=4,
        segmented=1,
        suspicious=True,
        complete=complete,
        stages_us={"tile": 2},
    )


def test_the_mask_is_encoded_and_hashed() -> None:
    """What is sent decodes to the labels, and its hash and size are those of the bytes sent."""
    labels = np.zeros((40, 50), np.uint8)
    labels[3:9, 4:8] = 2
    told = result_from_inspection(ORIGIN, ORDER, slot(), inspection(labels), 11, max_mask_bytes=1000)
    assert np.array_equal(labels_from_payload(told.encoding, told.payload, told.height, told.width), labels)
    assert told.mask is not None
    assert (told.mask.bytes, told.mask.sha256, told.mask.sent) == (len(told.payload), sha256(told.payload), True)
    assert (told.timings_us["capture"], told.timings_us["wait"], told.timings_us["tile"]) == (7, 11, 2)


@pytest.mark.parametrize(("limit", "sent"), [(2000, True), (1999, False)])
def test_a_mask_above_the_limit_stays_here(limit: int, sent: bool) -> None:
    """It is announced with size and hash; its bytes do not cross to the station."""
    noise = np.random.default_rng(1).integers(0, 3, (40, 50), np.uint8)
    told = result_from_inspection(ORIGIN, ORDER, slot(), inspection(noise), 0, max_mask_bytes=limit)
    assert told.mask is not None
    assert (told.mask.bytes, told.mask.sent, len(told.payload)) == (2000, sent, 2000 if sent else 0)


def test_what_failed_has_no_mask() -> None:
    """UNKNOWN with its reason, and nothing that could be taken for a sound part's mask."""
    told = unknown_result(ORIGIN, ORDER, Reason.ENGINE, "why")
    assert (told.inspector, told.bundle_hash, told.open_no, told.frame_no) == (1, "b" * 64, 1, 9)
    assert (told.outcome, told.reason, told.detail) == (Outcome.UNKNOWN, Reason.ENGINE, "why")
    assert (told.mask, told.payload, told.tiles) == (None, b"", 0)


def test_the_slot_keeps_the_mask_for_the_archive() -> None:
    """Also one that is too large to be sent."""
    noise = np.random.default_rng(1).integers(0, 3, (40, 50), np.uint8)
    kept = slot()
    result_from_inspection(ORIGIN, ORDER, kept, inspection(noise), 0, max_mask_bytes=1)
    assert kept.mask is not None
    assert np.array_equal(labels_from_payload(kept.encoding, kept.mask, 40, 50), noise)


def test_an_incomplete_mask_says_so() -> None:
    """A reject that was certain before all was segmented."""
    labels = np.ones((40, 50), np.uint8)
    told = result_from_inspection(ORIGIN, ORDER, slot(), inspection(labels, Outcome.REJECT, complete=False), 0, 1000)
    assert told.mask is not None
    assert not told.mask.complete


def test_what_was_measured_is_told_in_either_case() -> None:
    """Brightness and sharpness of the picture, and a software trigger's stage, with and without a result."""
    fired = slot()
    fired.trigger_us = 30
    for told in (
        result_from_inspection(ORIGIN, ORDER, fired, inspection(np.zeros((40, 50), np.uint8)), 11, 1000),
        unknown_result(ORIGIN, ORDER, Reason.DRIFT, "too dark", fired, 11),
    ):
        assert (told.brightness, told.sharpness) == (99.5, 12.25)
        assert {k: told.timings_us[k] for k in ("trigger", "capture", "wait")} == {
            "trigger": 30,
            "capture": 7,
            "wait": 11,
        }


@pytest.mark.parametrize(("found", "told"), [(Outcome.PASS, Outcome.UNKNOWN), (Outcome.REJECT, Outcome.REJECT)])
def test_doubt_turns_a_pass_into_unknown_and_nothing_else(found: Outcome, told: Outcome) -> None:
    """What was found stays in the result; a reject is not made weaker."""
    result = result_from_inspection(ORIGIN, ORDER, slot(), inspection(np.zeros((40, 50), np.uint8), found), 0, 1000)
    after = doubted(result, Reason.DRIFT, "why")
    assert (after.outcome, after.tiles, after.mask) == (told, 4, result.mask)
    assert after.reason is (Reason.DRIFT if told is Outcome.UNKNOWN else None)


def test_a_picture_names_its_verdict() -> None:
    """Position, camera, outcome, and the size of the picture, not of the canvas."""
    frame = FrameOf(camera="cam1", open_no=1, frame_no=9)
    answer = Answered(part=3, epoch=6, seq=8, outcome=Outcome.REJECT, frames=(frame,), record=b"")
    header = picture_header("line1", answer, frame, slot())
    assert (header.epoch, header.seq, header.part, header.outcome) == (6, 8, 3, Outcome.REJECT)
    assert (header.source, header.height, header.width) == ("a.png", 40, 50)
