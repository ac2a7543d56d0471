"""A study's folder: kept line by line, whole lines alone, and of one recipe and bundle."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge.errors import ConfigurationError, DataError
from edge.records import RecipeMark
from edge.repeatability.main import main as repeatability
from edge.repeatability.study import PRESENTATIONS, Presentation, Study, read_truth
from edge.rig import toml_from_tree
from tests.support.records import verdict

RECIPE = RecipeMark(name="station", hash="r" * 64, author="a", since_utc_us=1)


def shown(part: str, presentation: int, bundle: str = "b" * 64) -> Presentation:
    said = verdict(presentation, recipe=RECIPE, bundle_hash=bundle)
    return Presentation(part=part, presentation=presentation, verdict=said)


def test_what_was_shown_is_there_when_the_study_is_taken_up_again(tmp_path: Path) -> None:
    """Without the last line if it is half a one: that was never told."""
    study = Study(tmp_path / "new" / "study")
    for one in (shown("1", 1), shown("2", 1)):
        study.add(one)
    path = study.folder / PRESENTATIONS
    path.write_bytes(path.read_bytes() + b'{"part":"3","pres')
    again = Study(study.folder)
    assert again.shown == [shown("1", 1), shown("2", 1)]
    assert (again.has("2", 1), again.has("2", 2)) == (True, False)
    again.add(shown("3", 1))
    assert len(Study(study.folder).shown) == 3


def test_another_recipe_or_bundle_is_another_study(tmp_path: Path) -> None:
    """It is refused before it is written."""
    study = Study(tmp_path)
    study.add(shown("1", 1))
    with pytest.raises(DataError, match=r"bundle line1, r{12} and b{12}, now they are line1, r{12} and c{12}"):
        study.add(shown("2", 1, bundle="c" * 64))
    other = msgspec.structs.replace(shown("2", 1), verdict=verdict(1, station="line2", recipe=RECIPE))
    with pytest.raises(DataError, match=r"now they are line2, r{12}"):
        study.add(other)
    assert len(Study(tmp_path).shown) == 1


def test_a_disk_that_takes_nothing_is_told(tmp_path: Path) -> None:
    """In one line, and the presentation is shown again."""
    study = Study(tmp_path)
    (tmp_path / PRESENTATIONS).mkdir()
    with pytest.raises(ConfigurationError, match=r"presentations\.jsonl: cannot be written \(Is a directory\): part 1"):
        study.add(shown("1", 1))
    assert not study.has("1", 1)


def test_a_study_of_another_station_is_not_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anybody has fetched a part."""
    Study(tmp_path / "study").add(shown("1", 1))
    tree = {"station": "line2", "cameras": [{"name": "top", "source": {"kind": "synthetic"}}]}
    (tmp_path / "line2.toml").write_text(toml_from_tree(tree))
    flags = ["--parts", "1", "--presentations", "2", "--out", str(tmp_path / "study")]
    assert repeatability([str(tmp_path / "line2.toml"), *flags]) == 2
    assert "a study of station line1, this is line2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "told"), [([], "give --camera, one of top, side"), (["--camera", "x"], "has none of this name")]
)
def test_cameras_that_see_parts_of_their_own_are_studied_one_by_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], told: str
) -> None:
    """Which one the parts are put before has to be said."""
    cameras = [{"name": name, "source": {"kind": "synthetic"}} for name in ("top", "side")]
    (tmp_path / "line1.toml").write_text(toml_from_tree({"station": "line1", "cameras": cameras}))
    more = ["--parts", "1", "--presentations", "2", "--out", str(tmp_path / "study")]
    assert repeatability([str(tmp_path / "line1.toml"), *more, *flags]) == 2
    assert told in capsys.readouterr().err


def test_a_line_that_is_none_is_told(tmp_path: Path) -> None:
    """By its number."""
    (tmp_path / PRESENTATIONS).write_text('{"part":"1"}\n')
    with pytest.raises(DataError, match=r"presentations\.jsonl, line 1"):
        Study(tmp_path)


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    """A file lies in its place."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="--out"):
        Study(tmp_path / "file" / "study")


def test_the_truth_is_a_table(tmp_path: Path) -> None:
    """As a spreadsheet writes it, with a mark at the beginning."""
    path = tmp_path / "truth.csv"
    path.write_bytes("\ufeffpart,truth,note\r\n1,PASS,\r\n2,REJECT,pit\r\n".encode())
    assert read_truth(path, ["1", "2", "3"]) == {"1": "PASS", "2": "REJECT"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("part,truth\n9,PASS\n", "line 2: part = '9': expected one of 1, 2"),
        ("part,truth\n1,good\n", "line 2: truth = 'good': expected PASS or REJECT"),
        ("part,truth\n1,PASS\n2,PASS\n1,REJECT\n", "line 4: part = '1': it was named before"),
        ("part;truth\n1;PASS\n", "line 2: part = ''"),
    ],
)
def test_a_truth_of_something_else_is_refused(tmp_path: Path, text: str, told: str) -> None:
    """A part that the study does not have, a word that is none, another separator."""
    path = tmp_path / "truth.csv"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=told):
        read_truth(path, ["1", "2"])
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_truth(tmp_path / "absent.csv", ["1"])
