"""systemd's tools: what they are asked, and what becomes of one that does not answer."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edge.errors import ConfigurationError
from edge.service import systemctl


@pytest.fixture
def mute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no tool answer in time."""

    def hang(command: tuple[str, ...], **_: object) -> None:
        raise subprocess.TimeoutExpired(command, systemctl._LIMIT_S)

    monkeypatch.setattr(systemctl.subprocess, "run", hang)
    monkeypatch.setattr(systemctl, "runs", lambda: True)


@pytest.mark.usefixtures("mute")
def test_a_tool_that_does_not_answer_is_a_fault_in_words() -> None:
    """As any other that fails."""
    assert systemctl.ask(("true",)) == "no answer within 60 s"


@pytest.mark.usefixtures("mute")
def test_without_an_answer_no_station_is_known_to_be_stopped() -> None:
    """Nothing may be taken away then; the line says what to look at."""
    with pytest.raises(ConfigurationError, match=r"systemctl list-units .*: no answer within 60 s; look at systemctl"):
        list(systemctl.stations(Path("/")))


def test_what_a_tool_says_last_is_the_fault() -> None:
    """Or its exit code, when it says nothing; one that is not there says so."""
    assert systemctl.ask(("sh", "-c", "echo one; echo two >&2; exit 3")) == "two"
    assert systemctl.ask(("sh", "-c", "exit 3")) == "exit code 3"
    assert systemctl.ask(("true",)) == ""
    assert systemctl.ask(("no-such-tool-of-systemd",)) == "no-such-tool-of-systemd is not installed"
