"""The public sockets: everything under its topic, nobody slows the station, nobody takes its address."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from edge.errors import ConfigurationError
from edge.settings import Station
from edge.station import publisher as module
from edge.station.publisher import Publisher
from edge.wire import frames_from_message, message_from_frames
from tests.support.records import audit, mask, reject, status, verdict

PATIENCE_MS = 20_000
Context = zmq.Context[zmq.Socket[bytes]]


def station(folder: Path, **changes: Any) -> Station:
    endpoints = {"results": f"ipc://{folder}/results", "masks": f"ipc://{folder}/masks"}
    return Station.model_validate(
        {
            "station": "line1",
            "cameras": [{"name": "cam1", "source": {"kind": "synthetic"}}],
            "endpoints": endpoints,
            **changes,
        }
    )


@pytest.fixture
def context() -> Iterator[Context]:
    """Return a context whose sockets are closed at the end."""
    context: Context = zmq.Context()
    yield context
    context.destroy(linger=0)


@pytest.fixture
def publisher(context: Context, tmp_path: Path) -> Publisher:
    """Return bound sockets."""
    return Publisher(context, station(tmp_path))


@pytest.fixture
def reader(
    context: Context, publisher: Publisher, tmp_path: Path
) -> Iterator[Callable[[str, bytes], zmq.Socket[bytes]]]:
    """Return a maker of readers whose subscription has arrived."""
    made: list[zmq.Socket[bytes]] = []

    def connect(name: str, topic: bytes) -> zmq.Socket[bytes]:
        reader = context.socket(zmq.SUB)
        made.append(reader)
        reader.subscribe(topic)
        reader.connect(f"ipc://{tmp_path}/{name}")
        heard(publisher, topic)
        return reader

    yield connect
    for socket in made:
        socket.close(0)


def heard(publisher: Publisher, topic: bytes) -> None:
    while topic not in publisher.subscriptions().all:
        assert zmq.select([publisher.results, publisher.masks], [], [], PATIENCE_MS / 1000)[0]


def received(reader: zmq.Socket[bytes]) -> list[bytes]:
    assert reader.poll(PATIENCE_MS), "nothing came"
    return reader.recv_multipart()


def test_results_carry_verdicts_status_and_audit_in_order(publisher: Publisher, reader: Any) -> None:
    """Each message as the wire lays it out."""
    results = reader("results", b"")
    publisher.verdict(reject(1))
    publisher.status(status(1))
    publisher.audit(audit())
    for message in (reject(1), status(1), audit()):
        assert received(results) == frames_from_message(message)


def test_masks_carry_masks_and_the_heartbeat(publisher: Publisher, reader: Any) -> None:
    """The heartbeat proves to a reader that its subscription has arrived; verdicts are not sent here."""
    masks = reader("masks", b"")
    header, payload = mask(1, np.eye(30, dtype=np.uint8))
    publisher.verdict(verdict(1))
    publisher.mask(header, payload)
    publisher.status(status(1))
    assert received(masks) == frames_from_message(header, payload)
    assert message_from_frames(received(masks)) == status(1)


def test_a_reader_gets_its_own_station_and_camera_only(publisher: Publisher, reader: Any) -> None:
    """cam1 is not cam10."""
    masks = reader("masks", b"mask/line1/cam1/")
    for camera in ("cam10", "cam1"):
        header, payload = mask(1, np.eye(30, dtype=np.uint8), camera=camera)
        publisher.mask(header, payload)
    assert message_from_frames(received(masks)).camera == "cam1"
    assert not masks.poll(50)


def test_every_subscription_is_told_also_to_a_topic_that_has_a_reader(publisher: Publisher, reader: Any) -> None:
    """Each new reader is answered by a heartbeat; an end of a subscription is no new reader."""
    first = reader("results", b"verdict/")
    second = reader("results", b"verdict/")
    assert publisher.subscriptions().all == []
    for socket in (first, second):
        socket.unsubscribe(b"verdict/")
    reader("masks", b"mask/")
    assert publisher.subscriptions().all == []


@pytest.mark.parametrize("sent", [b"\x01%d", b"neither %d"])
def test_a_flood_of_subscriptions_is_cut_off(
    sent: bytes, context: Context, publisher: Publisher, reader: Any, tmp_path: Path
) -> None:
    """Who subscribes, or says anything else, without end in a second loses its connection; another reader is served."""
    listening = reader("results", b"verdict/")
    with context.socket(zmq.XSUB) as hostile:
        hostile.sndhwm = hostile.linger = 0
        with hostile.get_monitor_socket(zmq.EVENT_DISCONNECTED) as told:
            hostile.connect(f"ipc://{tmp_path}/results")
            for n in range(module._SUBSCRIPTIONS_A_SECOND + 1000):
                hostile.send(sent % n)
            while not told.poll(0):
                publisher.subscriptions()
    publisher.verdict(reject(1))
    assert received(listening) == frames_from_message(reject(1))


def test_an_enormous_subscription_cuts_the_reader_off(
    context: Context, publisher: Publisher, reader: Any, tmp_path: Path
) -> None:
    """What is longer than any topic is not held in memory."""
    with context.socket(zmq.XSUB) as hostile:
        hostile.linger = 0
        with hostile.get_monitor_socket(zmq.EVENT_DISCONNECTED) as told:
            hostile.connect(f"ipc://{tmp_path}/results")
            hostile.send(b"\x01" + bytes(100_000))
            assert told.poll(PATIENCE_MS)
    reader("results", b"verdict/")
    assert publisher.subscriptions().all == []


def test_a_reader_that_does_not_read_slows_nobody(context: Context, tmp_path: Path) -> None:
    """Masks beyond the bound are lost to that reader alone; the station's send returns at once."""
    publisher = Publisher(context, station(tmp_path, max_mask_bytes=1_000_000, mask_buffer_bytes=2_000_000))
    assert publisher.masks.sndhwm == 2
    with context.socket(zmq.SUB) as slow:
        slow.rcvhwm = 1
        slow.subscribe(b"")
        slow.connect(f"ipc://{tmp_path}/masks")
        heard(publisher, b"")
        header, _ = mask(1, np.zeros((2, 2), np.uint8))
        for _ in range(300):
            publisher.mask(header, bytes(500_000))
        assert slow.poll(PATIENCE_MS)
    publisher.close(0)


