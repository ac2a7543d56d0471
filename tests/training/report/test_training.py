"""The page of a training: the log's figures, and pictures of what one network says alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge.errors import DataError
from tests.support.bundles import write_squares
from training.data.datasets import Dataset, read_dataset
from training.fit.record import Row, write_rows
from training.networks.checkpoint import Kind
from training.report.page import Page, html_from_page
from training.report.training import training_page

MakeRun = Callable[[list[Row]], Path]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return read_dataset(write_squares(tmp_path_factory.mktemp("data") / "squares", {"train": 3, "val": 6, "test": 3}))


@pytest.fixture
def run_with(tiny_bundle: Path, tmp_path: Path) -> MakeRun:
    """Return what makes a folder with two checkpoints and a log of these epochs."""

    def made(rows: list[Row]) -> Path:
        for file in (tiny_bundle.parent / "checkpoints").iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        for kind in ("classifier", "segmenter"):
            write_rows(tmp_path / kind / "metrics.csv", rows)
        return tmp_path

    return made


def row(epoch: int, score: float, phase: str = "finetune") -> Row:
    return Row(epoch, phase, 0.5, 0.6, score, 1e-3, 100.0 * (epoch + 1), 200.0, 0.25)


def figures(page: Page) -> dict[str, str]:
    return {figure.name: figure.value for figure in page.headline}


@pytest.mark.parametrize("kind", ["classifier", "segmenter"])
def test_the_headline_is_the_logs(dataset: Dataset, run_with: MakeRun, kind: Kind) -> None:
    """Best score and its epoch, time, waiting, and the sizes of the splits are those of log and data."""
    run = run_with([row(0, 0.1, "frozen"), row(1, 0.75), row(2, 0.5)])
    page = training_page(dataset, run, kind, None)
    said = figures(page)
    assert (said["best score on val"], said["kept epoch"]) == ("0.7500", "2 of 3")
    assert (said["time"], said["waiting for data"]) == ("5 min 00 s", "25%")
    assert (said["pictures of train"], said["pictures of val"]) == ("3", "6")
    assert float(said["AUROC of pictures"]) > 0.9
    titles = [section.title for section in page.sections]
    assert titles[-4:] == ["How it went", "What it tells apart", "The data", "How it was made"]
    assert any(title.startswith("Best (") for title in titles)
    assert "were not looked for" in html_from_page(page)


def test_one_epoch_is_a_training(dataset: Dataset, run_with: MakeRun) -> None:
    """A single row has its page, and nobody is told to train longer."""
    html = html_from_page(training_page(dataset, run_with([row(0, 0.0)]), "classifier", None))
    assert "1 of 1" in html
    assert "a longer training" not in html


def test_a_training_that_still_gained_is_told(dataset: Dataset, run_with: MakeRun) -> None:
    """Where the last epoch is the best one, a longer training may be better."""
    page = training_page(dataset, run_with([row(0, 0.1), row(1, 0.2)]), "classifier", None)
    assert "a longer training may be better" in html_from_page(page)


def test_no_log_is_one_line(dataset: Dataset, run_with: MakeRun) -> None:
    """A log without an epoch, or none, is named."""
    run = run_with([])
    with pytest.raises(DataError, match=r"metrics\.csv: holds no epoch"):
        training_page(dataset, run, "classifier", None)
    (run / "segmenter" / "metrics.csv").unlink()
    with pytest.raises(DataError, match=r"metrics\.csv: No such file"):
        training_page(dataset, run, "segmenter", None)
