"""What of a part is handed to the archive: copies, made only of parts that are to be kept."""

from __future__ import annotations

from collections.abc import Mapping

from edge.archive import KeptPart, KeptView
from edge.inspector.archiver import Archiver, gates_from_recipes
from edge.inspector.slots import Slot
from edge.recipe import Recipes
from edge.settings import Station
from edge.wire import verdict_from_header

# The station sees an inspector off within a second.
_WRITE_S = 0.3


class Shelf:
    """The engine thread's end of the archive. Never blocks."""

    def __init__(self, archiver: Archiver) -> None:
        self._archiver = archiver

    def keep(self, record: bytes, slots: Mapping[str, Slot]) -> None:
        """
        Hand a part over if it is one to keep.

        Args:
            record: its verdict as JSON.
            slots: by camera, where its pictures lie; copied here, since the slots are freed next.

        Raises:
            WireError: *record* is no verdict.
        """
        reason = self._archiver.wants(verdict_from_header(record))
        if reason is not None:
            self._archiver.offer(KeptPart(reason, record, tuple(_copied(name, slot) for name, slot in slots.items())))

    def use(self, recipes: Recipes) -> None:
        """Choose near misses by another recipe's gates."""
        self._archiver.use(gates_from_recipes(recipes))

    def stop(self) -> None:
        """Let the archive write what waits, for a moment; then it ends with the process, without half files."""
        self._archiver.stop()
        self._archiver.join(_WRITE_S)


def open_shelf(station: Station, recipes: Recipes) -> Shelf | None:
    """Start the archive's thread; None when the station keeps nothing."""
    if station.archive.path is None:
        return None
    archiver = Archiver(station.archive, gates_from_recipes(recipes), station.station)
    archiver.start()
    return Shelf(archiver)


def _copied(camera: str, slot: Slot) -> KeptView:
    return KeptView(camera, slot.canvas.picture.copy(), slot.encoding, slot.mask)
