"""
Layout of every message that enters or leaves the station: topics, headers, mask payloads, requests. No sockets.

A published message is multipart: topic, header (JSON), payload if it has one. A request is one part (JSON), its answer
one part and, of a replay, the verdicts. Byte-exact examples: docs/protocol.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.errors import WireError
from edge.records import VERSION, Audit, MaskHeader, PictureHeader, Status, Verdict
from edge.requests import AnyAnswer, AnyRequest, Refusal, Replayed

Published: TypeAlias = Verdict | MaskHeader | PictureHeader | Status | Audit

TOPICS: dict[type[Published], str] = {
    Verdict: "verdict/{station}/",
    Status: "status/{station}/",
    Audit: "audit/{station}/",
    MaskHeader: "mask/{station}/{camera}/",
    PictureHeader: "picture/{station}/{camera}/",
}
"""Every topic ends in a slash: subscriptions match by prefix, and ``cam1`` must not match ``cam10``."""

# A run is one little-endian uint32: label in the low byte, length (1..2^24-1) above it.
_LENGTH_BITS = 24
_LONGEST_RUN = (1 << _LENGTH_BITS) - 1
_RUN = np.dtype("<u4")

Encoding: TypeAlias = Literal["runs", "raw"]

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Published)
_request_decoder = msgspec.json.Decoder(AnyRequest)
_answer_decoder = msgspec.json.Decoder(AnyAnswer)
_verdict_decoder = msgspec.json.Decoder(Verdict)

# All that decoding raises: bytes that are no UTF-8 and brackets nested too deep come as errors of their own.
_NOT_READ = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

LARGEST_REQUEST = 64 * 1024
"""Bytes; the largest sensible request has 30,000, every character of a path escaped."""

_LONGEST_ID = 64
_LONGEST_TEXT = 200
_JOURNALED = b',"journaled":'
_ENDS = {
    b'%s,"replayed":%s,"complete":%s}' % (journaled, replayed, complete): b'true,"replayed":true,"complete":%s}'
    % complete
    for journaled in (b"true", b"false")
    for replayed in (b"true", b"false")
    for complete in (b"true", b"false")
}


def topic_from_message(message: Published) -> bytes:
    """Return the topic under which *message* is published."""
    return TOPICS[type(message)].format(station=message.station, camera=getattr(message, "camera", "")).encode()


def frames_from_message(message: Published, payload: bytes | None = None) -> list[bytes]:
    """Return the parts of the multipart message: topic, header JSON, payload if any."""
    frames = [topic_from_message(message), _encoder.encode(message)]
    return frames if payload is None else [*frames, payload]


def message_from_frames(frames: list[bytes]) -> Published:
    """
    Decode the header of a received multipart message.

    Raises:
        WireError: fewer than two parts, the header is not one of ours, or it came under the topic of another; says
            which topic and what was wrong.
    """
    if len(frames) < 2:
        raise WireError(f"message of {len(frames)} part(s), expected topic, header and perhaps a payload")
    topic = frames[0].decode(errors="replace")
    try:
        message: Published = _decoder.decode(frames[1])
    except _NOT_READ as error:
        raise WireError(
            f"header under topic '{topic}' is not protocol version 1: {error}; update the subscriber or the station"
        ) from error
    # A reader chose by topic whom it listens to; the header must not speak for somebody else.
    if frames[0] != topic_from_message(message):
        raise WireError(f"topic '{topic}' with a header for '{topic_from_message(message).decode()}': do not use it")
    return message


class Unreadable(msgspec.Struct, frozen=True):
    """A request that cannot be carried out for what it looks like; the fields of the Refused that it is told."""

    id: str
    """Empty when it could not be read either."""
    code: Refusal
    text: str


def frame_from_request(request: AnyRequest) -> bytes:
    """Return the one part of a request: JSON, the fields in the order of the record."""
    return _encoder.encode(request)


def request_from_frame(frame: bytes) -> AnyRequest | Unreadable:
    """Decode a request; what is not one comes back as the reason, in one line that names the field."""
    if len(frame) > LARGEST_REQUEST:
        return Unreadable("", Refusal.MALFORMED, f"{len(frame)} bytes; expected {LARGEST_REQUEST} at most")
    try:
        request: AnyRequest = _request_decoder.decode(frame)
    except _NOT_READ as error:
        return _unreadable(frame, str(error))
    return request


def frames_from_answer(answer: AnyAnswer, payload: Sequence[bytes] = ()) -> list[bytes]:
    """Return the parts of an answer: JSON, then the verdicts of a replay."""
    return [_encoder.encode(answer), *payload]


def answer_from_frames(frames: Sequence[bytes]) -> AnyAnswer:
    """
    Decode the first part of an answer.

    Raises:
        WireError: it is not one of ours; says what was wrong.
    """
    if not frames:
        raise WireError("answer of no part, expected one or more")
    try:
        answer: AnyAnswer = _answer_decoder.decode(frames[0])
    except _NOT_READ as error:
        raise WireError(f"answer is not protocol version 1: {error}; update the asker or the station") from error
    return answer


def verdicts_from_payload(answer: Replayed, payload: Sequence[bytes]) -> tuple[Verdict, ...]:
    """
    Decode the verdicts of a replay.

    Raises:
        WireError: there are not as many as *answer* says, one cannot be read, or the last is at another position.
    """
    if len(payload) != answer.count:
        raise WireError(f"replay of {len(payload)} verdicts, expected {answer.count}: do not use it")
    try:
        verdicts = tuple(_verdict_decoder.decode(header) for header in payload)
    except _NOT_READ as error:
        raise WireError(f"replayed verdict is not protocol version 1: {error}; update the asker") from error
    if verdicts and (verdicts[-1].epoch, verdicts[-1].seq) != (answer.epoch, answer.seq):
        raise WireError(
            f"replay ends at {verdicts[-1].seq}, expected {answer.seq} of epoch {answer.epoch}: do not use it"
        )
    return verdicts


def verdict_from_header(header: bytes) -> Verdict:
    """
    Decode a verdict as it was published or journaled.

    Raises:
        WireError: it is none.
    """
    try:
        return _verdict_decoder.decode(header)
    except _NOT_READ as error:
        raise WireError(f"not a verdict of protocol version 1: {error}") from error


def replayed_from_header(header: bytes) -> bytes:
    """
    Return a journaled verdict as it is said again: journaled and replayed are true, every other byte is the same.

    The record's last fields are exchanged in place: decoding and encoding a page would cost the station's loop 10 ms.

    Raises:
        WireError: the bytes do not end as an encoded verdict does.
    """
    body, mark, end = header.rpartition(_JOURNALED)
    if not mark or end not in _ENDS:
        raise WireError(f"journaled verdict ends in {header[-60:]!r}, expected journaled, replayed, complete")
    return body + mark + _ENDS[end]


def sha256(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()


def payload_from_labels(labels: NDArray[np.uint8]) -> tuple[Encoding, bytes]:
    """
    Encode a label map as run-lengths, or raw when that is shorter.

    Args:
        labels: (height, width) uint8, C-contiguous.
    """
    flat = labels.reshape(-1)
    ends = _ends_of_runs(flat)
    if len(ends) * _RUN.itemsize >= flat.size:
        return "raw", flat.tobytes()
    lengths = np.diff(ends, prepend=0)
    values = flat[ends - 1].astype(np.uint32)
    if int(lengths.max()) > _LONGEST_RUN:
        values, lengths = _split_long_runs(values, lengths)
    return "runs", (values | (lengths.astype(np.uint32) << 8)).astype(_RUN).tobytes()


def labels_from_payload(encoding: Encoding, payload: bytes, height: int, width: int) -> NDArray[np.uint8]:
    """
    Decode a mask payload to (height, width) uint8.

    Raises:
        WireError: the payload does not describe exactly height x width pixels.
    """
    if height < 1 or width < 1:
        raise WireError(f"mask of {height} x {width} px, expected at least one each")
    if encoding == "raw":
        if len(payload) != height * width:
            raise WireError(f"raw mask of {len(payload)} bytes, expected {height} x {width} = {height * width}")
        return np.frombuffer(payload, np.uint8).reshape(height, width)
    if len(payload) % _RUN.itemsize:
        raise WireError(f"run-length mask of {len(payload)} bytes, expected whole 4-byte runs")
    runs = np.frombuffer(payload, _RUN)
    lengths = runs >> 8
    if not lengths.all():
        raise WireError("run-length mask with a run of 0 px, expected 1 to 2^24 - 1 each")
    if int(lengths.sum(dtype=np.uint64)) != height * width:
        raise WireError(f"runs cover {int(lengths.sum(dtype=np.uint64))} px, expected {height} x {width}")
    return np.repeat((runs & 0xFF).astype(np.uint8), lengths).reshape(height, width)


class _Head(msgspec.Struct):
    """What every request has whatever its version; another version's further fields are not ours to judge."""

    version: Any = None
    id: Any = None


