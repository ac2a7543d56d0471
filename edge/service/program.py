"""Where this program lies, and whether a service with a locked down view of the machine can start it there."""

from __future__ import annotations

import re
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from edge.errors import ConfigurationError

_HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")
"""From the service: ProtectHome=yes and PrivateTmp=yes of its unit."""
_OTHERS = stat.S_IROTH | stat.S_IXOTH
# What stands in ExecStart unchanged, without systemd's quoting and specifiers.
_PLAIN = re.compile(r"[A-Za-z0-9/._+@-]+")
# With its path: the first python3 on root's PATH may be one in a home directory.
_MOVE = (
    "install it where services may look: /usr/bin/python3 -m venv /opt/edge-inspect && "
    "/opt/edge-inspect/bin/pip install ..."
)


def start_command(executable: Path | None = None) -> Path:
    """
    Return the script that starts the daemon with this interpreter.

    Raises:
        ConfigurationError: there is none beside it, or its path cannot stand in a unit.
    """
    script = (executable or Path(sys.executable)).with_name("edge-inspectd")
    if not script.is_file():
        raise ConfigurationError(f"{script}: not there, though this is the interpreter's folder; install the package")
    if _PLAIN.fullmatch(str(script)) is None:
        raise ConfigurationError(f"{script}: expected a path of letters, digits and /._+@- for a unit; {_MOVE}")
    return script


def refuse_unreachable(paths: Iterable[Path] | None = None) -> None:
    """
    Refuse an installation that would fail at each start, with words that say nothing of the reason.

    Args:
        paths: what must be reachable; None = this interpreter, and all that it imports from.

    Raises:
        ConfigurationError: one of them is hidden from the service, or not readable for its user.
    """
    for path in own_paths() if paths is None else paths:
        resolved = path.resolve()
        for hidden in _HIDDEN:
            if resolved.is_relative_to(Path(hidden).resolve()):
                raise ConfigurationError(
                    f"{resolved}: lies in {hidden}, which the service does not see (ProtectHome, PrivateTmp); {_MOVE}"
                )
        for part in (resolved, *resolved.parents):
            if part.is_dir() and part.stat().st_mode & _OTHERS != _OTHERS:
                raise ConfigurationError(
                    f"{part}: its mode is {part.stat().st_mode & 0o777:03o}: the service's user cannot look into it; "
                    f"chmod o+rx {part}"
                )


def own_paths() -> Iterator[Path]:
    """Yield the interpreter, what it was made from, and every place it imports from."""
    yield from (Path(sys.executable), Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parents[1])
    yield from (Path(entry) for entry in sys.path if entry and Path(entry).exists())
