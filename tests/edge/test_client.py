"""The subscriber over real sockets: what is lost is told, what is not what it says is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq

from edge.client import Event, Gap, Mask, Picture, Subscriber
from edge.errors import ConfigurationError, WireError
from edge.records import Status, Verdict
from edge.settings import Station
from edge.station.publisher import Publisher
from edge.wire import frames_from_message, payload_from_labels
from tests.support.records import audit, mask, picture_header, reject, status, verdict

PATIENCE_S = 20.0


class Peer:
    """A station's sockets without the station."""

    def __init__(self, folder: Path, station: str = "line1") -> None:
        self.results = f"ipc://{folder}/{station}.results"
        self.masks = f"ipc://{folder}/{station}.masks"
        endpoints = {"results": self.results, "masks": self.masks}
        settings = Station.model_validate(
            {
                "station": station,
                "cameras": [{"name": "cam1", "source": {"kind": "synthetic"}}],
                "endpoints": endpoints,
            }
        )
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.publisher = Publisher(self._context, settings)
        self._poller = zmq.Poller()
        for socket in (self.publisher.results, self.publisher.masks):
            self._poller.register(socket, zmq.POLLIN)
        self.heard: Counter[bytes] = Counter()

    def wait_for(self, *topics: bytes) -> None:
        """Wait until somebody has subscribed to these; twice to one that is asked for on both sockets."""
        while not Counter(topics) <= self.heard:
            assert self._poller.poll(PATIENCE_S * 1000), self.heard
            self.heard.update(self.publisher.subscriptions().all)

    def wait_for_verdicts(self, subscriber: Subscriber) -> None:
        """Wait until *subscriber* has asked for verdicts: it does so while it receives, when masks have answered."""
        for _ in range(round(100 * PATIENCE_S)):
            assert subscriber.receive(0.01) is None
            self.heard.update(self.publisher.subscriptions().all)
            if b"verdict/" in self.heard:
                return
        pytest.fail(f"nobody asked for verdicts, only for {self.heard}")

    def close(self) -> None:
        self.publisher.close(0)
        self._context.destroy(linger=0)


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    """Return bound results and masks sockets."""
    peer = Peer(tmp_path)
    yield peer
    peer.close()


@pytest.fixture
def listening(peer: Peer) -> Iterator[Subscriber]:
    """Return a subscriber whose subscriptions to results have arrived."""
    with Subscriber(peer.results) as subscriber:
        peer.wait_for(b"verdict/", b"status/", b"audit/")
        yield subscriber


def received(subscriber: Subscriber) -> Event:
    event = subscriber.receive(PATIENCE_S)
    assert event is not None, "nothing came"
    return event


def test_nothing_comes_from_a_silent_station(listening: Subscriber) -> None:
    """None after the time-out, also of zero."""
    assert listening.receive(0.05) is None
    assert listening.receive(0) is None


def test_what_is_published_is_what_is_received(peer: Peer, listening: Subscriber) -> None:
    """Verdicts, audit and status come as they were sent, in order."""
    sent = [reject(1), audit(), status(1)]
    peer.publisher.verdict(reject(1))
    peer.publisher.audit(audit())
    peer.publisher.status(status(1))
    assert [received(listening) for _ in sent] == sent


def test_a_jump_of_seq_is_a_gap(peer: Peer, listening: Subscriber) -> None:
    """Told before the verdict that shows it, with first and last of what is missing; then all is well again."""
    for seq in (4, 5, 9, 10):
        peer.publisher.verdict(verdict(seq))
    events = [received(listening) for _ in range(5)]
    assert events == [verdict(4), verdict(5), Gap(5, 6, 8), verdict(9), verdict(10)]


def test_a_lost_last_verdict_is_found_by_the_heartbeat(peer: Peer, listening: Subscriber) -> None:
    """The status carries the last seq; the gap is told once."""
    peer.publisher.verdict(verdict(4))
    peer.publisher.status(status(6))
    peer.publisher.status(status(6))
    peer.publisher.verdict(verdict(7))
    events = [received(listening) for _ in range(5)]
    assert events == [verdict(4), Gap(5, 5, 6), status(6), status(6), verdict(7)]