def _unreadable(frame: bytes, fault: str) -> Unreadable:
    try:
        head = msgspec.json.decode(frame, type=_Head)
    except _NOT_READ:
        return Unreadable("", Refusal.MALFORMED, _one_line(fault))
    id_ = head.id if isinstance(head.id, str) and len(head.id) <= _LONGEST_ID else ""
    if type(head.version) is int and head.version != VERSION:  # True is no version.
        return Unreadable(id_, Refusal.VERSION, f"version = {head.version}: expected {VERSION}; update the asker")
    return Unreadable(id_, Refusal.MALFORMED, _one_line(fault))


def _one_line(text: str) -> str:
    """Return *text* as it may be shown: a stranger wrote part of it."""
    return "".join(c if c.isprintable() else "?" for c in text[:_LONGEST_TEXT])


def _ends_of_runs(flat: NDArray[np.uint8]) -> NDArray[np.int64]:
    # Most masks are empty: one pass over bytes settles them without building an index.
    if not flat.any():
        return np.array([flat.size])
    return np.append(np.flatnonzero(flat[1:] != flat[:-1]) + 1, flat.size)


def _split_long_runs(
    values: NDArray[np.uint32], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    pieces = -(-lengths // _LONGEST_RUN)
    split = np.full(int(pieces.sum()), _LONGEST_RUN, np.int64)
    split[np.cumsum(pieces) - 1] = lengths - (pieces - 1) * _LONGEST_RUN
    return np.repeat(values, pieces), split
