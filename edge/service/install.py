"""``edge-inspectd install``: lay out what makes a station a service, say each thing that is done, undo it again."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import BaseModel, Field, field_validator

from edge.commandline import run
from edge.errors import ConfigurationError
from edge.service import systemctl
from edge.service.files import CONFIGURATIONS, KEY, KEY_OF_ENGINES, example_configuration, service_files
from edge.service.layout import Layout
from edge.service.neighbours import conflicts, free_port
from edge.service.program import refuse_unreachable, start_command
from edge.settings import StationName

_KEY_BYTES = 32
# What stations leave: state, what may be emptied, and whatever somebody lets them log into files.
_FOLDERS = (Path("var/lib/edge-inspect"), Path("var/cache/edge-inspect"), Path("var/log/edge-inspect"))


class Install(BaseModel):
    """Make the stations of this machine services of systemd: unit, user, folders, rights on cameras. As root."""

    station: StationName | None = Field(
        None, description="lay out an example configuration for this station too, /etc/edge-inspect/NAME.toml"
    )
    machine_key: bool = Field(
        False, description="keep the key of the engine cache where root alone can read it, handed over as a credential"
    )
    root: Path = Field(Path("/"), description="of another file system, an image for instance; nothing is run then")
    dry_run: bool = Field(False, description="say what would be done, and do nothing")
    uninstall: bool = Field(
        False, description="remove what was laid out and is unchanged; configuration and state stay"
    )

    @field_validator("root")
    @classmethod
    def _one_name_for_this_machine(cls, value: Path) -> Path:
        # However it is spelled: // and . are this machine too, and only there is something run.
        return Path("/") if value.exists() and value.samefile("/") else value


def main(args: list[str] | None = None) -> int:
    return run("edge-inspectd install", Install, args, install)


def install(command: Install, refuse_unreachable: Callable[[], None] = refuse_unreachable) -> int:
    """
    Lay out or take away; return 1 if one of systemd's tools failed, else 0.

    Args:
        refuse_unreachable: raises where a service could not start this program.

    Raises:
        ConfigurationError: not root; the program lies where a service cannot reach it; a file cannot be written.
    """
    if sys.platform != "linux":
        raise ConfigurationError(f"edge-inspectd install is for systemd on Linux, this is {sys.platform}")
    _refuse_others_than_root(command)
    _refuse_mistyped(command.root)
    layout = Layout(command.root, dry=command.dry_run)
    if command.uninstall:
        return _take_away(command, layout)
    program = start_command()
    refuse_unreachable()
    for line in _laid_out(command, layout, program):
        _say(line)
    failed = _ask_systemd(command, systemctl.LAY_OUT)
    for conflict in conflicts(command.root / CONFIGURATIONS):
        _say(f"attention  {conflict}")
    _say_what_is_next(command, program)
    return 1 if failed else 0


def _laid_out(command: Install, layout: Layout, program: Path) -> Iterator[str]:
    yield f"program    {program}"
    if command.machine_key:
        yield from _key_made(command, layout)
    yield from layout.lay(service_files(program, machine_key=command.machine_key))
    if command.station is not None:
        text = example_configuration(command.station, free_port(command.root / CONFIGURATIONS))
        path = CONFIGURATIONS / f"{command.station}.toml"
        # An address in it may hold a password; tmpfiles.d gives it to the stations' group.
        yield layout.make(path, text.encode(), 0o640, "it is yours, nothing is written over it")


def _key_made(command: Install, layout: Layout) -> Iterator[str]:
    """Make the machine's key, once; engines that were proven before stay proven, by the key that they have."""
    theirs = command.root / KEY_OF_ENGINES
    try:
        key = theirs.read_bytes()
    except FileNotFoundError:
        key = b""
    except OSError as error:
        raise ConfigurationError(f"{theirs}: cannot be read ({error.strerror}); look at its folder") from error
    taken = len(key) == _KEY_BYTES and not (command.root / KEY).exists()
    yield layout.make(KEY, key if taken else secrets.token_bytes(_KEY_BYTES), 0o600, "engines were proven with it")
    if taken:
        yield f"attention  {theirs}: taken over, engines stay proven; remove it: the stations' user can read it"
    elif key and not layout.holds(KEY, key):
        yield f"attention  {theirs}: another key; what was proven with it is made anew, or built anew"


def _take_away(command: Install, layout: Layout) -> int:
    busy = list(systemctl.stations(command.root))
    if busy:
        raise ConfigurationError(
            f"stations are enabled or run: {', '.join(busy)}; say systemctl disable --now {' '.join(busy)} first"
        )
    for line in layout.remove():
        _say(line)
    failed = _ask_systemd(command, systemctl.RELOAD)
    _say_what_stays(command.root)
    return 1 if failed else 0


def _say_what_stays(root: Path) -> None:
    if stay := [str(root / path) for path in (CONFIGURATIONS, *_FOLDERS) if (root / path).exists()]:
        _say(f"kept       {', '.join(stay)}")
    if (root / KEY).exists():
        _say(f"kept       {root / KEY}: engines were proven with it; remove it when nobody needs them")
    _say("kept       the user edge-inspect, which owns these; userdel edge-inspect when nobody needs them")


def _ask_systemd(command: Install, commands: tuple[tuple[str, ...], ...]) -> bool:
    """Run systemd's tools where systemd runs the machine that was changed; return whether one failed."""
    if command.root != Path("/"):
        _say(f"left out   {commands[0][0]} and the others: {command.root} is not the machine that runs")
        return False
    if not systemctl.runs():
        _say(f"left out   {commands[0][0]} and the others: systemd does not run this machine")
        return False
    failed = False
    for asked in commands:
        words = " ".join(asked)
        fault = "" if command.dry_run else systemctl.ask(asked)
        # Without udev there are no devices that it could give away.
        missing = asked[0] == "udevadm" and fault.endswith("not installed")
        failed |= bool(fault) and not missing
        done = "would run" if command.dry_run else "left out" if missing else "FAILED" if fault else "ran"
        _say(f"{done:10} {words}{fault and ': '}{fault}")
    return failed


def _say_what_is_next(command: Install, program: Path) -> None:
    name = command.station or "NAME"
    if command.dry_run:
        _say("dry run    nothing was done")
        return
    _say(f"next       edit /{CONFIGURATIONS / name}.toml; {program} --check /{CONFIGURATIONS / name}.toml")
    _say(f"           systemctl enable --now edge-inspectd@{name}; journalctl -f -u edge-inspectd@{name}")


def _refuse_others_than_root(command: Install) -> None:
    if os.geteuid() != 0 and command.root == Path("/") and not command.dry_run:
        raise ConfigurationError("edge-inspectd install: expected to be run as root; say sudo, or --dry-run to look")


def _refuse_mistyped(root: Path) -> None:
    if not root.is_dir():
        raise ConfigurationError(f"--root {root}: no such folder; expected the root of a file system, mount it first")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
