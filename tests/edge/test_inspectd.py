"""edge-inspectd is the daemon, and by a first word each of its tools."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from edge.inspectd import COMMANDS, DAEMON, main


@pytest.mark.parametrize("module", [DAEMON, *COMMANDS.values()])
def test_every_command_has_a_main(module: str) -> None:
    """Its name in the table is that of a module."""
    assert callable(import_module(module).main)


def test_a_command_is_given_what_follows_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    """Its own flags, and its own name in messages."""
    assert main(["install", "--no-such-flag"]) == 2
    assert capsys.readouterr().err.startswith("edge-inspectd install: ")


def test_the_daemon_imports_no_tool() -> None:
    """Cameras, engines and the tools around the station stay out of the process that must not hang."""
    code = "import edge.inspectd, edge.station.daemon, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"openvino", "edge.inspector.camera", *COMMANDS.values()} & set(loaded)
