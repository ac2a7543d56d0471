"""``edge-inspectd``: the daemon, or with a command's name as first word one of the tools around it."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from edge.commandline import refuse

DAEMON = "edge.station.daemon"


class Command(NamedTuple):
    module: str
    does: str


COMMANDS: Mapping[str, Command] = {
    "calibrate": Command("edge.calibrate.main", "measure a camera's scale from a known target"),
    "camera": Command("edge.cameras.main", "look at cameras, without a bundle: list, show, snap, focus"),
    "challenge": Command("edge.challenge", "show the master parts to a running station"),
    "ctl": Command("edge.ctl", "ask a running station: status, trigger, pause, recipe and others"),
    "install": Command("edge.service.install", "make a service of it on this machine"),
    "repeatability": Command("edge.repeatability.main", "study how alike the station judges the same parts"),
}
"""
By its name the module whose ``main`` takes what follows and returns the exit code; imported when it is asked for, since
the daemon needs none of them. A station's file of that name is given as ./ctl.
"""
_WORD = re.compile(r"[A-Za-z][A-Za-z-]{0,31}")


def main(args: list[str] | None = None) -> int:
    """Run the daemon or a command; return the exit code."""
    given = sys.argv[1:] if args is None else args
    first = given[0] if given else ""
    if first in COMMANDS:
        return _run(COMMANDS[first].module, given[1:])
    if first == "--version":
        sys.stdout.write(f"edge-inspectd {_version()}\n")
        return 0
    # Else it is a path, and the daemon says what is wrong with it.
    if _WORD.fullmatch(first) and not Path(first).exists():
        return refuse(
            "edge-inspectd", f"no file and no command '{first}'; {_suggested(first)}; see edge-inspectd --help"
        )
    try:
        return _run(DAEMON, given)
    finally:
        if first in ("-h", "--help"):
            sys.stdout.write(_listed())


def _run(module: str, args: list[str]) -> int:
    code: int = import_module(module).main(args)
    return code


def _version() -> str:
    try:
        return version("edge-inspect")
    except PackageNotFoundError:
        return "of a folder that is not installed"


def _suggested(word: str) -> str:
    near = difflib.get_close_matches(word, COMMANDS, n=1)
    return f"did you mean {near[0]}?" if near else f"expected a station's TOML file, or one of {', '.join(COMMANDS)}"


def _listed() -> str:
    lines = [f"  {name:<22}{command.does}" for name, command in COMMANDS.items()]
    heads = ("", "commands, as first word; each has its own --help:")
    return "\n".join([*heads, *lines, "", "  --version             print the version, and nothing else", ""])


if __name__ == "__main__":
    sys.exit(main())
