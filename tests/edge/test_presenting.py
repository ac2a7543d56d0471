"""Showing parts: an announcement that nobody waits for is taken back, or a product would be taken for the part."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.errors import RequestRefused
from edge.presenting import Presenter, wait_for_part
from edge.records import Mode
from edge.requests import LEASE_S, AnyRequest, Expect, Trigger
from edge.settings import Station
from tests.support.signals import deliver

STATION = Station.model_validate(
    {
        "station": "line1",
        "cameras": [
            {"name": "top", "source": {"kind": "synthetic"}, "trigger": "software"},
            {"name": "side", "source": {"kind": "synthetic"}, "trigger": "software"},
            {"name": "back", "source": {"kind": "synthetic"}},
            {"name": "left", "source": {"kind": "synthetic"}},
        ],
    }
)
FIRED, BACK, LEFT = STATION.seats


class Asked:
    """Keeps what is asked; triggers are refused, and while a part is expected *happens* is called."""

    def __init__(self, happens: Callable[[], None] = lambda: None) -> None:
        self._happens = happens
        self.requests: list[AnyRequest] = []
        self.repeats_s: list[float] = []

    def demand(self, request: AnyRequest, _: Any, timeout_s: float = 2.0, attempts: int = 3) -> None:
        self.requests.append(request)
        if isinstance(request, Trigger):
            raise RequestRefused("part_id_used", "refused")
        self.repeats_s.append(timeout_s)
        self.waits_s = timeout_s * attempts
        self._happens()
        raise KeyboardInterrupt

    def ask(self, request: AnyRequest, **_: Any) -> None:
        self.requests.append(request)

    def close(self) -> None: ...


def presenter(folder: Path, asked: Asked) -> Presenter:
    made = Presenter(f"ipc://{folder}/control", f"ipc://{folder}/results", STATION, 30.0)
    made.requester.close()
    made.requester = asked  # type: ignore[assignment]
    return made


def test_a_part_is_shown_to_the_cameras_that_see_it_together(tmp_path: Path) -> None:
    """Those that are fired by one trigger; each of the others by an announcement that names it."""
    assert (FIRED, BACK, LEFT) == (("top", "side"), ("back",), ("left",))
    asked = Asked()
    with presenter(tmp_path, asked) as shows:
        with pytest.raises(RequestRefused, match="part_id_used"):
            shows._taken("bad-1@1", Mode.GAUGE, FIRED)
        with pytest.raises(KeyboardInterrupt):
            shows._taken("bad-1@2", Mode.GAUGE, LEFT)
    trigger, expect, withdrawn = asked.requests
    assert isinstance(trigger, Trigger)
    assert isinstance(expect, Expect)
    assert isinstance(withdrawn, Expect)
    assert (trigger.cameras, expect.camera, withdrawn.seconds) == (("top", "side"), "left", 0)


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def heeded(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """Return a signal that this process heeds, also where whoever started the tests has it ignored."""
    number: signal.Signals = request.param
    before = signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield number
    signal.signal(number, before)


def test_what_was_announced_is_taken_back_when_somebody_interrupts(tmp_path: Path, heeded: signal.Signals) -> None:
    """From the keyboard, by a service manager, or by a terminal that is closed; handlers are as they were then."""
    before = signal.getsignal(heeded)
    asked = Asked(lambda: deliver(heeded))
    with presenter(tmp_path, asked) as shows, pytest.raises(KeyboardInterrupt):
        shows._taken("bad-1@1", Mode.CHALLENGE, BACK)
    expected = [request for request in asked.requests if isinstance(request, Expect)]
    assert [(e.part_id, e.seconds) for e in expected] == [("bad-1@1", 30.0), (None, 0)]
    assert signal.getsignal(heeded) is before


def test_the_request_is_repeated_while_somebody_waits(tmp_path: Path) -> None:
    """Twice in a lease at least, until the part's time is over: who is killed repeats nothing."""
    asked = Asked()
    with presenter(tmp_path, asked) as shows, pytest.raises(KeyboardInterrupt):
        shows._taken("bad-1@1", Mode.CHALLENGE, BACK)
    assert max(asked.repeats_s) * 2 < LEASE_S
    assert asked.waits_s > 30.0


def test_people_are_asked_as_the_cameras_take_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before one that triggers by itself the part comes after Enter: what came before would be a product."""
    words: list[str] = []
    monkeypatch.setattr("edge.presenting.wait_for_enter", words.append)
    wait_for_part("Master good-1", FIRED, passes_by=False)
    wait_for_part("Master good-1", BACK, passes_by=True)
    assert words == [
        "Master good-1: put it before top and side and press Enter ",
        "Master good-1: press Enter, then let it come before back ",
    ]
