"""The archive's thread in the inspector: takes what the engine thread offers, and is never in its way."""

from __future__ import annotations

import logging
import os
import queue
import threading

from edge.archive import ArchiveWriter, Gates, KeepReason, KeptPart, Stock, reason_to_keep
from edge.clock import SYSTEM_CLOCK, Clock
from edge.errors import ConfigurationError, EdgeError
from edge.recipe import Recipes
from edge.records import Verdict
from edge.settings import ArchiveSettings

log = logging.getLogger("edge.archiver")

MOST_PARTS = 256
MOST_BYTES = 64_000_000
"""So much may wait for the disk; what is offered beyond it is dropped and counted."""

_NICE = 19
_IDLE_S = 1.0
# A full disk fails every part; the log must not fill it further.
_SILENT_US = 60_000_000
# Removing a month at once would keep new parts waiting; with each part written more may go than come.
_BITE = 4


class Archiver(threading.Thread):
    """
    Writes parts and removes old ones, at the lowest priority. One thread offers; nothing it calls blocks or raises.

    Args:
        settings: with a path.
        gates: of the recipe in use; exchange them by use().
        station: named in the log.

    Attributes:
        kept: parts written.

    Raises:
        ConfigurationError: the settings have no path.
    """

    def __init__(self, settings: ArchiveSettings, gates: Gates, station: str, clock: Clock = SYSTEM_CLOCK) -> None:
        super().__init__(name="archiver", daemon=True)
        if settings.path is None:
            raise ConfigurationError("key 'archive.path' is not set; an archiver needs a folder")
        self._root = settings.path
        self._settings = settings
        self._gates = gates
        self._station = station
        self._clock = clock
        self._queue: queue.SimpleQueue[KeptPart | None] = queue.SimpleQueue()
        self._writer: ArchiveWriter | None = None
        self._stock = self._new_stock()
        # Each number has one thread that changes it, so that no lock is needed: first those of the offering one.
        self._offered = self._offered_bytes = self._refused = 0
        self._done = self._done_bytes = self._failed = self.kept = 0
        self._told_refused = 0
        self._told_us: int | None = None

    # ---- the engine thread's side ----------------------------------------------------------------------------

    @property
    def dropped(self) -> int:
        """Parts that should have been kept and were not: the queue was full, or the disk refused."""
        return self._refused + self._failed

    def use(self, gates: Gates) -> None:
        """Choose near misses by these gates from now on: another recipe is active."""
        self._gates = gates

    def wants(self, verdict: Verdict) -> KeepReason | None:
        """Return why this part should be kept, None when it should not; equal positions are drawn alike."""
        return reason_to_keep(verdict, self._gates, self._settings.near_miss, self._settings.pass_share)

    def offer(self, part: KeptPart) -> bool:
        """
        Hand a part over; False when too many wait already: it is dropped and counted.

        Args:
            part: its pictures are copies that nobody writes to any more.
        """
        waiting, waiting_bytes = self._offered - self._done, self._offered_bytes - self._done_bytes
        # A part larger than the bound is taken when nothing else waits: it would never be kept otherwise.
        if waiting and (waiting >= MOST_PARTS or waiting_bytes + part.held_bytes > MOST_BYTES):
            self._refused += 1
            return False
        self._offered += 1
        self._offered_bytes += part.held_bytes
        self._queue.put(part)
        return True

    def stop(self) -> None:
        """End when all that was offered before is written; join() tells when."""
        self._queue.put(None)

    # ---- the archiver's own thread ---------------------------------------------------------------------------

    def run(self) -> None:
        # On Linux a thread has a priority of its own.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        self.tend()
        while self.step(_IDLE_S):
            pass
        if self._writer is not None:
            self._writer.close()

    def step(self, timeout_s: float) -> bool:
        """Write one part if one comes in time, remove a few old ones; False when told to stop."""
        try:
            part = self._queue.get(timeout=timeout_s)
        except queue.Empty:
            self.tend()
            return True
        if part is None:
            return False
        self._keep(part)
        self.tend()
        return True

    def tend(self) -> None:
        """Open the archive if it is not, which removes what a kill left half done, and remove a few old parts."""
        try:
            self._trim(self._opened())
        except (EdgeError, OSError) as error:
            self._tell(f"{error}")
        if self._refused > self._told_refused:
            self._tell("more parts come than the disk takes")

    def _keep(self, part: KeptPart) -> None:
        try:
            # Two statements: opening it begins a new stock.
            written = self._opened().write(part)
            self._stock.add(written)
            self.kept += 1
        except (EdgeError, OSError) as error:
            self._failed += 1
            self._tell(f"{error}")
        self._done += 1
        self._done_bytes += part.held_bytes

    def _opened(self) -> ArchiveWriter:
        """Return the open archive: a disk that was unmounted or emptied meanwhile is begun anew."""
        if self._writer is not None and not self._writer.in_place:
            self._writer.close()
            self._writer = None
        if self._writer is None:
            self._writer = self._begun()
        return self._writer

    def _begun(self) -> ArchiveWriter:
        writer = ArchiveWriter(self._root)
        self._stock = self._new_stock()
        try:
            for part in writer.stocked():
                self._stock.add(part)
        except OSError:
            writer.close()  # Its lock would keep the next attempt out.
            raise
        return writer

    def _new_stock(self) -> Stock:
        return Stock(self._settings.keep_mb * 1_000_000, self._settings.keep_days)

    def _trim(self, writer: ArchiveWriter) -> None:
        for _ in range(_BITE):
            surplus = self._stock.surplus(self._clock.utc_us())
            if surplus is None:
                return
            writer.remove(surplus)
            self._stock.drop(surplus)

    def _tell(self, what: str) -> None:
        now_us = self._clock.now_us()
        if self._told_us is None or now_us - self._told_us >= _SILENT_US:
            self._told_refused, self._told_us = self._refused, now_us
            log.warning("archive of %s: %s; parts dropped so far: %d", self._station, what, self.dropped)


def gates_from_recipes(recipes: Recipes) -> Gates:
    """Return the gates of every camera and class."""
    return {
        camera: {limits.name: limits.gate for limits in recipe.classes} for camera, recipe in recipes.by_camera.items()
    }
