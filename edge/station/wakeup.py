"""What the station's loop sleeps on: its sockets, the inspector's death, and the next thing that is due."""

from __future__ import annotations

import zmq

from edge.clock import Clock
from edge.station.publisher import Publisher
from edge.station.supervisor import Supervisor


class Wakeup:
    """Callable: sleep until something comes on any of them, at the latest until *due_us*."""

    def __init__(self, publisher: Publisher, supervisor: Supervisor, clock: Clock) -> None:
        self._publisher = publisher
        self._supervisor = supervisor
        self._clock = clock

    def __call__(self, due_us: int) -> None:
        poller = zmq.Poller()
        poller.register(self._publisher.results, zmq.POLLIN)
        poller.register(self._publisher.masks, zmq.POLLIN)
        # Another pair with each inspector, so they are registered anew each time.
        if self._supervisor.inbox is not None:
            poller.register(self._supervisor.inbox, zmq.POLLIN)
            poller.register(self._supervisor.alive_fd, zmq.POLLIN)
        # Rounded up to whole ms: rounding down would spin until the deadline.
        poller.poll(max(-(-(due_us - self._clock.now_us()) // 1000), 0))
