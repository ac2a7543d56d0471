"""The bundles that were active: how far back the station may go, and what it starts with when a bundle is refused."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from edge.inspector.link import KeepBundle, ToInspector
from edge.records import AuditEvent
from edge.station.kept import KeptFile
from edge.station.reporter import Reporter

log = logging.getLogger("edge.station")

FILE, FOLDER = "bundles.json", "bundles"
_COPIES = 2


class Good(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that an inspector was ready with."""

    hash: str
    name: str
    release: int

    def __str__(self) -> str:
        return f"'{self.name}' release {self.release} ({self.hash[:12]})"


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept in the state directory beside the copies."""

    goods: tuple[Good, ...] = ()
    """The last of them first."""
    releases: dict[str, int] = {}
    """By bundle name, the highest release number that was ever active."""


def read_known(folder: Path | None) -> Known:
    """
    Return what was active at the station whose state directory this is.

    Raises:
        ConfigurationError: the file cannot be read: how far back the station may go is not known.
    """
    return KeptFile(folder, FILE, Known).read() or Known()


class LastGood:
    """
    Args:
        folder: the state directory; None = nothing outlives a restart, and there are no copies.
        order: tells the inspector; False when there is none to tell.

    Attributes:
        known: what was active.
        instead: the copy that is used in place of the bundle that is meant; None = that one is, or none yet.
        refused: why that one is not used; empty = it is.
    """

    def __init__(self, folder: Path | None, reporter: Reporter, order: Callable[[ToInspector], bool]) -> None:
        self._file = KeptFile(folder, FILE, Known)
        self._folder = None if folder is None else (folder / FOLDER).absolute()
        self._reporter = reporter
        self._order = order
        self._tried: set[str] = set()
        self._keep: KeepBundle | None = None
        self.known = read_known(folder)
        self.instead: Good | None = None
        self.refused = ""

    @property
    def path(self) -> str:
        """Folder of the copy that is used instead; empty when none is."""
        return "" if self.instead is None else str(self._copy(self.instead))

    def words(self) -> str:
        """Return in one line what is inspected with and why; empty when it is what is meant."""
        if self.instead is None:
            return ""
        return f"inspecting with the last good bundle {self.instead}: {self.refused}"

    # ---- a bundle is active ----------------------------------------------------------------------------------

    def active(self, good: Good) -> None:
        """Note what an inspector is ready with, and have it copied; nothing of the name "" is kept."""
        self._tried.clear()
        if self.instead is None:
            self.refused = ""
        if not good.name:
            return
        others = tuple(known for known in self.known.goods if known.hash != good.hash)[: _COPIES - 1]
        highest = max(good.release, self.known.releases.get(good.name, 0))
        known = Known(goods=(good, *others), releases={**self.known.releases, good.name: highest})
        fault = "" if known == self.known else self._file.write(known)
        if fault:
            log.error("%s; after a restart an older release than %s would be accepted", fault, good)
        self.known = known
        if self._folder is not None:
            hashes = tuple(other.hash for other in others)
            self._keep = KeepBundle(folder=str(self._folder), bundle_hash=good.hash, others=hashes)

    def meant(self) -> None:
        """Note that the bundle that is meant is in use from now on."""
        self.instead, self.refused = None, ""

    def keep(self) -> None:
        """Have the bundle in use copied, as soon as there is somebody to do it."""
        if self._keep is not None and self._order(self._keep):
            self._keep = None

    # ---- a bundle is refused ---------------------------------------------------------------------------------

    def fall_back(self, why: str, only: str) -> bool:
        """
        Choose what the next inspector starts with, now that a bundle was refused.

        Args:
            why: it was, in one line.
            only: hash of the bundle that parts are judged by already: no other one is taken then. Empty = any.

        Returns:
            False when there is no copy left to try: the next inspector starts with the bundle that is meant again.
        """
        if self.instead is None:
            self.refused = why
        self.instead = self._next(only)
        if self.instead is None:
            self._tried.clear()
            return False
        self._tried.add(self.instead.hash)
        text = f"{why}; the last good one is taken instead: {self.instead}"
        self._reporter.audit(AuditEvent.LAST_GOOD_BUNDLE, None, text, None)
        return True

    def _next(self, only: str) -> Good | None:
        for good in self.known.goods:
            if good.hash not in self._tried and only in ("", good.hash) and self._copy(good).is_dir():
                return good
        return None

    def _copy(self, good: Good) -> Path:
        return (self._folder or Path()) / good.hash
