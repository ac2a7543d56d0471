"""``edge-subscribe``: watch a station, and keep what it says."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import TypeAlias, TypeVar

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from rich.console import Console
from rich.live import Live
from typing_extensions import Self

from edge.board import Board, Shown, text_from_missed
from edge.client import Mask, Picture, Subscriber
from edge.commandline import run
from edge.errors import ConfigurationError, WireError
from edge.overlay import draw
from edge.records import MaskHeader, PictureHeader, Status, Verdict
from edge.settings import Endpoints, read_station
from edge.subscription import Delivered, Missed, Subscription
from edge.wire import verdict_from_header

# (epoch, seq), and with the camera: a number that was not journaled is given anew in the next epoch.
_Verdict: TypeAlias = tuple[int, int]
_View: TypeAlias = tuple[int, int, str]
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

_PLAIN = re.compile(r"(?!\.)[\w .,()\[\]+=@-]+")
_NOT_PLAIN = re.compile(r"[^\w .,()\[\]+=@-]")
# Of 255 bytes; a character may take four.
_LONGEST_NAME = 200
_KEPT_OF_A_NAME = 40
# Verdicts that are shown and kept before they are acknowledged; fewer when nothing more waits.
_BATCH = 100
# Of verdicts.jsonl, in which a verdict that comes again is looked for: thousands of them, more than any batch.
_TAIL_BYTES = 4_000_000
# Verdicts and the station's last word come on two connections: one that is late may be so late.
_LAST_VERDICT_S = 0.2
# A verdict waits for its picture and mask for so many newer ones, then its place is given up.
_PAIRS_WAITING = 64


class Subscribe(BaseModel):
    """Show the verdicts of a station as they come, and keep verdicts, masks and pictures in a folder."""

    config: Path | None = Field(None, description="the station's TOML file: gives its name and the endpoints")
    results: str = Field(
        "", description="the station's results endpoint; none = of --config, else tcp://127.0.0.1:5556"
    )
    masks: str = Field("", description="the station's masks endpoint; none = of --config, else tcp://127.0.0.1:5557")
    pictures: str = Field(
        "", description="the station's pictures endpoint; none = of --config, else tcp://127.0.0.1:5558"
    )
    control: str = Field(
        "", description="the station's control endpoint, for --from-last; none = of --config, else tcp://127.0.0.1:5559"
    )
    station: str = Field("", description="name of the station; none = of --config, else any that speaks there")
    from_last: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
        description="name under which to go on where the last run ended, without a gap: what is shown, and on disk "
        "with --save, is acknowledged under it",
    )
    oldest: bool = Field(False, description="a name that is new to the station begins with the oldest verdict it has")
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
        ConfigurationError: ``config`` is no station's file.
        WireError: nothing came for ``timeout_s``, or a message is not what the protocol says.
    """
    command = _addressed(command)
    keeper = Keeper(command.save) if command.save is not None else None
    with Subscriber(
        command.results, command.masks, command.pictures, command.station, verdicts=command.from_last is None
    ) as subscriber:
        if command.from_last is None:
            _show(command, subscriber, subscriber.receive, keeper)
            return 0
        with Resumed(command, subscriber, keeper) as resumed:
            _show(command, subscriber, resumed.receive, keeper)
            resumed.settle()
    return 0


def _addressed(command: Subscribe) -> Subscribe:
    """Return it with every endpoint: what is given, else what the file says, else what a station has by default."""
    station = None if command.config is None else read_station(command.config)
    endpoints = Endpoints() if station is None else station.endpoints
    places = {name: getattr(command, name) or value for name, value in endpoints}
    name = command.station or ("" if station is None else station.station)
    return command.model_copy(update={**places, "station": name})


def _show(
    command: Subscribe, subscriber: Subscriber, receive: Callable[[float], Shown | None], keeper: Keeper | None
) -> None:
    if command.lines:
        _watch(command, receive, keeper, _print_line)
    else:
        board, console = Board(), Console()
        with Live(board.table(), console=console, refresh_per_second=8, get_renderable=board.table):
            _watch(command, receive, keeper, board.take)
        if not console.is_terminal:  # The live table leaves its last line open there.
            console.line()
    if keeper is not None:
        keeper.drain(subscriber)


def _watch(
    command: Subscribe,
    receive: Callable[[float], Shown | None],
    keeper: Keeper | None,
    show: Callable[[Shown], None],
) -> None:
    verdicts = 0
    while command.count is None or verdicts < command.count:
        event = receive(command.timeout_s or 1.0)
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


def _print_line(event: Shown) -> None:
    if isinstance(event, Verdict):
        sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")
        sys.stdout.buffer.flush()
    elif isinstance(event, Missed):
        sys.stderr.write(f"edge-subscribe: {text_from_missed(event)}\n")


