"""One view from order to result: everything that is not a proven outcome is UNKNOWN with its reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge.clock import SYSTEM_CLOCK
from edge.errors import DeviceLost, InferenceFailed
from edge.inspector.drift import measures_from_picture
from edge.inspector.examiner import Examiner
from edge.inspector.link import Inspect, Progress, ToStation, ViewResult
from edge.inspector.slots import make_ring
from edge.records import Outcome, Reason
from edge.tiles import Grid
from tests.support.engines import MARK, PAD, PITS, SOUND, Classifier, Segmenter
from tests.support.inspector import HEIGHT, WIDTH, equipment, station
from tests.support.records import TILE

FAR_US = 1 << 60


class Bench:
    """An examiner with one camera of which the test puts pictures into slots."""

    def __init__(self, **camera: Any) -> None:
        self.settings = station(**camera)
        self.classifier, self.segmenter = Classifier(8), Segmenter(8)
        self.equipment = equipment(self.settings, self.classifier, self.segmenter)
        self.ring = make_ring(Grid(HEIGHT, WIDTH, TILE), 1, PAD, 2)
        self.said: list[ToStation] = []
        self.examiner = Examiner(7, self.settings, self.equipment, {"cam1": self.ring}, self.said.append, lambda: False)
        self.calls_before = len(self.classifier.calls)
        self.frame_no = 0

    def put(self, value: int = SOUND, **marks: int) -> int:
        """Put a picture of one grey value into a slot; marks: grey value of the pixel at 5, 5 and of that beside."""
        self.frame_no += 1
        slot = self.ring.take(0)
        assert slot is not None
        image = np.full((HEIGHT, WIDTH), value, np.uint8)
        image[5, 5 : 5 + len(marks)] = list(marks.values())
        slot.canvas.write(image)
        slot.measures = measures_from_picture(slot.canvas.picture)
        slot.captured_us = SYSTEM_CLOCK.now_us()
        self.ring.hold(slot, 1, self.frame_no)
        return self.frame_no

    def examine(self, frame_no: int, deadline_us: int = FAR_US, recipe_hash: str | None = None) -> ViewResult:
        hash_ = self.equipment.active.hash if recipe_hash is None else recipe_hash
        self.examiner.examine(
            Inspect(
                part=frame_no, camera="cam1", open_no=1, frame_no=frame_no, deadline_us=deadline_us, recipe_hash=hash_
            )
        )
        result = self.said[-1] if isinstance(self.said[-1], ViewResult) else self.said[-2]
        assert isinstance(result, ViewResult)
        self.ring.release(1, frame_no)
        return result

    def classified(self) -> int:
        return len(self.classifier.calls) - self.calls_before


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_sound_picture_passes_and_says_what_it_measured(bench: Bench) -> None:
    """Outcome, brightness and sharpness of the picture, and an empty mask."""
    told = bench.examine(bench.put())
    assert (told.outcome, told.reason, told.brightness, told.sharpness) == (Outcome.PASS, None, float(SOUND), 0.0)
    assert told.mask is not None
    assert (told.open_no, told.frame_no, told.bundle_hash) == (1, 1, bench.equipment.bundle.hash)


def test_the_stages_are_told_as_they_begin(bench: Bench) -> None:
    """The station can name the stage that has the part when its time is over."""
    bench.examine(bench.put(mark=MARK, pits=PITS))
    stages = [(m.part, m.camera, m.stage) for m in bench.said if isinstance(m, Progress)]
    assert stages == [(1, "cam1", "classify"), (1, "cam1", "segment")]


def test_a_recipe_that_is_not_in_use_is_unknown(bench: Bench) -> None:
    """Nothing is inspected with another one in its place."""
    for recipe_hash in ("f" * 64, ""):
        told = bench.examine(bench.put(), recipe_hash=recipe_hash)
        assert (told.outcome, told.reason) == (Outcome.UNKNOWN, Reason.RECIPE)
    assert bench.classified() == 0


def test_parts_of_an_older_recipe_keep_it(bench: Bench) -> None:
    """After a switch, the part that was triggered before is judged by the values it was triggered under."""
    old = bench.equipment.active.hash
    new = bench.equipment.take_recipe(
        b'{"name": "r2", "author": "a", "classes": {"pits": {"max_count": 3, "min_area_px": 1}}}'
    ).hash
    bench.equipment.take_recipe(b'{"name": "r3", "author": "a", "classes": {"pits": {"min_area_px": 1}}}')
    assert old != new
    assert bench.examine(bench.put(mark=MARK, pits=PITS), recipe_hash=new).outcome is Outcome.PASS
    assert bench.examine(bench.put(mark=MARK, pits=PITS)).outcome is Outcome.REJECT


def test_a_frame_that_was_skipped_is_overload(bench: Bench) -> None:
    """It is told in its turn, with the stage that had it; the newer one is inspected."""
    skipped = bench.put()
    assert bench.ring.skip()
    newest = bench.put()
    told = bench.examine(skipped)
    assert (told.outcome, told.reason, told.stage) == (Outcome.UNKNOWN, Reason.OVERLOAD, "wait")
    assert "newer frame" in told.detail
    assert bench.examine(newest).outcome is Outcome.PASS


def test_a_frame_that_lies_in_no_slot_is_unknown(bench: Bench) -> None:
    """Also one whose slot holds no picture of it."""
    assert bench.examine(99).reason is Reason.ENGINE
    slot = bench.ring.take(0)
    assert slot is not None
    bench.ring.hold(slot, 1, 5)
    assert bench.examine(5).reason is Reason.ENGINE


def test_a_picture_outside_its_limits_meets_no_engine() -> None:
    """UNKNOWN(drift) with value and limit, before any call."""
    bench = Bench(drift={"brightness_low": 101})
    told = bench.examine(bench.put())
    assert (told.outcome, told.reason, told.brightness) == (Outcome.UNKNOWN, Reason.DRIFT, float(SOUND))
    assert "101" in told.detail
    assert bench.classified() == 0


def test_too_many_suspicious_frames_pass_no_more() -> None:
    """A sound frame is UNKNOWN(drift) while the share is above its limit; a reject stays one."""
    bench = Bench(drift={"suspicious_share": 0.01})
    for _ in range(2):
        assert bench.examine(bench.put(mark=MARK)).outcome is Outcome.PASS
    told = bench.examine(bench.put(mark=MARK))
    assert (told.outcome, told.reason) == (Outcome.UNKNOWN, Reason.DRIFT)
    assert bench.examine(bench.put()).reason is Reason.DRIFT
    rejecting = bench.equipment.take_recipe(b'{"name": "r", "author": "a", "classes": {"pits": {"min_area_px": 1}}}')
    assert bench.examine(bench.put(mark=MARK, pits=PITS), recipe_hash=rejecting.hash).outcome is Outcome.REJECT


def test_a_part_whose_time_is_over_costs_nothing(bench: Bench) -> None:
    """No call, no result; the station is told that somebody is there."""
    frame_no = bench.put()
    order = Inspect(
        part=1, camera="cam1", open_no=1, frame_no=frame_no, deadline_us=1, recipe_hash=bench.equipment.active.hash
    )
    bench.examiner.examine(order)
    assert bench.said == [Progress(inspector=7, part=1, camera="cam1", stage="wait")]
    assert bench.classified() == 0


def test_what_does_not_fit_into_the_time_is_overload(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the stage that lacked the time."""
    monkeypatch.setattr(bench.equipment.classifier, "rows_in", lambda left_us, n: 0)
    told = bench.examine(bench.put())
    assert (told.outcome, told.reason, told.stage) == (Outcome.UNKNOWN, Reason.OVERLOAD, "classify")
    assert told.timings_us["wait"] >= 0