def test_verdicts_that_never_come_are_found_by_heartbeats_alone(peer: Peer, listening: Subscriber) -> None:
    """A reader that gets only statuses learns that verdicts pass it by; what was before it came is no loss."""
    peer.publisher.status(status(100))
    peer.publisher.status(status(103))
    assert [received(listening) for _ in range(3)] == [status(100), Gap(5, 101, 103), status(103)]


def test_a_new_epoch_goes_on_where_the_last_one_ended(peer: Peer, listening: Subscriber) -> None:
    """Its first verdict is no gap; one further on is."""
    for message in (verdict(8), verdict(9, epoch=6), verdict(12, epoch=3)):
        peer.publisher.verdict(message)
    events = [received(listening) for _ in range(4)]
    assert events == [verdict(8), verdict(9, epoch=6), Gap(3, 10, 11), verdict(12, epoch=3)]


def test_numbers_that_are_given_anew_are_given_again(peer: Peer, listening: Subscriber) -> None:
    """What was not journaled before a crash has its numbers in the next epoch; so has all of a lost journal."""
    sent = [verdict(8), verdict(6, epoch=6), verdict(7, epoch=6), verdict(1, epoch=7), verdict(3, epoch=7)]
    for message in sent:
        peer.publisher.verdict(message)
    assert [received(listening) for _ in range(6)] == [*sent[:4], Gap(7, 2, 2), sent[4]]


def test_a_heartbeat_of_a_new_epoch_tells_what_was_lost(peer: Peer, listening: Subscriber) -> None:
    """Or that its numbers begin further back."""
    peer.publisher.verdict(verdict(8))
    for message in (status(10, epoch=6), status(5, epoch=7)):
        peer.publisher.status(message)
    peer.publisher.verdict(verdict(6, epoch=7))
    events = [received(listening) for _ in range(5)]
    assert events == [verdict(8), Gap(6, 9, 10), status(10, epoch=6), status(5, epoch=7), verdict(6, epoch=7)]


def test_a_reader_may_leave_verdicts_to_another(peer: Peer) -> None:
    """It hears the rest, and of no gap."""
    with Subscriber(peer.results, verdicts=False) as subscriber:
        peer.wait_for(b"status/", b"audit/")
        peer.publisher.status(status(3))
        peer.publisher.verdict(verdict(4))
        peer.publisher.status(status(6))
        assert [received(subscriber), received(subscriber)] == [status(3), status(6)]
        assert subscriber.hears_masks


def test_a_verdict_is_given_once(peer: Peer, listening: Subscriber) -> None:
    """One that comes again, or after it was told as lost, is not given, and makes no gap of the next."""
    for seq in (4, 5, 4, 5, 8, 6, 9):
        peer.publisher.verdict(verdict(seq))
    events = [received(listening) for _ in range(5)]
    assert events == [verdict(4), verdict(5), Gap(5, 6, 7), verdict(8), verdict(9)]


def test_a_station_is_chosen_by_its_whole_name(tmp_path: Path) -> None:
    """A reader of line1 hears nothing of line10."""
    peer = Peer(tmp_path)
    with Subscriber(peer.results, station="line1") as subscriber:
        peer.wait_for(b"verdict/line1/", b"status/line1/")
        peer.publisher.verdict(verdict(1, station="line10"))
        peer.publisher.verdict(verdict(2))
        assert received(subscriber) == verdict(2)
    peer.close()


def test_a_header_that_is_not_ours_is_refused_and_the_next_is_read(peer: Peer, listening: Subscriber) -> None:
    """WireError for the bad message only."""
    peer.publisher.results.send_multipart([b"verdict/line1/", b'{"schema":"verdict","version":2}'])
    peer.publisher.verdict(verdict(3))
    with pytest.raises(WireError, match="verdict/line1/"):
        listening.receive(PATIENCE_S)
    assert received(listening) == verdict(3)


def test_verdicts_are_asked_for_when_masks_have_answered(peer: Peer) -> None:
    """A station that waits for its first subscriber cannot send a mask before somebody listens to masks."""
    with Subscriber(peer.results, peer.masks) as subscriber:
        peer.wait_for(b"status/", b"status/", b"mask/")
        assert subscriber.receive(0.1) is None
        assert b"verdict/" not in [*peer.heard, *peer.publisher.subscriptions().all]
        peer.publisher.status(status(0))
        assert received(subscriber) == status(0)
        peer.wait_for_verdicts(subscriber)
        labels = np.eye(40, 50, dtype=np.uint8)
        header, payload = mask(1, labels)
        peer.publisher.verdict(reject(1))
        peer.publisher.mask(header, payload)
        events = [received(subscriber), received(subscriber)]
        found = next(event for event in events if isinstance(event, Mask))
        assert reject(1) in events
        assert found.header == header
        assert np.array_equal(found.labels, labels)


