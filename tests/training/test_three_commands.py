"""The three commands that docs/training.md begins with."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from edge.bundle import read_bundle
from engines.main import main as edge_engine
from tests.support.labelled import CLASS_NAMES, write_folder
from training.calibration.record import read_calibration
from training.main import main as edge_train

DOCUMENT = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
PROGRAMS = {"edge-train": edge_train, "edge-engine": edge_engine}
SMALL = {"--time-budget": "--epochs", "1h": "1", "0.1": "0.8"}
"""Instead of an hour, whose end the machine decides, and of what some thirty bad parts prove: here there are two."""
TINY = {
    "both": "--strategy scratch --core-height 64 --core-width 64 --halo 0 --encoder plain --width 2 --depth 2 "
    "--reduce 1 --steps-per-epoch 3 --batch 4 --threads 1 --no-progress --no-report",
    "calibrate": "--no-report",
    "export": "--frames 2",
}


def test_from_a_folder_to_a_bundle_in_three_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they stand there, but for length, target and sizes: the bundle holds the values that were proven."""
    write_folder(tmp_path / "my-part")
    monkeypatch.chdir(tmp_path)
    block = [line for line in DOCUMENT.splitlines() if line.startswith("    edge-")][:3]
    lines = [shlex.split(line) for line in block]
    assert [words[1] for words in lines] == list(TINY)
    for program, command, *words in lines:
        args = [command, *(SMALL.get(word, word) for word in words), *shlex.split(TINY[command])]
        assert PROGRAMS[program](args) == 0
    bundle = read_bundle(Path("bundles/my-part"))
    assert bundle.manifest.classes == read_calibration(Path("runs/my-part/calibration.json")).classes
    assert [of_class.name for of_class in bundle.manifest.classes] == list(CLASS_NAMES[1:])