def test_the_bound_of_waiting_masks_is_never_none(context: Context, tmp_path: Path) -> None:
    """0 would mean no bound to ZeroMQ: one mask may always wait."""
    publisher = Publisher(context, station(tmp_path, max_mask_bytes=4_000_000, mask_buffer_bytes=1024))
    assert publisher.masks.sndhwm == 1
    assert publisher.results.sndhwm > 1000
    publisher.close(0)


@pytest.mark.parametrize("name", ["results", "masks"])
@pytest.mark.parametrize("kind", ["tcp", "ipc"])
def test_an_address_in_use_is_refused(context: Context, tmp_path: Path, name: str, kind: str) -> None:
    """Key, address and what to do; who had it keeps it, and nothing of ours stays bound."""
    with context.socket(zmq.XPUB) as owner:
        owner.bind("tcp://127.0.0.1:*" if kind == "tcp" else f"ipc://{tmp_path}/taken")
        taken = owner.last_endpoint.decode().rstrip("\0")
        endpoints = {"results": f"ipc://{tmp_path}/results", "masks": f"ipc://{tmp_path}/masks", name: taken}
        with pytest.raises(ConfigurationError, match=rf"endpoints\.{name}.*{taken}.*in use.*another address"):
            Publisher(context, station(tmp_path, endpoints=endpoints))
        with context.socket(zmq.SUB) as reader:
            reader.subscribe(b"x")
            reader.connect(taken)
            assert owner.poll(PATIENCE_MS), "the owner lost its address"


def test_a_path_left_by_a_killed_station_is_taken_over(context: Context, tmp_path: Path) -> None:
    """Nobody listens there: no reason to refuse."""
    (tmp_path / "results").touch()
    Publisher(context, station(tmp_path)).close(0)


@pytest.mark.parametrize("endpoint", ["ipc:///no/such/folder/x", f"ipc:///tmp/{'x' * 120}"])
def test_an_address_that_cannot_be_bound_is_refused(context: Context, tmp_path: Path, endpoint: str) -> None:
    """One line with the key and the address."""
    with pytest.raises(ConfigurationError, match=rf"endpoints\.results' = {endpoint}"):
        Publisher(context, station(tmp_path, endpoints={"results": endpoint}))