def masks_only(peer: Peer, frames: list[bytes]) -> Event:
    """Send one message on masks to a new reader, and return what it makes of it."""
    with Subscriber(peer.results, peer.masks) as subscriber:
        peer.wait_for(b"mask/")
        peer.publisher.masks.send_multipart(frames)
        return received(subscriber)


LABELS = np.repeat(np.array([[0, 1, 2, 0]], np.uint8), 30, axis=0).repeat(20, axis=1)


def altered(payload: bytes) -> bytes:
    return bytes([payload[0] ^ 1]) + payload[1:]


def test_a_mask_that_was_altered_is_refused(peer: Peer) -> None:
    """One bit of the payload: WireError that says camera and seq."""
    header, payload = mask(3, LABELS)
    with pytest.raises(WireError, match=r"mask 3 of camera cam1.*sha256"):
        masks_only(peer, frames_from_message(header, altered(payload)))


@pytest.mark.parametrize("extra", [[], [b"", b""]])
def test_a_mask_of_other_parts_is_refused(peer: Peer, extra: list[bytes]) -> None:
    """Without a payload, or with two."""
    header, _ = mask(3, LABELS)
    with pytest.raises(WireError, match="parts"):
        masks_only(peer, [*frames_from_message(header), *extra])


def test_a_mask_whose_size_is_another_is_refused(peer: Peer) -> None:
    """The hash may be right all the same."""
    header, payload = mask(3, LABELS, height=LABELS.shape[0] + 1)
    with pytest.raises(WireError, match="px"):
        masks_only(peer, frames_from_message(header, payload))


def test_a_label_of_no_class_is_refused(peer: Peer) -> None:
    """class_names[label - 1] must exist for whoever reads the mask."""
    header, payload = mask(3, LABELS, class_names=("pits",))
    with pytest.raises(WireError, match="label 2"):
        masks_only(peer, frames_from_message(header, payload))


def test_a_picture_comes_as_jpeg(peer: Peer, tmp_path: Path) -> None:
    """Header and bytes, from an endpoint of its own."""
    endpoint = f"ipc://{tmp_path}/pictures"
    with zmq.Context() as context, context.socket(zmq.XPUB) as pictures:
        pictures.linger = 0
        pictures.bind(endpoint)
        with Subscriber(peer.results, pictures=endpoint) as subscriber:
            assert pictures.poll(PATIENCE_S * 1000)
            assert pictures.recv() == b"\x01picture/"
            pictures.send_multipart(frames_from_message(picture_header(2, 4, 5), b"jpeg"))
            assert received(subscriber) == Picture(picture_header(2, 4, 5), b"jpeg")


@pytest.mark.parametrize("endpoint", ["nonsense", "tcp://", "tcp://127.0.0.1:port", "udp5://x:1"])
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    """One line with the address and what is expected, not ZeroMQ's own error."""
    with pytest.raises(ConfigurationError, match=rf"{endpoint}.*expected"):
        Subscriber(endpoint)


def test_a_station_that_comes_later_is_heard(tmp_path: Path) -> None:
    """The reader may be started first."""
    with Subscriber(f"ipc://{tmp_path}/line1.results", f"ipc://{tmp_path}/line1.masks") as subscriber:
        peer = Peer(tmp_path)
        peer.wait_for(b"status/", b"status/", b"mask/")
        peer.publisher.status(status(0))
        assert isinstance(received(subscriber), Status)
        peer.wait_for_verdicts(subscriber)
        peer.publisher.verdict(verdict(1))
        assert isinstance(received(subscriber), Verdict)
    peer.close()


def test_labels_of_a_mask_are_the_readers_own(peer: Peer) -> None:
    """A mask is decoded from raw bytes too."""
    noise = np.random.default_rng(0).integers(0, 3, (9, 11), np.uint8)
    assert payload_from_labels(noise)[0] == "raw"
    header, payload = mask(3, noise)
    found = masks_only(peer, frames_from_message(header, payload))
    assert isinstance(found, Mask)
    assert np.array_equal(found.labels, noise)
