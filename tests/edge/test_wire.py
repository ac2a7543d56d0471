"""The wire: what is sent is what is received, and anything else is refused."""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from edge.errors import WireError
from edge.records import Mode, Verdict
from edge.requests import (
    REQUESTS,
    Ack,
    AnyRequest,
    AskStatus,
    Attach,
    Challenge,
    Detach,
    Expect,
    Ledger,
    Pause,
    Refusal,
    Reload,
    Replay,
    Replayed,
    Selftest,
    Shown,
    Trigger,
    UseRecipe,
)
from edge.wire import (
    TOPICS,
    Published,
    Unreadable,
    answer_from_frames,
    frame_from_request,
    frames_from_answer,
    frames_from_message,
    labels_from_payload,
    message_from_frames,
    payload_from_labels,
    replayed_from_header,
    request_from_frame,
    sha256,
    topic_from_message,
    verdicts_from_payload,
)
from tests.support.records import audit, defect, mask, picture_header, reject, status, verdict, view

LONGEST = (1 << 24) - 1

label_maps = arrays.arrays(
    np.uint8,
    arrays.array_shapes(min_dims=2, max_dims=2, max_side=40),
    elements=st.sampled_from([0, 0, 0, 1, 2, 255]),
    fill=st.just(np.uint8(0)),
)


def messages() -> list[Published]:
    """Return one message of each type."""
    header, _ = mask(3, np.zeros((4, 5), np.uint8))
    return [reject(3), status(3), audit(), header, picture_header(3, 4, 5)]


def runs(*pairs: tuple[int, int]) -> bytes:
    """Return (label, length) runs as docs/protocol.md writes them."""
    return np.array([label | length << 8 for label, length in pairs], "<u4").tobytes()


@given(label_maps)
def test_a_label_map_survives_the_wire(labels: NDArray[np.uint8]) -> None:
    """Any label map decodes to itself, in no more bytes than it has pixels."""
    encoding, payload = payload_from_labels(labels)
    assert np.array_equal(labels_from_payload(encoding, payload, *labels.shape), labels)
    assert len(payload) <= labels.size


def test_an_empty_mask_is_one_run() -> None:
    """All zeros of a frame of the demo's size are four bytes."""
    assert payload_from_labels(np.zeros((256, 1600), np.uint8)) == ("runs", runs((0, 256 * 1600)))


def test_runs_are_byte_exact() -> None:
    """Label in the low byte, length above it, little-endian, row after row."""
    labels = np.array([[0] * 6, [2] * 6, [2] * 6], np.uint8)
    encoding, payload = payload_from_labels(labels)
    assert encoding == "runs"
    assert payload.hex() == "00060000020c0000"


def test_one_pixel_is_raw() -> None:
    """Runs are used only when they are shorter."""
    assert payload_from_labels(np.array([[3]], np.uint8)) == ("raw", b"\x03")


def test_a_run_longer_than_its_field_is_split() -> None:
    """A run of 2 x (2^24 - 1) + 1 px becomes three, and decodes to itself."""
    labels = np.full((1, 2 * LONGEST + 1), 5, np.uint8)
    encoding, payload = payload_from_labels(labels)
    assert (encoding, payload) == ("runs", runs((5, LONGEST), (5, LONGEST), (5, 1)))
    assert (labels_from_payload(encoding, payload, *labels.shape) == 5).all()


def test_a_run_of_exactly_the_field_is_not_split() -> None:
    """2^24 - 1 px of one label are one run, also beside a short one."""
    labels = np.zeros((1, LONGEST + 2), np.uint8)
    labels[0, -2:] = 1
    assert payload_from_labels(labels) == ("runs", runs((0, LONGEST), (1, 2)))


def test_a_view_that_is_not_contiguous_is_encoded_as_it_looks() -> None:
    """The region of a larger label map is sent without what lies beside it."""
    buffer = np.full((20, 30), 9, np.uint8)
    buffer[:10, :15] = 0
    encoding, payload = payload_from_labels(buffer[:10, :15])
    assert not labels_from_payload(encoding, payload, 10, 15).any()


