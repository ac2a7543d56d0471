"""Section 10 of docs/protocol.md says what the code does: requests, answers, refusals, and their bytes."""

from __future__ import annotations

import re
from typing import get_args

import msgspec
import pytest

from edge.records import LedgerRow, Mode, Outcome
from edge.requests import (
    EXPECT_MODES,
    LEASE_S,
    LONGEST_PAGE,
    REFUSALS,
    REQUESTS,
    TRIGGER_MODES,
    Ack,
    Acknowledged,
    Answer,
    AnyAnswer,
    AnyRequest,
    Attach,
    Attached,
    Challenge,
    Challenged,
    Detach,
    Done,
    Expect,
    Independent,
    Judged,
    Ledger,
    LedgerAnswer,
    Missing,
    Pause,
    Refusal,
    Refused,
    Replay,
    Replayed,
    Request,
    Shown,
    Trigger,
    Triggered,
)
from edge.station import anteroom, cameras, control, masters
from edge.station.consumers import MOST_CONSUMERS
from edge.subscription import lease, stream
from edge.wire import (
    LARGEST_REQUEST,
    answer_from_frames,
    frame_from_request,
    frames_from_answer,
    frames_from_message,
    replayed_from_header,
    request_from_frame,
    verdicts_from_payload,
)
from tests.support.document import DOCUMENT, fields_from_record, in_order, listed, pairs_below, rows_below
from tests.support.records import verdict

SECTION = DOCUMENT.split("## 10. Control\n")[1].split("\n## ")[0]
EPOCH = 244837814094590
IDS = [f"5d41402abc4b2a76b9719d911017c5{n:02x}" for n in range(9)]
SESSION = "7d793037a0760186574b0282f2f435e7"

TRIGGER = Trigger(version=1, id=IDS[0], part_id="A-0017", tag=None, counter=17, mode=Mode.PRODUCTION, cameras=None)
TRIGGERED = Triggered(
    version=1, id=IDS[0], now_us=7200000900, part=3, trigger_us=7200000000, deadline_us=7200100000, journaled=True
)
REPLAYED = Replayed(
    version=1,
    id=IDS[2],
    now_us=7200000900,
    count=1,
    epoch=EPOCH,
    seq=3,
    end=True,
    missing=Missing(epoch=EPOCH, first=1, last=2, why="retention"),
)
RECORD = replayed_from_header(frames_from_message(verdict(3, epoch=EPOCH))[1])
ROW = LedgerRow(
    shift="2026-11-22T14:00",
    mode=Mode.PRODUCTION,
    triggers=20,
    passed=17,
    rejected=1,
    unknown={"late": 1},
    open=1,
    unseen=0,
    bounced=2,
    refused=0,
)

GOOD = Judged(
    name="good-1",
    part=4,
    expected=Outcome.PASS,
    defect=None,
    outcome=Outcome.PASS,
    reason=None,
    found=(),
    right=True,
)

