"""docs/protocol.md says what the code does: its tables are the records, its examples are the bytes."""

from __future__ import annotations

import re

import msgspec
import numpy as np
import pytest

from edge.records import (
    ALARMS,
    AUDIT_EVENTS,
    CHALLENGE_STATES,
    REASONS,
    STAGES,
    STATES,
    Alarm,
    Audit,
    AuditEvent,
    CameraStatus,
    ChallengeMark,
    Defect,
    MaskHeader,
    MaskReference,
    Mode,
    Outcome,
    PauseMark,
    PictureHeader,
    Reason,
    RecipeMark,
    Status,
    Verdict,
    View,
)
from edge.wire import TOPICS, Published, frames_from_message, message_from_frames, payload_from_labels, sha256
from tests.support.document import DOCUMENT, fields_from_record, in_order, listed, pairs_below, rows_below

SECTIONS: dict[str, type[msgspec.Struct]] = {
    "## 3. Verdict": Verdict,
    "### 3.1 View": View,
    "### 3.2 Defect": Defect,
    "### 3.3 MaskReference": MaskReference,
    "### 3.6 RecipeMark": RecipeMark,
    "## 4. Status": Status,
    "### 4.1 CameraStatus": CameraStatus,
    "### 4.2 PauseMark": PauseMark,
    "### 4.3 ChallengeMark": ChallengeMark,
    "## 5. Audit": Audit,
    "## 6. Masks": MaskHeader,
    "## 7. Pictures": PictureHeader,
}

LABELS = np.array([[0] * 6, [2] * 6, [2] * 6], np.uint8)
_, RUNS = payload_from_labels(LABELS)
_, EMPTY = payload_from_labels(np.zeros((256, 1600), np.uint8))

PASSED = Verdict(
    version=1,
    station="line1",
    epoch=244837814094590,
    seq=1,
    part=1,
    part_id=None,
    tag=None,
    mode=Mode.PRODUCTION,
    outcome=Outcome.PASS,
    reason=None,
    detail="",
    stage=None,
    views=(
        View(
            camera="top",
            frame=0,
            source="0",
            outcome=Outcome.PASS,
            reason=None,
            defects=(),
            defects_total=0,
            scores={"pits": 0.0625, "scratches": 0.125},
            tiles=7,
            segmented=0,
            timings_us={"capture": 410, "wait": 25, "tile": 190, "classify": 5200, "assemble": 30},
            brightness=121.5,
            sharpness=310.25,
            mask=MaskReference(bytes=4, sha256=sha256(EMPTY), complete=True, sent=True),
        ),
    ),
    recipe=RecipeMark(name="strict", hash="5f" * 32, author="quality", since_utc_us=1767222000000000),
    bundle_hash="a0" * 32,
    trigger_us=7200000000,
    deadline_us=7200100000,
    published_us=7200006200,
    utc_us=1767225600000000,
    timings_us={
        "capture": 410,
        "wait": 25,
        "tile": 190,
        "classify": 5200,
        "assemble": 30,
        "handover": 140,
        "publish": 45,
        "journal": 210,
    },
    journaled=True,
    replayed=False,
    complete=True,
)

REJECTED = msgspec.structs.replace(
    PASSED,
    seq=2,
    part=3,
    outcome=Outcome.REJECT,
    views=(
        View(
            camera="top",
            frame=2,
            source="part-0003.png",
            outcome=Outcome.REJECT,
            reason=None,
            defects=(
                Defect(
                    class_id=2,
                    name="scratches",
                    area_px=12,
                    area_mm2=3.0,
                    box=(0, 1, 6, 2),
                    centroid=(2.5, 1.5),
                    peak=0.8,
                    cut=True,
                    counts=True,
                ),
            ),
            defects_total=1,
            scores={"pits": 0.25, "scratches": 0.9375},
            tiles=1,
            segmented=1,
            timings_us={},
            brightness=118.0,
            sharpness=402.5,
            mask=MaskReference(bytes=8, sha256=sha256(RUNS), complete=True, sent=True),
        ),
    ),
    timings_us={},
)

UNKNOWN = msgspec.structs.replace(
    PASSED,
    seq=3,
    part=2,
    outcome=Outcome.UNKNOWN,
    reason=Reason.LATE,
    detail="no result within 100 ms of the trigger: camera top in stage 'segment'",
    stage="segment",
    views=(
        View(
            camera="top",
            frame=1,
            source="1",
            outcome=Outcome.UNKNOWN,
            reason=Reason.LATE,
            defects=(),
            defects_total=0,
            scores={},
            tiles=0,
            segmented=0,
            timings_us={},
            brightness=None,
            sharpness=None,
            mask=None,
        ),
    ),
    published_us=7200099450,
    timings_us={"publish": 38, "journal": 1390},
    journaled=False,
    complete=False,
)

STATUS = Status(
    version=1,
    station="line1",
    epoch=244837814094590,
    seq=3,
    journaled_seq=2,
    state="ready",
    ready=True,
    detail="inspecting",
    alarms=(Alarm.JOURNAL_FAILING,),
    recipe=RecipeMark(name="strict", hash="5f" * 32, author="quality", since_utc_us=1767222000000000),
    paused=None,
    challenge=ChallengeMark(
        state="passed",
        last_by="M. Muster",
        last_utc_us=1767222060000000,
        due_utc_us=1767250800000000,
        closes_utc_us=1767252600000000,
        why="a shift has begun since the last one was passed",
    ),
    inspector=1,
    start_ms={"load": 20, "compile": 900, "parity": 400, "warm-up": 80},
    triggers=4,
    counts={"PASS": 1, "UNKNOWN": 1, "REJECT": 1},
    unknown={"late": 1},
    open=1,
    cameras=(CameraStatus(name="top", state="open", detail="1600x256 mono8", last_frame=3, numbered=True),),
    sent_us=7201000000,
    utc_us=1767225601000000,
)

