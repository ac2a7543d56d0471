"""The archive's side in the inspector: takes what the engine thread offers and feeds the keeper, in nobody's way."""

from __future__ import annotations

import logging
import queue
import subprocess
import sys
import threading

from edge.archive import Gates, KeepReason, KeptPart, reason_to_keep
from edge.clock import SYSTEM_CLOCK, Clock
from edge.errors import ConfigurationError
from edge.inspector.keeper import KEPT, send_part
from edge.recipe import Recipes
from edge.records import Verdict
from edge.settings import ArchiveSettings

log = logging.getLogger("edge.archiver")

MOST_PARTS = 256
MOST_BYTES = 64_000_000
"""So much may wait for the disk; what is offered beyond it is dropped and counted."""

# A full queue and a keeper that ends again and again concern every part; the log must stay readable.
_SILENT_US = 60_000_000
_END_S = 10.0


class Archiver(threading.Thread):
    """
    Hands parts to the keeper's process. One thread offers; nothing it calls blocks or raises.

    The thread has the normal priority: it only moves bytes, and the interpreter lock must not lie with a slow one.

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
        self._settings = settings
        self._gates = gates
        self._station = station
        self._clock = clock
        self._queue: queue.SimpleQueue[KeptPart | None] = queue.SimpleQueue()
        self._keeper: subprocess.Popen[bytes] | None = None
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
        self._start_keeper()
        while (part := self._queue.get()) is not None:
            self._hand_over(part)
            if self._refused > self._told_refused:
                self._tell("more parts come than the disk takes")
        self._end_keeper()

    def _hand_over(self, part: KeptPart) -> None:
        """Give the part to the keeper and wait for its answer: what waits, waits here, where it is counted."""
        if self._keeper is None:
            self._start_keeper()
        kept = self._keeper is not None and self._kept(self._keeper, part)
        self.kept += kept
        self._failed += not kept
        self._done += 1
        self._done_bytes += part.held_bytes

    def _kept(self, keeper: subprocess.Popen[bytes], part: KeptPart) -> bool:
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        try:
            send_part(keeper.stdin, part)
            answer = keeper.stdout.read(1)
        except OSError:
            answer = b""
        if not answer:
            self._tell("the process that writes has ended; it is started again with the next part")
            self._end_keeper()
        return answer == KEPT

    def _start_keeper(self) -> None:
        # Isolated: a module in the working directory must not stand in for one of the library's.
        command = [sys.executable, "-I", "-m", "edge.inspector.keeper", self._settings.model_dump_json(), self._station]
        try:
            self._keeper = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as error:
            self._tell(f"the process that writes cannot be started ({error})")

    def _end_keeper(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        try:
            keeper.communicate(timeout=_END_S)
        except subprocess.TimeoutExpired:
            keeper.kill()  # A disk that hangs; the part is whole or not there.
            keeper.communicate()

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
