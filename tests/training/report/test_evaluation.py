"""The page of an evaluation says what the report says, and what makes it worth less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.records import Outcome
from engines.limits import defect_classes
from tests.support.bundles import CLASS_NAMES, write_squares
from training.data.datasets import Dataset, read_dataset
from training.figures.engine import TrainedNetworks
from training.figures.evaluate import evaluate
from training.figures.report import Found, Report, Tally, Terms
from training.figures.tables import percent
from training.report.evaluation import evaluation_page, operating_points, warnings_of
from training.report.page import Page, html_from_page

MADE_WITH = {"command": "edge-train evaluate squares --gate '<0.5>'", "seed": "5"}


@pytest.fixture(scope="module")
def networks(tiny_bundle: Path) -> TrainedNetworks:
    folder = tiny_bundle.parent / "checkpoints"
    return TrainedNetworks(folder / "classifier.json", folder / "segmenter.json")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return read_dataset(write_squares(tmp_path_factory.mktemp("data") / "squares", {"train": 3, "val": 3, "test": 6}))


def said_of(dataset: Dataset, outcomes: Sequence[Outcome], kinds: Sequence[int] = (0, 1, 2)) -> Report:
    """Return a report of the test pictures of some classes, with made-up answers, by turns."""
    tally = Tally(dataset, "test")
    shown = [sample for sample in dataset.split("test") if (sample.class_ids or (0,))[0] in kinds]
    for index, sample in enumerate(shown):
        picture = sample.picture("mono8")
        tally.add(sample, picture, Found(outcomes[index % len(outcomes)], 0.4, np.zeros_like(picture.labels)))
    return tally.report("hand", Terms(), classes=defect_classes(CLASS_NAMES))


def page_of(report: Report, dataset: Dataset, networks: TrainedNetworks) -> Page:
    sources = {part.source for part in report.parts}
    kept = tuple(s for s in dataset.samples if s.split != "test" or s.source in sources)
    return evaluation_page(report, replace(dataset, samples=kept), networks, MADE_WITH, None)


def test_the_headline_is_the_reports(dataset: Dataset, networks: TrainedNetworks) -> None:
    """Escapes, overkill, Dice, AUROC and what is shipped stand there as in the report, with their denominators."""
    report = evaluate(dataset, "test", networks, defect_classes(CLASS_NAMES, min_area_px=["5000"]), Terms())
    page = page_of(report, dataset, networks)
    figures = {figure.name: figure for figure in page.headline}
    assert (figures["escapes"].value, report.decisions.escapes.value) == (percent(1.0), 1.0)
    assert "4 of 4 bad pictures; at most 100.00 % (4 of 4 groups)" in figures["escapes"].detail
    assert figures["overkill"].value == percent(report.decisions.overkill.value or 0.0)
    assert figures["mean Dice"].value == f"{report.masks.mean_dice.value:.3f}"
    assert figures["AUROC of pictures"].value == f"{report.ranking.auroc.value:.3f}"
    assert report.decisions.shipped is not None
    assert figures["bad among what is shipped"].value == f"{report.decisions.shipped.shipped_ppm:,.0f} ppm"
    assert page.sections[0].title == "Escapes: bad parts that pass (4)"
    assert len(page.sections[0].pictures) == 4
    html = html_from_page(page)
    assert "&lt;0.5&gt;" in html
    assert str(networks.classifier_spec.weights_sha256) in html


@pytest.mark.parametrize(
    ("outcomes", "kinds"),
    [((Outcome.UNKNOWN,), (0, 1, 2)), ((Outcome.PASS,), (1,)), ((Outcome.REJECT,), (0,)), ((Outcome.PASS,), (0,))],
    ids=["no answer at all", "no sound part", "sound parts only", "nothing to show but doubts"],
)
def test_one_sided_reports_have_a_page(
    dataset: Dataset, networks: TrainedNetworks, outcomes: Sequence[Outcome], kinds: Sequence[int]
) -> None:
    """Where a figure does not exist there is a dash, not an error."""
    html = html_from_page(page_of(said_of(dataset, outcomes, kinds), dataset, networks))
    assert "<dd>-</dd>" in html


def test_what_weakens_the_figures_is_said(dataset: Dataset, networks: TrainedNetworks) -> None:
    """Few groups, classes without pictures, missing answers, other data and a split that was chosen on are told."""
    report = said_of(dataset, [Outcome.UNKNOWN, Outcome.PASS], (0, 1))
    said = " ".join(page_of(report, dataset, networks).warnings)
    assert "not the data the network learned from" in said
    assert "Only 2 independent groups have bad pictures" in said
    assert "No picture of dark in split test" in said
    assert "2 pictures got no answer" in said
    assert "flatter" not in said
    for split, word in (("val", "flatter"), ("train", "learned from")):
        assert word in warnings_of(_of_split(report, split))[0]


def _of_split(report: Report, split: str) -> Report:
    return type(report)(**{**{name: getattr(report, name) for name in report.__struct_fields__}, "split": split})


def test_the_gate_is_a_point_where_all_classes_have_one(dataset: Dataset) -> None:
    """Different gates are no point of the curve; what the line decides always is."""
    report = said_of(dataset, [Outcome.REJECT, Outcome.REJECT, Outcome.PASS])
    assert set(operating_points(report)) == {"gate, masks and rules"}, "no score reaches the gate of 0.5"
    assert operating_points(report)["gate, masks and rules"] == (0.5, 0.5)
