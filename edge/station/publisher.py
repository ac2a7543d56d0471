"""The station's public sockets, and the reason beside each option."""

from __future__ import annotations

from dataclasses import dataclass

import zmq

from edge.clock import SYSTEM_CLOCK, Clock
from edge.endpoints import bind
from edge.errors import ConfigurationError
from edge.records import Audit, MaskHeader, Status, Verdict
from edge.settings import Station
from edge.station.connections import Connections, way_of
from edge.wire import frames_from_message

# Verdicts that may wait for one slow reader: minutes of a fast line, a few MB. Beyond it that reader loses some and
# sees the gap in seq; the station never waits.
_VERDICTS_WAITING = 20_000

# A peer that subscribes without end must not keep the loop from its deadlines.
_SUBSCRIPTIONS_A_CYCLE = 256
# Subscriptions of one connection in a second; one that sends more is cut off.
_SUBSCRIPTIONS_A_SECOND = 1000
# A topic is shorter than 200 bytes; a peer that sends more at once is cut off before it is held in memory.
_LARGEST_SUBSCRIPTION = 4096


@dataclass(frozen=True)
class Topics:
    """Topics that somebody has subscribed to, by endpoint; a topic is a prefix."""

    results: list[bytes]
    masks: list[bytes]

    @property
    def all(self) -> list[bytes]:
        return self.results + self.masks


class Publisher:
    """
    Sends to whoever listens; nobody can slow it down.

    Raises:
        ConfigurationError: an endpoint is in use or cannot be bound.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], station: Station, clock: Clock = SYSTEM_CLOCK) -> None:
        masks_waiting = max(station.mask_buffer_bytes // station.max_mask_bytes, 1)
        self.results = _bound(context, "results", station.endpoints.results, _VERDICTS_WAITING)
        try:
            self.masks = _bound(context, "masks", station.endpoints.masks, masks_waiting)
        except ConfigurationError:
            self.results.close(0)
            raise
        self._readers = {
            publisher: Connections(publisher, _SUBSCRIPTIONS_A_SECOND, clock)
            for publisher in (self.results, self.masks)
        }

    def verdict(self, verdict: Verdict) -> None:
        self.results.send_multipart(frames_from_message(verdict))

    def mask(self, header: MaskHeader, payload: bytes) -> None:
        self.masks.send_multipart(frames_from_message(header, payload))

    def status(self, status: Status) -> None:
        """Send the heartbeat on both sockets: on masks it proves to a reader that its subscription has arrived."""
        frames = frames_from_message(status)
        self.results.send_multipart(frames)
        self.masks.send_multipart(frames)

    def audit(self, audit: Audit) -> None:
        self.results.send_multipart(frames_from_message(audit))

    def subscriptions(self) -> Topics:
        """Return topics subscribed to since the last call, so many at most; the others with the next."""
        return Topics(self._subscribed(self.results), self._subscribed(self.masks))

    def close(self, linger_ms: int) -> None:
        """Close both; what still waits for a reader is given so long."""
        self.results.close(linger_ms)
        self.masks.close(linger_ms)

    def _subscribed(self, publisher: zmq.Socket[bytes]) -> list[bytes]:
        topics = []
        for _ in range(_SUBSCRIPTIONS_A_CYCLE):
            if not int(publisher.get(zmq.EVENTS)) & zmq.POLLIN:
                self._readers[publisher].none_waits()
                break
            event = publisher.recv(copy=False)
            # Whatever comes is counted; an event that says nothing is as dear as a subscription.
            if not _is_flood(self._readers[publisher], event) and event.bytes[:1] == b"\x01":
                topics.append(event.bytes[1:])
        return topics


def _is_flood(readers: Connections, event: zmq.Frame) -> bool:
    way = way_of(event)
    if way is None:
        return False  # libzmq itself takes back the subscriptions of a reader that has gone.
    # Not by the descriptor alone: the next reader would pay for what the one before it sent.
    if not readers.knows(way):
        readers.note(way, event)
    return readers.is_flood(way, 1 + len(event.bytes) // 1024)


def _bound(context: zmq.Context[zmq.Socket[bytes]], name: str, endpoint: str, waiting: int) -> zmq.Socket[bytes]:
    publisher = context.socket(zmq.XPUB)
    publisher.sndhwm = waiting
    publisher.rcvhwm = 0  # Of subscriptions. Who would fill it is cut off instead: connections.py.
    publisher.setsockopt(zmq.MAXMSGSIZE, _LARGEST_SUBSCRIPTION)
    # Tell each new subscription, also to a topic that has a reader already: it is answered by a heartbeat.
    publisher.setsockopt(zmq.XPUB_VERBOSE, 1)
    # A reader that vanished without a word is dropped instead of buffered for ever.
    publisher.setsockopt(zmq.HEARTBEAT_IVL, 1000)
    publisher.setsockopt(zmq.HEARTBEAT_TIMEOUT, 5000)
    bind(publisher, name, endpoint)
    return publisher