@pytest.mark.parametrize(
    ("encoding", "payload", "height", "width"),
    [
        pytest.param("runs", runs((0, 19)), 4, 5, id="fewer pixels"),
        pytest.param("runs", runs((0, 21)), 4, 5, id="more pixels"),
        pytest.param("runs", b"", 4, 5, id="no runs"),
        pytest.param("runs", runs((0, 20))[:-1], 4, 5, id="half a run"),
        pytest.param("runs", runs((0, 20), (1, 0)), 4, 5, id="a run of no pixels"),
        pytest.param("runs", runs((0, 20)), -4, -5, id="negative size, runs"),
        pytest.param("raw", bytes(20), -4, -5, id="negative size, raw"),
        pytest.param("raw", bytes(19), 4, 5, id="raw, fewer"),
        pytest.param("raw", bytes(21), 4, 5, id="raw, more"),
        pytest.param("runs", b"", 0, 0, id="no size"),
    ],
)
def test_a_payload_that_is_not_the_mask_is_refused(encoding: Any, payload: bytes, height: int, width: int) -> None:
    """Whatever does not describe exactly height x width pixels is a WireError."""
    with pytest.raises(WireError):
        labels_from_payload(encoding, payload, height, width)


def test_lengths_that_overflow_32_bits_are_summed_right() -> None:
    """257 longest runs cover 2^32 + more px: they do not pass for the remainder."""
    payload = runs(*[(0, LONGEST)] * 257)
    with pytest.raises(WireError, match=str(257 * LONGEST)):
        labels_from_payload("runs", payload, 1, (257 * LONGEST) % 2**32)


@pytest.mark.parametrize("message", messages(), ids=lambda message: type(message).__name__)
def test_a_message_survives_the_wire(message: Published) -> None:
    """Each type decodes to an equal record, from its two frames or from three."""
    assert message_from_frames(frames_from_message(message)) == message
    frames = frames_from_message(message, b"payload")
    assert message_from_frames(frames) == message
    assert frames[2] == b"payload"


def test_every_published_type_has_a_topic_that_ends_in_a_slash() -> None:
    """A subscription to cam1 does not match cam10, and no type can be published without a topic."""
    assert set(TOPICS) == set(get_args(Published))
    assert all(topic.endswith("/") for topic in TOPICS.values())
    assert topic_from_message(mask(1, np.zeros((4, 4), np.uint8))[0]) == b"mask/line1/cam1/"
    assert topic_from_message(verdict(1)) == b"verdict/line1/"


@pytest.mark.parametrize("message", messages(), ids=lambda message: type(message).__name__)
def test_a_header_says_its_schema_and_version(message: Published) -> None:
    """A client in another language reads them first."""
    header = json.loads(frames_from_message(message)[1])
    assert header["version"] == 1
    assert TOPICS[type(message)].startswith(f"{header['schema']}/")


@pytest.mark.parametrize(
    "change",
    [{"version": 2}, {"version": None}, {"extra": 1}, {"schema": "verdicts"}, {"outcome": "GOOD"}, {"reason": "tired"}],
    ids=str,
)
def test_a_header_of_another_protocol_is_refused(change: dict[str, Any]) -> None:
    """Another version, an unknown key, schema, outcome or reason: a WireError that names the topic."""
    topic, header = frames_from_message(verdict(1))
    altered = json.dumps({**json.loads(header), **change}).encode()
    with pytest.raises(WireError, match=r"topic 'verdict/line1/'"):
        message_from_frames([topic, altered])


@pytest.mark.parametrize("key", ["version", "schema", "seq", "outcome", "views"])
def test_a_header_without_a_key_is_refused(key: str) -> None:
    """Nothing is filled in for a key that is missing."""
    topic, header = frames_from_message(verdict(1))
    altered = {k: v for k, v in json.loads(header).items() if k != key}
    with pytest.raises(WireError, match="not protocol version 1"):
        message_from_frames([topic, json.dumps(altered).encode()])


@pytest.mark.parametrize("header", [b"", b"{", b"\xff\xfe", b"[]", b"null", b'"verdict"'])
def test_a_header_that_is_no_json_object_is_refused(header: bytes) -> None:
    """Bytes that are no JSON object are a WireError, also when the topic is no text."""
    with pytest.raises(WireError):
        message_from_frames([b"\xff\xfe", header])


@pytest.mark.parametrize("frames", [[], [b"verdict/line1/"]])
def test_a_message_without_a_header_is_refused(frames: list[bytes]) -> None:
    """Fewer than two parts are a WireError."""
    with pytest.raises(WireError, match="part"):
        message_from_frames(frames)


def test_a_header_under_the_topic_of_another_station_is_refused() -> None:
    """The topic is what a reader subscribed to: the header may not speak for somebody else."""
    with pytest.raises(WireError, match="line1"):
        message_from_frames([b"verdict/line10/", frames_from_message(verdict(1))[1]])


def test_nested_records_refuse_unknown_keys_too() -> None:
    """A key nobody knows inside a view or a defect is refused."""
    frames = frames_from_message(verdict(1, views=(view(defects=(defect(),)),)))
    header = json.loads(frames[1])
    header["views"][0]["defects"][0]["colour"] = "red"
    with pytest.raises(WireError, match="colour"):
        message_from_frames([frames[0], json.dumps(header).encode()])


