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
