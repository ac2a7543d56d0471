"""Showing parts: an interrupted announcement is taken back, or the next product would be taken for the part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.errors import RequestRefused
from edge.presenting import Presenter
from edge.records import Mode
from edge.requests import AnyRequest, Expect, Trigger


class Asked:
    """Keeps what is asked; triggers are refused as *code*, and somebody presses Ctrl-C while a part is expected."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.requests: list[AnyRequest] = []

    def demand(self, request: AnyRequest, *_: Any, **__: Any) -> None:
        self.requests.append(request)
        if isinstance(request, Trigger):
            raise RequestRefused(self.code, "refused")
        raise KeyboardInterrupt

    def ask(self, request: AnyRequest, **_: Any) -> None:
        self.requests.append(request)

    def close(self) -> None: ...


def presenter(folder: Path, asked: Asked) -> Presenter:
    made = Presenter(f"ipc://{folder}/control", f"ipc://{folder}/results", "line1", 30.0)
    made.requester.close()
    made.requester = asked  # type: ignore[assignment]
    return made


def test_what_was_announced_is_taken_back_when_somebody_interrupts(tmp_path: Path) -> None:
    """A camera that triggers by itself: the station is told with 0 seconds."""
    asked = Asked("not_triggered")
    with presenter(tmp_path, asked) as shows, pytest.raises(KeyboardInterrupt):
        shows._taken("bad-1@1", Mode.CHALLENGE)
    expected = [request for request in asked.requests if isinstance(request, Expect)]
    assert [(e.part_id, e.seconds) for e in expected] == [("bad-1@1", 30.0), (None, 0)]


def test_any_other_refusal_of_a_trigger_is_told(tmp_path: Path) -> None:
    """Only a station without fired cameras is asked in the other way."""
    asked = Asked("part_id_used")
    with presenter(tmp_path, asked) as shows, pytest.raises(RequestRefused, match="part_id_used"):
        shows._taken("bad-1@1", Mode.GAUGE)
    assert [type(request) for request in asked.requests] == [Trigger]