def test_an_engine_that_fails_is_proven_before_the_next_part(bench: Bench) -> None:
    """UNKNOWN(engine), then a probe; when that cannot be believed either, the process ends."""
    bench.segmenter.poison = np.nan
    with pytest.raises(InferenceFailed, match="probe: scores"):
        bench.examine(bench.put(mark=MARK))
    told = bench.said[-1]
    assert isinstance(told, ViewResult)
    assert told.reason is Reason.ENGINE


def test_an_engine_that_fails_part_after_part_is_replaced(bench: Bench) -> None:
    """It stands the probe and fails on pictures: the third time in a row ends it; a good part between resets."""
    bench.segmenter.label_of_cracks = 3
    bad = {"mark": MARK, "cracks": 202}
    for _ in range(2):
        assert bench.examine(bench.put(**bad)).reason is Reason.ENGINE
    bench.examine(bench.put())
    for _ in range(2):
        bench.examine(bench.put(**bad))
    with pytest.raises(InferenceFailed, match="3 parts in a row"):
        bench.examine(bench.put(**bad))


def test_a_lost_device_is_not_asked_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """No probe, no further call: the process ends with it."""
    calls: list[int] = []

    def lost(n: int) -> Any:
        calls.append(n)
        raise DeviceLost("device 0: illegal address")

    monkeypatch.setattr(bench.classifier, "run", lost)
    with pytest.raises(DeviceLost):
        bench.examine(bench.put())
    assert len(calls) == 1


def test_other_equipment_begins_with_a_new_count() -> None:
    """What was suspicious to the old networks says nothing about the new ones."""
    bench = Bench(drift={"suspicious_share": 0.01})
    for _ in range(3):
        bench.examine(bench.put(mark=MARK))
    assert bench.examine(bench.put()).reason is Reason.DRIFT
    bench.examiner.use(equipment(bench.settings))
    assert bench.examine(bench.put()).outcome is Outcome.PASS
