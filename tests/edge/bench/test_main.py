"""edge-bench on a real station: what it reports is complete and adds up. Speed itself is never tested."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge.bench.main import Report, main
from edge.bench.stages import DEFINITIONS
from edge.records import STAGES


def test_it_reports_rounds_and_stages(tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two rounds of ten frames: every frame and stage is counted, and the file says the same."""
    out = tmp_path / "bench.json"
    flags = "--frames 10 --rounds 2 --height 100 --width 170 --threads 1 --budget-ms 20000"
    assert main(["--bundle", str(tiny_bundle), "--json", str(out), *flags.split()]) == 0
    report = msgspec.json.decode(out.read_bytes(), type=Report)
    assert [row.frames for row in report.rounds] == [10, 10]
    assert sum(row.unknown for row in report.rounds) == 0
    assert report.stages["classify"].parts == report.stages["total"].parts == 20
    total, outside = report.stages["total"], report.stages["outside"]
    assert 0 < outside.p50_ms < total.p50_ms <= total.p95_ms <= total.p99_ms <= total.max_ms
    said = capsys.readouterr().out
    assert all(stage in said for stage in report.stages)


def test_every_stage_is_defined() -> None:
    """No row of the table is without a definition under it."""
    assert set(STAGES) < set(DEFINITIONS)


def test_a_source_without_pictures_is_one_clear_line(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty folder: the station's own last line is passed on, nothing is measured."""
    empty = tmp_path / "empty"
    empty.mkdir()
    assert main(["--bundle", str(tiny_bundle), "--source", str(empty), "--rounds", "1"]) == 1
    assert "no picture in" in capsys.readouterr().err
