"""Gets another bundle ready beside the one in use: the line goes on meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from edge.errors import BundleError, EdgeError
from edge.inspector.equipment import Equipment, OpenEngine, Start, open_equipment, refuse_other_bundle
from edge.inspector.link import TakeBundle
from edge.settings import Station
from edge.trust import read_bundle_of
from engines.contract import Manifest


class Loader(threading.Thread):
    """
    Opens, proves and warms up one bundle, then ends.

    Args:
        present: the manifest in use; its canvases wait in the slots.
        done: given the equipment, or why there is none.
    """

    def __init__(
        self,
        station: Station,
        order: TakeBundle,
        present: Manifest,
        open_engine: OpenEngine,
        done: Callable[[Equipment | EdgeError], None],
    ) -> None:
        super().__init__(name="loader", daemon=True)
        self._station = station
        self._order = order
        self._present = present
        self._open_engine = open_engine
        self._done = done

    def run(self) -> None:
        try:
            word: Equipment | EdgeError = self._equipment()
        except EdgeError as error:
            word = error
        # A vendor's code on files from outside may raise anything; the line beside it inspects well, and must go on.
        except Exception as error:  # noqa: BLE001
            word = BundleError(f"{self._order.path}: {type(error).__name__}: {error}; the bundle cannot be used here")
        self._done(word)

    def _equipment(self) -> Equipment:
        bundle = read_bundle_of(self._station, Path(self._order.path), self._order.releases)
        refuse_other_bundle(bundle, self._order.bundle_hash)
        refuse_other_canvas(self._present, bundle.manifest)
        return open_equipment(self._station, bundle, self._order.recipe, self._open_engine, Start())


def refuse_other_canvas(present: Manifest, wanted: Manifest) -> None:
    """
    Refuse a bundle for pictures that the cameras and slots in use cannot hold.

    Raises:
        BundleError: names what differs, and both values.
    """
    for what, old, new in (
        ("format", present.format, wanted.format),
        ("pad value", present.pad_value, wanted.pad_value),
        ("tile", present.tile, wanted.tile),
    ):
        if old != new:
            raise BundleError(
                f"bundle '{wanted.name}' {wanted.version}: {what} is {new}, the running one's is {old}: it cannot be "
                "exchanged while the line runs; name it in the settings and restart the station"
            )
