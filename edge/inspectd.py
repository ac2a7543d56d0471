"""``edge-inspectd``: the daemon, or with a command's name as first word one of the tools around it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from edge import ctl
from edge.calibrate import main as calibrate
from edge.station import daemon

COMMANDS: Mapping[str, Callable[[list[str]], int]] = {"calibrate": calibrate.main, "ctl": ctl.main}
"""Each takes what follows its name and returns the exit code. A station's file of that name is given as ./ctl."""


def main(args: list[str] | None = None) -> int:
    """Run the daemon or a command; return the exit code."""
    given = sys.argv[1:] if args is None else args
    command = COMMANDS.get(given[0]) if given else None
    return daemon.main(given) if command is None else command(given[1:])


if __name__ == "__main__":
    sys.exit(main())
