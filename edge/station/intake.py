"""
From what cameras report to parts: which frames show the same part, which triggers are none, which are missing.

Pure: it numbers nothing, sends nothing, claims nothing.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from edge.inspector.link import Captured
from edge.settings import CameraSettings, PartsSettings
from edge.station.parts import Part

_Key: TypeAlias = Hashable

# A view may come after its part's verdict: so many parts are remembered to tell that from a new part.
_PARTS_KEPT = 1024
# Cameras report each other's pictures of one moment in any order, but not seconds apart.
_DISORDER_US = 1_000_000
# A gap in the frame numbers is answered part by part; a larger one is told and answered with one part.
LARGEST_GAP = 1000
# Time stamps tell a missing frame when the distance is this much more than the period; less is jitter.
_MISSING_PERIODS = 1.6


@dataclass(frozen=True)
class Gap:
    """Frames that never came. numbers: theirs, or where the camera numbers none, zeros."""

    numbers: Sequence[int]
    jumped: str = ""
    """Says why their number is not known, when it is not."""
    since_us: int = 0
    """When the last frame before them was taken: their parts cannot be older."""


_NO_GAP = Gap(())


class FrameSequence:
    """
    One camera's frames in their order, within one open: tells what is missing between two.

    Numbers of different opens are not comparable.
    """

    def __init__(self, camera: CameraSettings) -> None:
        self._name = camera.name
        # Of a camera with a trigger input frames come as parts do: their distance tells nothing.
        rate_hz = camera.source.steady_rate_hz if camera.trigger == "free-run" else None
        self._period_us = None if rate_hz is None else 1e6 / rate_hz
        self._last: Captured | None = None

    def gap_before(self, message: Captured) -> Gap:
        """Return what is missing between the last frame and this one."""
        if message.open_no == 0:
            return _NO_GAP  # No frame was taken: there is no number to go by.
        last, self._last = self._last, message
        if last is None or last.open_no != message.open_no or last.inspector != message.inspector:
            return _NO_GAP
        return self._by_number(last, message) if message.numbered else self._by_time(last, message)

    def _by_number(self, last: Captured, message: Captured) -> Gap:
        if message.frame_no == last.frame_no + 1:
            return _NO_GAP
        if last.frame_no < message.frame_no <= last.frame_no + LARGEST_GAP:
            return Gap(range(last.frame_no + 1, message.frame_no), since_us=last.t_us)
        text = (
            f"camera {self._name}: frame {message.frame_no} follows {last.frame_no}; how many are missing is not known"
        )
        return Gap((), text)

    def _by_time(self, last: Captured, message: Captured) -> Gap:
        if self._period_us is None or message.t_us - last.t_us < _MISSING_PERIODS * self._period_us:
            return _NO_GAP
        missing = round((message.t_us - last.t_us) / self._period_us) - 1
        if missing > LARGEST_GAP:
            return Gap((), f"camera {self._name}: no frame for {(message.t_us - last.t_us) / 1e6:.1f} s")
        return Gap([0] * missing, since_us=last.t_us)


class Intake:
    """
    Joins the frames of the cameras that trigger by themselves.

    Args:
        settings: how to join.
        cameras: those that are not fired by a request.
    """

    def __init__(self, settings: PartsSettings, cameras: Sequence[CameraSettings]) -> None:
        self._join = settings.join
        self._window_us = 1000 * settings.window_ms
        self._debounce_us = 1000 * settings.debounce_ms
        self._interval_us = 1000 * settings.min_interval_ms
        self._offsets = {camera.name: camera.counter_offset for camera in cameras}
        self._by_key: OrderedDict[_Key, Part] = OrderedDict()
        self._by_time: deque[Part] = deque(maxlen=_PARTS_KEPT)
        self._last_us: dict[str, int] = {}
        self._opened: set[str] = set()
        self._slipped: set[str] = set()

    @property
    def joins(self) -> bool:
        """Several cameras show one part."""
        return self._join != "each" and len(self._offsets) > 1

    def names_frames(self) -> bool:
        """A frame that never came can be told from its number which part it belonged to."""
        return not self.joins or self._join == "counter"

    @property
    def cameras(self) -> tuple[str, ...]:
        return tuple(self._offsets)

    def cameras_of(self, camera: str) -> tuple[str, ...]:
        """Return who is to see a part that *camera* sees."""
        return tuple(self._offsets) if self.joins else (camera,)

    def window_us(self, trigger_us: int) -> int | None:
        """Return until when the other views of a part may come."""
        return trigger_us + self._window_us if self.joins else None

    def find(self, message: Captured) -> Part | None:
        """
        Return the part that this frame is another view of, None when it is the first of a new one.

        The part may have its verdict already: then the view came late.
        """
        if not self.joins:
            return None
        candidates = self._near(message.t_us) if self._join == "time" else self._of_key(message)
        return next((part for part in candidates if part.views[message.camera].frame is None), None)

    def crowded(self, message: Captured) -> list[Part]:
        """Return the parts so close to a new one, opened by this frame, that a view could be of either."""
        return self._near(message.t_us) if self.joins and self._join == "time" else []

    def opened_camera(self, camera: str, counts: bool) -> None:
        """Note that a camera was opened; one whose numbers did not go on meanwhile names no part by them any more."""
        if camera in self._opened and not counts:
            self._slipped.add(camera)
        self._opened.add(camera)

    def opened(self, message: Captured, part: Part) -> None:
        """Note a part that this frame opened."""
        if not self.joins:
            return
        self._by_time.append(part)
        key = self._key(message)
        if key is not None:
            self._by_key.pop(key, None)  # A number that comes round again is the newer part's.
            self._by_key[key] = part
        while len(self._by_key) > _PARTS_KEPT:
            self._by_key.popitem(last=False)

    def bounces(self, source: str, t_us: int) -> bool:
        """Tell whether a trigger is the last one again; an accepted one is noted by ``accept``."""
        return self._since_last_us(source, t_us) < self._debounce_us

    def overruns(self, source: str, t_us: int) -> bool:
        """Tell whether a trigger came inside the minimum interval."""
        return self._since_last_us(source, t_us) < self._interval_us

    def accept(self, source: str, t_us: int) -> None:
        self._last_us[self._line(source)] = t_us

    def _since_last_us(self, source: str, t_us: int) -> float:
        last_us = self._last_us.get(self._line(source))
        # Two cameras, or one that reports out of order, may give an earlier time than the last.
        return float("inf") if last_us is None else abs(t_us - last_us)

    def _line(self, source: str) -> str:
        """Return whose triggers follow each other: all cameras that see the same parts are one."""
        return "" if self.joins and source in self._offsets else source

    def _key(self, message: Captured) -> _Key:
        if self._join == "tag":
            return message.tag
        # A number that is not the camera's own slips with the first frame that is lost: it names no part.
        by_counter = self._join == "counter" and message.numbered and message.camera not in self._slipped
        return message.frame_no + self._offsets[message.camera] if by_counter else None

    def _of_key(self, message: Captured) -> list[Part]:
        part = self._by_key.get(self._key(message))
        # Tags come round, numbers begin anew: a picture taken so long after the part's time is not of that part.
        if part is None or message.t_us > part.deadline_us + self._window_us:
            return []
        return [part]

    def _near(self, t_us: int) -> list[Part]:
        """Return the parts within the window of that moment, the nearest first."""
        near = []
        for part in reversed(self._by_time):
            if t_us - part.trigger_us > self._window_us + _DISORDER_US:
                break
            if abs(t_us - part.trigger_us) <= self._window_us:
                near.append(part)
        return sorted(near, key=lambda part: abs(t_us - part.trigger_us))