EXAMPLES: dict[str, tuple[AnyRequest, AnyAnswer, list[bytes]]] = {
    "a part is triggered": (TRIGGER, TRIGGERED, []),
    "another part under the same id": (
        msgspec.structs.replace(TRIGGER, counter=18, part_id=None, cameras=("top",), tag=7),
        Refused(
            version=1,
            id=IDS[0],
            now_us=7200000900,
            code=Refusal.ID_USED,
            text=f"id = {IDS[0]}: another request came under it before; give each request an id of its own",
        ),
        [],
    ),
    "a master is expected": (
        Expect(
            version=1, id=IDS[7], part_id="pit-2mm@20261122T060312Z", mode=Mode.CHALLENGE, camera=None, seconds=60.0
        ),
        msgspec.structs.replace(TRIGGERED, id=IDS[7], part=5),
        [],
    ),
    "a challenge is given": (
        Challenge(
            version=1,
            id=IDS[8],
            by="M. Muster",
            parts=(Shown(name="good-1", part=4), Shown(name="pit-2mm", part=5)),
        ),
        Challenged(
            version=1,
            id=IDS[8],
            now_us=7200000900,
            passed=False,
            parts=(
                GOOD,
                msgspec.structs.replace(
                    GOOD, name="pit-2mm", part=5, expected=Outcome.REJECT, defect="pits", right=False
                ),
            ),
            text="challenge by M. Muster failed: pit-2mm PASS, expected REJECT for pits; 2 masters",
        ),
        [],
    ),
    "a consumer attaches": (
        Attach(version=1, id=IDS[1], consumer="mes", session=SESSION, origin="now", take_over=False),
        Attached(version=1, id=IDS[1], now_us=7200000900, epoch=EPOCH, seq=0, new=False, live_epoch=EPOCH, live_seq=3),
        [],
    ),
    "and replays from its cursor": (Replay(version=1, id=IDS[2], epoch=EPOCH, seq=0, limit=100), REPLAYED, [RECORD]),
    "and acknowledges": (
        Ack(version=1, id=IDS[3], consumer="mes", session=SESSION, epoch=EPOCH, seq=3),
        Acknowledged(version=1, id=IDS[3], now_us=7200000900, epoch=EPOCH, seq=3),
        [],
    ),
    "and leaves": (
        Detach(version=1, id=IDS[4], consumer="mes", session=SESSION, forget=False),
        Done(version=1, id=IDS[4], now_us=7200000900, text="mes detached, its cursor is kept"),
        [],
    ),
    "inspection is paused": (
        Pause(version=1, id=IDS[5], role="maintenance", reason="new blade", minutes=30.0),
        Done(version=1, id=IDS[5], now_us=7200000900, text="paused for 30 minutes"),
        [],
    ),
    "the ledger": (
        Ledger(version=1, id=IDS[6], shifts=1),
        LedgerAnswer(
            version=1,
            id=IDS[6],
            now_us=7200000900,
            rows=(ROW, msgspec.structs.replace(ROW, shift="")),
            independent=(Independent(source="counter", counted=20, triggered=20, state="balanced"),),
        ),
        [],
    ),
}
"""What section 10.8 shows, by the name it has there."""


def block(name: str, request: AnyRequest, answer: AnyAnswer, payload: list[bytes]) -> str:
    """Return an example as section 10.8 prints it."""
    first, *further = frames_from_answer(answer, payload)
    lines = [f"request  {frame_from_request(request).decode()}", f"answer   {first.decode()}"]
    lines += [f"verdict  {part.decode()}" for part in further]
    return "\n".join([f"#### {name}", "", "```", *lines, "```", ""])


def shown(name: str) -> list[bytes]:
    """Return the parts of an example of the document."""
    lines = SECTION.split(f"#### {name}\n")[1].split("```")[1].strip().splitlines()
    return [line.split(maxsplit=1)[1].encode() for line in lines]


def own_fields(record: type[msgspec.Struct], base: type[msgspec.Struct]) -> list[tuple[str, str]]:
    """Return name and type of the fields that *base* and the tag do not have."""
    common = {field.name for field in msgspec.structs.fields(base)} | {record.__struct_config__.tag_field}
    return [field for field in fields_from_record(record) if field[0] not in common]


def described(heading: str) -> list[tuple[str, str]]:
    """Return name and type of the fields in the document's table below *heading*."""
    return [(cells[0].strip("`"), in_order(cells[1])) for cells in rows_below(heading)]


def tag(record: type[msgspec.Struct]) -> str:
    return str(record.__struct_config__.tag)


@pytest.mark.parametrize("record", REQUESTS, ids=tag)
def test_tables_are_the_requests(record: type[Request]) -> None:
    """Every field of a request stands in its table, in order, with its type."""
    fields = own_fields(record, Request)
    if fields:
        assert described(f"#### request `{tag(record)}`") == fields
    else:
        assert f"#### request `{tag(record)}`\n\nNo further field.\n" in SECTION


@pytest.mark.parametrize("record", get_args(AnyAnswer), ids=tag)
def test_tables_are_the_answers(record: type[Answer]) -> None:
    """Every field of an answer stands in its table, in order, with its type."""
    assert described(f"#### answer `{tag(record)}`") == own_fields(record, Answer)


