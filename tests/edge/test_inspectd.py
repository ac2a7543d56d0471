"""edge-inspectd is the daemon, and by a first word each of its tools."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

from edge.inspectd import COMMANDS, DAEMON, main


@pytest.mark.parametrize("module", [DAEMON, *(command.module for command in COMMANDS.values())])
def test_every_command_has_a_main(module: str) -> None:
    """Its name in the table is that of a module."""
    assert callable(import_module(module).main)


def test_a_command_is_given_what_follows_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    """Its own flags, and its own name in messages."""
    assert main(["install", "--no-such-flag"]) == 2
    assert capsys.readouterr().err.startswith("edge-inspectd install: ")


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Below the daemon's own flags, each with what it does."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith("usage: edge-inspectd")
    for name, command in COMMANDS.items():
        assert f"  {name} " in said
        assert command.does in said


def test_the_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    """As pip has installed it."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"edge-inspectd {version('edge-inspect')}\n"


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("camrea", "no file and no command 'camrea'; did you mean camera?"),
        ("frobnicate", "no file and no command 'frobnicate'; expected a station's TOML file, or one of calibrate, "),
        ("missing.toml", "missing.toml: cannot be read"),
        ("./ctl", "ctl: cannot be read"),
    ],
)
def test_a_first_word_that_is_nothing_is_told(
    word: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line, with what was meant; what looks like a path is one."""
    monkeypatch.chdir(tmp_path)
    assert main([word, "list"] if "." not in word else [word]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1


def test_a_file_may_be_called_by_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is read."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "station").write_text("station = 1", encoding="utf-8")
    assert main(["station"]) == 2
    assert capsys.readouterr().err.startswith("edge-inspectd: station: key 'station'")


def test_the_daemon_imports_no_tool() -> None:
    """Cameras, engines and the tools around the station stay out of the process that must not hang."""
    code = "import edge.inspectd, edge.station.daemon, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"openvino", "edge.inspector.camera", *(command.module for command in COMMANDS.values())} & set(loaded)
