"""The real examiner and cascade on engines that return what is no number: what the simulated inspector says then."""

from __future__ import annotations

import functools
from typing import Literal

import numpy as np

from edge.inspector.drift import measures_from_picture
from edge.inspector.examiner import Examiner
from edge.inspector.link import Inspect, ToStation, ViewResult
from edge.inspector.slots import make_ring
from edge.records import Outcome, Reason
from edge.tiles import Grid
from tests.support.engines import MARK, PAD, SOUND, Classifier, Segmenter
from tests.support.inspector import HEIGHT, WIDTH, equipment, station
from tests.support.records import TILE

Where = Literal["scores", "health"]

_FAR_US = 1 << 60


class Poisoned:
    """One sound picture with one tile over the gate: both networks see it, and without poison it passes."""

    def __init__(self) -> None:
        settings = station()
        self._classifier, self._segmenter = Classifier(8), Segmenter(8)
        made = equipment(settings, self._classifier, self._segmenter)
        ring = make_ring(Grid(HEIGHT, WIDTH, TILE), 1, PAD, 1)
        slot = ring.take(0)
        assert slot is not None
        image = np.full((HEIGHT, WIDTH), SOUND, np.uint8)
        image[5, 5] = MARK
        slot.canvas.write(image)
        slot.measures = measures_from_picture(slot.canvas.picture)
        ring.hold(slot, 1, 1)
        self._examiner = Examiner(1, settings, made, {"cam1": ring}, self._heard, lambda: False)
        self._order = Inspect(
            part=1, camera="cam1", open_no=1, frame_no=1, deadline_us=_FAR_US, recipe_hash=made.active.hash
        )
        self._result: ViewResult | None = None

    def judged(self, where: Where | None, value: float) -> tuple[Outcome, Reason | None]:
        """Return what is concluded when one number of the answers is *value*; where: None = of none."""
        self._classifier.poison = value if where == "scores" else None
        self._segmenter.poison = value if where == "health" else None
        outcome_and_reason = self._examined()
        self._examined()  # Parts that fail in a row end the process, which is another story.
        return outcome_and_reason

    def _examined(self) -> tuple[Outcome, Reason | None]:
        self._examiner.examine(self._order)
        assert self._result is not None
        return self._result.outcome, self._result.reason

    def _heard(self, message: ToStation) -> None:
        if isinstance(message, ViewResult):
            self._result = message
            # Once only: so do engines that do not stand the probe after it.
            self._classifier.poison = self._segmenter.poison = None


@functools.cache
def poisoned() -> Poisoned:
    """Return the one of this process: nothing of a call is left to the next."""
    return Poisoned()
