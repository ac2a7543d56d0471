"""The ring of slots: a frame keeps its canvas until its verdict, and a free canvas promises nothing."""

from __future__ import annotations

import numpy as np
import pytest

from edge.inspector.slots import make_ring
from edge.tiles import Grid
from tests.support.records import TILE

GRID = Grid(20, 30, TILE)


def test_slots_are_made_once_and_never_shared() -> None:
    """A ring gives out as many canvases as it has, each of them once, then none."""
    ring = make_ring(GRID, 1, 7, 3)
    taken = [ring.take(0) for _ in range(4)]
    assert taken[3] is None
    assert len({id(slot.canvas) for slot in taken if slot is not None}) == 3


def test_a_held_frame_is_found_until_it_is_released() -> None:
    """By open number and frame number: the same frame number of another open is another frame."""
    ring = make_ring(GRID, 1, 7, 2)
    first, second = ring.take(0), ring.take(0)
    assert first is not None
    assert second is not None
    ring.hold(first, 1, 5)
    ring.hold(second, 2, 5)
    assert ring.find(1, 5) is first
    assert ring.find(2, 5) is second
    assert ring.find(1, 6) is None
    ring.release(1, 5)
    assert ring.find(1, 5) is None
    assert ring.find(2, 5) is second
    assert ring.take(0) is first


def test_what_waits_is_skipped_and_what_has_begun_is_not() -> None:
    """The slots of the frames that nobody has begun with are free at once; each frame is begun with or skipped."""
    ring = make_ring(GRID, 1, 7, 3)
    slots = [ring.take(0) for _ in range(3)]
    for number, slot in enumerate(slots):
        assert slot is not None
        ring.hold(slot, 1, number)
    assert ring.begin(1, 0) is slots[0]
    assert ring.skip()
    assert [ring.was_skipped(1, number) for number in range(3)] == [False, True, True]
    assert [ring.begin(1, number) for number in range(3)] == [slots[0], None, None]
    assert not ring.skip()
    assert {id(ring.take(0)), id(ring.take(0))} == {id(slots[1]), id(slots[2])}
    assert ring.take(0) is None


def test_a_skipped_frame_is_forgotten_with_its_verdict() -> None:
    """Its release frees no slot twice; one that has begun gives its own back."""
    ring = make_ring(GRID, 1, 7, 1)
    slot = ring.take(0)
    assert slot is not None
    ring.hold(slot, 1, 5)
    assert ring.skip()
    ring.release(1, 5)
    assert not ring.was_skipped(1, 5)
    assert ring.take(0) is slot
    ring.hold(slot, 1, 6)
    assert ring.begin(1, 6) is slot
    ring.release(1, 6)
    assert ring.begin(1, 6) is None
    assert ring.take(0) is slot
    assert ring.take(0) is None


def test_a_number_that_is_held_is_not_held_again() -> None:
    """The first frame of that number keeps its slot."""
    ring = make_ring(GRID, 1, 7, 2)
    first, second = ring.take(0), ring.take(0)
    assert first is not None
    assert second is not None
    ring.hold(first, 1, 5)
    with pytest.raises(ValueError, match="frame 5 of open 1 is held already"):
        ring.hold(second, 1, 5)
    assert ring.find(1, 5) is first


def test_a_frame_that_has_no_slot_frees_none() -> None:
    """Releasing what was never held, or twice, adds no slot."""
    ring = make_ring(GRID, 1, 7, 1)
    slot = ring.take(0)
    assert slot is not None
    ring.hold(slot, 1, 1)
    for frame_no in (2, 1, 1):
        ring.release(1, frame_no)
    assert ring.take(0) is slot
    assert ring.take(0) is None


def test_a_slot_given_back_is_free_again() -> None:
    """It was taken for a frame that never came."""
    ring = make_ring(GRID, 1, 7, 1)
    slot = ring.take(0)
    assert slot is not None
    ring.give_back(slot)
    assert ring.take(0) is slot


def test_a_taken_slot_holds_no_frame() -> None:
    """What an earlier frame left in it cannot pass for the next one's picture."""
    ring = make_ring(GRID, 1, 7, 1)
    slot = ring.take(0)
    assert slot is not None
    slot.canvas.write(np.ones((20, 30), np.uint8))
    slot.captured_us, slot.source = 5, "old.png"
    ring.hold(slot, 1, 1)
    ring.release(1, 1)
    again = ring.take(0)
    assert again is slot
    assert again.captured_us == 0
