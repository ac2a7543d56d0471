"""One machine with a real systemd for all tests of this folder; each begins with a station that has never run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.systemd.sandbox import PROGRAM, Sandbox, missing
from tests.peers.systemd.service import ETC, UNIT, configure, drop_in, reset
from tests.support.signing import Signer


@pytest.fixture(scope="session")
def installed(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, str]]:
    """Return a machine on which the service was installed, with a bundle that is signed, and what installing said."""
    if lacks := missing():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(lacks)
    folder = tmp_path_factory.mktemp("machine")
    signer = Signer(folder)
    with Sandbox({"bundle": signer.copy(tiny_bundle, folder / "bundle")}) as machine:
        told = machine.run(str(PROGRAM), "install", "--station", "line1", "--machine-key").stdout
        shutil.copy(signer.public, machine.root / ETC / "release.pub")
        drop_in(machine, "keys.conf", "LoadCredential=release.pub:/etc/edge-inspect/release.pub")
        yield machine, told


@pytest.fixture(scope="session")
def machine(installed: tuple[Sandbox, str]) -> Sandbox:
    return installed[0]


@pytest.fixture
def line1(machine: Sandbox) -> Iterator[Sandbox]:
    """Return the machine with a station that has never run, and look that it does not go on running."""
    reset(machine, "line1")
    configure(machine, "line1")
    yield machine
    machine.run("systemctl", "stop", UNIT, check=False)
