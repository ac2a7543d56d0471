"""From a camera's frame ids, which may come round, to numbers that only grow."""

from __future__ import annotations

_ROUND = 65535
"""Ids of GigE Vision 1 are 1..65535 and come round to 1: 0 means something else there."""
UNKNOWN_STEP = 1_000_000
"""How far the numbers jump where nobody knows how many frames are missing: beyond what the station takes for a gap."""


class FrameNumbers:
    """
    Extends ids of 16 bits; those of 64 bits (GigE Vision 2, USB3 Vision) only ever grow. Which of the two a camera has
    is seen by the first id that needs more than 16 bits.

    Args:
        first: the number of the first frame.
    """

    def __init__(self, first: int) -> None:
        self._number = first
        self._id: int | None = None
        self._long = False

    def number(self, frame_id: int) -> tuple[int, str | None]:
        """Return the number of the frame with that id, and what is wrong with the id, None when nothing is."""
        last, self._id = self._id, frame_id
        self._long = self._long or frame_id > _ROUND
        if last is None:
            return self._number, None
        ahead = frame_id - last if self._long else (frame_id - last) % _ROUND
        # Half a round of missing frames is as unlikely as a camera whose ids run back is common.
        if 0 < ahead <= (2**62 if self._long else _ROUND // 2):
            self._number += ahead
            return self._number, None
        self._number += UNKNOWN_STEP
        return self._number, (
            f"frame id {frame_id} follows {last}, expected a higher one: the camera began to count anew; how many "
            "frames are missing is not known"
        )
