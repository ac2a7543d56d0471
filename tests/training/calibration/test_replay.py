"""Recorded answers through the cascade."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.records import Outcome
from tests.support.recordings import SHAPE, one_tile, random_picture, recipe
from training.calibration.replay import Replay

probabilities = st.sampled_from([0.05, 0.2, 0.5, 0.7, 0.9, 0.99])

PICTURES = [random_picture(seed) for seed in range(12)]
REMEMBERING = Replay(PICTURES, SHAPE)


@given(
    gate=probabilities,
    threshold=probabilities,
    min_area_px=st.sampled_from([1.0, 5.0, 40.0, 200.0]),
    min_peak=st.sampled_from([0.0, 0.5, 0.95]),
    max_counts=st.tuples(st.integers(0, 3), st.integers(0, 60)),
)
def test_what_is_remembered_equals_the_cascade(
    gate: float, threshold: float, min_area_px: float, min_peak: float, max_counts: tuple[int, int]
) -> None:
    """Under any recipe the quick way passes exactly the pictures that the cascade itself passes."""
    wanted = recipe(gate, threshold, min_area_px, min_peak, max_counts)
    cascade = Replay(PICTURES, SHAPE)
    passed = [cascade.outcome(index, wanted) is Outcome.PASS for index in range(len(PICTURES))]
    assert REMEMBERING.passes(wanted) == passed


def test_more_regions_than_are_listed_are_replayed() -> None:
    """A picture full of noise has more regions than a verdict lists; then nothing is concluded from the list."""
    noisy = random_picture(0, rows=5, columns=5)
    for core in noisy.cores.values():
        core[:] = 0.0
        core[0, ::2, ::2] = 0.9
    replay = Replay([noisy], SHAPE)
    many = sum(core[0, ::2, ::2].size for core in noisy.cores.values())
    for most in (256, 1599, 1600):
        wanted = recipe(gate=0.0, min_area_px=1.0, max_counts=(most, 0))
        assert replay.passes(wanted) == [replay.outcome(0, wanted) is Outcome.PASS]
    assert many == 1600


def test_a_defect_that_runs_too_far_does_not_pass() -> None:
    """A region followed into more tiles than a part may have is UNKNOWN, whatever the area that counts."""
    scratch = random_picture(1, rows=1, columns=12)
    scratch.scores[:] = 0.0
    scratch.scores[0, 1] = 1.0
    for core in scratch.cores.values():
        core[:] = 0.0
        core[1, 4] = 0.9
    replay = Replay([scratch], SHAPE)
    for area, outcome in ((1.0, Outcome.REJECT), (100_000.0, Outcome.UNKNOWN)):
        assert replay.outcome(0, recipe(min_area_px=area)) is outcome
        assert replay.passes(recipe(min_area_px=area)) == [False]


def test_parts_say_what_was_found() -> None:
    """Outcome, group, truth and the class that is marked most."""
    replay = Replay([one_tile("a", 1, score=0.9, probability=0.8, area_px=40, seen_as=2, group="g")], SHAPE)
    [part] = replay.parts(recipe())
    assert (part.source, part.group, part.class_id, part.found_id) == ("a", "g", 1, 2)
    assert (part.outcome, part.score) == (Outcome.REJECT, pytest.approx(0.9))
    assert replay.parts(recipe(gate=0.95))[0].outcome is Outcome.PASS


def test_thresholds_beyond_the_highest_pixel_are_one_case() -> None:
    """What no pixel reaches is not replayed again for each threshold above it."""
    replay = Replay([one_tile("a", 1, score=0.9, probability=0.3, area_px=40)], SHAPE)
    for threshold in np.linspace(0.4, 0.9, 6):
        assert replay.passes(recipe(threshold=float(threshold))) == [True]
    assert len(replay._known[0]) == 1
