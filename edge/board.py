"""What a person sees of a station while it works: the last verdicts, the counts, what was lost."""

from __future__ import annotations

from collections import Counter, deque
from typing import TypeAlias

import numpy as np
from rich.console import Group
from rich.table import Table
from rich.text import Text

from edge.client import Event, Gap
from edge.clock import SYSTEM_CLOCK
from edge.overlay import defects_as_text
from edge.records import Audit, Outcome, Status, Verdict
from edge.subscription import Missed

Shown: TypeAlias = Event | Missed

_ROWS = 12
_HEADINGS = ("seq", "part", "outcome", "camera", "source", "defects", "tiles", "latency ms")
_NUMBERS = {"seq", "part", "tiles", "latency ms"}
_STYLES = {Outcome.PASS: "green", Outcome.UNKNOWN: "yellow", Outcome.REJECT: "bold red"}


def text_from_missed(missed: Missed) -> str:
    last = "" if missed.last is None else f" to {missed.last}"
    return f"verdicts from {missed.first}{last} can no longer be given: {missed.why}"


class Board:
    """The live table: the last verdicts, the counts, what was lost."""

    def __init__(self) -> None:
        # Text, not str: what comes from outside is no mark-up.
        self._rows: deque[dict[str, Text]] = deque(maxlen=_ROWS)
        self._cameras: set[str] = set()
        self._counts: Counter[str] = Counter()
        self._latency_ms: deque[float] = deque(maxlen=10_000)
        self._lost = 0
        self._note = "waiting for a station"

    def take(self, event: Shown) -> None:
        if isinstance(event, Verdict):
            self._take_verdict(event)
        elif isinstance(event, Missed):
            self._lost += 0 if event.last is None else event.last - event.first + 1
            self._note = text_from_missed(event)
        elif isinstance(event, Gap):
            self._lost += event.last - event.first + 1
        elif isinstance(event, Status):
            self._note = (
                f"{event.station}: {event.state}, {event.detail}, inspector {event.inspector}, {event.open} open"
            )
        elif isinstance(event, Audit):
            self._note = f"{event.event.value}: {event.detail}"

    def table(self) -> Group:
        """Return what is shown now; rich calls this at its own rate."""
        table = Table(box=None, padding=(0, 1))
        shown = [heading for heading in _HEADINGS if heading != "camera" or len(self._cameras) > 1]
        for heading in shown:
            table.add_column(heading, justify="right" if heading in _NUMBERS else "left")
        for row in tuple(self._rows):  # The live display asks from a thread of its own.
            table.add_row(*(row[heading] for heading in shown))
        return Group(table, self._summary(), Text(self._note))

    def _take_verdict(self, verdict: Verdict) -> None:
        latency_ms = (SYSTEM_CLOCK.now_us() - verdict.trigger_us) / 1000
        if not verdict.replayed:
            self._latency_ms.append(latency_ms)
        self._counts[verdict.outcome.value] += 1
        what = defects_as_text(verdict) if verdict.reason is None else f"{verdict.reason.value}: {verdict.detail}"
        views = verdict.views
        self._cameras.update(view.camera for view in views)
        self._rows.append(
            {
                "seq": Text(str(verdict.seq)),
                "part": Text(str(verdict.part)),
                "outcome": Text(verdict.outcome.value, _STYLES[verdict.outcome]),
                "camera": Text(", ".join(view.camera for view in views)),
                "source": Text(", ".join(view.source for view in views)),
                "defects": Text(what),
                "tiles": Text(f"{sum(v.segmented for v in views)}/{sum(v.tiles for v in views)}"),
                "latency ms": Text("replayed" if verdict.replayed else f"{latency_ms:.1f}"),
            }
        )

    def _summary(self) -> str:
        counts = "  ".join(f"{outcome.value} {self._counts[outcome.value]}" for outcome in Outcome)
        counts = f"{counts}  lost {self._lost}"
        if not self._latency_ms:
            return counts
        p50, p99 = np.percentile(list(self._latency_ms), [50, 99])
        return f"{counts}\ntrigger to here p50 {p50:.1f} ms, p99 {p99:.1f} ms"
