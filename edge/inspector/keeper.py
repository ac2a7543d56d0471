"""
The archive's own process: takes parts on standard input, writes them at the lowest priority, ends with its input.

A process, since a thread of low priority is no help: on busy cores it is stopped while it holds the interpreter lock,
and the engine thread waits with it (docs/archive.md has figures). Each part is answered on standard output by one byte.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
from typing import IO

import msgspec
import numpy as np

from edge.archive import ArchiveWriter, KeepReason, KeptPart, KeptView, Stock
from edge.clock import SYSTEM_CLOCK, Clock
from edge.errors import ArchiveError, EdgeError
from edge.settings import ArchiveSettings
from edge.wire import Encoding

log = logging.getLogger("edge.archive")

KEPT, DROPPED = b"\1", b"\0"

_NICE = 19
_IDLE_S = 1.0
# A full disk fails every part; the log must not fill it further.
_SILENT_US = 60_000_000
# Removing a month at once would keep new parts waiting; with each part written more may go than come.
_BITE = 4
# The keeper of an inspector that was killed ends within the part it is writing.
_PREDECESSOR_S = 5.0
_LENGTH_BYTES = 8


def main(args: list[str]) -> int:
    """Keep the parts on standard input; *args* are settings as JSON and the station's name. Started by Archiver."""
    os.nice(_NICE)
    # Both reach the whole group; what was handed over is still written, and the end of the input ends this process.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="edge-archive: %(message)s")
    keeper = Keeper(ArchiveSettings.model_validate_json(args[0]), args[1])
    # Unbuffered: what lies in a buffer would not wake select().
    with open(0, "rb", buffering=0, closefd=False) as parts:
        keeper.tend()
        while True:
            if not select.select([parts], [], [], _IDLE_S)[0]:
                keeper.tend()
                continue
            part = receive_part(parts)
            if part is None:
                return 0
            _answer(KEPT if keeper.keep(part) else DROPPED)
            keeper.tend()


class Keeper:
    """
    The disk's side of the archive: nothing that the disk does is an error here, it costs parts.

    Args:
        settings: with a path.
        station: named in the log.

    Attributes:
        dropped: parts that could not be written.
    """

    def __init__(self, settings: ArchiveSettings, station: str, clock: Clock = SYSTEM_CLOCK) -> None:
        if settings.path is None:
            raise ArchiveError("key 'archive.path' is not set; a keeper needs a folder")
        self._root = settings.path
        self._settings = settings
        self._station = station
        self._clock = clock
        self._writer: ArchiveWriter | None = None
        self._stock = self._new_stock()
        self._told_us: int | None = None
        self.dropped = 0

    def keep(self, part: KeptPart) -> bool:
        """Write one part; False when it could not be: it is counted."""
        try:
            # Two statements: opening it begins a new stock.
            written = self._opened().write(part)
            self._stock.add(written)
        except (EdgeError, OSError) as error:
            self.dropped += 1
            self._tell(error)
            return False
        return True

    def tend(self) -> None:
        """Open the archive if it is not, which removes what a kill left half done, and remove a few old parts."""
        try:
            self._trim(self._opened())
        except (EdgeError, OSError) as error:
            self._tell(error)

    def _opened(self) -> ArchiveWriter:
        """Return the open archive: a disk that was unmounted or emptied meanwhile is begun anew."""
        if self._writer is not None and not self._writer.in_place:
            self._writer.close()
            self._writer = None
        if self._writer is None:
            self._writer = self._begun()
        return self._writer

    def _begun(self) -> ArchiveWriter:
        writer = ArchiveWriter(self._root, wait_s=_PREDECESSOR_S)
        self._stock = self._new_stock()
        try:
            for part in writer.stocked():
                self._stock.add(part)
        except OSError:
            writer.close()  # Its lock would keep the next attempt out.
            raise
        return writer

    def _new_stock(self) -> Stock:
        return Stock(self._settings.keep_mb * 1_000_000, self._settings.keep_days)

    def _trim(self, writer: ArchiveWriter) -> None:
        for _ in range(_BITE):
            surplus = self._stock.surplus(self._clock.utc_us())
            if surplus is None:
                return
            writer.remove(surplus)
            self._stock.drop(surplus)

    def _tell(self, error: Exception) -> None:
        now_us = self._clock.now_us()
        if self._told_us is None or now_us - self._told_us >= _SILENT_US:
            self._told_us = now_us
            log.warning("archive of %s: %s; parts that could not be written: %d", self._station, error, self.dropped)


# ---- from the inspector to the keeper ------------------------------------------------------------------------


class _SentView(msgspec.Struct, frozen=True, array_like=True):
    camera: str
    shape: tuple[int, ...]
    encoding: Encoding
    payload: bytes | None


class _Sent(msgspec.Struct, frozen=True, array_like=True):
    """Follows its own length; the pictures follow it, as they lie in memory."""

    reason: KeepReason
    verdict: bytes
    views: tuple[_SentView, ...]


_decoder = msgspec.msgpack.Decoder(_Sent)


def send_part(pipe: IO[bytes], part: KeptPart) -> None:
    """
    Write a part to the keeper.

    Raises:
        OSError: the keeper has ended.
    """
    views = tuple(_SentView(v.camera, v.image.shape, v.encoding, v.payload) for v in part.views)
    head = msgspec.msgpack.encode(_Sent(part.reason, part.verdict, views))
    pipe.write(len(head).to_bytes(_LENGTH_BYTES, "little") + head)
    for view in part.views:
        pipe.write(np.ascontiguousarray(view.image).data)
    pipe.flush()


def receive_part(pipe: IO[bytes]) -> KeptPart | None:
    """Read a part; None when the inspector has ended, be it in the middle of one."""
    try:
        length = int.from_bytes(_exactly(pipe, _LENGTH_BYTES), "little")
        sent = _decoder.decode(_exactly(pipe, length))
        return KeptPart(sent.reason, sent.verdict, tuple(_view(pipe, view) for view in sent.views))
    except EOFError:
        return None


def _view(pipe: IO[bytes], sent: _SentView) -> KeptView:
    pixels = np.frombuffer(_exactly(pipe, int(np.prod(sent.shape))), np.uint8)
    return KeptView(sent.camera, pixels.reshape(sent.shape), sent.encoding, sent.payload)


def _exactly(pipe: IO[bytes], count: int) -> bytearray:
    data = bytearray(count)
    rest = memoryview(data)
    while rest:
        got = pipe.readinto(rest)  # type: ignore[attr-defined]
        if not got:
            raise EOFError
        rest = rest[got:]
    return data


def _answer(byte: bytes) -> None:
    try:
        os.write(1, byte)
    except BrokenPipeError:
        log.info("the inspector has ended")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
