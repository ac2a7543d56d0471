"""A program that the service could not start is refused where it is installed, not at each start."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge.errors import ConfigurationError
from edge.service.program import own_paths, refuse_unreachable, start_command


@pytest.mark.parametrize("hidden", ["/home", "/root", "/run/user", "/tmp", "/var/tmp"])
def test_what_the_unit_hides_is_refused(hidden: str) -> None:
    """The trap of an environment in somebody's home directory."""
    with pytest.raises(ConfigurationError, match=r"the service does not see.*: /usr/bin/python3 -m venv /opt"):
        refuse_unreachable([Path(hidden) / "venv" / "bin" / "python"])


def test_what_others_cannot_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service's user is nobody's friend; the line says which folder, and its mode."""
    monkeypatch.setattr("edge.service.program._HIDDEN", ())
    locked = tmp_path / "locked"
    (locked / "venv").mkdir(parents=True)
    locked.chmod(0o700)
    with pytest.raises(ConfigurationError, match=r"locked: its mode is 700.*chmod o\+rx"):
        refuse_unreachable([locked / "venv"])


def test_interpreter_and_packages_are_looked_at() -> None:
    """Also what a virtual environment was made from."""
    assert {Path(sys.executable), Path(sys.prefix), Path(sys.base_prefix)} <= set(own_paths())


def test_the_script_lies_beside_the_interpreter(tmp_path: Path) -> None:
    """Without it nothing can be started; with a blank in its path no unit can name it as it is."""
    with pytest.raises(ConfigurationError, match="install the package"):
        start_command(tmp_path / "python")
    folder = tmp_path / "a b"
    folder.mkdir()
    (folder / "edge-inspectd").write_text("")
    with pytest.raises(ConfigurationError, match="expected a path of letters"):
        start_command(folder / "python")
