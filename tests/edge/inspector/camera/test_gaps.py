"""A picture of predicted video is good only when nothing was lost since one that needs no other."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from edge.inspector.camera.gaps import Gaps


def doubts(judge: Gaps, stamps_s: Iterable[float], keys: Iterable[int] = (0,)) -> list[str]:
    """Judge pictures with those time stamps; I pictures are those of these indices."""
    return [judge.doubt(stamp_s, complete=n in set(keys)) for n, stamp_s in enumerate(stamps_s)]


@pytest.mark.parametrize("rate_hz", [None, 30.0])
def test_a_gap_taints_until_the_next_i_picture(rate_hz: float | None) -> None:
    """Two periods between two time stamps: a picture is missing, and what follows is built on it."""
    stamps = [n / 30 for n in range(60) if n != 40]
    found = doubts(Gaps(rate_hz), stamps, (0, 30, 50))
    assert not any(found[:40])
    assert all("across a gap of 67 ms in the stream's time stamps, expected 33 ms" in text for text in found[40:50])
    assert not any(found[50:])


def test_uneven_time_stamps_are_no_gap() -> None:
    """A camera's clock is coarse: less than half a period more is no lost picture."""
    stamps = [n / 30 + (0.015 if n % 3 == 0 else 0.0) for n in range(60)]
    assert not any(doubts(Gaps(None), stamps))


def test_a_gap_before_the_period_is_known_is_found_afterwards() -> None:
    """The first distances tell the period, and one of them may be the gap."""
    stamps = [n / 30 for n in range(20) if n != 2]
    found = doubts(Gaps(None), stamps)
    assert all(found[4:])


def test_a_slower_camera_becomes_the_rule() -> None:
    """In the dark a camera halves its rate; that is no loss for ever."""
    stamps = [*(n / 30 for n in range(30)), *(1 + n / 15 for n in range(30))]
    found = doubts(Gaps(None), stamps, (0, 50))
    assert all(found[31:36])
    assert not any(found[50:])


@pytest.mark.parametrize("stamps", [[5.0, 5.1, 5.2], [5.0, 5.1, 0.0]])
def test_what_begins_without_an_i_picture_waits_for_one(stamps: list[float]) -> None:
    """Of a stream that is joined in the middle, or whose time begins anew, nobody knows what came before."""
    judge = Gaps(10.0)
    assert "pictures that were not seen" in doubts(judge, stamps, () if stamps[-1] else (0,))[-1]
    assert judge.doubt(stamps[-1] + 0.1, complete=True) == ""


def test_lost_packets_taint_until_a_later_i_picture() -> None:
    """One that was in the decoder already, or out of a queue, is of before the loss."""
    judge = Gaps(30.0)
    told = []
    for n in range(90):
        # Lost before picture 31; I pictures 0, 33 (on its way already), 63.
        complete = n in (0, 33, 63)
        judge.note_lost(0 if n < 31 else 4, 100 + n / 30, complete=complete)
        told.append(judge.doubt(n / 30, complete=complete))
    assert not any(told[:31])
    assert all("packets of the stream were lost" in text for text in told[31:63])
    assert not any(told[63:])
