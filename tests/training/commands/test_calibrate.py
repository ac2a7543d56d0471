"""edge-train calibrate: from two checkpoints to values that the line takes."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.bundle import read_bundle
from edge.errors import BundleError, ConfigurationError
from edge.recipe import recipe_for_camera, station_recipe
from edge.rules import Recipe, default_recipe
from edge.settings import Station
from engines.contract import Manifest
from engines.export import export_bundle
from engines.options import Export
from tests.support.bundles import write_squares
from training.calibration.record import CALIBRATION_NAME, read_calibration
from training.figures.parts import PartFigures
from training.figures.tables import bound_text, rate_text
from training.main import main

TARGET = ["--max-escape-rate", "0.2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return sound, bright and dark pictures: 14 bad ones in test, so that 0.2 can be proven and 0.19 cannot."""
    return write_squares(tmp_path_factory.mktemp("data") / "squares", {"train": 3, "val": 9, "test": 21})


@pytest.fixture(scope="module")
def run(tiny_bundle: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with both checkpoints and their calibration."""
    out = tmp_path_factory.mktemp("run")
    for file in (tiny_bundle.parent / "checkpoints").iterdir():
        (out / file.name).write_bytes(file.read_bytes())
    assert main(["calibrate", str(folder), "--run", str(out), *TARGET]) == 0
    return out


def test_calibration_says_what_it_stands_on(run: Path, folder: Path) -> None:
    """Target, figures with denominators and bounds, data, checkpoints, trade-off and command are in the record."""
    calibration = read_calibration(run / CALIBRATION_NAME)
    assert (calibration.target.aim, calibration.target.at_most) == ("max-escape-rate", 0.2)
    assert (calibration.val.escapes.groups, calibration.test.escapes.groups) == (6, 14)
    assert calibration.test.escapes.at_most is not None
    assert calibration.test.escapes.at_most <= 0.2
    assert calibration.corner.escapes.groups == 14
    corner_holds = calibration.corner.escapes.groups_hit == 0
    assert calibration.taken_back == (() if corner_holds else ("high",))
    assert corner_holds or all(c.gate.high == c.gate.default for c in calibration.classes)
    assert calibration.classifier_sha256 == json.loads((run / "classifier.json").read_text())["weights_sha256"]
    assert len(calibration.tried) > 100
    assert calibration.not_calibrated == ()
    assert calibration.made_with["seed"] == "7"


def test_a_calibration_is_taken_by_evaluate(run: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Evaluating with it repeats the figures of its proof."""
    path = run / CALIBRATION_NAME
    assert main(["evaluate", str(folder), "--run", str(run), "--calibration", str(path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert msgspec.convert(report["decisions"], PartFigures) == read_calibration(path).test


@pytest.fixture
def export(run: Path, tiny_bundle: Path, tmp_path: Path) -> Export:
    """An export that would succeed."""
    return Export(run=run, reference=tiny_bundle.parent / "pictures", out=tmp_path / "bundle", name="squares", frames=2)


def on_the_line(manifest: Manifest, rules: dict[str, Any]) -> Recipe:
    """Return what the line works out of a bundle's manifest and the rules of a station."""
    camera = {"name": "cam1", "source": {"kind": "synthetic"}}
    station = Station.model_validate({"station": "line1", "cameras": [camera], "recipe": rules})
    return recipe_for_camera(manifest, station_recipe(station), station.cameras[0])


def test_the_line_reads_what_was_calibrated(run: Path, export: Export) -> None:
    """Exported, the values are the recipe's defaults on the line, and beyond their bounds no recipe may move them."""
    export_bundle(export)
    manifest = read_bundle(export.out).manifest
    classes = read_calibration(run / CALIBRATION_NAME).classes
    assert manifest.classes == classes
    assert on_the_line(manifest, {}) == default_recipe(classes)
    high = classes[0].rule.min_area_px.high
    assert high < 1000.0
    assert on_the_line(manifest, {"bright": {"min_area_px": high}}).classes[0].min_area_px == high
    with pytest.raises(ConfigurationError, match="min_area"):
        on_the_line(manifest, {"bright": {"min_area_px": high + 1.0}})


def with_other(path: Path, folder: Path, **changes: object) -> Path:
    """Return a copy of a calibration that says something else."""
    other = folder / CALIBRATION_NAME
    other.write_bytes(msgspec.json.encode(msgspec.json.decode(path.read_bytes()) | changes))
    return other


def test_a_calibration_of_other_networks_is_refused(run: Path, export: Export, tmp_path: Path) -> None:
    """Gates of one network mean nothing to another: neither classifier nor segmenter may be another one."""
    for key in ("classifier_sha256", "segmenter_sha256"):
        other = with_other(run / CALIBRATION_NAME, tmp_path, **{key: "0" * 64})
        with pytest.raises(BundleError, match=f"the calibration is of a {key.split('_')[0]} with SHA-256 000"):
            export_bundle(export.model_copy(update={"calibration": other}))
    assert not export.out.exists()


def test_a_calibration_of_other_classes_is_refused(run: Path, export: Export, tmp_path: Path) -> None:
    """Values stand for the networks' classes, in their order."""
    classes = msgspec.json.decode((run / CALIBRATION_NAME).read_bytes())["classes"]
    other = with_other(run / CALIBRATION_NAME, tmp_path, classes=classes[::-1])
    with pytest.raises(BundleError, match="the calibration has the classes dark, bright, the networks bright, dark"):
        export_bundle(export.model_copy(update={"calibration": other}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gate": ["0.3"]}, "--gate beside .*calibration.json"),
        ({"max_count": ["bright=1"]}, "--max-count beside"),
        ({"max_tiles": 8}, "--max-tiles = 8: the calibration was made with 16"),
    ],
)
def test_flags_beside_a_calibration_are_refused(export: Export, changes: dict[str, object], said: str) -> None:
    """Values that were proven together are not mixed with others."""
    with pytest.raises(ConfigurationError, match=said):
        export_bundle(export.model_copy(update=changes))


@pytest.mark.parametrize(
    ("text", "said"),
    [(b"{", "not a calibration"), (b'{"schema": 2}', r"not a calibration: .*schema"), (None, "edge-train calibrate")],
)
def test_a_broken_calibration_is_refused(export: Export, tmp_path: Path, text: bytes | None, said: str) -> None:
    """A file that is none, of another version, or missing ends in one line."""
    if text is not None:
        (tmp_path / CALIBRATION_NAME).write_bytes(text)
    with pytest.raises(ConfigurationError, match=said):
        export_bundle(export.model_copy(update={"calibration": tmp_path / CALIBRATION_NAME}))


def test_a_run_that_was_not_calibrated_is_refused(export: Export, run: Path, tmp_path: Path) -> None:
    """--run stands for a calibrated pair; without, the checkpoints must be named."""
    for name in ("classifier", "segmenter"):
        for suffix in (".json", ".safetensors"):
            (tmp_path / f"{name}{suffix}").write_bytes((run / f"{name}{suffix}").read_bytes())
    with pytest.raises(ConfigurationError, match="edge-train calibrate writes it"):
        export_bundle(export.model_copy(update={"run": tmp_path}))


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (["--max-escape-rate", "0.19"], 8, "14 independent bad parts, and even without a miss 15 are needed"),
        (["--max-overkill", "0.1"], 8, "7 independent sound parts, and even without a miss 29 are needed"),
        ([], 2, "expected one of --max-escape-rate and --max-overkill"),
        (["--max-escape-rate", "0.2", "--max-overkill", "0.5"], 2, "expected one of"),
        (["--max-escape-rate", "0"], 2, "--max-escape-rate"),
        ([*TARGET, "--gate", "rust=1"], 2, "no such class"),
    ],
)
def test_what_cannot_be_done_is_refused_and_writes_nothing(
    run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], code: int, said: str
) -> None:
    """Too few parts end with 8 and the number that is missing; bad flags with 2."""
    out = tmp_path / "out.json"
    assert main(["calibrate", str(folder), "--run", str(run), "--out", str(out), *flags]) == code
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_a_proof_that_fails_writes_nothing(
    run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Test parts that are labelled bad and look sound escape: the figures are shown, and the choice is refused."""
    spoilt = tmp_path / "data"
    shutil.copytree(folder, spoilt)
    shutil.copyfile(spoilt / "images" / "test0.png", spoilt / "images" / "test1.png")
    out = tmp_path / "out.json"
    assert main(["calibrate", str(spoilt), "--run", str(run), *TARGET, "--out", str(out)]) == 8
    shown = capsys.readouterr()
    assert "1 of 14 independent bad parts of split 'test' escape" in shown.err
    assert "more without a further miss" in shown.err
    assert "chosen on split val" in shown.out
    assert not out.exists()
    assert "no calibration was written" in (tmp_path / "out-not-proven.html").read_text()


def test_a_calibration_leaves_its_page(run: Path, folder: Path, tmp_path: Path) -> None:
    """Target, proof, both splits' figures, bounds and trade-off stand beside the record; --no-report leaves it out."""
    html = (run / CALIBRATION_NAME).with_suffix(".html").read_text()
    calibration = read_calibration(run / CALIBRATION_NAME)
    assert "--max-escape-rate 0.2" in html
    assert "values may be exported" in html
    for rate in (calibration.val.escapes, calibration.test.escapes, calibration.test.overkill):
        assert f"<td>{rate_text(rate)}</td>" in html
        assert f"<td>{bound_text(rate)}</td>" in html
    rule = calibration.classes[0].rule.min_area_px
    assert f"{rule.default:g} ({rule.low:g} to {rule.high:g})" in html
    assert "settings tried on split val" in html
    out = tmp_path / "bare.json"
    assert main(["calibrate", str(folder), "--run", str(run), *TARGET, "--out", str(out), "--no-report"]) == 0
    assert [file.name for file in tmp_path.iterdir()] == ["bare.json"]


def test_a_page_that_fails_costs_no_calibration(run: Path, folder: Path, tmp_path: Path) -> None:
    """What was proven is written first."""
    (tmp_path / "out.html").mkdir()
    out = tmp_path / "out.json"
    assert main(["calibrate", str(folder), "--run", str(run), *TARGET, "--out", str(out)]) == 2
    assert read_calibration(out).test.escapes.groups == 14


@pytest.mark.parametrize("kind", ["classifier", "segmenter"])
@pytest.mark.parametrize("command", [["calibrate", *TARGET], ["evaluate"]])
def test_no_proof_stands_on_what_a_network_has_seen(
    run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, command: list[str]
) -> None:
    """A picture of split test that either network was trained on is refused, whatever the rest of the data says."""
    shutil.copytree(run, tmp_path / "run")
    description = tmp_path / "run" / f"{kind}.json"
    picture = folder / "images" / "test4.png"
    digest = hashlib.sha256(picture.read_bytes()).hexdigest()[:16]
    description.write_text(json.dumps(json.loads(description.read_text()) | {"seen": [digest]}))
    judge = [command[0], str(folder), "--run", str(tmp_path / "run"), *command[1:]]
    assert main(judge) == 2
    said = capsys.readouterr().err
    assert f"the {kind} was trained on or chosen by 1 of its 21 pictures" in said
    assert str(picture) in said
    assert "--write-split" in said
    if command == ["evaluate"]:
        assert main([*judge, "--split", "val"]) == 0


def test_networks_that_do_not_say_what_they_have_seen_are_refused(
    run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing tells whether split test would prove anything."""
    shutil.copytree(run, tmp_path / "run")
    description = tmp_path / "run" / "segmenter.json"
    description.write_text(json.dumps(json.loads(description.read_text()) | {"seen": []}))
    assert main(["calibrate", str(folder), "--run", str(tmp_path / "run"), *TARGET]) == 3
    assert "the segmenter's checkpoint does not say which pictures it has seen" in capsys.readouterr().err
