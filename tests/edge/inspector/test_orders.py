"""Orders: a trigger goes to its camera at once, everything else waits for the engine thread in its order."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from edge.errors import BundleError, WireError
from edge.inspector.link import Begin, Fire, Inspect, Stop, ToInspector, send
from edge.inspector.orders import Loaded, Orders

PATIENCE_S = 20.0


class Bench:
    """A station's end, and orders with two cameras."""

    def __init__(self, folder: Path) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.bind(f"ipc://{folder}/down")
        self.fired: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        cameras = {name: self._camera(name) for name in ("cam1", "cam2")}
        self.orders = Orders(self._context, f"ipc://{folder}/down", cameras)

    def _camera(self, name: str):  # type: ignore[no-untyped-def]
        return lambda fire: self.fired.put((name, fire.part))

    def say(self, *messages: ToInspector) -> None:
        for message in messages:
            send(self._socket, message)

    def close(self) -> None:
        self.say(Stop())
        self.orders.join(PATIENCE_S)
        assert not self.orders.is_alive()
        self._context.destroy(linger=0)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Orders that are being read; ended with Stop."""
    made = Bench(tmp_path)
    made.orders.connect()
    made.orders.start()
    yield made
    made.close()


def inspect(part: int) -> Inspect:
    return Inspect(part=part, camera="cam1", open_no=1, frame_no=part, deadline_us=1, recipe_hash="")


def test_a_trigger_reaches_its_cameras_while_the_engines_are_busy(bench: Bench) -> None:
    """Nobody asks for the next order, and the cameras are told all the same."""
    bench.say(
        inspect(1),
        Fire(part=2, cameras=("cam2", "cam1"), deadline_us=1),
        Fire(part=3, cameras=("cam1",), deadline_us=1),
    )
    assert [bench.fired.get(timeout=PATIENCE_S) for _ in range(3)] == [("cam2", 2), ("cam1", 2), ("cam1", 3)]


def test_everything_else_is_kept_in_its_order(bench: Bench) -> None:
    """The loader's word too; without an order there is None after the time-out."""
    bench.say(Begin(), inspect(1), inspect(2))
    assert [bench.orders.next(PATIENCE_S) for _ in range(3)] == [Begin(), inspect(1), inspect(2)]
    assert bench.orders.next(0) is None
    loaded = Loaded(BundleError("no"))
    bench.orders.put(loaded)
    assert bench.orders.next(PATIENCE_S) is loaded


def test_a_part_waits_until_it_is_taken(bench: Bench) -> None:
    """Only parts count: what else is to be done is done after the part in hand."""
    assert not bench.orders.part_waits()
    bench.say(inspect(1), inspect(2), Fire(part=3, cameras=("cam1",), deadline_us=1))
    bench.fired.get(timeout=PATIENCE_S)
    assert bench.orders.part_waits()
    bench.orders.next(PATIENCE_S)
    assert bench.orders.part_waits()
    bench.orders.next(PATIENCE_S)
    assert not bench.orders.part_waits()
    bench.say(Begin(), Fire(part=4, cameras=("cam1",), deadline_us=1))
    bench.fired.get(timeout=PATIENCE_S)
    assert not bench.orders.part_waits()


def test_connected_means_that_the_station_has_a_taker(tmp_path: Path) -> None:
    """It waits for the station's hand: a socket that is not bound yet ends it by the time-out, with the address."""
    with zmq.Context() as context:
        nobody = Orders(context, f"ipc://{tmp_path}/nobody", {})
        with pytest.raises(WireError, match="nobody: the station took no connection for 50 ms"):
            nobody.connect(timeout_ms=50)
        context.destroy(linger=0)
