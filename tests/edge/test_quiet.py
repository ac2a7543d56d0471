"""edge.quiet: no vendor's package tells anybody anything, with a home directory in which no opt-out lies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.edge.inspector.backend.test_openvino import scaling_network

_LISTENING = """
import pathlib, socket, sys
asked = []
def refuse(*address, **options):
    asked.append(address)
    raise OSError("refused")
socket.create_connection = socket.getaddrinfo = refuse
network = pathlib.Path(sys.argv[1]).read_bytes()
{code}
print(asked)
"""
_ENGINE = """
from edge.inspector.backend import BackendSettings, open_engine
with open_engine(BackendSettings(name="{name}", threads=1), network, "rows", (1,)) as engine:
    engine.run(1)
"""
_QUANTISING = """
import engines.quantise
import onnxruntime
onnxruntime.InferenceSession(network)
"""
_CONVERTING = """
import edge.inspector.backend.openvino
from openvino.tools import ovc
"""


@pytest.mark.parametrize(
    "code",
    [_ENGINE.format(name="openvino"), _ENGINE.format(name="onnxruntime"), _QUANTISING, _CONVERTING],
    ids=["openvino", "onnxruntime", "quantising", "converting"],
)
def test_nothing_is_told_to_anybody(tmp_path: Path, code: str) -> None:
    """No address is asked for, and no id, database or statistics are kept for the next time."""
    network, home = tmp_path / "network.onnx", tmp_path / "home"
    network.write_bytes(scaling_network(1.0))
    home.mkdir()
    # In which case they would be silent by themselves.
    silent = ("CI", "TF_BUILD", "JENKINS_URL", "GITHUB_ACTIONS", "ORT_DISABLE_TELEMETRY")
    environment = {name: value for name, value in os.environ.items() if name not in silent}
    homes = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(home))
    done = subprocess.run(
        [sys.executable, "-c", _LISTENING.format(code=code), str(network)],
        env={**environment, **homes},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
    assert list(home.iterdir()) == []
