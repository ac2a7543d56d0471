"""The epochs a file knows: seq goes on over them, so each is the range from its first seq to the next one's."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from dataclasses import dataclass
from typing import Annotated

import msgspec

from edge.station.entries import Position

Number = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]
"""What a station writes where it counts or numbers."""


@dataclass(frozen=True)
class Epochs:
    """The oldest first."""

    epochs: tuple[int, ...]
    first_seqs: tuple[int, ...]

    @classmethod
    def read(cls, connection: sqlite3.Connection) -> Epochs:
        """
        Read them from the file.

        Raises:
            msgspec.ValidationError: it holds what no station wrote.
        """
        found = connection.execute("SELECT epoch, first_seq FROM epochs ORDER BY ordinal").fetchall()
        rows = msgspec.convert(found, list[tuple[Number, Number]])
        return cls(tuple(row[0] for row in rows), tuple(row[1] for row in rows))

    def of(self, seq: int) -> int:
        return self.epochs[max(bisect_right(self.first_seqs, seq) - 1, 0)]

    def after(self, position: Position) -> int | None:
        """Return the seq behind which *position* lies today; None when its epoch is unknown."""
        if position.epoch not in self.epochs:
            return None
        index = self.epochs.index(position.epoch)
        seq = max(position.seq, self.first_seqs[index] - 1)
        # Verdicts of a crashed run that were not journaled: the next epoch gave their numbers anew.
        return seq if index + 1 == len(self.epochs) else min(seq, self.first_seqs[index + 1] - 1)
