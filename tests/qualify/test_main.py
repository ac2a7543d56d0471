"""``python -m tests.qualify``: sections in order, each once, results kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.qualify import __main__ as qualify


@pytest.fixture
def section(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module of the only section there is; ``scales`` grows with each run of it."""
    module: Any = ModuleType("tests.qualify.trial")
    module.TITLE, module.scales, module.broken = "a trial", [], []

    def run(out: Path, scale: float) -> dict[str, Any]:
        module.scales.append(scale)
        return {"figure": 1, "broken": module.broken}

    module.run = run
    monkeypatch.setitem(sys.modules, "tests.qualify.trial", module)
    monkeypatch.setattr(qualify, "SECTIONS", {"trial": qualify.Section(minutes=0.1)})
    return module  # type: ignore[no-any-return]


def test_a_section_is_run_once(section: Any, tmp_path: Path) -> None:
    """What has its result is not run again, unless it is asked for."""
    flags = ["--out", str(tmp_path), "--scale", "0.5"]
    assert qualify.main(flags) == 0
    assert qualify.main(flags) == 0
    assert section.scales == [0.5]
    assert qualify.main([*flags, "--again"]) == 0
    assert section.scales == [0.5, 0.5]


def test_another_scale_is_another_result(section: Any, tmp_path: Path) -> None:
    """What was done at one scale is not shown for another."""
    for scale in ("0.5", "0.2", "0.2"):
        assert qualify.main(["--out", str(tmp_path), "--scale", scale]) == 0
    assert section.scales == [0.5, 0.2]


def test_again_begins_with_nothing(section: Any, tmp_path: Path) -> None:
    """The parts that a section has kept in its folder are done again with it, and those of no other."""
    parts = [tmp_path / name / "part.json" for name in ("trial", "other")]
    for part in parts:
        part.parent.mkdir()
        part.touch()
    assert qualify.main(["trial", "--out", str(tmp_path)]) == 0
    assert parts[0].exists()
    assert qualify.main(["trial", "--out", str(tmp_path), "--again"]) == 0
    assert [part.exists() for part in parts] == [False, True]


def test_a_result_says_where_it_is_from(section: Any, tmp_path: Path) -> None:
    """The kept file has the figures, the machine, the date and the commit."""
    assert qualify.main(["trial", "--out", str(tmp_path)]) == 0
    kept = json.loads((tmp_path / "trial.json").read_text())
    assert kept["figures"]["figure"] == 1
    assert {"date", "commit", "processor", "cores", "kernel", "scale", "took_s"} <= set(kept)


def test_a_broken_promise_is_an_error(section: Any, tmp_path: Path) -> None:
    """A section that says what is broken makes the exit code 1, now and whenever its result is shown."""
    section.broken.append("one part lost")
    assert qualify.main(["trial", "--out", str(tmp_path)]) == 1
    assert qualify.main(["trial", "--out", str(tmp_path)]) == 1


def test_an_unknown_section_is_refused(section: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped section is told with those there are."""
    assert qualify.main(["trail", "--out", str(tmp_path)]) == 2
    assert "section 'trail': expected one of trial" in capsys.readouterr().err