class Resumed:
    """Verdicts under a name, without a gap, and what else a subscriber hears, as one stream."""

    def __init__(self, command: Subscribe, subscriber: Subscriber, keeper: Keeper | None) -> None:
        self._command = command
        self._subscriber = subscriber
        self._keeper = keeper
        self._subscription: Subscription | None = None
        self._waiting: deque[Shown | Delivered] = deque()
        self._given: Delivered | None = None
        self._given_count = 0
        self._last: Delivered | None = None
        self._stopped: Status | None = None

    def receive(self, timeout_s: float) -> Shown | None:
        """
        Return the next event; None when none comes for *timeout_s*. The one before has been shown and kept.

        Raises:
            NameTaken: somebody else reads under this name.
            RequestRefused, WireError: as a Subscription's and a Subscriber's.
        """
        give_up = time.monotonic() + timeout_s
        if self._given_count >= _BATCH:
            self.settle()
        while not self._waiting:
            self._listen(0.0)
            if not self._waiting:
                self.settle()
                left_s = give_up - time.monotonic()
                if left_s <= 0:
                    return None
                self._listen(min(left_s, 0.05))
        event = self._waiting.popleft()
        if not isinstance(event, Delivered):
            return event
        self._given = event
        self._given_count += 1
        return event.verdict

    def settle(self) -> None:
        """Acknowledge what was given, when it is on disk."""
        if self._given is not None and self._subscription is not None:
            if self._keeper is not None:
                self._keeper.sync()
            self._subscription.acknowledge(self._given)
            self._given, self._given_count = None, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._subscription is not None:
            self._subscription.close()

    def _listen(self, wait_s: float) -> None:
        """Hear one event of each side at most, so that what waits here is little, whatever the backlog."""
        if self._stopped is not None:
            self._hear_the_rest(self._stopped)
            return
        if self._subscription is not None:
            self._take(self._subscription, wait_s)
            wait_s = 0.0
        heard = self._subscriber.receive(wait_s)
        # Not before: a station that waits for its first subscriber would send masks that nobody hears.
        if self._subscription is None and self._subscriber.hears_masks:
            self._subscription = self._subscribed()
        if isinstance(heard, Status) and heard.state == "stopped":
            self._stopped = heard
        elif heard is not None:
            self._waiting.append(heard)

    def _hear_the_rest(self, stopped: Status) -> None:
        """Take one verdict that was published before the station's last word; without another, that word."""
        subscription = self._subscription
        if subscription is None or self._is_behind(stopped) or not self._take(subscription, _LAST_VERDICT_S):
            self._waiting.append(stopped)
            self._stopped = None

    def _is_behind(self, stopped: Status) -> bool:
        """Tell whether the last verdict taken is the last of that run, or of a run that came after it."""
        if self._last is None:
            return False
        verdict = self._last.verdict
        return verdict.seq >= stopped.seq or (self._last.live and verdict.epoch != stopped.epoch)

    def _take(self, subscription: Subscription, wait_s: float) -> bool:
        item = subscription.next(wait_s)
        if item is not None:
            self._waiting.append(item)
        if isinstance(item, Delivered):
            self._last = item
        return item is not None

    def _subscribed(self) -> Subscription:
        command = self._command
        return Subscription(
            command.results,
            command.control,
            command.from_last or "",
            station=command.station,
            origin="oldest" if command.oldest else "now",
            ack_every=_BATCH,
        )


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
            self._written = _keys_in_tail(folder / "verdicts.jsonl")

    def sync(self) -> None:
        """Return when every verdict taken is on disk."""
        with _writing(self._folder), (self._folder / "verdicts.jsonl").open("ab") as lines:
            os.fsync(lines.fileno())

    def take(self, event: Shown) -> None:
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

    def _keep(self, event: Shown) -> None:
        if isinstance(event, Verdict):
            if (event.epoch, event.seq) in self._written:
                return  # Written by a run that died before it could acknowledge it.
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


def _keys_in_tail(path: Path) -> set[_Verdict]:
    """Return which verdicts the end of the file has, and cut off a line that was not written to its end."""
    if not path.exists():
        return set()
    with path.open("r+b") as lines:
        start = max(lines.seek(0, os.SEEK_END) - _TAIL_BYTES, 0)
        lines.seek(start)
        whole, _, torn = lines.read().rpartition(b"\n")
        if torn:
            lines.truncate(lines.tell() - len(torn))
    given = whole.split(b"\n")[1 if start else 0 :]
    return {(verdict.epoch, verdict.seq) for verdict in map(verdict_from_header, filter(None, given))}


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
