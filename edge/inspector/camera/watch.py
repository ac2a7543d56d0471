"""Tells at once which files of a folder are finished; the one place that knows watchdog."""

from __future__ import annotations

import errno
import logging
import os
import queue
import threading
from dataclasses import dataclass
from pathlib import Path

from watchdog.events import FileClosedEvent, FileCreatedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyEmitter
from watchdog.observers.inotify_c import InotifyConstants

from edge.clock import SYSTEM_CLOCK
from edge.errors import CameraError
from edge.inspector.camera.files import Identity, identity_of, is_picture

MOST_NOTES = 4096
"""Finished files that may wait to be looked at. Further ones are found when the folder is gone through."""

# Where watchdog says that the kernel did not tell all; 6 does not say so.
_WATCHDOG_LOG = logging.getLogger("watchdog.observers.inotify_c")
# What its threads hang in, a drive that answers no more, ends with the process.
_STOP_S = 2.0

_LIMITS = {
    errno.ENOSPC: "all inotify watches of this user are taken; raise fs.inotify.max_user_watches",
    errno.EMFILE: "all inotify instances of this user are taken; raise fs.inotify.max_user_instances",
}


@dataclass(frozen=True)
class Note:
    """A file that was closed by who wrote it, or was renamed into the folder."""

    name: str
    at_us: int
    """Monotonic."""
    identity: Identity | None
    """As it was then; None = it was gone already."""


class FolderWatch:
    """
    Notes which files of one folder are finished, on a thread of its own.

    What the system does not tell (a file on a network drive, more changes at once than it keeps) is not noted.

    Attributes:
        notes: in the order in which they came.
        overflowed: some were not noted, since too many waited.
    """

    def __init__(self) -> None:
        self.notes: queue.SimpleQueue[Note] = queue.SimpleQueue()
        self.overflowed = False
        self._observer: BaseObserver | None = None

    def start(self, folder: Path) -> None:
        """
        Begin to watch.

        Raises:
            CameraError: the system refuses; says which limit.
        """
        observer = BaseObserver(_FinishedFiles)
        try:
            observer.schedule(_Notes(self), str(folder), event_filter=[FileClosedEvent, FileCreatedEvent])
            observer.start()
        except OSError as error:
            why = _LIMITS.get(error.errno or 0, error.strerror or str(error))
            raise CameraError(f"folder: {folder} cannot be watched: {why}") from error
        self._observer = observer
        _WATCHDOG_LOG.addFilter(self._overhear)

    @property
    def alive(self) -> bool:
        """False: the folder that was watched is no more, also if there is another one in its place; or not started."""
        emitters = set() if self._observer is None else self._observer.emitters
        return bool(emitters) and all(each.should_keep_running() and each.is_alive() for each in emitters)

    def stop(self) -> None:
        """End the threads, or leave them alone when they hang; notes that wait stay."""
        _WATCHDOG_LOG.removeFilter(self._overhear)
        if self._observer is not None:
            # Also to tell them to stop waits for them.
            end = threading.Thread(target=_end, args=(self._observer,), name="folder-watch-end", daemon=True)
            end.start()
            end.join(_STOP_S)
            self._observer = None

    def note(self, path: Path) -> None:
        """Take note of a finished file; for the thread that watches."""
        if self.notes.qsize() >= MOST_NOTES:
            self.overflowed = True
        else:
            self.notes.put(Note(path.name, SYSTEM_CLOCK.now_us(), identity_of(path)))

    def _overhear(self, record: logging.LogRecord) -> bool:
        self.overflowed |= "overflow" in record.getMessage()
        return True


def _end(observer: BaseObserver) -> None:
    observer.stop()
    observer.join()


class _FinishedFiles(InotifyEmitter):
    """
    Asks for two events alone: closed after writing, and renamed into the folder, which watchdog reports as created.

    With its own mask "created" would also be a file that is still empty, and after each file that somebody moves out of
    the folder watchdog would hold back everything for half a second, in case it comes in again.
    """

    def get_event_mask_from_filter(self) -> int:  # type: ignore[override]  # a NewType of int since watchdog 7
        constants = InotifyConstants
        return constants.IN_CLOSE_WRITE | constants.IN_MOVED_TO | constants.IN_DELETE_SELF


class _Notes(FileSystemEventHandler):
    def __init__(self, watch: FolderWatch) -> None:
        self._watch = watch

    def dispatch(self, event: FileSystemEvent) -> None:
        path = Path(os.fsdecode(event.src_path))
        if not event.is_directory and is_picture(path.name):
            self._watch.note(path)
