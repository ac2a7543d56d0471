"""What a subscriber received, judged."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import DataError
from tests.support.labelled import write_folder
from training.data.datasets import read_dataset
from training.figures.received import score
from training.figures.report import Report, Terms


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of eighteen labelled pictures."""
    return write_folder(tmp_path_factory.mktemp("data") / "squares")


def write_received(folder: Path, out: Path) -> list[str]:
    """Write what a perfect line would send for the test split; return the verdicts' lines."""
    out.mkdir()
    lines = []
    for sample in read_dataset(folder).split("test"):
        _, labels = sample.read("mono8")
        found = bool(labels.any())
        if found:
            cv2.imwrite(str(out / sample.source), labels)
        view = {"source": sample.source, "outcome": "REJECT" if found else "PASS", "scores": {"bright": float(found)}}
        lines.append(json.dumps({"seq": len(lines), "views": [view]}))
    return lines


def judged(folder: Path, tmp_path: Path, lines: list[str]) -> Report:
    """Return the report of these lines."""
    (tmp_path / "verdicts.jsonl").write_text("\n".join(lines) + "\n")
    return score(read_dataset(folder), "test", tmp_path / "verdicts.jsonl", tmp_path / "masks", "mono8", Terms())


def test_perfect_verdicts_score_one(folder: Path, tmp_path: Path) -> None:
    """Masks and scores equal to the truth give Dice, AUROC and AP of 1 and no escape; a PASS needs no mask file."""
    report = judged(folder, tmp_path, write_received(folder, tmp_path / "masks"))
    assert (report.ranking.auroc.value, report.ranking.average_precision.value, report.unknown) == (1.0, 1.0, 0)
    assert (report.masks.mean_dice.value, report.masks.false_area.value) == (1.0, 0.0)
    escapes, overkill = report.decisions.escapes, report.decisions.overkill
    assert (escapes.hits, escapes.images, escapes.groups) == (0, 4, 2)
    assert (overkill.hits, overkill.images, overkill.groups) == (0, 2, 1)
    assert report.decisions.confusion == ((2, 0, 0), (0, 2, 0), (0, 0, 2))
    assert report.tiles is None


def test_an_escape_is_a_bad_part_that_passed(folder: Path, tmp_path: Path) -> None:
    """What the station decided counts, not what is in the mask."""
    lines = write_received(folder, tmp_path / "masks")
    report = judged(folder, tmp_path, [*lines[:-1], lines[-1].replace("REJECT", "PASS")])
    assert (report.decisions.escapes.hits, report.decisions.escapes.groups_hit) == (1, 1)
    assert report.masks.mean_dice.value == 1.0


def test_an_unknown_verdict_is_counted_apart(folder: Path, tmp_path: Path) -> None:
    """A sound picture that got no answer does not pass, and stands in no other figure."""
    lines = write_received(folder, tmp_path / "masks")
    report = judged(folder, tmp_path, [lines[0].replace("PASS", "UNKNOWN"), *lines[1:]])
    assert (report.images, report.unknown, report.decisions.overkill.hits) == (6, 1, 1)
    assert (report.ranking.sound, report.masks.sound_images_marked.images) == (1, 1)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda lines: lines[1:], r"no verdict for free_test_0.png \(1 of 6 images\)"),
        (lambda lines: [*lines, lines[0]], "verdicts.jsonl:7: a second verdict for free_test_0.png"),
        (lambda lines: ["{", *lines], "verdicts.jsonl:1: not a verdict"),
        (lambda lines: [lines[0].replace("PASS", "MAYBE"), *lines[1:]], "verdicts.jsonl:1: not a verdict"),
        (lambda lines: [lines[0].replace("PASS", "REJECT"), *lines[1:]], "free_test_0.png: cannot be read"),
    ],
)
def test_incomplete_verdicts_are_refused(folder: Path, tmp_path: Path, spoil: object, said: str) -> None:
    """A missing, doubled or broken line, and a reject without its mask, end in one line."""
    assert callable(spoil)
    with pytest.raises(DataError, match=said):
        judged(folder, tmp_path, spoil(write_received(folder, tmp_path / "masks")))


def test_a_received_mask_of_another_size_is_refused(folder: Path, tmp_path: Path) -> None:
    """A mask that does not fit its picture is named."""
    lines = write_received(folder, tmp_path / "masks")
    cv2.imwrite(str(tmp_path / "masks" / "bright_test_0.png"), np.zeros((5, 5), np.uint8))
    with pytest.raises(DataError, match=r"bright_test_0.png is \(5, 5\) px"):
        judged(folder, tmp_path, lines)
