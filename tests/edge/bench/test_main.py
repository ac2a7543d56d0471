"""edge-bench on a real station: what it reports is complete and adds up. Speed itself is never tested."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from edge.bench.main import Bench, Report, main, station_settings
from edge.bench.stages import DEFINITIONS, Percentiles, print_stages
from edge.records import STAGES
from edge.settings import Station


def test_it_reports_rounds_and_stages(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two rounds of ten frames: every frame and stage is counted, and the file says the same."""
    monkeypatch.setenv("COLUMNS", "80")
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
    assert "stages [ms]" in said
    assert sum(line.startswith("round ") and line.endswith(" UNKNOWN") for line in said.splitlines()) == 2


def test_definitions_are_wrapped_beside_their_stage() -> None:
    """On a terminal of 80 columns a definition goes on below itself, not below the name of its stage."""
    row = Percentiles(parts=1, p50_ms=1.0, p95_ms=1.0, p99_ms=1.0, max_ms=1.0)
    console = Console(file=io.StringIO(), width=80)
    print_stages(dict.fromkeys(DEFINITIONS, row), console)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    first = f"  {next(iter(DEFINITIONS))}"
    definitions = lines[lines.index(next(line for line in lines if line.startswith(first))) :]
    assert len(definitions) > len(DEFINITIONS)
    assert {line[2:11].strip() for line in definitions} == {*DEFINITIONS, ""}


def test_pictures_are_converted_to_what_the_bundle_takes(tmp_path: Path) -> None:
    """A folder of grey and colour pictures fits a bundle of either format; the strip is what it is."""
    for format_ in ("mono8", "bgr8"):
        (camera,) = station_settings(Bench(source=tmp_path), format_)["cameras"]
        assert camera["convert_to"] == format_
    (camera,) = station_settings(Bench(), "mono8")["cameras"]
    assert camera["convert_to"] is None


def test_a_long_budget_is_no_hang(tmp_path: Path) -> None:
    """Whatever the budget is, the station's settings are valid."""
    tree = station_settings(Bench(source=tmp_path, budget_ms=60_000), "mono8")
    assert Station.model_validate(tree).hang_s > 60


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
