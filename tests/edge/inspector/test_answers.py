"""edge.inspector.answers: asked once, judged under any recipe as the line would judge."""

from __future__ import annotations

import numpy as np
import pytest

from edge.errors import ParityFailed
from edge.inspector.answers import ask, ask_masks, canvas_of, judge
from edge.inspector.cascade import Cascade
from edge.inspector.pace import PacedEngine
from edge.rules import default_recipe
from edge.tiles import Canvas
from tests.support.engines import MARK, PITS, SOUND, Classifier, Segmenter
from tests.support.records import TILE, manifest

MANIFEST = manifest()
RECIPE = default_recipe(MANIFEST.classes)


def picture() -> Canvas:
    """Two rows of three tiles: a suspicious defect over the border of two, and one that no gate lets through."""
    image = np.full((2 * TILE.core_height, 3 * TILE.core_width, 1), SOUND, np.uint8)
    image[5, 5] = MARK
    image[4:8, 10:20] = PITS
    image[20:24, 40:44] = PITS
    return canvas_of(MANIFEST, image)


def test_every_tile_is_asked_whatever_the_gates_say() -> None:
    """Both defects are marked, and each tile has its scores."""
    answers = ask(picture(), (Classifier(), Segmenter()), RECIPE.thresholds, "x")
    assert answers.scores.shape == (6, 2)
    assert answers.labels[5, 12] == answers.labels[21, 41] == 1
    assert answers.confidence[5, 12] == PITS


def test_some_tiles_only() -> None:
    """Where no tile is asked there is no label."""
    labels, confidence = ask_masks(picture(), Segmenter(), RECIPE.thresholds, "x", tiles=[5])
    assert labels[21, 41] == 1
    assert not labels[:, : TILE.core_width * 2].any()
    assert not confidence[:, : TILE.core_width * 2].any()


def test_is_judged_as_the_line_would() -> None:
    """Gate, closure and rules are the cascade's: outcome, defects and labels are those of the engines themselves."""
    canvas, engines = picture(), (Classifier(), Segmenter())
    found = judge(MANIFEST, ask(canvas, engines, RECIPE.thresholds, "x"), RECIPE)
    paced = [PacedEngine(engine) for engine in (Classifier(), Segmenter())]
    expected = Cascade(paced[0], paced[1], MANIFEST, canvas.grid).inspect(canvas, RECIPE, 1 << 62)
    assert (found.outcome, found.findings, found.segmented) == (expected.outcome, expected.findings, expected.segmented)
    assert (found.labels == expected.labels).all()
    assert found.segmented == 2


@pytest.mark.parametrize("which", [0, 1])
def test_answer_that_is_not_finite_is_refused(which: int) -> None:
    """NaN is no answer: the line names the frame."""
    engines = (Classifier(), Segmenter())
    engines[which].poison = float("nan")
    with pytest.raises(ParityFailed, match=r"frame 'x': (scores|health) is not finite"):
        ask(picture(), engines, RECIPE.thresholds, "x")
