"""``edge-subscribe``: watch a station, and keep what it says."""

from __future__ import annotations

import contextlib
import hashlib
import re
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import TypeAlias, TypeVar

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
from edge.records import Audit, MaskHeader, Outcome, PictureHeader, Status, Verdict

# (epoch, seq), and with the camera: sequence numbers begin anew with each epoch.
_Verdict: TypeAlias = tuple[int, int]
_View: TypeAlias = tuple[int, int, str]
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

_PLAIN = re.compile(r"(?!\.)[\w .,()\[\]+=@-]+")
_NOT_PLAIN = re.compile(r"[^\w .,()\[\]+=@-]")
# Of 255 bytes; a character may take four.
_LONGEST_NAME = 200
_KEPT_OF_A_NAME = 40
_ROWS = 12
# A verdict waits for its picture and mask for so many newer ones, then its place is given up.
_PAIRS_WAITING = 64
_HEADINGS = ("seq", "part", "outcome", "camera", "source", "defects", "tiles", "latency ms")
_NUMBERS = {"seq", "part", "tiles", "latency ms"}
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
        board, console = Board(), Console()
        with Live(board.table(), console=console, refresh_per_second=8, get_renderable=board.table):
            _watch(command, subscriber, keeper, board.take)
        if not console.is_terminal:  # The live table leaves its last line open there.
            console.line()
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
        self._rows: deque[dict[str, Text]] = deque(maxlen=_ROWS)
        self._cameras: set[str] = set()
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
        shown = [heading for heading in _HEADINGS if heading != "camera" or len(self._cameras) > 1]
        for heading in shown:
            table.add_column(heading, justify="right" if heading in _NUMBERS else "left")
        for row in tuple(self._rows):  # The live display asks from a thread of its own.
            table.add_row(*(row[heading] for heading in shown))
        return Group(table, self._summary(), Text(self._note))

    def _take_verdict(self, verdict: Verdict) -> None:
        latency_ms = (SYSTEM_CLOCK.now_us() - verdict.trigger_us) / 1000
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
                "latency ms": Text(f"{latency_ms:.1f}"),
            }
        )

    def _summary(self) -> str:
        counts = "  ".join(f"{outcome.value} {self._counts[outcome.value]}" for outcome in Outcome)
        if not self._latency_ms:
            return counts
        p50, p99 = np.percentile(list(self._latency_ms), [50, 99])
        return f"{counts}  lost {self._lost}\ntrigger to here p50 {p50:.1f} ms, p99 {p99:.1f} ms"


class Keeper:
    """
    Writes what is received into a folder: verdicts.jsonl, masks/<camera>/<stem of the source>.png, and pictures/ as
    ``picture_path`` says.

    Raises:
        ConfigurationError: the folder cannot be written; also by ``take``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._verdicts: dict[_Verdict, Verdict] = {}
        self._masks: dict[_View, NDArray[np.uint8]] = {}
        self._pictures: dict[_View, NDArray[np.uint8]] = {}
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
            for view in self._drawable():
                self._draw(view)

    def _keep(self, event: Event) -> None:
        if isinstance(event, Verdict):
            with (self._folder / "verdicts.jsonl").open("ab") as lines:
                lines.write(msgspec.json.encode(event) + b"\n")
            self._verdicts[event.epoch, event.seq] = event
        elif isinstance(event, Mask):
            _write_png(_mask_path(self._folder, event.header), event.labels)
            self._masks[_view(event.header)] = event.labels
        elif isinstance(event, Picture):
            self._pictures[_view(event.header)] = _decoded(event)

    def _drawable(self) -> list[_View]:
        return [view for view in self._pictures if view[:2] in self._verdicts]

    def _draw_complete(self) -> None:
        """Draw each picture whose verdict and mask have come: three endpoints have no order among them."""
        for view in self._drawable():
            if view in self._masks or not _sends_mask(self._verdicts[view[:2]], view[2]):
                self._draw(view)
        _forget_oldest(self._verdicts)
        _forget_oldest(self._masks)
        _forget_oldest(self._pictures)

    def _draw(self, view: _View) -> None:
        picture, labels = self._pictures.pop(view), self._masks.get(view)
        if labels is not None and labels.shape != picture.shape[:2]:
            raise WireError(
                f"verdict {view[1]} of camera {view[2]}: mask {labels.shape}, picture {picture.shape[:2]} "
                "(height, width): expected equal; do not use them"
            )
        _write_png(picture_path(self._folder, *view), draw(picture, labels, self._verdicts[view[:2]]))


def picture_path(folder: Path, epoch: int, seq: int, camera: str) -> Path:
    """Return where a Keeper of *folder* puts the picture of *camera* that belongs to verdict *seq* of *epoch*."""
    return folder / "pictures" / f"{epoch:012x}-{seq:06d}-{_file_name(camera)}.png"


def _forget_oldest(waiting: dict[_Key, _Value]) -> None:
    while len(waiting) > _PAIRS_WAITING:
        waiting.pop(next(iter(waiting)))


def _mask_path(folder: Path, header: MaskHeader) -> Path:
    stem = header.source.removesuffix(PurePosixPath(header.source).suffix)
    return folder / "masks" / _file_name(header.camera) / f"{_file_name(stem)}.png"


def _file_name(text: str) -> str:
    """Return *text* if it is a plain name, else what is harmless of it and a hash: it came from the network."""
    if _PLAIN.fullmatch(text) and len(text.encode()) <= _LONGEST_NAME:
        return text
    digest = hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:12]
    return f"{_NOT_PLAIN.sub('_', text)[:_KEPT_OF_A_NAME].lstrip('.')}-{digest}"


def _view(header: MaskHeader | PictureHeader) -> _View:
    return header.epoch, header.seq, header.camera


def _sends_mask(verdict: Verdict, camera: str) -> bool:
    return any(view.camera == camera and view.mask is not None and view.mask.sent for view in verdict.views)


def _decoded(picture: Picture) -> NDArray[np.uint8]:
    data = np.frombuffer(picture.jpeg, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if image is None:
        raise WireError(f"picture {picture.header.seq} of camera {picture.header.camera} is no JPEG; do not use it")
    return np.asarray(image, np.uint8)


def _write_png(path: Path, image: NDArray[np.uint8]) -> None:
    path.parent.mkdir(exist_ok=True)
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
