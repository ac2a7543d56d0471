"""What the station knows of its cameras: state, last frame, silence, and how many parts they counted by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from edge.inspector.link import CameraState, Captured
from edge.records import CameraStatus
from edge.requests import Independent
from edge.settings import CameraSettings

_COUNTER = 2**32
# A number that is no further behind than this came out of order; further is a counter that began anew.
_OUT_OF_ORDER = 1000
# A step beyond this is a counter that was set, not parts that passed.
_LARGEST_STEP = 100_000


class Count:
    """
    A count by somebody else, beside our own: numbers that go up by one for every part.

    Args:
        last: the number that an earlier run ended with; None = it begins with the first that comes.

    Attributes:
        counted: parts by their numbers since the first; None before it.
        taken: how many of them were triggered here.
        trusted: no number was ever passed unseen; False = the numbers cannot tell what was missed.
    """

    def __init__(self, name: str, last: int | None = None) -> None:
        self._name = name
        self._last = last
        self.counted: int | None = None if last is None else 0
        self.taken = 0
        self.trusted = True

    def note(self, number: int) -> int:
        """Take note of a part's number; return how many were passed over before it."""
        if self._last is None:
            self._last, self.counted = number, 1
            return 0
        ahead = (number - self._last) % _COUNTER
        if ahead == 0 or _COUNTER - ahead <= _OUT_OF_ORDER:
            return 0  # It was thought missing and is here after all.
        self._last = number
        if ahead > _LARGEST_STEP:
            self.trusted = False
            return 0
        self.counted = (self.counted or 0) + ahead
        return ahead - 1

    def line(self) -> Independent:
        if self.counted is None or not self.trusted:
            return Independent(source=self._name, counted=None, triggered=self.taken, state="unverified")
        state = "balanced" if self.counted == self.taken else "unbalanced"
        return Independent(source=self._name, counted=self.counted, triggered=self.taken, state=state)  # type: ignore[arg-type]


class Cameras:
    """
    The cameras of a station, in the order of the settings.

    Attributes:
        openings: how often one of them was opened in this run.
    """

    def __init__(self, settings: Sequence[CameraSettings]) -> None:
        self._expect_us = {
            c.name: 1000 * c.expect_every_ms
            for c in settings
            if c.expect_every_ms is not None and c.trigger != "software"
        }
        self._status = {
            c.name: CameraStatus(name=c.name, state="closed", detail="", last_frame=None, numbered=False)
            for c in settings
        }
        self._counts = {c.name: Count(c.name) for c in settings if c.trigger != "software"}
        self._opened: set[str] = set()
        self._opens: dict[str, tuple[int, int]] = {}
        self.openings = 0
        self._heard_us: dict[str, int] = {}

    def statuses(self) -> Iterable[CameraStatus]:
        return self._status.values()

    def independent(self) -> tuple[Independent, ...]:
        """Return the second count of every camera that triggers by itself."""
        return tuple(count.line() for count in self._counts.values())

    def note(self, message: CameraState, now_us: int) -> CameraStatus:
        """Take a camera's new state; return what it was before."""
        before = self._status[message.camera]
        self._set(message.camera, state=message.state, detail=message.text, numbered=message.numbered)
        self._heard_us[message.camera] = now_us
        if message.state == "open":
            self._opened.add(message.camera)
        self.openings += message.state == "open" and before.state != "open"
        count = self._counts.get(message.camera)
        if message.state == "open" and count is not None:
            # What passed while it was closed is known only if its own numbers went on.
            count.trusted = count.trusted and message.numbered and (count.counted is None or message.counts)
        return before

    def seen(self, message: Captured, now_us: int) -> int:
        """Take note of a frame; return how many parts passed unseen before it, by the camera's own count."""
        opened, self._opens[message.camera] = self._opens.get(message.camera), (message.inspector, message.open_no)
        self._set(message.camera, last_frame=message.frame_no)
        self._heard_us[message.camera] = now_us
        count = self._counts.get(message.camera)
        if count is None or not message.numbered or message.open_no == 0:
            return 0
        passed = count.note(message.frame_no)
        if opened != self._opens[message.camera]:
            # What a camera that begins to count anew has passed is not known.
            return passed if count.trusted else 0
        # Within one open each missing number may be a part of its own, with its verdict: took() tells.
        return 0

    def took(self, camera: str, parts: int) -> None:
        """Note how many parts a frame, and the gap before it, were taken for."""
        count = self._counts.get(camera)
        if count is not None:
            count.taken += parts

    def lost(self, text: str) -> None:
        """The process that had them open is gone."""
        for name, status in self._status.items():
            if status.state != "ended":
                self._set(name, state="closed", detail=text)

    def resume_from(self) -> dict[str, int]:
        """Return the first frame number that was not reported yet, by camera, of each that was open in this run."""
        seen = {c.name: c.last_frame + 1 for c in self._status.values() if c.last_frame is not None}
        return {**dict.fromkeys(self._opened, 1), **seen}

    def all_in(self, *states: str) -> bool:
        return all(camera.state in states for camera in self._status.values())

    def unusable(self, names: Iterable[str]) -> str:
        """Return the first of these cameras that is not open; empty when all are."""
        return next((name for name in names if self._status[name].state != "open"), "")

    def silent(self, now_us: int) -> str:
        """Return the first open camera that has been silent for longer than it may; empty when none is."""
        return next((name for name, due_us in self._silence_due() if now_us >= due_us), "")

    def silence_due_us(self) -> int | None:
        return min((due_us for _, due_us in self._silence_due()), default=None)

    def begin(self, now_us: int) -> None:
        """Frames are expected from now on."""
        for name in self._expect_us:
            self._heard_us[name] = now_us

    def _silence_due(self) -> list[tuple[str, int]]:
        return [
            (name, self._heard_us[name] + us)
            for name, us in self._expect_us.items()
            if name in self._heard_us and self._status[name].state == "open"
        ]

    def _set(self, name: str, **changes: Any) -> None:
        self._status[name] = msgspec.structs.replace(self._status[name], **changes)