def test_integers_of_a_message_are_exact_in_every_language() -> None:
    """The largest numbers that are sent, an epoch of 48 bits and UTC in us, lie below 2^53."""
    message = verdict(2**40, epoch=2**48 - 1, utc_us=4_102_444_800_000_000)
    header = json.loads(frames_from_message(message)[1])
    numbers = [value for value in header.values() if isinstance(value, int)]
    assert max(numbers) < 2**53
    assert message_from_frames(frames_from_message(message)) == message


def test_the_hash_is_of_the_payload() -> None:
    """SHA-256 in lower-case hex."""
    assert sha256(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert msgspec.json.decode(msgspec.json.encode(sha256(b"x"))) == sha256(b"x")


def request(**changes: Any) -> bytes:
    """Return a request for the status, changed."""
    return json.dumps({"request": "status", "version": 1, "id": "r1", **changes}).encode()


REQUESTED: list[AnyRequest] = [
    Trigger(
        version=1, id="a", part_id="A 17", tag=7, counter=2**32 - 1, mode=Mode.PRODUCTION, cameras=("cam1", "cam2")
    ),
    Trigger(version=1, id="b" * 64, part_id=None, tag=None, counter=None, mode=Mode.CHALLENGE, cameras=None),
    Expect(version=1, id="m", part_id="bad-1@1", mode=Mode.CHALLENGE, camera="cam2", seconds=0.5),
    Challenge(version=1, id="n", by="M. Muster", parts=(Shown(name="good-1", part=3), Shown(name="bad-1", part=4))),
    Attach(version=1, id="c", consumer="mes", session="s", origin="oldest", take_over=False),
    Replay(version=1, id="d", epoch=2**48 - 1, seq=0, limit=1000),
    Ack(version=1, id="e", consumer="mes", session="s", epoch=5, seq=2**53 - 1),
    Detach(version=1, id="f", consumer="mes", session="s", forget=True),
    UseRecipe(version=1, id="g", name="strip-2"),
    Pause(version=1, id="h", role="operator", reason="Walze gewechselt", minutes=0.5),
    Selftest(version=1, id="i"),
    Reload(version=1, id="j", bundle=None),
    Ledger(version=1, id="k", shifts=0),
    AskStatus(version=1, id="l"),
]


@pytest.mark.parametrize("asked", REQUESTED, ids=lambda asked: type(asked).__name__)
def test_request_comes_as_it_was_sent(asked: AnyRequest) -> None:
    """Every request survives the wire."""
    assert request_from_frame(frame_from_request(asked)) == asked


def test_no_request_is_left_out() -> None:
    """The list above has each request of the table, and the table each of the union."""
    assert {type(asked) for asked in REQUESTED} == set(REQUESTS) == set(get_args(AnyRequest))


@pytest.mark.parametrize(
    ("frame", "named"),
    [
        (b"", "truncated"),
        (b"\xff", "malformed"),
        (b'{"request":"status","version":1,"id":"\xff"}', "utf-8"),
        (b"[1]", "object"),
        (b"[" * 60_000, "object"),
        (b'{"x":' + b"[" * 60_000, "recursion"),
        (b"x" * 65_537, "65537 bytes"),
        (request(request="dance"), "dance"),
        (request(extra=1), "extra"),
        (request(version=True), "version"),
        (request(id=""), "id"),
        (request(id="a\nb"), "id"),
        (request(id="x" * 65), "id"),
        (request(request="recipe", name="../etc"), "name"),
        (request(request="recipe", name="strip\n"), "name"),
        (request(request="ledger"), "shifts"),
        (request(request="ledger", shifts=1001), "shifts"),
        (request(request="pause", role="a", reason="b\r", minutes=1), "reason"),
        (request(request="pause", role="a", reason="b", minutes=1e300), "minutes"),
        (request(request="replay", epoch=2**53, seq=0, limit=1), "epoch"),
        (request(request="replay", epoch=0, seq=-1, limit=1), "seq"),
        (request(request="replay", epoch=0, seq=0, limit=1001), "limit"),
    ],
)
def test_malformed_request_is_named(frame: bytes, named: str) -> None:
    """What is no request is MALFORMED, in one printable line that names what was wrong."""
    found = request_from_frame(frame)
    assert isinstance(found, Unreadable)
    assert found.code is Refusal.MALFORMED
    assert named in found.text
    assert found.text.isprintable()
    assert len(found.text) <= 200


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"mode": "selftest"}, "mode = selftest"),
        ({"mode": "paused"}, "mode = paused"),
        ({"mode": "festive"}, "mode"),
        ({"cameras": []}, "cameras"),
        ({"cameras": ["a", "b", "a"]}, "cameras = a, b, a"),
        ({"cameras": ["cam/1"]}, "cameras"),
        ({"tag": 65536}, "tag"),
        ({"counter": 2**32}, "counter"),
        ({"part_id": "x" * 65}, "part_id"),
    ],
)
def test_malformed_trigger_is_named(changes: dict[str, Any], named: str) -> None:
    """A trigger with a value out of its bounds says which."""
    sound = {"part_id": None, "tag": None, "counter": None, "mode": "production", "cameras": None}
    found = request_from_frame(request(request="trigger", **{**sound, **changes}))
    assert isinstance(found, Unreadable)
    assert (found.id, found.code) == ("r1", Refusal.MALFORMED)
    assert named in found.text


