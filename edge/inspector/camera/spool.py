"""
Which file of a watched folder is the next part: what was told, what was found, and what was taken already.

A file that was told (closed, renamed in) is finished. One that was only found may still be written: it must not have
changed for a while, and nobody may have it open. One that holds no whole picture is waited for, and is a part without a
picture in the end.
"""

from __future__ import annotations

import fnmatch
import itertools
import os
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from edge.inspector.camera.files import Identity, is_picture
from edge.inspector.camera.mark import Point, point_of
from edge.inspector.camera.watch import MOST_NOTES, Note
from edge.settings import FolderSource

# Of files that were found before they were told; so many the kernel may still have to tell of.
_MOST_UNTOLD = 16_384
_NOTHING: Mapping[str, Identity] = MappingProxyType({})


class Fate(Enum):
    """What shall become of a file."""

    INSPECT = "inspect"
    REFUSE = "refuse"
    """It is a part, and cannot be inspected any more."""
    IGNORE = "ignore"
    """It is no part."""


@dataclass
class Entry:
    """A file that waits. *identity* is that of the last look at it; *detail* says why it is refused."""

    name: str
    order: int
    came_us: int | None
    """No later than this it was there, monotonic; None = it was there before anybody looked."""
    due_us: int
    """It is not looked at before."""
    give_up_us: int
    """It is not waited for any longer, if it holds no whole picture."""
    told: bool
    identity: Identity | None
    fate: Fate = Fate.INSPECT
    detail: str = ""
    tried: bool = False
    unheard: bool = True
    """The system may have failed to tell of it; False: it told of each other one, so this one is not finished."""
    point: Point | None = None
    """Where it stood when it was noted; None = it was gone by then."""

    def overwritten_by(self, identity: Identity | None) -> bool:
        """
        Tell whether the picture that waited is no more, since another one has its name; then it is refused.

        One that was looked at and not whole, or empty, is finished only now: it is still the same part.
        """
        waited = self.told and not self.tried and self.identity is not None and self.identity.size > 0
        if waited and identity != self.identity:
            self.fate, self.detail = Fate.REFUSE, "was written anew before it was read; give each picture its own name"
        return waited and identity != self.identity