@pytest.mark.parametrize("record", [Shown, Judged, Missing, Independent, LedgerRow])
def test_tables_are_the_records_inside(record: type[msgspec.Struct]) -> None:
    """So do the fields of what is inside of answers."""
    assert described(f"#### {record.__name__}") == list(fields_from_record(record))


@pytest.mark.parametrize(
    ("sentence", "tag_field", "base"),
    [
        ("Every request has, beside its own fields:\n", "request", Request),
        ("Every answer has, beside its own fields:\n", "answer", Answer),
    ],
)
def test_common_fields_are_described(sentence: str, tag_field: str, base: type[msgspec.Struct]) -> None:
    """What all have stands in a table of its own."""
    assert described(sentence) == [(tag_field, "string"), *fields_from_record(base)]


def test_requests_and_their_answers_are_the_code_s() -> None:
    """Each request with the answer it has, and whether it is carried out once."""
    text = SECTION.split("### 10.1 Requests")[1].split("\n\n")[1]
    rows = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]
    assert [(request, answer, often) for request, _, answer, often in rows] == [
        (tag(request), tag(answer), "once" if request in control.ONCE else "each time")
        for request, answer in REQUESTS.items()
    ]


def test_refusals_are_the_code_s() -> None:
    """Every code stands there with the code's own meaning, and which of them are not final."""
    assert pairs_below(SECTION, "| code |") == {code.value: text for code, text in REFUSALS.items()}
    for code in control.NOT_YET:
        assert f"`{code.value}`" in SECTION.split("But after")[1].split("nothing was done")[0]


def test_every_refusal_has_its_request() -> None:
    """The table of who may be refused how has every request and every code, and nothing else."""
    rows = pairs_below(SECTION, "| request | refusals |")
    named = {word for words in rows for word in re.findall(r"`(\w+)`", f"`{words}`")}
    assert named == {tag(request) for request in REQUESTS}
    assert {code for codes in rows.values() for code in re.findall(r"`(\w+)`", codes)} == {c.value for c in Refusal}


def test_limits_are_the_code_s() -> None:
    """Numbers in the text are those of the code."""
    text = " ".join(DOCUMENT.split())
    for said in (
        f"{LARGEST_REQUEST // 1024} KiB at most",
        f"{control._LARGEST_PART} bytes a part",
        f"{control._ANSWERS_WAITING} messages an asker",
        f"of one connection {anteroom.A_SECOND} messages a second",
        f"of answers that are not read {control._ANSWERS_WAITING} wait",
        f"a part over {control._LARGEST_PART // 1024} KiB",
        f"`busy` ({control._IN_HAND} are in hand)",
        f"the last {control._REMEMBERED} ids",
        f"up to {cameras._OUT_OF_ORDER} back",
        f"more than {cameras._LARGEST_STEP} ahead",
        f"ask again for {lease._PATIENCE_US / 1e6:g} s",
        f"every {lease._RENEW_US / 1e6:.1f} s",
        f"{stream._SILENCE_US / 1e6:g} s without one are silence",
        f"renew it for {LEASE_S:g} s",
        f"at most {MOST_CONSUMERS} names",
        f"1..{LONGEST_PAGE}",
        listed(mode.value for mode in TRIGGER_MODES),
        " or ".join(f"`{mode.value}`" for mode in EXPECT_MODES),
        f"triggered in the last {masters.FRESH_US // 60_000_000} minutes",
        f"and `{masters.SEPARATOR}`",
    ):
        assert said in text, said


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_the_bytes(name: str) -> None:
    """Request and answer encode to exactly the bytes of the document, and these decode to them."""
    request, answer, payload = EXAMPLES[name]
    expected = [frame_from_request(request), *frames_from_answer(answer, payload)]
    parts = shown(name)
    assert parts == expected, f"the document should have:\n{block(name, request, answer, payload)}"
    assert request_from_frame(parts[0]) == request
    assert answer_from_frames(parts[1:]) == answer
    if isinstance(answer, Replayed):
        assert verdicts_from_payload(answer, parts[2:])


def test_no_example_is_forgotten() -> None:
    """Section 10.8 has these examples and no others."""
    assert re.findall(r"^#### (.*)$", SECTION.split("### 10.8 ")[1], re.MULTILINE) == list(EXAMPLES)
