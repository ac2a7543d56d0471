"""
Cameras that speak GenICam: GigE Vision and USB3 Vision.

Every buffer's status is looked at. The thread that takes frames accesses no register: on a dead camera that blocks for
seconds. What must be asked of the camera meanwhile, and its teardown, is done by a hand of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from edge.clock import SYSTEM_CLOCK, Clock
from edge.errors import CameraError, CameraHangs
from edge.inspector.camera import Actual, Frame, Unusable, fault_of_format
from edge.inspector.camera.driver import SUCCESS, Device, Grabbed, Handle, chosen_again
from edge.inspector.camera.hand import Errand, Hand
from edge.inspector.camera.numbers import FrameNumbers
from edge.inspector.camera.pixels import fault_of_buffer, picture_from
from edge.inspector.camera.readback import Setup, refuse_changed, set_up
from edge.inspector.camera.replay import converted
from edge.inspector.camera.times import CameraClock
from edge.records import Reason
from edge.settings import CameraSettings, GenicamSource
from engines.contract import PixelFormat

log = logging.getLogger("edge.inspector.genicam")

# So often a waiting read looks around.
_LOOK_S = 0.1
# Less is the jitter of a machine that is busy: 0.1 s was seen at 200 Hz.
_LEAST_SILENCE_S = 0.25
# A camera that may be silent is asked this often whether it is there, and has so long to answer: Aravis repeats a
# packet that is lost after half a second, and gives up after 2.5 s.
_PING_US = 1_000_000
_ANSWER_US = 1_500_000
# Aravis repeats a trigger that was not acknowledged after half a second: it may have been given twice then.
_REPEATED_US = 400_000
_CLOSE_S = 1.0
# Some accesses of a dead camera, each of which gives up after 2.5 s, are over by then: this one never will be.
_HANGS_US = 60_000_000
_GONE = "unplugged, without power, or its network is down; will be reopened"
_MEANINGS = {
    "timeout": "packets of it never came",
    "missing-packets": "packets of it never came",
    "wrong-packet-id": "its packets are numbered wrongly",
    "size-mismatch": "it has another size than announced",
    "payload-not-supported": "it is no image",
    "aborted": "it was broken off",
}


@dataclass
class _Opened:
    """What belongs to one open."""

    handle: Handle
    hand: Hand
    setup: Setup
    numbers: FrameNumbers
    next_shot: int
    times: CameraClock = field(default_factory=CameraClock)
    corner: tuple[int, int] | None = None
    """Where the first buffer said that its region begins: as it was asked for, or always (0, 0)."""
    begun_us: int | None = None
    """When the first read began."""
    heard_us: int | None = None
    """When the last buffer came, good or bad."""
    ping: Errand | None = None
    pinged_us: int = 0
    unanswered: int = 0
    """Triggers in a row without a picture."""
    gone: bool = False


@dataclass
class _Firing:
    """Gives one software trigger, and notes how long that took."""

    handle: Handle
    clock: Clock
    took_us: int = 0

    def __call__(self) -> None:
        began_us = self.clock.now_us()
        self.handle.fire()
        self.took_us = self.clock.now_us() - began_us


class GenicamCamera:
    """
    Frames carry the camera's own numbers, extended over their round, and the time of exposure by the camera's clock.
    Those of a software trigger are counted by us: each is the answer to one request.

    Args:
        find: returns the cameras that answer.
        connect: takes control of the one with that id or address.
        hire: makes the hand of one open.
    """

    def __init__(
        self,
        settings: CameraSettings,
        source: GenicamSource,
        format_: PixelFormat,
        find: Callable[[], Sequence[Device]],
        connect: Callable[[str], Handle],
        clock: Clock = SYSTEM_CLOCK,
        hire: Callable[[str], Hand] = Hand,
    ) -> None:
        self._settings = settings
        self._source = source
        self._format = format_
        self._fired = settings.trigger == "software"
        self._find = find
        self._connect = connect
        self._clock = clock
        self._hire = hire
        self._opened: _Opened | None = None
        # Of the last open: it may hang on a dead camera for long after it was dismissed.
        self._hand: Hand | None = None
        self._dismissed_us = 0
        self._first: tuple[str, Setup] | None = None
        """Id and setup of the first open: an open after it finds the same, or none."""

    # ---- open and close --------------------------------------------------------------------------------------

    def open(self, resume_from: int) -> Actual:
        first = max(resume_from, 1)
        self._refuse_half_closed()
        try:
            device = chosen_again(self._find(), self._source.device, self._first and self._first[0])
            handle = self._connect(device)
            # From here on its teardown is the hand's.
            self._hand = hand = self._hire(self._settings.name)
            self._opened = opened = _Opened(handle, hand, _NO_SETUP, FrameNumbers(first), first)
            opened.setup = set_up(handle, self._settings, self._source, self._format)
            if self._first is not None:
                refuse_changed(opened.setup.unset, self._first[1].unset)
            handle.start(self._source.buffers, self._source.packet_resend, self._source.frame_retention_ms)
            self._first = self._first or (device, opened.setup)
        except CameraError as error:
            self.close()
            raise CameraError(f"camera '{self._settings.name}': {error}") from error
        return Actual(
            numbered=not self._fired,
            triggerable=self._fired,
            # Its ids begin anew with each start.
            counts=False,
            format=self._format,
            description=opened.setup.description,
        )

    def close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is None:
            return
        errand = opened.hand.ask(opened.handle.tear_down)
        opened.hand.dismiss()
        self._dismissed_us = self._clock.now_us()
        # So that it can be opened again at once. One that is gone is not waited for: that would take seconds.
        if not opened.gone and not errand.wait(_CLOSE_S):
            log.warning("camera '%s': does not close within %g s; left to itself", self._settings.name, _CLOSE_S)

    def _refuse_half_closed(self) -> None:
        """Have one hand at a time: on a camera that hangs for ever each open would leave one behind."""
        if self._hand is not None and not self._hand.ended(_CLOSE_S):
            waited_us, at = self._clock.now_us() - self._dismissed_us, f"camera '{self._settings.name}'"
            if waited_us > _HANGS_US:
                raise CameraHangs(
                    f"{at}: what closes it has not come back for {waited_us / 1e6:.0f} s: its driver hangs, and the "
                    "inspector ends with it; the next one opens the camera anew"
                )
            raise CameraError(
                f"{at}: what closes it has not come back yet, as it waits for the camera's answer; tried again: it "
                f"comes back with the camera; if it does not for {_HANGS_US / 1e6:.0f} s, a new inspector is started"
            )
        self._hand = None

    # ---- frames ----------------------------------------------------------------------------------------------

    def read(self) -> Frame | Unusable | None:
        opened = self._needed()
        if opened.begun_us is None:
            # What came before anybody asked shows what stood there before the station was ready.
            _flush(opened.handle)
            opened.begun_us = self._clock.now_us()
        return self._shoot(opened) if self._fired else self._next(opened)

    def check(self) -> None:
        """
        Notice that the camera is gone while nobody reads it; never blocks.

        Raises:
            CameraError: it is.
        """
        opened = self._needed()
        self._refuse_lost(opened)
        self._ask(opened)

    def _needed(self) -> _Opened:
        if self._opened is None:
            raise CameraError(f"camera '{self._settings.name}': read before open")
        return self._opened

    def _next(self, opened: _Opened) -> Frame | Unusable | None:
        limit_us = self._silence_us(opened)
        grabbed = opened.handle.pop(_LOOK_S if limit_us is None else min(_LOOK_S, limit_us / 4e6))
        # Also while frames come: who controls it now may have set it to anything.
        self._refuse_lost(opened)
        if grabbed is None:
            if limit_us is None:
                self._ask(opened)
            else:
                self._refuse_silent(opened, limit_us)
            return None
        opened.heard_us = self._clock.now_us()
        if grabbed.status != SUCCESS:
            return self._taken(opened, grabbed, opened.numbers.number_of_incomplete(grabbed.frame_id), None)
        return self._taken(opened, grabbed, *opened.numbers.number(grabbed.frame_id))

    def _shoot(self, opened: _Opened) -> Frame | Unusable:
        """Fire, and return what was taken after it; an older picture that comes late is passed over."""
        _flush(opened.handle)
        fired_us = self._clock.now_us()
        until_us = fired_us + 1000 * self._source.read_timeout_ms
        if opened.unanswered == 0 and opened.times.is_forgotten(1000 * fired_us):
            # Nothing from before can be on its way: what comes is the answer, and places the clock anew.
            opened.times = CameraClock()
        firing = _Firing(opened.handle, self._clock)
        errand = opened.hand.ask(firing)
        number = opened.next_shot
        opened.next_shot += 1
        while (now_us := self._clock.now_us()) < until_us:
            grabbed = opened.handle.pop(min(_LOOK_S, (until_us - now_us) / 1e6))
            if errand.fault is not None:
                raise self._gone(opened, f"{errand.fault}: {_GONE}")
            self._refuse_lost(opened)
            taken = None if grabbed is None else self._taken(opened, grabbed, number, None)
            if isinstance(taken, Unusable) or (taken is not None and taken.captured_us >= fired_us):
                errand.wait(max(until_us - self._clock.now_us(), 0) / 1e6)
                self._refuse_repeated(opened, errand, firing)
                opened.unanswered = 0
                return taken
        self._refuse_repeated(opened, errand, firing)
        return self._unanswered(opened, number)

    def _refuse_repeated(self, opened: _Opened, errand: Errand, firing: _Firing) -> None:
        """Begin anew where a second picture may come of one trigger: it would be taken for the next one's answer."""
        limit_ms = self._source.read_timeout_ms
        if errand.fault is not None:
            raise self._gone(opened, f"{errand.fault}: {_GONE}")
        if not errand.done:
            raise self._gone(opened, f"no picture within read_timeout_ms = {limit_ms}, its trigger hangs: {_GONE}")
        if firing.took_us >= _REPEATED_US:
            took = (
                f"the software trigger took {firing.took_us / 1000:.0f} ms, expected {_REPEATED_US / 1000:.0f} or less"
            )
            raise self._gone(opened, f"{took}: it was lost on the network, and may be given twice; will be reopened")

    def _unanswered(self, opened: _Opened, number: int) -> Unusable:
        detail = f"no picture within read_timeout_ms = {self._source.read_timeout_ms} after the software trigger"
        opened.unanswered += 1
        # Its picture may come yet, as if it answered the next trigger. By the camera's clock that is seen, by ours not.
        tells = self._source.timestamps == "camera" and opened.times.runs
        if opened.unanswered > 1 or not tells:
            raise self._gone(opened, f"{detail}: {_GONE}")
        return self._unusable(number, Reason.CAMERA, detail)

    def _taken(self, opened: _Opened, grabbed: Grabbed, number: int, fault: str | None) -> Frame | Unusable:
        """Return a buffer as a frame, or what is wrong with it."""
        if grabbed.status != SUCCESS:
            meaning = _MEANINGS.get(grabbed.status, "it cannot be used")
            return self._unusable(number, Reason.CAMERA, f"buffer with status {grabbed.status}: {meaning}")
        taken_ns, fault_of_time = grabbed.arrived_ns, None
        if self._source.timestamps == "camera":
            taken_ns, fault_of_time = opened.times.place(grabbed.stamp_ns, grabbed.arrived_ns)
        if fault or fault_of_time:
            return self._unusable(number, Reason.CAMERA, "; ".join(f for f in (fault, fault_of_time) if f))
        size = (self._settings.height, self._settings.width)
        misfit = fault_of_buffer(grabbed, opened.setup.pixel_format, size, self._corner(opened, grabbed))
        if misfit is not None:
            return self._unusable(number, Reason.GEOMETRY, misfit)
        picture = picture_from(grabbed)
        if self._settings.convert_to is not None:
            picture = converted(picture, self._format)
        misfit = fault_of_format(picture, self._format)
        if misfit is not None:
            return self._unusable(number, Reason.GEOMETRY, misfit)
        return Frame(picture, number, taken_ns // 1000, str(number))

    def _corner(self, opened: _Opened, grabbed: Grabbed) -> tuple[int, int]:
        if opened.corner is None:
            tells = (grabbed.left, grabbed.top) != (0, 0)
            opened.corner = (self._source.offset_x, self._source.offset_y) if tells else (0, 0)
        return opened.corner

    def _unusable(self, number: int, reason: Reason, detail: str) -> Unusable:
        text = f"camera '{self._settings.name}': frame {number}: {detail}"
        return Unusable(number, self._clock.now_us(), str(number), reason, text)

    # ---- is it there? ----------------------------------------------------------------------------------------

    def _silence_us(self, opened: _Opened) -> float | None:
        """Return after which silence the camera is lost, None when it may be silent for ever."""
        if self._settings.trigger != "free-run":
            return None
        first_us = 1000 * self._source.read_timeout_ms
        if opened.setup.period_s is None:
            return first_us
        silence_us = 1e6 * max(self._source.silent_periods * opened.setup.period_s, _LEAST_SILENCE_S)
        return max(silence_us, first_us) if opened.heard_us is None else silence_us

    def _refuse_silent(self, opened: _Opened, limit_us: float) -> None:
        since_us = opened.begun_us if opened.heard_us is None else opened.heard_us
        silent_us = 0 if since_us is None else self._clock.now_us() - since_us
        if silent_us > limit_us:
            expected = f"no frame for {silent_us / 1000:.0f} ms, expected one within {limit_us / 1000:.0f} ms"
            raise self._gone(opened, f"{expected}: {_GONE}")

    def _refuse_lost(self, opened: _Opened) -> None:
        if opened.handle.lost:
            raise self._gone(opened, f"control of it is lost, or another took it: {_GONE}")

    def _ask(self, opened: _Opened) -> None:
        """Have a camera that may be silent asked whether it is there."""
        now_us, ping = self._clock.now_us(), opened.ping
        waits_us = now_us - opened.pinged_us
        if ping is None or (ping.done and ping.fault is None and waits_us >= _PING_US):
            opened.ping, opened.pinged_us = opened.hand.ask(opened.handle.ping), now_us
        elif ping.fault is not None:
            raise self._gone(opened, f"{ping.fault}: {_GONE}")
        elif not ping.done and waits_us > _ANSWER_US:
            raise self._gone(opened, f"no answer for {_ANSWER_US / 1e6:g} s: {_GONE}")

    def _gone(self, opened: _Opened, text: str) -> CameraError:
        opened.gone = True
        return CameraError(f"camera '{self._settings.name}' ({opened.handle.id}): {text}")


_NO_SETUP = Setup(0, None, "")


def _flush(handle: Handle) -> None:
    while handle.pop(0) is not None:
        pass
