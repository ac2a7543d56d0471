"""
Show parts to a running station, one by one: have each taken as what it is, and hear what is said of it.

Cameras that are fired get a trigger; of one that triggers by itself the next part is announced. Nothing here decides.
"""

from __future__ import annotations

import contextlib
import math
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from typing_extensions import Self

from edge.client import Subscriber
from edge.control import Requester, new_id
from edge.errors import ConfigurationError, NoAnswer, RequestRefused, WireError
from edge.records import VERSION, Mode, Status, Verdict
from edge.requests import Expect, Refusal, Trigger, Triggered
from edge.settings import Station

_STATUS_S = 5.0
# Beyond the deadline: publishing, and a machine that is busy.
_VERDICT_S = 5.0
_ANSWER_S = 5.0
# The station takes an announcement back whose request is not repeated: edge.requests.LEASE_S.
_REPEAT_S = 1.5


class Presenter:
    """
    Args:
        control, results: the station's endpoints.
        station: its settings: which cameras see a part together, and which are fired.
        seconds: wait so long for a part that a camera sees by itself.
    """

    def __init__(self, control: str, results: str, station: Station, seconds: float) -> None:
        self._results = results
        self._station = station.station
        self._fired = {camera.name for camera in station.cameras if camera.trigger == "software"}
        self._seconds = seconds
        self._handlers: dict[int, Any] = {}
        self.requester = Requester(control)

    def require_inspecting(self) -> None:
        """
        Refuse a station that is not there or judges nothing, before people fetch parts for it.

        Raises:
            NoAnswer: nothing comes from it.
            RequestRefused: it is paused, starting or stopping. One that waits for a challenge is not refused.
        """
        with self._listener() as listener:
            status = self._heard(listener)
        if status.state not in ("ready", "degraded"):
            raise RequestRefused(Refusal.NOT_READY.value, f"the station is {status.state}: {status.detail}")

    def present(self, part_id: str, mode: Mode, seat: tuple[str, ...], ask: Callable[[], None]) -> Verdict:
        """
        Have one part taken under that name and mode, and return its verdict.

        Args:
            part_id: of no other part.
            seat: of the station's seats: cameras that see the part together.
            ask: returns when the part lies there, or is about to come.

        Raises:
            RequestRefused: the station does not take it; ``no_part``: none came in time.
            NoAnswer: no answer, or no verdict.
            WireError: a message is not what the protocol says.
        """
        # A listener for each, that hears before anybody is asked: after that a part may come at once.
        with self._listener() as listener:
            self._heard(listener)
            ask()
            while listener.receive(0.0) is not None:
                pass  # What has passed meanwhile would take the place of what is waited for.
            return self._verdict(listener, self._taken(part_id, mode, seat))

    def passes_by(self, seat: tuple[str, ...]) -> bool:
        """Tell whether these cameras trigger by themselves: the part must come after it was announced."""
        return not self._fired.intersection(seat)

    def close(self) -> None:
        self.requester.close()

    def __enter__(self) -> Self:
        # A terminal that is closed, or a session that ends, must not leave an announcement behind.
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, _interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self.close()

    def _listener(self) -> Subscriber:
        return Subscriber(self._results, station=self._station)

    def _heard(self, listener: Subscriber) -> Status:
        """Wait for the status that proves that the subscription has arrived."""
        give_up_s = time.monotonic() + _STATUS_S
        while (left_s := give_up_s - time.monotonic()) > 0:
            event = listener.receive(left_s)
            if isinstance(event, Status):
                return event
        raise NoAnswer(f"{self._results}: no status of station {self._station} in {_STATUS_S:g} s; does it run?")

    def _taken(self, part_id: str, mode: Mode, seat: tuple[str, ...]) -> Triggered:
        if self.passes_by(seat):
            return self._expected(part_id, mode, seat)
        trigger = Trigger(
            version=VERSION, id=new_id(), part_id=part_id, tag=None, counter=None, mode=mode, cameras=seat
        )
        return self.requester.demand(trigger, Triggered)

    def _expected(self, part_id: str, mode: Mode, seat: tuple[str, ...]) -> Triggered:
        expect = Expect(version=VERSION, id=new_id(), part_id=part_id, mode=mode, camera=seat[0], seconds=self._seconds)
        attempts = math.ceil((self._seconds + _ANSWER_S) / _REPEAT_S)
        try:
            return self.requester.demand(expect, Triggered, _REPEAT_S, attempts)
        except KeyboardInterrupt:
            # The next product must not be taken for it.
            withdrawn = Expect(version=VERSION, id=new_id(), part_id=None, mode=mode, camera=None, seconds=0)
            with contextlib.suppress(WireError):
                self.requester.ask(withdrawn, attempts=1)
            raise

    def _verdict(self, listener: Subscriber, triggered: Triggered) -> Verdict:
        give_up_s = time.monotonic() + (triggered.deadline_us - triggered.trigger_us) / 1e6 + _VERDICT_S
        while (left_s := give_up_s - time.monotonic()) > 0:
            event = listener.receive(left_s)
            if isinstance(event, Verdict) and (event.part, event.trigger_us) == (triggered.part, triggered.trigger_us):
                return event
        raise NoAnswer(f"{self._results}: no verdict of part {triggered.part} came; was the station restarted?")


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def wait_for_enter(words: str) -> None:
    """
    Ask on the terminal.

    Raises:
        ConfigurationError: nobody is there to press it.
    """
    sys.stderr.write(words)
    sys.stderr.flush()
    if not sys.stdin.readline():
        sys.stderr.write("\n")
        raise ConfigurationError("nobody is at the terminal to press Enter: give --yes where parts come by themselves")


def wait_for_part(words: str, seat: tuple[str, ...], *, passes_by: bool) -> None:
    """
    Ask for a part on the terminal.

    Args:
        words: which part.
        seat: the cameras that are to see it.
        passes_by: they trigger by themselves.

    Raises:
        ConfigurationError: as ``wait_for_enter``.
    """
    cameras = " and ".join(seat)
    if passes_by:
        # What comes before Enter would be a product.
        wait_for_enter(f"{words}: press Enter, then let it come before {cameras} ")
    else:
        wait_for_enter(f"{words}: put it before {cameras} and press Enter ")
