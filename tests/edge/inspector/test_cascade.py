"""The cascade with stand-in engines that see only the bytes of the tiles they are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.errors import InferenceFailed
from edge.inspector.cascade import Cascade, DeadlinePassed, Inspection, Overload
from edge.inspector.pace import PacedEngine
from edge.records import Outcome
from edge.rules import Recipe
from edge.tiles import Canvas, Grid
from engines.contract import THRESHOLDS, TILES
from tests.support.engines import CRACKS, MARK, PAD, PITS, SOUND, Classifier, Clock, Engine, Segmenter
from tests.support.records import TILE, limits, manifest, recipe

FAR_US = 10**15


class Bench:
    """A cascade on a canvas of 3 rows and 5 columns of tiles, the last ones overhanging."""

    def __init__(self, largest: int = 4, height: int = 40, width: int = 72, most_followed: int = 8) -> None:
        self.grid = Grid(height, width, TILE)
        self.canvas = Canvas(self.grid, 1, PAD)
        self.classifier, self.segmenter, self.clock = Classifier(largest), Segmenter(largest), Clock()
        paced = (PacedEngine(engine, self.clock) for engine in (self.classifier, self.segmenter))
        self.cascade = Cascade(*paced, manifest(max_tiles=most_followed), self.grid, self.clock)
        self.begun: list[str] = []
        self.waits = False

    def inspect(self, image: NDArray[np.uint8], wanted: Recipe | None = None, deadline_us: int = FAR_US) -> Inspection:
        self.canvas.write(image)
        self.classifier.calls.clear()
        self.segmenter.calls.clear()
        self.begun.clear()
        return self.cascade.inspect(self.canvas, wanted or recipe(), deadline_us, self.begun.append, lambda: self.waits)

    def slow_down(self, engine: Engine, took_us: int) -> None:
        """Let every call of *engine* take so long from now on."""
        answers = engine.answers

        def slowly(tiles: NDArray[np.uint8]) -> Mapping[str, NDArray[Any]]:
            self.clock.us += took_us
            return answers(tiles)

        engine.answers = slowly  # type: ignore[method-assign]

    def classified(self) -> int:
        return sum(len(call) for call in self.classifier.calls)

    def segmented(self) -> int:
        return sum(len(call) for call in self.segmenter.calls)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def sound(height: int = 40, width: int = 72) -> NDArray[np.uint8]:
    return np.full((height, width), SOUND, np.uint8)


def test_a_sound_frame_passes_without_a_call_of_the_segmenter(bench: Bench) -> None:
    """Every tile is classified, none is segmented, and the mask is empty."""
    found = bench.inspect(sound())
    assert (found.outcome, found.findings.defects, found.tiles, found.segmented) == (Outcome.PASS, (), 15, 0)
    assert found.labels.shape == (40, 72)
    assert not found.labels.any()

    assert bench.segmented() == 0


def test_each_tile_is_seen_once_and_at_its_place(bench: Bench) -> None:
    """Over all calls, the classifier's tiles are the canvas' tiles in order, halo included."""
    image = np.random.default_rng(1).integers(8, 200, (40, 72), np.uint8)
    bench.inspect(image)
    seen = np.concatenate(bench.classifier.calls)
    whole = np.pad(image, ((4, 40), (4, 40)), constant_values=PAD)
    for index in range(15):
        top, left = bench.grid.core(index)
        assert np.array_equal(seen[index, ..., 0], whole[top : top + 24, left : left + 24])


def test_a_defect_is_labelled_at_its_place(bench: Bench) -> None:
    """Labels, boxes and confidence are the picture's own, in a tile of the middle and in an overhanging one."""
    image = sound()
    image[20:24, 35:40] = PITS
    image[21, 36] = MARK
    image[38, 70] = CRACKS
    image[39, 71] = MARK
    found = bench.inspect(image)
    expected = np.where(image == PITS, 1, np.where(image == CRACKS, 2, 0))
    assert np.array_equal(found.labels, expected)
    assert found.outcome is Outcome.REJECT
    assert [(d.name, d.area_px, d.box) for d in found.findings.defects] == [
        ("pits", 19, (35, 20, 5, 4)),
        ("cracks", 1, (70, 38, 1, 1)),
    ]
    assert found.findings.defects[0].peak == PITS / 255
    assert found.segmented == 2
    assert found.scores == {"pits": 1.0, "cracks": 0.0}


def test_tiles_are_segmented_in_descending_suspicion(bench: Bench) -> None:
    """The tile with the highest score goes first, whatever its place."""
    image = sound()
    image[5, 5], image[5, 25], image[37, 70] = 235, 245, 240
    bench.inspect(image)
    assert [tile.max() for call in bench.segmenter.calls for tile in call] == [245, 240, 235]


