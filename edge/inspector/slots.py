"""Where frames wait for their verdict: a fixed number of canvases for each camera, made once."""

from __future__ import annotations

import queue
from dataclasses import dataclass, field

from edge.inspector.drift import Measures
from edge.tiles import Canvas, Grid
from edge.wire import Encoding


@dataclass
class Slot:
    """One canvas and what lies in it."""

    canvas: Canvas
    captured_us: int = 0
    """0 = no picture of the slot's present part."""
    source: str = ""
    capture_us: int = 0
    """How long the camera's read took [us]."""
    trigger_us: int | None = None
    """From a software trigger until the camera's read began [us]; None = the camera saw the part by itself."""
    measures: Measures | None = None
    """Of the picture."""
    encoding: Encoding = "runs"
    mask: bytes | None = None
    """The labels as they were encoded; None = there are none."""

    def clear(self) -> None:
        """Forget the last part: its picture and mask must never be shown as another's."""
        self.captured_us = self.capture_us = 0
        self.source = ""
        self.trigger_us = self.measures = self.mask = None


@dataclass
class Ring:
    """
    The slots of one camera. The camera's thread takes and holds, the engine thread finds and releases.

    A held slot is known by (open number, frame number). Queue and dictionary operations are atomic: no lock is needed.
    A slot that waits is the camera's thread's to skip or the engine thread's to begin with: whoever pops it there.
    """

    slots: list[Slot]
    _free: queue.SimpleQueue[Slot] = field(default_factory=queue.SimpleQueue)
    _held: dict[tuple[int, int], Slot] = field(default_factory=dict)
    _waiting: dict[tuple[int, int], Slot] = field(default_factory=dict)
    _begun: set[tuple[int, int]] = field(default_factory=set)
    _skipped: set[tuple[int, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        for slot in self.slots:
            self._free.put(slot)

    def take(self, timeout_s: float) -> Slot | None:
        """Return a free slot, None when there is none for so long (0 = do not wait)."""
        try:
            slot = self._free.get(timeout_s > 0, timeout_s or None)
        except queue.Empty:
            return None
        # A part without a picture keeps its slot too.
        slot.clear()
        return slot

    def give_back(self, slot: Slot) -> None:
        """Return a slot that was taken but not filled."""
        self._free.put(slot)

    def hold(self, slot: Slot, open_no: int, frame_no: int) -> None:
        """
        Keep a filled slot until release().

        Raises:
            ValueError: a frame of that number is held already; nothing was changed.
        """
        if self.find(open_no, frame_no) is not None:
            raise ValueError(f"frame {frame_no} of open {open_no} is held already, expected another number")
        self._held[open_no, frame_no] = slot
        self._waiting[open_no, frame_no] = slot

    def begin(self, open_no: int, frame_no: int) -> Slot | None:
        """Return the slot of that frame, which cannot be skipped any more; None when it holds no slot."""
        key = (open_no, frame_no)
        if self._waiting.pop(key, None) is not None:
            self._begun.add(key)
        return self._held.get(key) if key in self._begun else None

    def skip(self) -> bool:
        """Free the slots of all frames that nobody has begun with; return whether there was one."""
        found = False
        for key in list(self._waiting):
            if self._waiting.pop(key, None) is not None and (slot := self._held.pop(key, None)) is not None:
                self._skipped.add(key)
                self._free.put(slot)
                found = True
        return found

    def was_skipped(self, open_no: int, frame_no: int) -> bool:
        """Tell whether that frame, not yet released, lost its slot to a newer one."""
        return (open_no, frame_no) in self._skipped

    def find(self, open_no: int, frame_no: int) -> Slot | None:
        return self._held.get((open_no, frame_no))

    def release(self, open_no: int, frame_no: int) -> None:
        """Free the slot of that frame; a frame that got none is fine."""
        key = (open_no, frame_no)
        self._waiting.pop(key, None)
        self._begun.discard(key)
        self._skipped.discard(key)
        slot = self._held.pop(key, None)
        if slot is not None:
            self._free.put(slot)


def make_ring(grid: Grid, channels: int, pad_value: int, count: int) -> Ring:
    return Ring([Slot(Canvas(grid, channels, pad_value)) for _ in range(count)])
