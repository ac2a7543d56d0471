"""The self-test: the reference frames through the engines in use, in short steps, so that parts go first."""

from __future__ import annotations

from collections.abc import Iterator

from edge.clock import SYSTEM_CLOCK, Clock
from edge.errors import BundleError, DeviceLost
from edge.inspector.equipment import Equipment
from edge.inspector.golden import inspect_answers, inspect_reference, references_of
from edge.inspector.link import SelfTested
from edge.inspector.report import FrameTrial
from edge.records import Outcome

# A line without gaps would never let a self-test end, nor tell that its engines have gone blind.
_LONGEST_PAUSE_US = 1_000_000


class SelfTestRun:
    """One run over all reference frames, under every camera's values of the recipe that is active when it begins."""

    def __init__(self, inspector: int, equipment: Equipment, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._stepped_us = clock.now_us()
        self._inspector = inspector
        self._equipment = equipment
        self._recipes = equipment.active_recipes
        self._frames: list[FrameTrial] = []
        self._steps = self._judgements()

    @property
    def overdue(self) -> bool:
        """The last step is a second ago: the next comes before any part."""
        return self._clock.now_us() - self._stepped_us >= _LONGEST_PAUSE_US

    def step(self) -> SelfTested | None:
        """
        Do the next step: at most one frame through the engines. Return the result after the last one.

        Raises:
            DeviceLost: the engines must not be asked again.
        """
        try:
            done = next(self._steps, None) is None
        except DeviceLost:
            raise
        except BundleError as error:
            return self._result(str(error))
        self._stepped_us = self._clock.now_us()
        return self._result(self._fault()) if done else None

    def _judgements(self) -> Iterator[str]:
        """Judge frame by frame; give the names of what was done, to be interrupted there."""
        equipment = self._equipment
        manifest, engines = equipment.manifest, (equipment.classifier, equipment.segmenter)
        for reference in references_of(equipment.bundle):
            yield "decoded"
            for asked, working in self._recipes:
                expected = inspect_answers(manifest, reference, asked).outcome
                yield "answers"
                found = inspect_reference(manifest, reference, working, *engines).outcome
                trial = FrameTrial(name=reference.name, expected=expected, found=found, guarded=asked != working)
                self._frames.append(trial)
                yield "engines"

    def _fault(self) -> str:
        wrong = [frame for frame in self._frames if not frame.agrees]
        if wrong:
            found = ", ".join(f"'{frame.name}' {frame.found.value} for {frame.expected.value}" for frame in wrong)
            return f"{found}; restart the station, or go back to the last bundle"
        sound = [frame for frame in self._frames if frame.expected is Outcome.PASS]
        if sound and all(frame.found is Outcome.REJECT for frame in sound):
            return "every sound reference frame is rejected; build the engines anew, or use another precision"
        return "" if self._frames else "the bundle has no reference frames"

    def _result(self, fault: str) -> SelfTested:
        banded = sum(frame.expected is not frame.found for frame in self._frames)
        price = f", {banded} of them rejected by the guard band alone" if banded else ""
        good = f"{len(self._frames)} reference frames judged as by PyTorch{price}"
        text = f"self-test failed: {fault}" if fault else good
        return SelfTested(inspector=self._inspector, passed=not fault, text=text)
