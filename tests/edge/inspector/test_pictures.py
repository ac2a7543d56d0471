"""The pictures socket: few, the worst first, and always those of their header."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import zmq

from edge.errors import ConfigurationError
from edge.inspector.pictures import PicturePublisher
from edge.records import Outcome, PictureHeader
from edge.wire import message_from_frames
from tests.support.records import picture_header

PATIENCE_MS = 20_000


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    """Return a context whose sockets are closed at the end."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    yield context
    context.destroy(linger=0)


@pytest.fixture
def reader(context: zmq.Context[zmq.Socket[bytes]], tmp_path: Path) -> zmq.Socket[bytes]:
    """Return a subscriber to everything."""
    reader = context.socket(zmq.SUB)
    reader.subscribe("")
    reader.connect(f"ipc://{tmp_path}/pictures")
    return reader


@pytest.fixture
def pictures(context: zmq.Context[zmq.Socket[bytes]], tmp_path: Path) -> PicturePublisher:
    """Return a publisher that is not started."""
    return PicturePublisher(context, f"ipc://{tmp_path}/pictures", rate_hz=50)


def offer(
    pictures: PicturePublisher, seq: int, outcome: Outcome, camera: str = "cam1", shape: tuple = (32, 48)
) -> None:
    header = picture_header(seq, shape[0], shape[1], outcome=outcome, camera=camera)
    pictures.offer(header, np.full(shape, 10 * seq, np.uint8))


def received(reader: zmq.Socket[bytes]) -> tuple[PictureHeader, np.ndarray]:
    assert reader.poll(PATIENCE_MS), "no picture came"
    frames = reader.recv_multipart()
    header = message_from_frames(frames)
    assert isinstance(header, PictureHeader)
    image = cv2.imdecode(np.frombuffer(frames[2], np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return header, image


def connect(pictures: PicturePublisher, reader: zmq.Socket[bytes]) -> None:
    """Offer until one arrives: from then on the subscription is known."""
    while not reader.poll(40):
        offer(pictures, 0, Outcome.PASS)
    while reader.poll(200):
        reader.recv_multipart()


def test_the_worst_of_those_in_between_is_sent_and_of_equals_the_newest(pictures: PicturePublisher) -> None:
    """A reject is not pushed out by the passes after it; each camera has its own place."""
    offer(pictures, 1, Outcome.PASS)
    offer(pictures, 2, Outcome.REJECT)
    offer(pictures, 3, Outcome.UNKNOWN)
    offer(pictures, 4, Outcome.PASS)
    offer(pictures, 5, Outcome.PASS, "cam2")
    offer(pictures, 6, Outcome.PASS, "cam2")
    kept = {header.camera: (header.seq, int(picture[0, 0])) for header, picture in pictures._taken()}
    assert kept == {"cam1": (2, 20), "cam2": (6, 60)}
    assert pictures._taken() == []


@pytest.mark.parametrize("shape", [(32, 48), (32, 48, 1), (32, 48, 3)])
def test_a_picture_arrives_with_its_header(
    pictures: PicturePublisher, reader: zmq.Socket[bytes], shape: tuple[int, ...]
) -> None:
    """Grey and colour come as JPEG of the size the header says, under the camera's topic."""
    pictures.start()
    connect(pictures, reader)
    offer(pictures, 7, Outcome.REJECT, shape=shape)
    header, image = received(reader)
    assert (header.seq, header.outcome, header.source) == (7, Outcome.REJECT, "7.png")
    assert image.shape == ((32, 48, 3) if shape[2:] == (3,) else (32, 48))
    assert abs(int(image.mean()) - 70) <= 2
    pictures.stop()
    pictures.join(PATIENCE_MS / 1000)


def test_an_offered_picture_is_a_copy(pictures: PicturePublisher) -> None:
    """The slot is free after the offer: what the camera writes into it is not sent."""
    picture = np.full((32, 48), 200, np.uint8)
    pictures.offer(picture_header(1, 32, 48), picture)
    picture[:] = 0
    ((_, kept),) = pictures._taken()
    assert (kept == 200).all()


def test_an_endpoint_in_use_is_refused(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    """One line with key, address and what to do."""
    with context.socket(zmq.PUB) as first:
        first.bind("tcp://127.0.0.1:*")
        endpoint = first.last_endpoint.decode().rstrip("\0")
        with pytest.raises(ConfigurationError, match=rf"endpoints\.pictures.*{endpoint}.*another address"):
            PicturePublisher(context, endpoint, rate_hz=5)
