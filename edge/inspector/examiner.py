"""One view, from the station's order to its result: what can go wrong with it becomes UNKNOWN, never PASS."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edge.clock import SYSTEM_CLOCK
from edge.errors import DeviceLost, InferenceFailed
from edge.inspector.cascade import DeadlinePassed, Inspection, Overload
from edge.inspector.drift import DriftGuard, Measures
from edge.inspector.equipment import Equipment
from edge.inspector.link import Inspect, Progress, ToStation, ViewResult
from edge.inspector.results import Origin, doubted, result_from_inspection, unknown_result
from edge.inspector.slots import Ring, Slot
from edge.records import Reason
from edge.rules import Recipe
from edge.settings import Station

# An engine that stands the probe and still fails part after part is not believed either.
_FAILURES_IN_A_ROW = 3


class Examiner:
    """
    The engine thread's work on parts.

    Args:
        inspector: number of this process.
        rings: by camera, where the frames wait.
        say: tells the station.
        waits: is there another part to inspect?

    Attributes:
        equipment: what is inspected with; exchanged between two parts.
    """

    def __init__(
        self,
        inspector: int,
        station: Station,
        equipment: Equipment,
        rings: Mapping[str, Ring],
        say: Callable[[ToStation], None],
        waits: Callable[[], bool],
    ) -> None:
        self._inspector = inspector
        self._station = station
        self._rings = rings
        self._say = say
        self._waits = waits
        self._failures = 0
        self._guards: dict[str, DriftGuard] = {}
        self.use(equipment)

    def use(self, equipment: Equipment) -> None:
        """Inspect with other equipment from the next part on: what is suspicious to it is counted anew."""
        self.equipment = equipment
        self._origin = Origin(self._inspector, equipment.bundle.hash)
        self._guards = {camera.name: DriftGuard(camera.drift) for camera in self._station.cameras}

    def examine(self, order: Inspect) -> None:
        """
        Inspect one view and tell the station what was found.

        Raises:
            DeviceLost: the engines must not be asked again.
            InferenceFailed: they fail part after part, or do not stand the probe after a failure.
        """
        ring = self._rings[order.camera]
        slot = ring.begin(order.open_no, order.frame_no)
        recipe = self.equipment.recipe(order.recipe_hash, order.camera)
        result: ViewResult | None
        if slot is None and ring.was_skipped(order.open_no, order.frame_no):
            text = "skipped: a newer frame came, and all slots were taken"
            result = self._unknown(order, Reason.OVERLOAD, text, stage="wait")
        elif slot is None or slot.measures is None:
            result = self._unknown(order, Reason.ENGINE, f"frame {order.frame_no} lies in no slot")
        elif recipe is None:
            text = f"recipe {order.recipe_hash[:12] or 'of no name'} is not, or no longer, in use here"
            result = self._unknown(order, Reason.RECIPE, text, slot)
        else:
            result = self._judged(order, slot, slot.measures, recipe)
        if result is None:
            # The station has answered it by itself; it wants a sign of life all the same.
            self._progress(order, "wait")
        else:
            self._say(result)
            self._count_failures(result)

    def probe(self) -> None:
        """
        Prove the engines while no part comes.

        Raises:
            InferenceFailed: what comes back cannot be believed; this process ends and a new one is started.
        """
        self.equipment.probe()
        self.tell_alive()

    def tell_alive(self) -> None:
        """Tell the station that the engines have answered, of no part."""
        self._say(Progress(inspector=self._inspector, part=None, camera="", stage="probe"))

    def _judged(self, order: Inspect, slot: Slot, measures: Measures, recipe: Recipe) -> ViewResult | None:
        """Return the result of a view that has a picture and a recipe; None when its deadline had passed."""
        wait_us = SYSTEM_CLOCK.now_us() - slot.captured_us
        guard = self._guards[order.camera]
        fault = guard.fault_of_picture(measures)
        if fault is not None:
            return self._unknown(order, Reason.DRIFT, fault, slot, wait_us)
        try:
            found = self._inspected(order, slot, recipe)
        except DeadlinePassed:
            return None
        except Overload as error:
            return self._unknown(order, Reason.OVERLOAD, str(error), slot, wait_us, error.stage)
        except DeviceLost:
            raise
        except InferenceFailed as error:
            return self._unknown(order, Reason.ENGINE, str(error), slot, wait_us)
        guard.note(found.suspicious)
        limit = self._station.max_mask_bytes
        result = result_from_inspection(self._origin, order, slot, found, wait_us, limit)
        drifted = guard.fault_of_share()
        return result if drifted is None else doubted(result, Reason.DRIFT, drifted)

    def _inspected(self, order: Inspect, slot: Slot, recipe: Recipe) -> Inspection:
        return self.equipment.cascades[order.camera].inspect(
            slot.canvas, recipe, order.deadline_us, lambda stage: self._progress(order, stage), self._waits
        )

    def _unknown(
        self,
        order: Inspect,
        reason: Reason,
        detail: str,
        slot: Slot | None = None,
        wait_us: int = 0,
        stage: str | None = None,
    ) -> ViewResult:
        return unknown_result(self._origin, order, reason, detail, slot, wait_us, stage)

    def _progress(self, order: Inspect, stage: str) -> None:
        self._say(Progress(inspector=self._inspector, part=order.part, camera=order.camera, stage=stage))

    def _count_failures(self, result: ViewResult) -> None:
        """After a failed inference, prove the engines before the next part."""
        if result.reason is not Reason.ENGINE:
            self._failures = 0
            return
        self._failures += 1
        if self._failures >= _FAILURES_IN_A_ROW:
            raise InferenceFailed(f"{self._failures} parts in a row failed, the last one: {result.detail}")
        self.probe()
