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
        self._number = first - 1
        self._id: int | None = None
        self._unknown = 0
        """Frames since then, of which nobody knows the id."""
        self._long = False

    def number(self, frame_id: int) -> tuple[int, str | None]:
        """Return the number of the frame with that id, and what is wrong with the id, None when nothing is."""
        last, self._id = self._id, frame_id
        unknown, self._unknown = self._unknown, 0
        ahead = self._ahead(frame_id, last)
        if last is None or ahead > 0:
            self._number += max(ahead - unknown, 1)
            return self._number, None
        self._number += UNKNOWN_STEP
        return self._number, (
            f"frame id {frame_id} follows {last}, expected a higher one: the camera began to count anew; how many "
            "frames are missing is not known"
        )

    def number_of_incomplete(self, frame_id: int) -> int:
        """
        Return the number of a frame that lacks packets. Where the first of them is lost, the buffer still has the id of
        the frame that lay in it before, or 0: then it is the frame after the last.
        """
        if self._id is not None and frame_id > 0 and self._ahead(frame_id, self._id) > self._unknown:
            return self.number(frame_id)[0]
        self._unknown += 1
        self._number += 1
        return self._number

    def _ahead(self, frame_id: int, last: int | None) -> int:
        """Return how many frames after the last one this is; 0 = not after it."""
        if last is None:
            return 0
        self._long = self._long or frame_id > _ROUND
        if self._long:
            return max(frame_id - last, 0)
        ahead = (frame_id - last) % _ROUND
        # Half a round of missing frames is as unlikely as a camera whose ids run back is common.
        return ahead if ahead <= _ROUND // 2 else 0
