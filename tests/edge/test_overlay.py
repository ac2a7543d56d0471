"""The picture for people: the verdict in words and colour, the defect outlined and still visible."""

from __future__ import annotations

import numpy as np
import pytest

from edge.overlay import colour_of_class, defects_as_text, describe, draw
from edge.records import Outcome, Reason
from tests.support.records import defect, reject, unknown, verdict, view


@pytest.mark.parametrize("shape", [(40, 200), (40, 200, 3)])
def test_grey_and_colour_become_colour_under_a_banner(shape: tuple[int, ...]) -> None:
    """The picture itself is below the banner, unchanged where there is no label, and the original is not touched."""
    picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    kept = picture.copy()
    drawn = draw(picture, None, verdict(1))
    assert drawn.shape[1:] == (200, 3)
    banner = drawn.shape[0] - 40
    assert banner > 0
    assert np.array_equal(drawn[banner:], picture if picture.ndim == 3 else np.repeat(picture[:, :, None], 3, axis=2))
    assert np.array_equal(picture, kept)


def test_a_label_is_outlined_in_its_colour_and_nothing_else_changes() -> None:
    """The contour has the class's colour, the inside is tinted, the outside stays."""
    picture = np.full((40, 200), 100, np.uint8)
    labels = np.zeros((40, 200), np.uint8)
    labels[10:20, 50:70] = 2
    drawn = draw(picture, labels, reject(1))[-40:]
    assert tuple(drawn[10, 50]) == colour_of_class(2)
    assert not np.array_equal(drawn[15, 60], (100, 100, 100))
    assert (drawn[labels == 0] == 100).all()


def test_classes_have_colours_of_their_own() -> None:
    """Six classes differ; the seventh begins anew."""
    assert len({colour_of_class(k) for k in range(1, 7)}) == 6
    assert colour_of_class(7) == colour_of_class(1)


def test_outcomes_have_colours_of_their_own() -> None:
    """PASS, UNKNOWN and REJECT are told apart at a glance."""
    picture = np.zeros((40, 200), np.uint8)
    banners = {tuple(draw(picture, None, v)[0, 0]) for v in (verdict(1), unknown(1, Reason.LATE), reject(1))}
    assert len(banners) == 3


def test_a_verdict_in_one_line() -> None:
    """Number, outcome, and what was found or why nothing is known."""
    assert describe(reject(12)) == "12  REJECT  1 pits 12 px"
    assert describe(unknown(13, Reason.LATE, "no result")) == "13  UNKNOWN (late)  no result"
    assert describe(verdict(14)).split() == ["14", "PASS"]


def test_only_defects_that_count_are_named() -> None:
    """By class, over all views: how many and how large together."""
    views = (
        view(defects=(defect(area_px=5), defect(area_px=7), defect(name="cracks", area_px=3, counts=False))),
        view(defects=(defect(area_px=100), defect(name="cracks", area_px=4))),
    )
    assert defects_as_text(verdict(1, outcome=Outcome.REJECT, views=views)) == "3 pits 112 px, 1 cracks 4 px"