class Spool:
    """
    Bounded by what lies in the folder; what finds no room among MOST_NOTES that wait is found by a later look.

    Args:
        now_us: when it begins, monotonic.
    """

    def __init__(self, source: FolderSource, now_us: int) -> None:
        self._source = source
        self._settle_us, self._complete_us = 1000 * source.settle_ms, 1000 * source.complete_ms
        self._entries: dict[str, Entry] = {}
        self._lost: deque[Entry] = deque()
        self._taken: set[Identity] = set()
        self._kept: dict[str, Identity] = {}
        self._untold: dict[str, Identity] = {}
        self._order = itertools.count()
        self._looked_us: int | None = None
        self._roomless: Point | None = None
        self.look_at_us = now_us
        """The folder shall be gone through then."""
        self.tells = False
        """Of what comes into this folder the system tells, if nothing overflows."""
        self.deaf = True
        """Since the last look some may not have been told."""

    @property
    def has_room(self) -> bool:
        return len(self._entries) + len(self._lost) < MOST_NOTES

    @property
    def waits(self) -> Point | None:
        """Where the oldest file stands that was not answered yet, of those that are known."""
        points = [entry.point for entry in self._entries.values() if entry.point is not None]
        return min([*points, self._roomless] if self._roomless is not None else points, default=None)

    def shall_look(self, now_us: int) -> bool:
        """Tell whether the folder shall be gone through. Not for the sake of a few: that costs with each file in it."""
        return now_us >= self.look_at_us and self._has_much_room

    @property
    def _has_much_room(self) -> bool:
        return len(self._entries) <= MOST_NOTES // 2

    def tell(self, note: Note) -> None:
        """A file is finished."""
        self._kept.pop(note.name, None)
        if not self._is_ours(note.name) or self._comes_too_late(note):
            return
        if note.identity in self._taken:
            self._put_renamed(note)
            return
        old = self._entries.get(note.name)
        if old is not None and old.overwritten_by(note.identity):
            self._lost.append(self._entries.pop(note.name))
        entry = self._put(note.name, note.at_us, note.at_us, told=True, identity=note.identity)
        entry.point = point_of(self._source.path / note.name)

    def look(self, now_us: int, fate: Fate = Fate.INSPECT, detail: str = "") -> int:
        """
        Go through the folder, take note of what is there and was not told, and return how many that were.

        Args:
            fate: of what is found.

        Raises:
            OSError: the folder cannot be read.
        """
        unheard = self.deaf or not self.tells
        listed = self._listed()
        self._taken &= {*self._kept.values(), *(identity for _, identity, _ in listed)}
        fresh = [each for each in listed if each[1] not in self._taken and each[0] not in self._entries]
        room = len(fresh) if self._looked_us is None else max(MOST_NOTES - len(self._entries), 0)
        for name, identity, point in fresh[:room]:
            entry = self._put(name, self._looked_us, now_us + self._settle_us, told=False, identity=identity)
            entry.fate, entry.detail, entry.unheard, entry.point = fate, detail, unheard, point
        for entry in self._entries.values():
            entry.unheard |= unheard
        self._roomless = fresh[room][2] if len(fresh) > room else None
        if len(fresh) > room:
            self.look_at_us = now_us  # For those that found no room: when there is some.
        else:
            self.looked(now_us)
        return len(fresh)

    def take(self, last: Point | None = None) -> tuple[int, Point]:
        """
        Count as taken what lies there, or of it what came before *last*, and that one.

        Returns:
            how many that are, and which of them came last.

        Raises:
            OSError: the folder cannot be read.
        """
        found = dict(self._scanned())
        if last is not None:
            found = {name: s for name, s in found.items() if s.st_ctime_ns < last[0] or _point(s) == last}
        self._kept = {name: _identity(stat) for name, stat in found.items()}
        self._taken.update(self._kept.values())
        return len(found), max(map(_point, found.values()), default=(0, 0))

    def looked(self, now_us: int) -> None:
        """All that lies there is taken note of."""
        self._looked_us, self.look_at_us = now_us, now_us + 1000 * self._source.rescan_ms
        self.deaf = False

    def lies_elsewhere(self, identity: Identity) -> bool:
        """
        Tell whether a file that is gone lies there under another name.

        Raises:
            OSError: the folder cannot be read.
        """
        return any(stat.st_ino == identity.inode for _, stat in self._scanned())

    def next(self, now_us: int) -> Entry | None:
        """Return and forget the first that may be looked at; see put_back()."""
        if self._lost:
            return self._lost.popleft()
        ready = [entry for entry in self._entries.values() if entry.due_us <= now_us]
        return self._entries.pop(min(ready, key=lambda entry: entry.order).name) if ready else None

    def next_us(self) -> int:
        """Return when there is something to do, unless something is told before."""
        due_us = [entry.due_us for entry in self._entries.values()]
        return min([*due_us, self.look_at_us] if self._has_much_room else due_us)

    def put_back(self, entry: Entry, identity: Identity | None, due_us: int) -> None:
        """Look at it again later, unless another one of that name came meanwhile."""
        entry.identity, entry.due_us, entry.tried = identity, due_us, True
        self._entries.setdefault(entry.name, entry)

    def settle(self, entry: Entry, identity: Identity, now_us: int) -> None:
        """It was changed since it was found: look again when it has been left alone for a while."""
        entry.give_up_us = max(entry.give_up_us, now_us + self._settle_us + self._complete_us)
        self.put_back(entry, identity, now_us + self._settle_us)

    def took(self, entry: Entry, identity: Identity) -> None:
        """That one is a part: whatever its name, it is none again."""
        self._taken.add(identity)
        if not entry.told:
            self._untold[entry.name] = identity
            if len(self._untold) > _MOST_UNTOLD:
                del self._untold[next(iter(self._untold))]

    def knows(self, identity: Identity) -> bool:
        return identity in self._taken

    def forget(self, identity: Identity) -> None:
        """It lies in the folder no more."""
        self._taken.discard(identity)

    def _comes_too_late(self, note: Note) -> bool:
        """Tell whether it is of a file that was found before, and taken; it may have been put away since."""
        identity = self._untold.get(note.name)
        return identity is not None and note.identity in (None, identity)

    def _put_renamed(self, note: Note) -> None:
        """A file that was a part has another name by now: it is none again, and is put away all the same."""
        if self._source.afterwards != "keep" and note.name not in self._entries:
            entry = self._put(note.name, note.at_us, note.at_us, told=True, identity=note.identity)
            entry.fate = Fate.IGNORE

    def _put(self, name: str, came_us: int | None, due_us: int, *, told: bool, identity: Identity | None) -> Entry:
        entry = Entry(name, next(self._order), came_us, due_us, due_us + self._complete_us, told, identity)
        self._entries[name] = entry
        return entry

    def _listed(self) -> list[tuple[str, Identity, Point]]:
        """Return the pictures in the folder that are not kept, in the order in which they came there."""
        # Nothing was told of them since they were taken: none of them was written again.
        trusted = self._kept if self.tells and not self.deaf else {}
        kept: dict[str, Identity] = {}
        found = sorted(self._scanned(trusted, kept), key=lambda each: (each[1].st_ctime_ns, each[0]))
        listed = [(name, _identity(stat), _point(stat)) for name, stat in found]
        self._kept = {**kept, **{name: identity for name, identity, _ in listed if identity in self._taken}}
        return listed

    def _scanned(
        self, trusted: Mapping[str, Identity] = _NOTHING, kept: dict[str, Identity] | None = None
    ) -> Iterator[tuple[str, os.stat_result]]:
        """Yield the pictures with what the drive says of them; it is not asked about the trusted, which become kept."""
        with os.scandir(self._source.path) as entries:
            for entry in entries:
                old = trusted.get(entry.name)
                if old is not None and kept is not None and old.inode == entry.inode() and old in self._taken:
                    kept[entry.name] = old
                elif self._is_ours(entry.name) and entry.is_file():
                    try:
                        yield entry.name, entry.stat()
                    except FileNotFoundError:
                        continue  # Gone since it was listed.

    def _is_ours(self, name: str) -> bool:
        return is_picture(name) and fnmatch.fnmatchcase(name, self._source.pattern)


def _identity(stat: os.stat_result) -> Identity:
    return Identity(stat.st_ino, stat.st_mtime_ns, stat.st_size)


def _point(stat: os.stat_result) -> Point:
    return stat.st_ctime_ns, stat.st_ino
