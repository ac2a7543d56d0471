"""
Show parts to a running station, one by one: have each taken as what it is, and hear what is said of it.

A camera that is fired gets a trigger; of one that triggers by itself the next part is announced. Nothing here decides.
"""

from __future__ import annotations

import contextlib
import sys
import time
from types import TracebackType

from typing_extensions import Self

from edge.client import Subscriber
from edge.control import Requester, new_id
from edge.errors import ConfigurationError, NoAnswer, RequestRefused, WireError
from edge.records import VERSION, Mode, Status, Verdict
from edge.requests import Expect, Refusal, Trigger, Triggered

_STATUS_S = 5.0
# Beyond the deadline: publishing, and a machine that is busy.
_VERDICT_S = 5.0
_ANSWER_S = 5.0


class Presenter:
    """
    Args:
        control, results: the station's endpoints.
        station: its name.
        seconds: wait so long for a part that a camera sees by itself.
    """

    def __init__(self, control: str, results: str, station: str, seconds: float) -> None:
        self._results = results
        self._station = station
        self._seconds = seconds
        self._fired: bool | None = None
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

    def present(self, part_id: str, mode: Mode) -> Verdict:
        """
        Have one part taken under that name and mode, and return its verdict.

        Args:
            part_id: of no other part.

        Raises:
            RequestRefused: the station does not take it; ``no_part``: none came in time.
            NoAnswer: no answer, or no verdict.
            WireError: a message is not what the protocol says.
        """
        # A listener for each: what passes while people fetch the next part need not be kept.
        with self._listener() as listener:
            self._heard(listener)
            return self._verdict(listener, self._taken(part_id, mode))

    def close(self) -> None:
        self.requester.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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

    def _taken(self, part_id: str, mode: Mode) -> Triggered:
        if self._fired is not False:
            trigger = Trigger(
                version=VERSION, id=new_id(), part_id=part_id, tag=None, counter=None, mode=mode, cameras=None
            )
            try:
                triggered = self.requester.demand(trigger, Triggered)
            except RequestRefused as refused:
                if self._fired or refused.code != Refusal.NOT_TRIGGERED.value:
                    raise
                self._fired = False
            else:
                self._fired = True
                return triggered
        return self._expected(part_id, mode)

    def _expected(self, part_id: str, mode: Mode) -> Triggered:
        expect = Expect(version=VERSION, id=new_id(), part_id=part_id, mode=mode, seconds=self._seconds)
        try:
            return self.requester.demand(expect, Triggered, self._seconds + _ANSWER_S, attempts=1)
        except KeyboardInterrupt:
            # The next product must not be taken for it.
            withdrawn = Expect(version=VERSION, id=new_id(), part_id=None, mode=mode, seconds=0)
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


def wait_for_enter(words: str) -> None:
    """
    Ask on the terminal.

    Raises:
        ConfigurationError: nobody is there to press it.
    """
    sys.stderr.write(words)
    sys.stderr.flush()
    if not sys.stdin.readline():
        raise ConfigurationError("nobody is at the terminal to press Enter: give --yes where parts come by themselves")