@pytest.mark.parametrize("body", [{}, {"request": "dance"}, {"further": [1]}])
def test_newer_request_is_told_the_version(body: dict[str, Any]) -> None:
    """A request of another version is VERSION under its id, whatever else it holds."""
    found = request_from_frame(request(version=2, **body))
    assert found == Unreadable("r1", Refusal.VERSION, "version = 2: expected 1; update the asker")


def test_newer_request_may_name_itself_otherwise() -> None:
    """An id that is no text is left out, not an error."""
    assert request_from_frame(request(version=3, id=17)) == Unreadable(
        "", Refusal.VERSION, "version = 3: expected 1; update the asker"
    )


@given(st.binary(max_size=200) | st.dictionaries(st.text(), st.integers() | st.text()).map(json.dumps).map(str.encode))
def test_anything_is_a_request_or_a_reason(frame: bytes) -> None:
    """No bytes make the decoder raise."""
    assert request_from_frame(frame)


def replayed(count: int, seq: int) -> Replayed:
    return Replayed(version=1, id="a", now_us=1, count=count, epoch=5, seq=seq, end=True, missing=None)


def test_answer_comes_as_it_was_sent() -> None:
    """An answer survives the wire, and its verdicts follow it."""
    answer = replayed(2, seq=8)
    payload = [frames_from_message(verdict(seq))[1] for seq in (7, 8)]
    frames = frames_from_answer(answer, payload)
    assert answer_from_frames(frames) == answer
    assert verdicts_from_payload(answer, frames[1:]) == (verdict(7), verdict(8))


@pytest.mark.parametrize("frames", [[], [b""], [b"{}"], [b'{"x":' + b"[" * 60_000], [request()]])
def test_what_is_no_answer_is_refused(frames: list[bytes]) -> None:
    """An asker is told that it was answered in no way it knows."""
    with pytest.raises(WireError, match="answer"):
        answer_from_frames(frames)


@pytest.mark.parametrize(("count", "seq"), [(1, 8), (3, 8), (2, 9)])
def test_replay_is_what_it_says(count: int, seq: int) -> None:
    """Another number of verdicts, or another last one, is refused."""
    payload = [frames_from_message(verdict(seq))[1] for seq in (7, 8)]
    with pytest.raises(WireError, match="do not use it"):
        verdicts_from_payload(replayed(count, seq), payload)


def test_replayed_verdict_is_a_verdict() -> None:
    """Bytes that are none are refused."""
    with pytest.raises(WireError, match="replayed verdict"):
        verdicts_from_payload(replayed(1, 8), [b"{}"])


@pytest.mark.parametrize("journaled", [True, False])
@pytest.mark.parametrize("complete", [True, False])
def test_replayed_verdict_says_so(journaled: bool, complete: bool) -> None:
    """A verdict said again is journaled and replayed; text that looks like its end changes nothing."""
    said = reject(3, detail='"journaled":false,"replayed":', journaled=journaled, complete=complete)
    again = replayed_from_header(frames_from_message(said)[1])
    assert msgspec.json.decode(again, type=Verdict) == msgspec.structs.replace(said, journaled=True, replayed=True)


@pytest.mark.parametrize(
    "header", [b"", b"{}", frames_from_message(status(1))[1], frames_from_message(verdict(1))[1][:-1]]
)
def test_only_a_verdict_is_replayed(header: bytes) -> None:
    """A record that does not end as a verdict does is refused."""
    with pytest.raises(WireError, match="journaled verdict"):
        replayed_from_header(header)


@pytest.mark.parametrize("header", [b'{"x":' + b"[" * 60_000, b'{"schema":"verdict","station":"\xff"}'])
def test_hostile_header_is_a_wire_error(header: bytes) -> None:
    """Brackets too deep and bytes that are no UTF-8 are told like any other header that cannot be read."""
    with pytest.raises(WireError, match="not protocol version 1"):
        message_from_frames([b"verdict/line1/", header])
