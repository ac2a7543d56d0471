"""``edge-subscribe``: watch a station, and keep what it says."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edge.client import Event, Gap, Mask, Picture, Subscriber
from edge.clock import SYSTEM_CLOCK
from edge.commandline import run
from edge.errors import ConfigurationError, WireError
from edge.overlay import defects_as_text, draw
from edge.records import Audit, Outcome, Status, Verdict

_ROWS = 12
# A verdict waits for its picture and mask for so many newer ones, then its place is given up.
_PAIRS_WAITING = 64
_STYLES = {Outcome.PASS: "green", Outcome.UNKNOWN: "yellow", Outcome.REJECT: "bold red"}


class Subscribe(BaseModel):
    """Show the verdicts of a station as they come, and keep verdicts, masks and pictures in a folder."""

    results: str = Field("tcp://127.0.0.1:5556", description="the station's results endpoint")
    masks: str = Field("tcp://127.0.0.1:5557", description="the station's masks endpoint")
    pictures: str = Field("tcp://127.0.0.1:5558", description="the station's pictures endpoint")
    station: str = Field("", description="name of the station; empty = any that speaks there")
    save: Path | None = Field(None, description="folder for verdicts.jsonl, masks/ and pictures/")
    count: int | None = Field(None, ge=1, description="end after so many verdicts")
    until_stopped: bool = Field(False, description="end when the station says that it has stopped")
    timeout_s: float | None = Field(None, gt=0, description="end with exit code 5 when nothing comes for so long")
    lines: bool = Field(False, description="print one JSON line a verdict instead of the live table")


def main(args: list[str] | None = None) -> int:
    """Watch and return the exit code."""
    return run("edge-subscribe", Subscribe, args, watch)


def watch(command: Subscribe) -> int:
    """
    Receive until told to end.

    Raises:
        WireError: nothing came for ``timeout_s``, or a message is not what the protocol says.
    """
    keeper = Keeper(command.save) if command.save is not None else None
    with Subscriber(command.results, command.masks, command.pictures, command.station) as subscriber:
        if command.lines:
            _watch(command, subscriber, keeper, _print_line)
            return 0
        board = Board()
        with Live(board.table(), console=Console(), refresh_per_second=8, get_renderable=board.table):
            _watch(command, subscriber, keeper, board.take)
    return 0


def _watch(command: Subscribe, subscriber: Subscriber, keeper: Keeper | None, show: Callable[[Event], None]) -> None:
    verdicts = 0
    while command.count is None or verdicts < command.count:
        event = subscriber.receive(command.timeout_s or 1.0)
        if event is None:
            if command.timeout_s is not None:
                raise WireError(
                    f"nothing came from {command.results} for {command.timeout_s:g} s; does the station run?"
                )
            continue
        verdicts += isinstance(event, Verdict)
        show(event)
        if keeper is not None:
            keeper.take(event)
        if command.until_stopped and isinstance(event, Status) and event.state == "stopped":
            break
    if keeper is not None:
        keeper.drain(subscriber)


def _print_line(event: Event) -> None:
    if isinstance(event, Verdict):
        sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")
        sys.stdout.buffer.flush()


class Board:
    """The live table: the last verdicts, the counts, what was lost."""

    def __init__(self) -> None:
        # Text, not str: what comes from outside is no mark-up.
        self._rows: deque[tuple[Text, ...]] = deque(maxlen=_ROWS)
        self._counts: Counter[str] = Counter()
        self._latency_ms: deque[float] = deque(maxlen=10_000)
        self._lost = 0
        self._note = "waiting for a station"

    def take(self, event: Event) -> None:
        if isinstance(event, Verdict):
            self._take_verdict(event)
        elif isinstance(event, Gap):
            self._lost += event.last - event.first + 1
        elif isinstance(event, Status):
            self._note = (
                f"{event.station}: {event.state}, {event.detail}, inspector {event.inspector}, {event.open} open"
            )
        elif isinstance(event, Audit):
            self._note = f"{event.event}: {event.detail}"

    def table(self) -> Group:
        """Return what is shown now; rich calls this at its own rate."""
        table = Table(box=None, padding=(0, 1))
        for heading in ("seq", "part", "outcome", "source", "defects", "tiles", "latency ms"):
            table.add_column(heading, justify="right" if heading in ("seq", "part", "tiles", "latency ms") else "left")
        for row in self._rows:
            table.add_row(*row)
        return Group(table, self._summary(), Text(self._note))

    def _take_verdict(self, verdict: Verdict) -> None:
        latency_ms = (SYSTEM_CLOCK.now_us() - verdict.trigger_us) / 1000
        self._latency_ms.append(latency_ms)
        self._counts[verdict.outcome.value] += 1
        what = defects_as_text(verdict) if verdict.reason is None else f"{verdict.reason.value}: {verdict.detail}"
        view = verdict.views[0]
        self._rows.append(
            (
                Text(str(verdict.seq)),
                Text(str(verdict.part)),
                Text(verdict.outcome.value, _STYLES[verdict.outcome]),
                Text(view.source),
                Text(what),
                Text(f"{view.segmented}/{view.tiles}"),
                Text(f"{latency_ms:.1f}"),
            )
        )

    def _summary(self) -> str:
        counts = "  ".join(f"{outcome.value} {self._counts[outcome.value]}" for outcome in Outcome)
        if not self._latency_ms:
            return counts
        p50, p99 = np.percentile(list(self._latency_ms), [50, 99])
        return f"{counts}  lost {self._lost}  trigger to here p50 {p50:.1f} ms, p99 {p99:.1f} ms"


class Keeper:
    """
    Writes what is received into a folder: verdicts.jsonl, masks/<source>.png, pictures/<seq>.png.

    Raises:
        ConfigurationError: the folder cannot be written; also by ``take``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._verdicts: dict[int, Verdict] = {}
        self._masks: dict[int, NDArray[np.uint8]] = {}
        self._pictures: dict[int, NDArray[np.uint8]] = {}
        with _writing(folder):
            for part in ("masks", "pictures"):
                (folder / part).mkdir(parents=True, exist_ok=True)

    def take(self, event: Event) -> None:
        with _writing(self._folder):
            self._keep(event)
            self._draw_complete()

    def drain(self, subscriber: Subscriber, quiet_s: float = 0.5, limit_s: float = 2.0) -> None:
        """Take masks and pictures that are still on their way, then draw those whose mask never came."""
        give_up = time.monotonic() + limit_s
        while time.monotonic() < give_up and (event := subscriber.receive(quiet_s)) is not None:
            if isinstance(event, (Mask, Picture)):
                self.take(event)
        with _writing(self._folder):
            for seq in self._pictures.keys() & self._verdicts.keys():
                self._draw(seq)

    def _keep(self, event: Event) -> None:
        if isinstance(event, Verdict):
            with (self._folder / "verdicts.jsonl").open("ab") as lines:
                lines.write(msgspec.json.encode(event) + b"\n")
            self._verdicts[event.seq] = event
        elif isinstance(event, Mask):
            _write_png(self._folder / "masks" / f"{Path(event.header.source).stem}.png", event.labels)
            self._masks[event.header.seq] = event.labels
        elif isinstance(event, Picture):
            self._pictures[event.header.seq] = _decoded(event)

    def _draw_complete(self) -> None:
        """Draw each picture whose verdict and mask have come: three endpoints have no order among them."""
        for seq in self._pictures.keys() & self._verdicts.keys():
            if seq in self._masks or not _sends_mask(self._verdicts[seq]):
                self._draw(seq)
        for waiting in (self._verdicts, self._masks, self._pictures):
            while len(waiting) > _PAIRS_WAITING:
                waiting.pop(next(iter(waiting)))

    def _draw(self, seq: int) -> None:
        drawn = draw(self._pictures.pop(seq), self._masks.get(seq), self._verdicts[seq])
        _write_png(self._folder / "pictures" / f"{seq:06d}.png", drawn)


def _sends_mask(verdict: Verdict) -> bool:
    return any(view.mask is not None and view.mask.sent for view in verdict.views)


def _decoded(picture: Picture) -> NDArray[np.uint8]:
    data = np.frombuffer(picture.jpeg, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if image is None:
        raise WireError(f"picture {picture.header.seq} of camera {picture.header.camera} is no JPEG; do not use it")
    return np.asarray(image, np.uint8)


def _write_png(path: Path, image: NDArray[np.uint8]) -> None:
    # Not imwrite: it tells a full disk by returning False.
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{folder}: {error.strerror} ({error.filename}); choose another folder") from error


if __name__ == "__main__":
    sys.exit(main())
