"""edge.inspector.guard: how far a lower precision strays, and what that takes off the limits."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.bundle import read_bundle
from edge.errors import ParityFailed
from edge.inspector.answers import FrameAnswers, judge
from edge.inspector.backend import BackendSettings, open_engine
from edge.inspector.guard import (
    NO_BAND,
    AnswerPair,
    GuardBand,
    GuardReport,
    guard_report,
    guarded,
    measure_guard,
    refuse_wide_band,
)
from edge.records import Outcome
from edge.rules import ClassLimits, Recipe, default_recipe
from engines.contract import TILES, Manifest, MaxGuard
from tests.support.bundles import picture
from tests.support.records import TILE, manifest

LIMITS = ClassLimits(name="pits", gate=0.5, threshold=0.5, min_area_px=20.0, min_peak=0.6, max_count=0)
MANIFEST = manifest()
RECIPE = Recipe(classes=(LIMITS, msgspec.structs.replace(LIMITS, name="cracks")), mm_per_px=None)
HEIGHT, WIDTH = TILE.core_height, 2 * TILE.core_width


def answers(*squares: tuple[int, int, int], score: float = 0.9, peak: float = 0.8, label: int = 1) -> FrameAnswers:
    """Return a frame of two tiles; a square is (left, height, width), at the top."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for left, height, width in squares:
        labels[1 : 1 + height, left : left + width] = label
    confidence = np.where(labels > 0, round(255 * peak), 10).astype(np.uint8)
    return FrameAnswers(np.full((2, 2), score, np.float32), labels, confidence)


def report(*pairs: tuple[FrameAnswers, FrameAnswers]) -> GuardReport:
    return guard_report(MANIFEST, RECIPE, [AnswerPair(*pair) for pair in pairs])


def test_equal_answers_need_no_band() -> None:
    """Nothing strays, nothing flips."""
    frames = [answers((2, 5, 5)), answers()]
    found = report(*((frame, frame) for frame in frames))
    assert found.band == NO_BAND
    assert (found.frames, found.rejected, found.regions) == (2, 1, 1)
    assert (found.flips, found.fails_open, found.guarded_flips, found.guarded_fails_open) == (0, 0, 0, 0)


def test_band_is_the_largest_of_each_deviation() -> None:
    """Scores by magnitude, area and peak by what is missing; rounded up to thousandths."""
    found = report(
        (answers((2, 5, 8), peak=0.9), answers((2, 5, 6), peak=0.8)),  # 40 px to 30: a quarter
        (answers(score=0.4), answers(score=0.6004)),
    )
    assert found.band.score == pytest.approx(0.201)
    assert found.band.area_share == pytest.approx(0.25)
    assert found.band.peak == pytest.approx(0.102)


def test_with_the_band_every_reject_is_rejected() -> None:
    """A region at the limit that shrinks passes without the band; with it, it does not."""
    found = report((answers((2, 5, 5)), answers((2, 5, 3))))
    assert (found.flips, found.fails_open) == (1, 1)
    assert found.band.area_share == pytest.approx(0.4)
    assert (found.guarded_flips, found.guarded_fails_open) == (0, 0)


def test_large_region_must_not_fall_below_the_limit_and_no_more() -> None:
    """Of a region of ten limits, half is more than enough."""
    assert report((answers((2, 10, 20)), answers((2, 10, 10)))).band.area_share == 0.0
    assert report((answers((2, 10, 20)), answers((2, 5, 2)))).band.area_share == pytest.approx(0.5)


def test_region_that_falls_apart_is_judged_by_its_largest_piece() -> None:
    """The rules see pieces, too."""
    assert report((answers((2, 5, 8)), answers((2, 5, 5), (8, 5, 2)))).band.area_share == pytest.approx(0.375)


def test_region_that_vanishes_cannot_be_guarded() -> None:
    """No limit finds what is not there: the band is whole, and the reject that passes is told apart."""
    found = report((answers((2, 5, 5)), answers()))
    assert found.band.area_share == 1.0
    assert found.guarded_fails_open == 1
    with pytest.raises(ParityFailed, match="1 of 1 rejects pass in spite of the guard band"):
        refuse_wide_band(found, MaxGuard(area_share=1.0), "openvino int8")


