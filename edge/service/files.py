"""The files of the service: as they ship, and as they are laid out on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

UNIT = Path("etc/systemd/system/edge-inspectd@.service")
SYSUSERS = Path("etc/sysusers.d/edge-inspect.conf")
TMPFILES = Path("etc/tmpfiles.d/edge-inspect.conf")
RULES = Path("etc/udev/rules.d/70-edge-inspect.rules")
DROP_IN = Path("etc/systemd/system/edge-inspectd@.service.d/machine-key.conf")
CONFIGURATIONS = Path("etc/edge-inspect")
KEY = CONFIGURATIONS / "machine.key"
KEY_OF_ENGINES = Path("var/lib/edge-inspect/engines/machine.key")
"""Where the stations make one for themselves while none is handed to them."""

_IN_UNIT = "/opt/edge-inspect/bin/edge-inspectd"
# In a wheel beside this file, in the repository in a folder of its own.
_SHIPPED = Path(__file__).parent / "shipped"
_REPOSITORY = Path(__file__).parents[2] / "systemd"


@dataclass(frozen=True)
class ServiceFile:
    """
    Attributes:
        path: below the root of the file system.
        text: what is to stand there.
    """

    path: Path
    text: str


def shipped(name: str) -> str:
    """Return a file of the folder ``systemd`` as it ships."""
    folder = _SHIPPED if _SHIPPED.is_dir() else _REPOSITORY
    return (folder / name).read_text(encoding="utf-8")


def service_files(program: Path, *, machine_key: bool) -> Iterator[ServiceFile]:
    """
    Yield what is laid out for all stations of a machine.

    Args:
        program: starts the daemon.
        machine_key: hand the key of the engine cache to the stations as a credential.
    """
    yield ServiceFile(UNIT, shipped("edge-inspectd@.service").replace(_IN_UNIT, str(program)))
    yield ServiceFile(SYSUSERS, shipped("edge-inspect.sysusers.conf"))
    yield ServiceFile(TMPFILES, shipped("edge-inspect.tmpfiles.conf"))
    yield ServiceFile(RULES, shipped("70-edge-inspect.rules"))
    if machine_key:
        yield ServiceFile(DROP_IN, shipped("machine-key.conf"))


def example_configuration(station: str, first_port: int) -> str:
    """
    Return the commented example for a station; its endpoints are four ports from *first_port* on.

    Where the service keeps its state is named: by hand (--check, a try in a terminal) it is looked for there too.
    """
    text = shipped("example.toml").replace("line1", station)
    for key in ("state_dir", "engine_cache"):
        text = text.replace(f'#{key} = "/var/lib', f'{key} = "/var/lib')
    for offset, name in enumerate(("results", "masks", "pictures", "control")):
        default = f'"tcp://127.0.0.1:{5556 + offset}"'
        ours = f'"tcp://127.0.0.1:{first_port + offset}"'
        mark = "#" if default == ours else ""
        text = text.replace(f"#{name} = {default}", f"{mark}{name} = {ours}")
    return text
