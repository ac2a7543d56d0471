"""Frame ids that come round become numbers that grow, with their gaps."""

from __future__ import annotations

import pytest

from edge.inspector.camera.numbers import UNKNOWN_STEP, FrameNumbers


def numbers(*ids: int, first: int = 1) -> list[tuple[int, bool]]:
    """Return number and whether it is a fault of each."""
    sequence = FrameNumbers(first)
    told = [sequence.number(frame_id) for frame_id in ids]
    return [(number, fault is not None) for number, fault in told]


@pytest.mark.parametrize(
    ("ids", "steps"),
    [
        ((65401, 65402, 65404), (0, 1, 3)),
        ((65535, 1), (0, 1)),
        ((65534, 2), (0, 3)),
        ((0, 1, 2), (0, 1, 2)),
        ((65535, 65536, 65540), (0, 1, 5)),
        ((2**40, 2**40 + 7), (0, 7)),
        ((1, 32_768), (0, 32_767)),
    ],
)
def test_distances_are_kept(ids: tuple[int, ...], steps: tuple[int, ...]) -> None:
    """Of 16 bits, of which 0 is none, and of 64 bits, which are known by the first that needs more."""
    assert numbers(*ids, first=10) == [(10 + step, False) for step in steps]


def test_a_camera_may_run_for_ever() -> None:
    """Three rounds of 65535 ids, and nothing is missing."""
    sequence = FrameNumbers(1)
    told = [sequence.number(1 + n % 65535) for n in range(3 * 65535)]
    assert told == [(n + 1, None) for n in range(3 * 65535)]


@pytest.mark.parametrize("ids", [(5, 5), (5, 4), (1000, 1), (2**40, 1), (70_000, 70_000)])
def test_ids_that_do_not_grow_are_a_fault(ids: tuple[int, int]) -> None:
    """Once: from there on they are counted anew, far from the numbers of before."""
    assert numbers(*ids, ids[1] + 1) == [(1, False), (1 + UNKNOWN_STEP, True), (2 + UNKNOWN_STEP, False)]


@pytest.mark.parametrize("stale_id", [0, 65_500, 65_526])
def test_an_incomplete_frame_without_an_id_of_its_own_is_the_next_one(stale_id: int) -> None:
    """With its first packet lost, its buffer shows the id of an old frame; the gap after it is found all the same."""
    sequence = FrameNumbers(1)
    assert sequence.number_of_incomplete(stale_id) == 1
    assert sequence.number(65_533) == (2, None)
    assert sequence.number_of_incomplete(stale_id) == 3
    assert sequence.number(65_535) == (4, None)
    assert sequence.number_of_incomplete(stale_id) == 5
    assert sequence.number_of_incomplete(stale_id) == 6
    assert sequence.number(5) == (9, None)
    assert sequence.number(6) == (10, None)


def test_an_incomplete_frame_with_an_id_of_its_own_keeps_its_place() -> None:
    """Only some later packet of it is lost."""
    sequence = FrameNumbers(1)
    assert sequence.number(10) == (1, None)
    assert sequence.number_of_incomplete(13) == 4
    assert sequence.number(14) == (5, None)