def test_overkill_is_the_share_of_passing_frames_that_the_band_rejects() -> None:
    """A sound frame with a region just under the limit pays for a reject that shrank."""
    small = answers((2, 3, 5))
    found = report((answers((2, 5, 5)), answers((2, 5, 3))), (small, small), (answers(), answers()))
    assert found.guarded_flips == 1
    assert found.overkill == 0.5


def test_region_on_a_tile_under_the_gate_is_not_compared() -> None:
    """The line never segments it."""
    found = report((answers((2, 5, 5), score=0.1), answers(score=0.1)))
    assert (found.regions, found.band) == (0, NO_BAND)


def test_limits_are_lowered_to_the_smallest_that_means_anything() -> None:
    """A gate, an area and a peak never go below 0, one pixel and 0; counts and thresholds stay."""
    lowered = guarded(RECIPE, GuardBand(score=0.1, area_share=0.5, peak=0.2)).classes[0]
    assert (lowered.gate, lowered.min_area_px, lowered.min_peak) == pytest.approx((0.4, 10.0, 0.4))
    assert (lowered.threshold, lowered.max_count) == (LIMITS.threshold, LIMITS.max_count)
    floor = guarded(RECIPE, GuardBand(score=1.0, area_share=1.0, peak=1.0)).classes[0]
    assert (floor.gate, floor.min_area_px, floor.min_peak) == (0.0, 1.0, 0.0)
    assert guarded(RECIPE, NO_BAND) is RECIPE


def test_cascade_takes_the_lowest_limits() -> None:
    """With every limit at its floor each tile is segmented, and one pixel is a reject."""
    floor = guarded(RECIPE, GuardBand(score=1.0, area_share=1.0, peak=1.0))
    found = judge(MANIFEST, answers((2, 1, 1), score=0.0, peak=0.0), floor)
    assert (found.outcome, found.segmented) == (Outcome.REJECT, 2)


@pytest.mark.parametrize("name", ["score", "area_share", "peak"])
def test_band_above_the_manifests_is_refused(name: str) -> None:
    """The line names figure and bound, and what to do."""
    wide = msgspec.structs.replace(report((answers(), answers())), band=GuardBand(**{name: 0.3}))
    refuse_wide_band(wide, MaxGuard(score=0.3, area_share=0.3, peak=0.3), "openvino int8", least_regions=0)
    with pytest.raises(
        ParityFailed, match=rf"openvino int8: guard band {name} = 0.3, the bundle allows 0.29: .*--keep"
    ):
        refuse_wide_band(wide, MaxGuard(score=0.29, area_share=0.29, peak=0.29), "openvino int8")


def test_older_manifests_have_the_default_maximum() -> None:
    """A manifest that says nothing of guard bands is as valid as before."""
    text = {key: value for key, value in msgspec.to_builtins(MANIFEST).items() if key != "max_guard"}
    assert msgspec.convert(text, Manifest).max_guard == MaxGuard()


def test_engines_are_measured_through_their_seam(tiny_bundle: Path) -> None:
    """The same engines twice stray by nothing, on pictures of which some are rejects."""
    bundle = read_bundle(tiny_bundle)
    frames: list[NDArray[np.uint8]] = [picture(60 + i, *kinds)[..., np.newaxis] for i, kinds in enumerate([(1,), ()])]
    settings = BackendSettings(threads=1)
    with (
        open_engine(settings, bundle.classifier, TILES, (2,)) as classifier,
        open_engine(settings, bundle.segmenter, TILES, (2,)) as segmenter,
    ):
        engines = (classifier, segmenter)
        found = measure_guard(bundle.manifest, default_recipe(bundle.manifest.classes), frames, engines, engines)
    assert found.band == NO_BAND
    assert (found.frames, found.rejected, found.regions) == (2, 1, 1)


def test_a_band_that_was_measured_on_too_little_is_refused() -> None:
    """Of sound pictures any band is narrow."""
    found = report((answers(score=0.1), answers(score=0.1)))
    with pytest.raises(ParityFailed, match="0 regions that count on 1 frames, expected 8 or more"):
        refuse_wide_band(found, MaxGuard(), "openvino int8")
    one = report((answers((2, 5, 5)), answers((2, 5, 5))))
    refuse_wide_band(one, MaxGuard(), "openvino int8", least_regions=1)
