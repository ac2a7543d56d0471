from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from edge import commandline
from edge.errors import ConfigurationError, DataError
from tests.support.surfaces import plain_rows, surface, write_folder
from training.commands.data import DataCommand, run_data
from training.data.findings import Check

TILES = ("--core-height", "32", "--core-width", "32", "--halo", "8")


def run(*args: object) -> int:
    return commandline.run("edge-train data", DataCommand, [str(arg) for arg in args], run_data)


def check(folder: Path, *args: object) -> int:
    return run("check", folder, "--out", folder.parent / "out", "--no-progress", *args)


def found_in(folder: Path) -> Check:
    return msgspec.json.decode((folder.parent / "out" / "check.json").read_bytes(), type=Check)


def test_a_usable_set_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A set without fault gives tables, a picture for each class and of the defects' sizes, and exit code 0."""
    write_folder(tmp_path / "set", plain_rows())
    assert check(tmp_path / "set") == 0
    printed = capsys.readouterr().out
    assert "set: usable" in printed
    assert "fewer than 95 % escapes" in printed
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "check.json", "class-0-sound.png", "class-1-scratch.png", "class-2-dent.png", "defect-areas.png"
    }  # fmt: skip
    assert cv2.imread(str(tmp_path / "out" / "class-1-scratch.png")).shape[2] == 3
    assert found_in(tmp_path / "set").usable


def test_all_faults_are_listed_and_a_leak_stands_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A leak, a missing image, a bad id, a cut picture and an unfit mask are five lines of one run; exit code 6."""
    rows = [*plain_rows(), ("mirror.png", surface(0)[:, ::-1], 0, "m", "test")]
    write_folder(tmp_path / "set", rows)
    images, masks, table = tmp_path / "set" / "images", tmp_path / "set" / "masks", tmp_path / "set" / "labels.csv"
    (images / "p03.png").unlink()
    (images / "p06.png").write_bytes(b"not a picture")
    cv2.imwrite(str(masks / "p01.png"), np.ones((5, 5), np.uint8))
    table.write_text(table.read_text(encoding="utf-8").replace("p11.png,dent,2", "p11.png,dent,two"), encoding="utf-8")
    assert check(tmp_path / "set") == DataError.exit_code
    wrong = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("LEAK", "WRONG"))]
    assert wrong[0].startswith("LEAK")
    for word in ("mirror.png (m, test)", "p03.png does not exist", "class_id 'two'", "p06.png", "5x5 px"):
        assert any(word in line for line in wrong)
    assert (tmp_path / "out" / "near-pairs.png").is_file()


def test_the_proposed_split_can_be_trained_on(tmp_path: Path) -> None:
    """The written label file has no leak any more, and the check of it is content."""
    write_folder(tmp_path / "set", [*plain_rows(), ("mirror.png", surface(0)[:, ::-1], 0, "m", "test")])
    written = tmp_path / "set" / "mended.csv"
    assert check(tmp_path / "set", "--write-split", written) == DataError.exit_code
    assert check(tmp_path / "set", "--labels-file", "mended.csv") == 0
    dealt = {each.groups for each in found_in(tmp_path / "set").near}
    assert dealt == {("g00", "g00")}


def test_no_split_is_written_where_none_is_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A set whose own split is sound keeps it."""
    write_folder(tmp_path / "set", plain_rows())
    assert check(tmp_path / "set", "--write-split", tmp_path / "new.csv") == ConfigurationError.exit_code
    assert "no leak" in capsys.readouterr().err
    assert not (tmp_path / "new.csv").exists()


def test_an_existing_file_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    """The path of --write-split is looked at first, also where there is no data set at all."""
    (tmp_path / "old.csv").touch()
    refused = check(tmp_path / "nothing", "--write-split", tmp_path / "old.csv")
    assert refused == ConfigurationError.exit_code


def test_tiles_are_drawn_as_training_sees_them(tmp_path: Path) -> None:
    """A sheet for each class and one batch come out, with flags of augmentation taken."""
    write_folder(tmp_path / "set", plain_rows())
    flags = ("--count", 2, "--batch", 4, "--augment.rotate-deg", 10, "--augment.quarter-turns")
    assert run("show", tmp_path / "set", "--out", tmp_path / "out", *TILES, *flags) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"batch.png", "tiles-0-sound.png", "tiles-1-scratch.png", "tiles-2-dent.png"}


def test_one_class_may_be_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only its sheet is drawn; a class that is none is refused with those there are."""
    write_folder(tmp_path / "set", plain_rows())
    asked = ("show", tmp_path / "set", "--out", tmp_path / "out", "--count", 1, "--batch", 2, *TILES, "--class")
    assert run(*asked, "dent") == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"batch.png", "tiles-2-dent.png"}
    assert run(*asked, "dint") == ConfigurationError.exit_code
    assert "--class dint: expected one of sound, scratch, dent" in capsys.readouterr().err


def test_a_command_is_expected(capsys: pytest.CaptureFixture[str]) -> None:
    """Without check or show, the message says that one is expected."""
    assert run() == ConfigurationError.exit_code
    assert "check or data show" in capsys.readouterr().err
