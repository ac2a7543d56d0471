"""A folder that another program writes pictures into: each file is a part, from the moment it is finished."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edge.clock import SYSTEM_CLOCK, Clock
from edge.errors import CameraError
from edge.inspector.camera import Actual, Frame, Unusable, fault_of_format
from edge.inspector.camera.files import Content, Identity, content_of, identity_of, printable, tag_from_name
from edge.inspector.camera.mark import Mark, point_of
from edge.inspector.camera.replay import converted
from edge.inspector.camera.spool import Entry, Fate, Spool
from edge.inspector.camera.watch import FolderWatch
from edge.inspector.camera.writers import is_local, is_written
from edge.records import Reason
from edge.settings import FolderSource
from engines.contract import PixelFormat

# A folder without a new file is no fault: so often a waiting read returns.
_WAIT_US = 200_000
# No part is taken meanwhile; more is told, once in each open.
_LONG_LOOK_US = 100_000
_MISSED = "came while nobody watched the folder"

log = logging.getLogger("edge.inspector.folder")


@dataclass(frozen=True)
class _Taken:
    """The file of the last part; it is put away when the next one is asked for, since its picture is copied by then."""

    path: Path
    identity: Identity
    inspected: bool


class FolderCamera:
    """
    Files are parts in the order in which they came. They have no number of their own: we count.

    Args:
        from_arrival: a part's time is when its file came; False = when it is read, however long it lay there.
        resumed: another process of this run had it open before.
    """

    def __init__(
        self,
        source: FolderSource,
        format_: PixelFormat,
        *,
        convert: bool,
        from_arrival: bool,
        resumed: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._source = source
        self._format = format_
        self._convert = convert
        self._from_arrival = from_arrival
        self._resumed = resumed
        self._clock = clock
        self._watch = FolderWatch()
        # Outlives a close: what was taken already is no new part when the folder comes back.
        self._spool: Spool | None = None
        self._last: _Taken | None = None
        self._mark: Mark | None = None
        if source.afterwards == "keep" and source.existing == "ignore":
            self._mark = Mark(source.path, source.pattern)
        self._tells = False
        self._warned = False
        self._place: tuple[int, int] | None = None
        self._next = 1

    def open(self, resume_from: int) -> Actual:
        self._next = max(resume_from, 1)
        with _told(self._source.path):
            self._place = _place(self._source.path)
            self._tells = is_local(self._source.path)
            if self._source.afterwards != "keep":
                self._make_done()
        self._put_away()
        self._watch = FolderWatch()
        self._warned = False
        # Before the folder is gone through: nothing comes unseen in between.
        self._watch.start(self._source.path)
        try:
            said = self._begun(self._resumed or resume_from > 1)
        except CameraError:
            self.close()
            raise
        return Actual(
            numbered=False,
            triggerable=False,
            counts=False,
            format=self._format,
            description=f"folder {self._source.path}, {said}",
        )

    def read(self) -> Frame | Unusable | None:
        if self._spool is None or self._place is None:
            raise CameraError(f"folder: {self._source.path}: read before open")
        self._put_away()
        until_us = self._clock.now_us() + _WAIT_US
        while (now_us := self._clock.now_us()) < until_us:
            self._require_folder()
            self._note(self._spool, now_us)
            entry = self._spool.next(now_us)
            if entry is None:
                self._wait(self._spool, min(until_us, self._spool.next_us()) - now_us)
                continue
            taken = self._tried(self._spool, entry)
            if taken is not None:
                self._next += 1
                return taken
        return None

    def close(self) -> None:
        self._watch.stop()
        self._place = None
        # If it cannot be put away, the next open says so.
        with contextlib.suppress(CameraError):
            self._put_away()
        if self._mark is not None:
            self._mark.close()

    # ---- what comes ------------------------------------------------------------------------------------------

    def _begun(self, resumed: bool) -> str:
        """Take in what lies there already; return what becomes of it, for people."""
        now_us = self._clock.now_us()
        if self._spool is not None:
            self._spool.look_at_us, self._spool.deaf, self._spool.tells = now_us, True, self._tells
            if self._mark is not None:
                self._mark.open(self._mark.read() or (0, 0))
            return "watched again"
        self._spool = spool = Spool(self._source, now_us)
        spool.tells = self._tells
        with _told(self._source.path):
            if self._source.existing == "inspect":
                return f"{spool.look(now_us)} pictures lie there already"
            if self._mark is not None:
                return self._begun_to_keep(spool, self._mark, resumed, now_us)
            if not resumed:
                return f"{spool.look(now_us, Fate.IGNORE)} pictures that lie there are moved away"
            # This run has watched it before: what lies there came while there was no process to see it.
            return f"{spool.look(now_us, Fate.REFUSE, _MISSED)} pictures came while nobody watched"

    def _begun_to_keep(self, spool: Spool, mark: Mark, resumed: bool, now_us: int) -> str:
        """As _begun(), where old pictures lie among those that came while there was no process to see it."""
        last = mark.read() if resumed else None
        if last is not None:
            mark.open(last)
            old, _ = spool.take(last)
            missed = spool.look(now_us, Fate.REFUSE, _MISSED)
            return f"{missed} pictures came while nobody watched, {old} that lie there are left alone"
        old, newest = spool.take()
        marked = mark.open(newest)
        spool.looked(now_us)
        said = f"{old} pictures that lie there are left alone"
        if resumed:
            said += "; which of them came while nobody watched is not known"
        return said if marked else f"{said}; it cannot be written: what comes while nobody watches will not be noticed"

    def _note(self, spool: Spool, now_us: int) -> None:
        """Take note of what was told, and go through the folder when it is time."""
        while spool.has_room:
            try:
                spool.tell(self._watch.notes.get_nowait())
            except queue.Empty:
                if self._watch.overflowed:
                    self._watch.overflowed, spool.look_at_us, spool.deaf = False, now_us, True
                break
        if spool.shall_look(now_us):
            with _told(self._source.path):
                spool.look(now_us)
            self._warn_of_long_look(self._clock.now_us() - now_us)

    def _warn_of_long_look(self, took_us: int) -> None:
        if took_us > _LONG_LOOK_US and not self._warned:
            self._warned = True
            log.warning(
                "folder: %s: going through it took %.1f s, and will each %d ms: too many files lie there; use "
                'afterwards = "move", or clear it away',
                self._source.path,
                took_us / 1e6,
                self._source.rescan_ms,
            )

    def _wait(self, spool: Spool, wait_us: int) -> None:
        try:
            spool.tell(self._watch.notes.get(timeout=max(wait_us, 1000) / 1e6))
        except queue.Empty:
            return

    def _require_folder(self) -> None:
        with _told(self._source.path):
            # A new folder may have the old one's inode.
            if _place(self._source.path) != self._place or not self._watch.alive:
                raise CameraError(f"folder: {self._source.path} is another one than before; will be opened again")

    # ---- what becomes of it ----------------------------------------------------------------------------------

    def _tried(self, spool: Spool, entry: Entry) -> Frame | Unusable | None:
        """Return the part of a file, None when it is none, or is not finished."""
        path = self._source.path / entry.name
        identity = identity_of(path)
        if identity is not None and not entry.told and self._tells and is_written(path):
            # It is told when it is closed; until then it is no part, whatever was to become of it.
            entry.fate = Fate.INSPECT
            spool.settle(entry, identity, self._clock.now_us())
            return None
        if entry.fate is Fate.REFUSE:
            return self._refused(spool, entry, path, identity if identity == entry.identity else None)
        if identity is None:
            return self._gone(spool, entry)
        if entry.fate is Fate.INSPECT and entry.overwritten_by(identity):
            return self._refused(spool, entry, path, None)
        if not entry.told and identity != entry.identity:
            entry.fate = Fate.INSPECT  # If it was to be ignored: it was not finished then.
            spool.settle(entry, identity, self._clock.now_us())
            return None
        if entry.fate is Fate.INSPECT and not spool.knows(identity):
            return self._read(spool, entry, path, identity)
        if identity == entry.identity:
            self._last = _Taken(path, identity, inspected=False)
            self._put_away()
        return None

    def _gone(self, spool: Spool, entry: Entry) -> Unusable | None:
        """Answer a part whose file somebody took. One that was not finished is none, nor is one of another name now."""
        if entry.fate is not Fate.INSPECT:
            return None
        if not entry.told:
            with _told(self._source.path):
                if not entry.unheard or entry.identity is None or spool.lies_elsewhere(entry.identity):
                    return None
        return self._unusable(entry, "was gone before it could be read; nobody else may take files from this folder")

    def _read(self, spool: Spool, entry: Entry, path: Path, identity: Identity) -> Frame | Unusable | None:
        content = content_of(path)
        image, doubt = content.picture, self._doubt(entry, path, content)
        now_us = self._clock.now_us()
        if identity_of(path) != identity:
            spool.settle(entry, identity, now_us)
            return None
        if doubt and now_us < entry.give_up_us:
            spool.put_back(entry, identity, entry.give_up_us)
            return None
        if image is None or doubt:
            return self._refused(spool, entry, path, identity, doubt)
        picture = converted(image, self._format) if self._convert else image
        misfit = fault_of_format(picture, self._format)
        spool.took(entry, identity)
        self._last = _Taken(path, identity, inspected=misfit is None)
        if misfit is not None:
            return self._unusable(entry, misfit, Reason.GEOMETRY, picture)
        name = printable(entry.name)
        return Frame(picture, self._next, self._time_of(entry), name, self._tag(entry))

    def _doubt(self, entry: Entry, path: Path, content: Content) -> str:
        """Return why the file may not be finished, empty when it is."""
        if content.picture is None:
            return f"holds no whole picture {self._source.complete_ms} ms after it came; look at who writes it"
        if entry.told and not content.doubtful:
            return ""
        written = is_written(path) if self._tells else None
        if written:
            return f"is still open for writing {self._source.complete_ms} ms after it came; look at who writes it"
        if written is False or entry.told:
            return ""
        if not entry.unheard:
            return "was never closed, as far as can be told; rename it into place"
        if content.doubtful:
            return "ends in zeros, which may be a dark border or what is not written yet; let it be written as PNG"
        return ""

    def _refused(self, spool: Spool, entry: Entry, path: Path, identity: Identity | None, fault: str = "") -> Unusable:
        if identity is not None:
            spool.took(entry, identity)
            self._last = _Taken(path, identity, inspected=False)
        return self._unusable(entry, fault or entry.detail)

    def _unusable(
        self, entry: Entry, fault: str, reason: Reason = Reason.CAMERA, picture: NDArray[Any] | None = None
    ) -> Unusable:
        name = printable(entry.name)
        return Unusable(self._next, self._time_of(entry), name, reason, f"{name}: {fault}", self._tag(entry), picture)

    def _tag(self, entry: Entry) -> int | None:
        return tag_from_name(entry.name, self._source.tag_pattern)

    def _time_of(self, entry: Entry) -> int:
        known = self._from_arrival and entry.came_us is not None
        return entry.came_us if known and entry.came_us is not None else self._clock.now_us()

    def _make_done(self) -> None:
        done = self._source.done_path
        done.mkdir(exist_ok=True)
        place = _place(done)
        if self._place is None or place[0] != self._place[0] or place == self._place:
            raise CameraError(
                f"folder: done = {done}: expected another folder on the same file system as {self._source.path}, where "
                "a file is renamed to, whole or not at all"
            )
        for folder in (done, self._source.path):
            if not os.access(folder, os.W_OK | os.X_OK):
                raise CameraError(f"folder: {folder} cannot be written, as afterwards needs; check its owner and mode")

    def _put_away(self) -> None:
        """
        Move or delete the last part's file, unless another one has its name by now.

        Raises:
            CameraError: it cannot be: it would be inspected again.
        """
        last = self._last
        if last is None or self._spool is None:
            return
        if self._mark is not None and identity_of(last.path) == last.identity:
            self._mark.move(point_of(last.path), self._spool.waits)
        if self._source.afterwards != "keep" and identity_of(last.path) == last.identity:
            with _told(last.path):
                if self._source.afterwards == "delete" and last.inspected:
                    last.path.unlink()
                else:
                    last.path.rename(_free(self._source.done_path / last.path.name))
            self._spool.forget(last.identity)
        self._last = None


def _free(path: Path) -> Path:
    """Return a path where nothing lies: names come again, and what is there is kept."""
    return path if not path.exists() else path.with_name(f"{path.stem}.{time.time_ns()}{path.suffix}")


def _place(folder: Path) -> tuple[int, int]:
    """
    Return which folder that is.

    Raises:
        OSError: there is none.
    """
    found = folder.stat()
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CameraError(
            f"folder: {error.filename or path}: {error.strerror}; expected a folder that pictures are written to; "
            "look whether it is there, at its owner and its mode"
        ) from error
