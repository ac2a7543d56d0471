"""What waits for the disk: in order, bounded, and so that nothing that is counted is forgotten."""

from __future__ import annotations

import secrets
import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

from edge.station.entries import Entry, Position, TriggerEntry, VerdictEntry
from edge.station.ledger import LedgerKey, line_from_verdict

# A commit's time grows with its entries; so many take a few ms, which a deadline can bear.
_BATCH = 1000
# A quarter of an hour at 30 parts a second: long enough to free a disk.
MOST_ENTRIES = 50_000
# Records with many defects are large: the bound that saves a small machine's memory.
MOST_BYTES = 128_000_000

REFUSALS_KNOWN = 10_000
"""For so many tickets it is known that an entry was refused or dropped: nobody asks for a ticket that is older."""


@dataclass
class Batch:
    """What is committed at once; once taken from the backlog, nothing is added."""

    entries: list[Entry] = field(default_factory=list)
    tickets: list[int] = field(default_factory=list)
    """Of the entries, in their order."""
    counts: Counter[LedgerKey] = field(default_factory=Counter)
    cursors: dict[str, Position | None] = field(default_factory=dict)
    lost: list[tuple[int, int]] = field(default_factory=list)
    """Ranges of seq, first and last, that will never be journaled."""
    lost_part: int = 0
    """The highest part of which nothing but its count is left."""
    lost_counter: tuple[int, int | None] = (0, None)
    """The highest of those parts that the line had counted, and its counter."""
    dropped: deque[int] = field(default_factory=lambda: deque(maxlen=REFUSALS_KNOWN))
    """Tickets of entries that were dropped; the newest of them."""
    ticket: int = 0
    """All up to this one is settled by the commit."""
    number: int = field(default_factory=lambda: secrets.randbits(62) or 1)
    """Kept in the file with what it brought: a commit may arrive there and say that it did not."""
    tried: bool = False
    """A commit was begun: it may be there."""
    refused: dict[int, Entry] = field(default_factory=dict)
    """By ticket, what found no place when it was last tried."""

    @cached_property
    def triggers(self) -> list[TriggerEntry]:
        return [entry for entry in self.entries if isinstance(entry, TriggerEntry)]

    @cached_property
    def verdicts(self) -> list[VerdictEntry]:
        return [entry for entry in self.entries if isinstance(entry, VerdictEntry)]

    @cached_property
    def tally(self) -> Counter[LedgerKey]:
        """The counts, with those of the entries."""
        return self.counts + Counter(map(key_from_entry, self.entries))

    @cached_property
    def last_part(self) -> int:
        """The highest part there is word of."""
        return max((self.lost_part, *(entry.part for entry in self.entries)))

    @cached_property
    def last_seq(self) -> int:
        """The highest seq there is word of, 0 = none."""
        return max((*(verdict.seq for verdict in self.verdicts), *(last for _, last in self.lost), 0))

    @cached_property
    def counter(self) -> int | None:
        """The line's counter at the newest part that it had counted."""
        counted = ((trigger.part, trigger.counter) for trigger in self.triggers if trigger.counter is not None)
        found = [self.lost_counter, *counted]
        return max(found, key=lambda pair: pair[0])[1]

    def empty(self) -> bool:
        return not (self.entries or self.counts or self.cursors or self.lost)


