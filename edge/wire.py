"""
Layout of every message that leaves the station: topics, headers, mask payloads. No sockets.

A message is multipart: topic, header (JSON), payload if it has one. Byte-exact examples: docs/protocol.md.
"""

from __future__ import annotations

import hashlib
from typing import Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.errors import WireError
from edge.records import Audit, MaskHeader, PictureHeader, Status, Verdict

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
    except msgspec.DecodeError as error:
        raise WireError(
            f"header under topic '{topic}' is not protocol version 1: {error}; update the subscriber or the station"
        ) from error
    # A reader chose by topic whom it listens to; the header must not speak for somebody else.
    if frames[0] != topic_from_message(message):
        raise WireError(f"topic '{topic}' with a header for '{topic_from_message(message).decode()}': do not use it")
    return message


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