def test_a_tile_just_under_its_gate_is_not_segmented(bench: Bench) -> None:
    """A score at the gate opens it; the next float below does not."""
    image = sound()
    image[5, 5] = 230
    score = float(np.float32(0.5))
    above = recipe(limits("pits", gate=score), limits("cracks"))
    below = recipe(limits("pits", gate=float(np.nextafter(np.float32(score), np.float32(1)))), limits("cracks"))
    assert bench.inspect(image, above).segmented == 1
    assert bench.inspect(image, below).segmented == 0


def test_thresholds_reach_the_segmenter(bench: Bench) -> None:
    """They are the recipe's of this call, not those of an earlier one."""
    image = sound()
    image[5, 5] = MARK
    for first, second in ((0.25, 0.75), (0.5, 0.125)):
        bench.inspect(image, recipe(limits("pits", threshold=first), limits("cracks", threshold=second)))
        assert bench.segmenter.inputs[THRESHOLDS].tolist() == [first, second]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param([(8, x) for x in range(5, 24)], id="to the right"),
        pytest.param([(8, x) for x in range(12, 40)], id="to the left and the right"),
        pytest.param([(y, 20) for y in range(5, 36)], id="down, three tiles"),
        pytest.param([(i, i) for i in range(5, 20)], id="diagonally down"),
        pytest.param([(i, 31 - i) for i in range(3, 24)], id="diagonally up"),
        pytest.param([(8, x) for x in range(3, 72)], id="through five tiles"),
        pytest.param([(15, x) for x in range(5, 16)] + [(16, 16)], id="over a corner only"),
    ],
)
@pytest.mark.parametrize("end", [0, -1])
@pytest.mark.parametrize("largest", [1, 2, 8])
def test_a_defect_is_followed_until_it_is_whole(line: list[tuple[int, int]], end: int, largest: int) -> None:
    """One suspicious tile at either end is enough: what lies in tiles below the gate is found all the same."""
    bench = Bench(largest)
    image = sound()
    for point in line:
        image[point] = PITS
    y, x = line[end]
    top, left = 16 * (y // 16), 16 * (x // 16)
    free = [(r, c) for r in range(top, min(top + 16, 40)) for c in range(left, min(left + 16, 72))]
    image[next(point for point in free if image[point] == SOUND)] = MARK
    found = bench.inspect(image)
    assert [d.area_px for d in found.findings.defects] == [len(line)]
    assert np.array_equal(found.labels == 1, image == PITS)
    assert bench.segmented() == found.segmented, "a tile was segmented twice"


def test_a_sound_neighbour_ends_the_chase(bench: Bench) -> None:
    """A defect that reaches its core's border costs the neighbours it touches, and none beyond them."""
    image = sound()
    image[4, 10:16] = PITS
    image[3, 3] = MARK
    assert bench.inspect(image).segmented == 2
    image[4, 15] = SOUND
    assert bench.inspect(image).segmented == 1


@pytest.mark.parametrize("largest", [1, 3, 4, 8, 15])
def test_more_tiles_than_a_batch_holds(largest: int) -> None:
    """All fifteen suspicious tiles are answered, in whole and in part-filled batches alike."""
    bench = Bench(largest)
    image = sound()
    image[2::4, 2::4] = CRACKS
    image[4::16, 4::16] = MARK
    found = bench.inspect(image)
    assert bench.classified() == bench.segmented() == found.segmented == 15
    assert np.array_equal(found.labels == 2, image == CRACKS)
    assert max(len(call) for call in bench.segmenter.calls) <= largest


def test_a_smaller_picture_brings_its_region(bench: Bench) -> None:
    """Tiles wholly outside are skipped, nothing outside is labelled, and its own edge cuts."""
    image = sound(20, 40)
    image[18:20, 30:33] = PITS
    image[1, 1] = image[17, 25] = MARK
    found = bench.inspect(image)
    assert found.tiles == bench.classified() == 6
    assert found.labels.shape == (20, 40)
    assert np.array_equal(found.labels == 1, image == PITS)
    assert [(d.area_px, d.cut) for d in found.findings.defects] == [(6, True)]


def test_nothing_of_an_earlier_frame_is_left(bench: Bench) -> None:
    """After any frame, and after one that failed half-way, a sound frame has no label."""
    image = sound()
    image[2::4, 2::4] = CRACKS
    image[4::16, 4::16] = MARK
    for poison in (None, np.nan):
        bench.segmenter.poison = poison
        if poison is None:
            bench.inspect(image)
        else:
            with pytest.raises(InferenceFailed):
                bench.inspect(image)
        bench.segmenter.poison = None
        found = bench.inspect(sound())
        assert (found.outcome, found.segmented, found.labels.any()) == (Outcome.PASS, 0, False)
        one = sound()
        one[39, 71], one[38, 70] = MARK, PITS
        assert bench.inspect(one).labels.sum() == 1
        assert bench.inspect(sound(10, 10)).labels.shape == (10, 10)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_never_believed(bench: Bench, poison: float) -> None:
    """One bad score of one class in one tile fails the frame: NaN > gate is false, that would be a PASS."""
    bench.classifier.poison = poison
    with pytest.raises(InferenceFailed, match="not finite"):
        bench.inspect(sound())
    assert bench.segmented() == 0


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_health_that_is_not_finite_is_never_believed(bench: Bench, poison: float) -> None:
    """Labels of all zeros with a bad health, also in the last tile only, fail the frame."""
    image = sound()
    image[5, 5] = image[5, 25] = MARK
    bench.segmenter.poison = poison
    with pytest.raises(InferenceFailed, match="not all finite"):
        bench.inspect(image)


def test_a_label_of_no_class_is_never_believed(bench: Bench) -> None:
    """A segmenter that says class 3 of 2 has failed; it is no defect of another class, and no crash."""
    image = sound()
    image[5, 5], image[6, 6] = MARK, CRACKS
    bench.segmenter.label_of_cracks = 3
    with pytest.raises(InferenceFailed, match="3"):
        bench.inspect(image)


def test_a_deadline_that_has_passed_starts_no_call(bench: Bench) -> None:
    """At the deadline itself nothing is started any more."""
    bench.clock.us = 50
    with pytest.raises(DeadlinePassed):
        bench.inspect(sound(), deadline_us=50)
    assert bench.classified() == 0


@pytest.mark.parametrize(("slow", "calls"), [("classifier", (1, 0)), ("segmenter", (15, 1))])
def test_no_call_is_started_that_would_not_end_in_time(slow: str, calls: tuple[int, int]) -> None:
    """Once a call is known to take longer than what is left, it is overload, in the stage that lacked the time."""
    bench = Bench(largest=1)
    image = sound()
    image[4::16, 4::16] = MARK
    bench.slow_down(getattr(bench, slow), 60)
    with pytest.raises(Overload) as overload:
        bench.inspect(image, deadline_us=100)
    assert overload.value.stage == {"classifier": "classify", "segmenter": "segment"}[slow]
    assert (len(bench.classifier.calls), len(bench.segmenter.calls)) == calls


def test_a_smaller_batch_is_taken_when_the_large_one_does_not_fit(bench: Bench) -> None:
    """What is left of the time is used as far as measured calls fit into it."""
    for engine in (bench.classifier, bench.segmenter):
        bench.slow_down(engine, 10)
    bench.inspect(sound())
    answers = bench.segmenter.answers

    def by_rows(tiles: NDArray[np.uint8]) -> Mapping[str, NDArray[Any]]:
        bench.clock.us += 90 if len(tiles) > 1 else 0
        return answers(tiles)

    bench.segmenter.answers = by_rows  # type: ignore[method-assign]
    image = sound()
    image[4, 4::16] = MARK
    bench.inspect(image)
    found = bench.inspect(image, deadline_us=bench.clock.us + 40 + 95)
    assert [len(call) for call in bench.segmenter.calls] == [1, 1, 1, 1, 1]
    assert (found.outcome, found.complete) == (Outcome.PASS, True)


def defects_in_three_tiles() -> NDArray[np.uint8]:
    image = sound()
    for x, certainty in ((4, 250), (36, 245), (68, 240)):
        image[4, x], image[6, x] = certainty, PITS
    return image


def test_after_a_certain_reject_the_mask_is_completed_when_nothing_waits() -> None:
    """One region is enough for REJECT; every other defect is found all the same."""
    bench = Bench(largest=1)
    found = bench.inspect(defects_in_three_tiles())
    assert (found.outcome, found.complete, found.segmented, found.findings.total) == (Outcome.REJECT, True, 3, 3)


def test_a_certain_reject_makes_room_for_a_part_that_waits() -> None:
    """Another part waits: REJECT at once, and the mask says that it is not complete."""
    bench = Bench(largest=1)
    bench.waits = True
    found = bench.inspect(defects_in_three_tiles())
    assert (found.outcome, found.complete, found.segmented) == (Outcome.REJECT, False, 1)
    assert [d.box[0] for d in found.findings.defects] == [4]


def test_a_certain_reject_needs_no_further_time() -> None:
    """The deadline is near and a rule is broken: REJECT, not overload."""
    bench = Bench(largest=1)
    bench.slow_down(bench.segmenter, 60)
    bench.inspect(defects_in_three_tiles())
    found = bench.inspect(defects_in_three_tiles(), deadline_us=bench.clock.us + 100)
    assert (found.outcome, found.complete, found.segmented) == (Outcome.REJECT, False, 1)


def test_a_part_that_waits_never_shortens_what_could_still_pass() -> None:
    """No rule is broken yet: every suspicious tile is segmented, whatever waits."""
    bench = Bench(largest=1)
    bench.waits = True
    image = sound()
    image[4::16, 4::16] = MARK
    found = bench.inspect(image)
    assert (found.outcome, found.complete, found.segmented) == (Outcome.PASS, True, 15)


def test_a_rule_that_allows_some_waits_for_the_end() -> None:
    """Two pieces of one allowed scratch are no reject: they may become one region in the tile between them."""
    bench = Bench(largest=1)
    bench.waits = True
    image = sound()
    image[8, 10:40] = PITS
    image[3, 3], image[3, 35] = 250, 245
    allows_one = recipe(limits("pits", max_count=1), limits("cracks"))
    found = bench.inspect(image, allows_one)
    assert (found.outcome, found.complete) == (Outcome.PASS, True)
    assert [d.area_px for d in found.findings.defects] == [30]


def test_a_region_that_does_not_count_decides_nothing() -> None:
    """Too small as yet: it may grow in the next tile, so the work goes on."""
    bench = Bench(largest=1)
    bench.waits = True
    image = sound()
    image[8, 14:24] = PITS
    image[3, 3] = MARK
    found = bench.inspect(image, recipe(limits("pits", min_area_px=10), limits("cracks")))
    assert (found.outcome, found.segmented) == (Outcome.REJECT, 2)


@pytest.mark.parametrize(("min_area_px", "rejected"), [(1, True), (1000, False)])
def test_how_far_a_defect_is_followed_is_bounded(min_area_px: float, rejected: bool) -> None:
    """Beyond max_tiles it is overload, unless what is known is a reject already."""
    bench = Bench(largest=1, most_followed=2)
    image = sound()
    image[8, 3:72] = PITS
    image[3, 3] = MARK
    wanted = recipe(limits("pits", min_area_px=min_area_px), limits("cracks"))
    if rejected:
        found = bench.inspect(image, wanted)
        assert (found.outcome, found.complete) == (Outcome.REJECT, False)
        return
    with pytest.raises(Overload, match="3 tiles under the gate, expected 2"):
        bench.inspect(image, wanted)


def test_the_beginning_of_each_network_is_told_once(bench: Bench) -> None:
    """Classify before the first call, segment before the first call, however many there are."""
    image = sound()
    bench.inspect(image)
    assert bench.begun == ["classify"]
    image[4::16, 4::16] = MARK
    assert bench.inspect(image).suspicious
    assert bench.begun == ["classify", "segment"]


def test_time_is_booked_on_its_stage(bench: Bench) -> None:
    """What the engines took stands under their stages."""
    image = sound()
    image[5, 5] = MARK
    bench.slow_down(bench.classifier, 10)
    bench.slow_down(bench.segmenter, 300)
    stages_us = bench.inspect(image).stages_us
    assert (stages_us["classify"], stages_us["segment"]) == (40, 300)
    assert sum(stages_us.values()) == bench.clock.us


class Neighbour(Segmenter):
    """A segmenter on the classifier's device: takes rows there, as long as they are rows the classifier has read."""

    def __init__(self, largest: int = 4) -> None:
        super().__init__(largest)
        self.gathered: list[list[int]] = []

    def gather(self, source: Any, rows: Sequence[int]) -> bool:
        self.gathered.append(list(rows))
        self.inputs[TILES][: len(rows)] = source.inputs[TILES][rows]
        return True


@pytest.mark.parametrize(("largest", "taken"), [(15, 2), (4, 0)])
def test_tiles_are_taken_from_the_classifier_where_they_still_lie_there(largest: int, taken: int) -> None:
    """What the classifier's last run has read is not cut again; what a later run has overwritten is."""
    bench = Bench(largest)
    bench.segmenter = neighbour = Neighbour(largest)
    paced = (PacedEngine(engine, bench.clock) for engine in (bench.classifier, neighbour))
    bench.cascade = Cascade(*paced, manifest(max_tiles=8), bench.grid, bench.clock)
    image = np.full((40, 72, 1), SOUND, np.uint8)
    image[2, 2], image[3, 3] = MARK, PITS
    image[2, 20], image[3, 21] = MARK, CRACKS
    found = bench.inspect(image)
    assert [found.labels[3, 3], found.labels[3, 21]] == [1, 2]
    assert [len(rows) for rows in neighbour.gathered] == ([taken] if taken else [])
