"""``edge-inspectd``: the daemon, or with a command's name as first word one of the tools around it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module

DAEMON = "edge.station.daemon"
COMMANDS: Mapping[str, str] = {
    "calibrate": "edge.calibrate.main",
    "challenge": "edge.challenge",
    "camera": "edge.cameras.main",
    "ctl": "edge.ctl",
    "install": "edge.service.install",
    "repeatability": "edge.repeatability.main",
}
"""
By its name the module whose ``main`` takes what follows and returns the exit code; imported when it is asked for, since
the daemon needs none of them. A station's file of that name is given as ./ctl.
"""


def main(args: list[str] | None = None) -> int:
    """Run the daemon or a command; return the exit code."""
    given = sys.argv[1:] if args is None else args
    command = COMMANDS.get(given[0]) if given else None
    code: int = import_module(command or DAEMON).main(given[1:] if command else given)
    return code


if __name__ == "__main__":
    sys.exit(main())