class Backlog:
    """
    A queue between two threads: the loop puts, the writer takes.

    The bound is kept by the one who puts, since the writer may hang inside the disk. Beyond it the oldest parts that
    wait with trigger and verdict are dropped whole: their counts stay, their seq is remembered as lost. A verdict
    whose trigger is on the disk already is never dropped: its part would be answered a second time after a restart.

    Args:
        most_entries: triggers and verdicts that may wait.
        most_bytes: the same for the bytes of their records.
    """

    def __init__(self, most_entries: int = MOST_ENTRIES, most_bytes: int = MOST_BYTES) -> None:
        self._most_entries = most_entries
        self._most_bytes = most_bytes
        self._changed = threading.Condition()
        self._waiting: dict[int, Entry] = {}
        self._bytes = 0
        self._triggers: dict[int, int] = {}
        self._whole: deque[tuple[int, int]] = deque()
        self._rest = Batch()
        self._released = False
        self._ended = False

    def put(self, entry: Entry) -> int:
        """Queue an entry, return its ticket; drops the oldest when there are too many."""
        with self._changed:
            ticket = self._next_ticket()
            self._waiting[ticket] = entry
            if isinstance(entry, TriggerEntry):
                self._triggers[entry.part] = ticket
            else:
                self._bytes += len(entry.record)
                if entry.part in self._triggers:
                    self._whole.append((self._triggers[entry.part], ticket))
            while self._whole and (len(self._waiting) > self._most_entries or self._bytes > self._most_bytes):
                self._drop(*self._whole.popleft())
            return ticket

    def cursor(self, consumer: str, position: Position | None) -> int:
        with self._changed:
            self._rest.cursors[consumer] = position
            return self._next_ticket()

    def count(self, key: LedgerKey, n: int) -> int:
        with self._changed:
            self._rest.counts[key] += n
            return self._next_ticket()

    def take(self) -> Batch:
        """Return what is committed next, in order; it is the taker's from now on, whatever becomes of it."""
        with self._changed:
            batch, self._rest = self._rest, Batch(ticket=self._rest.ticket)
            batch.tickets.extend(islice(self._waiting, _BATCH))
            batch.entries.extend(self._forget(ticket) for ticket in batch.tickets)
            self._released = bool(self._waiting)
            if self._waiting:
                batch.ticket = next(iter(self._waiting)) - 1
            while self._whole and self._whole[0][0] not in self._waiting:
                self._whole.popleft()
            return batch

    def release(self) -> None:
        """Wake the taker for what waits, if anything does."""
        with self._changed:
            self._released = not self._is_empty()
            if self._released:
                self._changed.notify()

    def wait(self) -> bool:
        """Sleep until something is released or the end is announced; return whether something waits."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._released)
            return not self._is_empty()

    def end(self) -> None:
        """Wake the one who waits, for good."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def __len__(self) -> int:
        return len(self._waiting)

    def _is_empty(self) -> bool:
        return not self._waiting and self._rest.empty()

    def _next_ticket(self) -> int:
        self._rest.ticket += 1
        return self._rest.ticket

    def _forget(self, ticket: int) -> Entry:
        entry = self._waiting.pop(ticket)
        if isinstance(entry, TriggerEntry):
            self._triggers.pop(entry.part, None)
        else:
            self._bytes -= len(entry.record)
        return entry

    def _drop(self, trigger_ticket: int, verdict_ticket: int) -> None:
        if trigger_ticket not in self._waiting:
            return
        for ticket in (trigger_ticket, verdict_ticket):
            entry = self._forget(ticket)
            self._rest.counts[key_from_entry(entry)] += 1
            self._rest.lost_part = max(self._rest.lost_part, entry.part)
            self._rest.dropped.append(ticket)
            if isinstance(entry, VerdictEntry):
                extend(self._rest.lost, entry.seq)
            elif entry.counter is not None and entry.part > self._rest.lost_counter[0]:
                self._rest.lost_counter = (entry.part, entry.counter)


def key_from_entry(entry: Entry) -> LedgerKey:
    """Return the ledger line on which an entry is counted."""
    if isinstance(entry, TriggerEntry):
        return entry.shift, entry.mode, "triggers"
    return entry.shift, entry.mode, line_from_verdict(entry.outcome, entry.reason)


def extend(ranges: list[tuple[int, int]], seq: int) -> None:
    """Add a number to ranges that grow at their end."""
    if ranges and ranges[-1][1] == seq - 1:
        ranges[-1] = (ranges[-1][0], seq)
    else:
        ranges.append((seq, seq))
