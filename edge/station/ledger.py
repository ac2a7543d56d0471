"""The ledger: how many triggers there were, and what became of them, by shift and mode and for ever. Pure counting."""

from __future__ import annotations

import functools
import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import TypeAlias

from edge.records import LedgerRow, Mode, Outcome, Reason

LEDGER_LINES: dict[str, str] = {
    "triggers": "parts that were accepted; each gets one verdict",
    "PASS": "verdicts",
    "REJECT": "verdicts",
    **{f"UNKNOWN:{reason.value}": "verdicts" for reason in Reason},
    "unseen": "parts an independent count knows, of which no trigger was heard",
    "bounced": "trigger edges inside the debounce time",
    "refused": "trigger requests that were answered with a refusal",
}
"""Every line there is; triggers = PASS + REJECT + UNKNOWN:* + open, the others stand beside."""

_VERDICTS = tuple(line for line, meaning in LEDGER_LINES.items() if meaning == "verdicts")
_FOR_EVER = ""
_US_PER_MINUTE = 60_000_000

LedgerKey: TypeAlias = tuple[str, Mode, str]
"""Shift, mode, line."""


def line_from_verdict(outcome: Outcome, reason: Reason | None) -> str:
    """Return the ledger line a verdict is counted on."""
    return outcome.value if reason is None else f"{outcome.value}:{reason.value}"


class Ledger:
    """Counts by (shift, mode, line); the totals for ever are kept beside them under the empty shift."""

    def __init__(self, counts: Mapping[LedgerKey, int] | None = None) -> None:
        self._accounts: defaultdict[tuple[str, Mode], Counter[str]] = defaultdict(Counter)
        self.merge(counts or {})

    def add(self, shift: str, mode: Mode, what: str, n: int = 1) -> None:
        """
        Count *n* more on the line *what* of a shift, and for ever.

        Raises:
            ValueError: *what* is no line of LEDGER_LINES, or the shift has no name.
        """
        if what not in LEDGER_LINES or shift == _FOR_EVER:
            raise ValueError(
                f"ledger: shift {shift!r}, line {what!r}: expected a shift and one of {list(LEDGER_LINES)}"
            )
        for name in (shift, _FOR_EVER):
            self._accounts[name, mode][what] += n

    def merge(self, counts: Mapping[LedgerKey, int]) -> None:
        for (shift, mode, what), n in counts.items():
            self.add(shift, mode, what, n)

    def counts(self) -> dict[LedgerKey, int]:
        """Return every count by shift, without the totals."""
        return {
            (shift, mode, what): n
            for (shift, mode), lines in self._accounts.items()
            if shift != _FOR_EVER
            for what, n in lines.items()
        }

    def row(self, shift: str, mode: Mode) -> LedgerRow:
        """Return the counts of one shift, or of shift "" for ever; zeros if there were none."""
        lines = self._accounts.get((shift, mode), Counter())
        unknown = {reason.value: lines[f"UNKNOWN:{reason.value}"] for reason in Reason}
        return LedgerRow(
            shift=shift,
            mode=mode,
            triggers=lines["triggers"],
            passed=lines["PASS"],
            rejected=lines["REJECT"],
            unknown={reason: n for reason, n in unknown.items() if n},
            open=_open(lines),
            unseen=lines["unseen"],
            bounced=lines["bounced"],
            refused=lines["refused"],
        )

    def rows(self, shifts: int | None) -> tuple[LedgerRow, ...]:
        """Return the rows of the newest *shifts* (None = of all), the oldest first, then the totals for ever."""
        names = {shift for shift, _ in self._accounts} - {_FOR_EVER}
        chosen = sorted(names) if shifts is None else sorted(heapq.nlargest(shifts, names))
        return tuple(
            self.row(shift, mode) for shift in (*chosen, _FOR_EVER) for mode in Mode if (shift, mode) in self._accounts
        )

    @property
    def shifts(self) -> frozenset[str]:
        """Names of the shifts that anything was counted in."""
        return frozenset(shift for shift, _ in self._accounts) - {_FOR_EVER}

    @property
    def open(self) -> int:
        """Triggers less verdicts, of all modes, for ever."""
        return sum(_open(lines) for (shift, _), lines in self._accounts.items() if shift == _FOR_EVER)

    def balanced(self, open_parts: int) -> bool:
        """
        Return whether every account adds up.

        Args:
            open_parts: how many parts wait for their verdict, counted by somebody else.
        """
        return self.open == open_parts and all(_open(lines) >= 0 for lines in self._accounts.values())


def _open(lines: Counter[str]) -> int:
    return lines["triggers"] - sum(lines[line] for line in _VERDICTS)


def shift_from_utc(utc_us: int, starts: tuple[str, ...]) -> str:
    """
    Return the name of the shift: the local time at which it began, "2026-11-22T14:00".

    Args:
        utc_us: wall clock [us since 1970].
        starts: local times of day at which a shift begins, "06:00"; one at least. The last one lasts over midnight.
    """
    return _shift_from_minute(utc_us // _US_PER_MINUTE, starts)


def next_shift_us(utc_us: int, starts: tuple[str, ...]) -> int:
    """Return when the first shift after that moment begins; times as in ``shift_from_utc``."""
    day = datetime.fromtimestamp(utc_us / 1e6).date()
    begins = [
        datetime.combine(day + timedelta(days=days), time.fromisoformat(start)).timestamp()
        for days in range(3)
        for start in starts
    ]
    return min(us for us in (round(1e6 * begin) for begin in begins) if us > utc_us)


# Asked for with every part; the name changes with a minute at most.
@functools.lru_cache(maxsize=2)
def _shift_from_minute(minute: int, starts: tuple[str, ...]) -> str:
    local = datetime.fromtimestamp(60 * minute)
    begun = [start for start in starts if start <= f"{local:%H:%M}"]
    day = local if begun else local - timedelta(days=1)
    return f"{day:%Y-%m-%d}T{max(begun or starts)}"