AUDIT = Audit(
    version=1,
    station="line1",
    epoch=244837814094590,
    part=2,
    event=AuditEvent.LATE_RESULT,
    detail="top: result after the verdict",
    outcome=Outcome.PASS,
    sent_us=7200140000,
)

MASK = MaskHeader(
    version=1,
    station="line1",
    camera="top",
    epoch=244837814094590,
    seq=2,
    part=3,
    source="part-0003.png",
    height=3,
    width=6,
    encoding="runs",
    class_names=("pits", "scratches"),
    sha256=sha256(RUNS),
    complete=True,
)

RAW_MASK = msgspec.structs.replace(
    MASK, seq=4, part=4, source="3", height=1, width=3, encoding="raw", sha256=sha256(b"\x00\x01\x00")
)

PICTURE = PictureHeader(
    version=1,
    station="line1",
    camera="top",
    epoch=244837814094590,
    seq=2,
    part=3,
    outcome=Outcome.REJECT,
    source="part-0003.png",
    height=3,
    width=6,
    encoding="jpeg",
)

MESSAGES: dict[str, tuple[Published, bytes | None]] = {
    "verdict, PASS": (PASSED, None),
    "verdict, REJECT": (REJECTED, None),
    "verdict, UNKNOWN": (UNKNOWN, None),
    "status": (STATUS, None),
    "audit": (AUDIT, None),
    "mask, runs": (MASK, RUNS),
    "mask, raw": (RAW_MASK, b"\x00\x01\x00"),
    "picture (of the JPEG only its first and last marker)": (PICTURE, bytes.fromhex("ffd8ffd9")),
}
"""What section 11 shows, by the name it has there."""


def block(name: str, message: Published, payload: bytes | None) -> str:
    """Return an example as section 11 prints it."""
    topic, header, *rest = frames_from_message(message, payload)
    lines = [f"topic    {topic.decode()}", f"header   {header.decode()}"] + [f"payload  {part.hex()}" for part in rest]
    return "\n".join([f"### {name}", "", "```", *lines, "```", ""])


@pytest.mark.parametrize(("heading", "record"), SECTIONS.items(), ids=[record.__name__ for record in SECTIONS.values()])
def test_tables_are_the_records(heading: str, record: type[msgspec.Struct]) -> None:
    """Every field of a record stands in its table, in order, with its type."""
    described = [(cells[0].strip("`"), in_order(cells[1])) for cells in rows_below(heading)]
    assert described == list(fields_from_record(record))


def test_every_row_has_a_meaning() -> None:
    """Only schema and version need no words, and an encoding there is one of."""
    for heading in SECTIONS:
        assert {row[0] for row in rows_below(heading) if not row[2]} <= {"`schema`", "`version`", "`encoding`"}


def test_lists_of_words_are_the_code_s() -> None:
    """Reasons and stages stand in the document with the code's own meaning; outcomes and modes by name."""
    shown = DOCUMENT.split("### 3.4 Outcome, reason, mode")[1]
    assert pairs_below(shown, "| reason |") == {reason.value: text for reason, text in REASONS.items()}
    assert pairs_below(shown, "| stage |") == STAGES
    assert pairs_below(DOCUMENT, "| state |") == STATES
    assert pairs_below(DOCUMENT, "| challenge |") == CHALLENGE_STATES
    assert pairs_below(DOCUMENT, "| alarm |") == {alarm.value: text for alarm, text in ALARMS.items()}
    assert pairs_below(DOCUMENT, "| event |") == {event.value: text for event, text in AUDIT_EVENTS.items()}
    assert f"`Mode` is {listed(mode.value for mode in Mode)}" in shown
    assert f"`Outcome` is {listed(outcome.value for outcome in Outcome)}" in shown


def test_topics_are_named() -> None:
    """Every topic of the code stands in the table of endpoints."""
    endpoints = DOCUMENT.split("## 1. Endpoints")[1].split("## 2.")[0]
    for topic in TOPICS.values():
        assert f"`{topic.format(station='<station>', camera='<camera>')}`" in endpoints


@pytest.mark.parametrize("name", MESSAGES)
def test_examples_are_the_bytes(name: str) -> None:
    """The record encodes to exactly the bytes of the document, and they decode to the record."""
    message, payload = MESSAGES[name]
    shown = _parts(name)
    assert shown == frames_from_message(message, payload), f"the document should have:\n{block(name, message, payload)}"
    assert message_from_frames(shown) == message


def test_no_example_is_forgotten() -> None:
    """Section 11 has these examples and no others."""
    assert re.findall(r"^### (.*)$", DOCUMENT.split("## 11.")[1], re.MULTILINE) == list(MESSAGES)


def test_example_decodes_by_the_rule_of_the_document() -> None:
    """The one line of section 6, taken literally, gives the mask back."""
    labels: list[int] = []
    payload = _parts("mask, runs")[2]
    for b0, b1, b2, b3 in zip(*[iter(payload)] * 4, strict=True):
        labels += [b0] * (b1 + 256 * b2 + 65536 * b3)
    assert np.array_equal(np.array(labels, np.uint8).reshape(LABELS.shape), LABELS)


def _parts(name: str) -> list[bytes]:
    lines = DOCUMENT.split(f"### {name}\n")[1].split("```")[1].strip().splitlines()
    parts = [line.split(maxsplit=1) for line in lines]
    return [bytes.fromhex(text) if kind == "payload" else text.encode() for kind, text in parts]
