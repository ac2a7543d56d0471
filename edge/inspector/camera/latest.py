"""One open of a live source: a thread reads as fast as pictures come, and keeps the latest one alone."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.clock import SYSTEM_CLOCK
from edge.errors import CameraError
from edge.inspector.camera.freshness import Freshness
from edge.inspector.camera.gaps import Gaps
from edge.inspector.camera.handle import Capture, Handle, Read
from edge.inspector.camera.multipart import MultipartJpeg
from edge.inspector.camera.video import port_of, shown
from edge.records import Reason
from edge.settings import OpenCVSource

# Parts that nobody has asked for: half a minute of them, of a usual camera.
_MOST_WAITING = 1000
# A read that lasts as long as the time-out has hit it, whatever it returns.
_TIMED_OUT = 0.95
# Less is a matter of how evenly they come.
_MOST_MISSING = 1.0


@dataclass(frozen=True)
class Taken:
    """What came of one picture: itself, or why it is not to be looked at."""

    picture: NDArray[Any] | None
    came_us: int
    reason: Reason | None = None
    detail: str = ""


class LatestReader(threading.Thread):
    """
    Opens, reads and releases one handle. OpenCV's own queues grow without bound behind a slow consumer.

    All that can hang in a driver or a network hangs here: who waits for it goes on after a time, and leaves this thread
    to release the handle when it can. A picture that is overwritten before it was taken is handed out as a part without
    one: none vanishes.
    """

    def __init__(self, source: OpenCVSource) -> None:
        self._shown = shown(source)
        super().__init__(name=f"reader-{self._shown}", daemon=True)
        self._source = source
        self._freshness = Freshness(source)
        self._gaps = Gaps(source.rate_hz)
        self.port: str | None = None
        """Which camera it is, where that can be told and its name does not."""
        self._changed = threading.Condition()
        self._waiting: deque[Taken] = deque()
        self._opened = self._counting = self._left = False
        self._fault: str | None = None
        self._heard_us = self._sure_us = 0
        self._silent_us = 1000 * source.read_timeout_ms
        self._last: NDArray[Any] | None = None
        self._description = ""

    # ---- for who wants pictures --------------------------------------------------------------------------------

    def wait_until_fresh(self) -> str:
        """
        Return what was opened, as one line, when it gives pictures of the present.

        Raises:
            CameraError: it does not open, or gives none.
        """
        open_s = self._source.open_timeout_ms / 1000
        with self._changed:
            if not self._changed.wait_for(lambda: self._opened or self._fault, open_s + 0.5):
                raise CameraError(
                    f"camera {self._shown}: does not open within open_timeout_ms = {self._source.open_timeout_ms}"
                )
            while not self._description:
                self._wait_for_more()
            return self._description

    def take(self) -> Taken:
        """
        Return what came next. What came before the first call is nobody's part.

        Raises:
            CameraError: the source is gone, or silent.
        """
        with self._changed:
            self._counting = True
            while not self._waiting:
                self._wait_for_more()
            return self._waiting.popleft()

    def leave(self) -> None:
        """Ask for no more: the handle is released as soon as the driver lets go of it."""
        with self._changed:
            self._left = True
            self._waiting.clear()

    def _wait_for_more(self) -> None:
        if self._fault is not None:
            raise CameraError(self._fault)
        silent_us = self._silent_us
        left_us = self._heard_us + silent_us - SYSTEM_CLOCK.now_us()
        if left_us <= 0:
            raise CameraError(
                f"camera {self._shown}: no frame for {silent_us / 1000:.0f} ms (unplugged, or it hangs); "
                "will be reopened"
            )
        self._changed.wait(left_us / 1e6)

    # ---- the thread --------------------------------------------------------------------------------------------

    def run(self) -> None:
        try:
            handle: Handle = MultipartJpeg(self._source) if self._source.is_http else Capture(self._source)
        except CameraError as error:
            self._end(str(error))
            return
        try:
            self.port = port_of(self._source)
            self._note_opened()
            while not self._left and self._fault is None:
                self._read(handle)
        except cv2.error as error:
            self._end(f"camera {self._shown}: OpenCV fails: {str(error).strip()}; will be reopened")
        finally:
            handle.release()

    def _note_opened(self) -> None:
        with self._changed:
            self._heard_us = self._sure_us = SYSTEM_CLOCK.now_us()
            self._opened = True
            self._changed.notify_all()

    def _read(self, handle: Handle) -> None:
        began_us = SYSTEM_CLOCK.now_us()
        read = handle.read()
        came_us = SYSTEM_CLOCK.now_us()
        if read is None:
            self._end(f"camera {self._shown}: no frame (unplugged, timed out or ended); will be reopened")
            return
        doubt = self._doubt(read, came_us)
        # OpenCV's V4L2 ignores that a motion JPEG does not decode, and hands out what the buffer still holds; a live
        # sensor's noise never repeats bit by bit.
        last, self._last = self._last, read.picture
        repeats = last is not None and read.picture is not None and np.array_equal(read.picture, last)
        if doubt:
            self._keep(Taken(None, came_us, Reason.CAMERA, doubt))
        else:
            text = "the very picture of the frame before: a corrupt or frozen camera"
            self._note_fresh(handle, came_us)
            self._keep(Taken(None, came_us, Reason.CAMERA, text) if repeats else Taken(read.picture, came_us))
        self._give_up(came_us, came_us - began_us, doubt)

    def _doubt(self, read: Read, came_us: int) -> str:
        """Return why a picture is not to be inspected; each judge has to see them all."""
        late = self._freshness.doubt(came_us / 1e6, read.stamp_s, waited=read.waited)
        built_on_lost = ""
        if self._source.is_rtsp and read.stamp_s is not None:
            self._gaps.note_lost(read.lost, came_us / 1e6, complete=read.complete and not late)
            built_on_lost = self._gaps.doubt(read.stamp_s, complete=read.complete)
        late_for_good = ""
        if self._is_late_for_good():
            late_for_good = (
                f"comes after {self._freshness.missing:.0f} that did not come after a gap: they are lost, or all are "
                "late from then on"
            )
        return read.damage or late or late_for_good or built_on_lost

    def _is_late_for_good(self) -> bool:
        """Tell whether pictures without time stamps may all come late, each in its rhythm: nothing else shows that."""
        return self._source.is_http and self._freshness.missing > _MOST_MISSING

    def _note_fresh(self, handle: Handle, came_us: int) -> None:
        self._sure_us = came_us
        if not self._description:
            period_s = self._freshness.period_s
            self._description = handle.described(None if period_s is None else 1 / period_s)

    def _give_up(self, now_us: int, read_us: int, doubt: str) -> None:
        if read_us >= _TIMED_OUT * 1000 * self._source.read_timeout_ms:
            self._end(f"camera {self._shown}: read for {read_us / 1000:.0f} ms: timed out; will be reopened")
        elif self._is_late_for_good():
            self._end(f"camera {self._shown}: {doubt}; will be reopened")
        elif doubt and now_us - self._sure_us > 1e6 * self._freshness.longest_doubt_s:
            self._end(f"camera {self._shown}: no frame that is surely fresh; the last {doubt}; will be reopened")

    def _keep(self, taken: Taken) -> None:
        with self._changed:
            self._heard_us = taken.came_us
            self._silent_us = round(1e6 * self._freshness.silent_s)
            if self._counting and not self._left:
                self._overwrite()
                self._waiting.append(taken)
            self._changed.notify_all()
        if len(self._waiting) > _MOST_WAITING:
            self._end(f"camera {self._shown}: {_MOST_WAITING} frames were not taken; will be reopened")

    def _overwrite(self) -> None:
        if self._waiting and self._waiting[-1].picture is not None:
            text = "a newer picture came before this one was taken"
            self._waiting[-1] = replace(self._waiting[-1], picture=None, reason=Reason.OVERLOAD, detail=text)

    def _end(self, fault: str) -> None:
        with self._changed:
            self._fault = fault
            self._changed.notify_all()
