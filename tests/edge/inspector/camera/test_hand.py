"""A hand does one errand after the other; who asked is never blocked by it, nor ended."""

from __future__ import annotations

import threading

from edge.errors import CameraError
from edge.inspector.camera.hand import Hand

PATIENCE_S = 20


def test_errands_are_done_in_order_on_another_thread() -> None:
    """What it was asked before it was dismissed is done all the same."""
    hand, done = Hand("cam1"), []
    errands = [hand.ask(lambda n=n: done.append((n, threading.current_thread()))) for n in range(5)]  # type: ignore[misc]
    hand.dismiss()
    hand.join(PATIENCE_S)
    assert done == [(n, hand) for n in range(5)]
    assert all(errand.done and errand.fault is None for errand in errands)


def test_a_fault_is_kept_for_who_asked() -> None:
    """And the next errand is done."""
    hand = Hand("cam1")

    def dead() -> None:
        raise CameraError("write_register timeout")

    first, second = hand.ask(dead), hand.ask(lambda: None)
    assert second.wait(PATIENCE_S)
    assert str(first.fault) == "write_register timeout"
    hand.dismiss()


def test_one_that_hangs_is_waited_for_within_a_limit() -> None:
    """It is a daemon: it ends with the process at the latest."""
    hand, free = Hand("cam1"), threading.Event()
    errand = hand.ask(lambda: assert_set(free))
    assert not errand.wait(0.01)
    assert not errand.done
    assert hand.daemon
    hand.dismiss()
    assert not hand.ended(0.01)
    free.set()
    assert errand.wait(PATIENCE_S)
    assert hand.ended(PATIENCE_S)


def assert_set(event: threading.Event) -> None:
    assert event.wait(PATIENCE_S)
