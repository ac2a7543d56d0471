"""Which kept part goes next. Knows sizes and ages from one walk at the start, and what was added since; no I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path

from edge.archive.layout import KEEP_REASONS, KeepReason

_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US


@dataclass(frozen=True)
class StockedPart:
    """
    One part on disk.

    Attributes:
        hour_us: when the hour it lies in began [us since 1970].
        bytes: what it takes of the disk.
    """

    folder: Path
    reason: KeepReason
    hour_us: int
    bytes: int


class Stock:
    """
    All parts of an archive, by reason and in order of time.

    Args:
        keep_bytes: with more than this, parts go: samples before near misses, before unknowns, before rejects; of one
            reason the oldest first.
        keep_days: older parts go whatever they are.
    """

    def __init__(self, keep_bytes: int, keep_days: float) -> None:
        self._keep_bytes = keep_bytes
        self._keep_us = keep_days * _DAY_US
        self._parts: dict[KeepReason, deque[StockedPart]] = {reason: deque() for reason in KEEP_REASONS}
        self.bytes = 0

    def add(self, part: StockedPart) -> None:
        """Add a part that is newer than those before it."""
        self._parts[part.reason].append(part)
        self.bytes += part.bytes

    def surplus(self, utc_us: int) -> StockedPart | None:
        """Return the part that must go next, None when all may stay; it is counted until it is dropped."""
        heads = [parts[0] for parts in self._parts.values() if parts]
        # Ages of days outlive the process, so that only the calendar can tell them.
        old = next((part for part in heads if part.hour_us + _HOUR_US + self._keep_us < utc_us), None)
        return old if old is not None or self.bytes <= self._keep_bytes else heads[0]

    def drop(self, part: StockedPart) -> None:
        """Forget *part*, which surplus() returned."""
        self._parts[part.reason].popleft()
        self.bytes -= part.bytes
