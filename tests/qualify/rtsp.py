"""
An RTSP camera through OpenCV: how old its pictures are, and what becomes of it when its server hangs or dies.

The server's pictures carry the time of exposure; both run on this machine, so that an age is exact. Needs what
`make test-integration` installs.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import cv2
import numpy as np

from edge.errors import CameraError
from edge.inspector.camera.opencv import OpenCVCamera
from tests.peers.rtsp.scene import read_barcode
from tests.qualify.report import percentiles, table, with_spread
from tests.support.rtsp import FRESH_MS, Line, Server, source

TITLE = "age of an RTSP camera's pictures; server hung, killed"

SIZE = (720, 1280)
_FRAMES = 90
_BUSY_MS = (0, 50, 200)
_ROUNDS = 20
# Of any length: also such that the server goes on in the middle of an open that is about to time out.
_STOPPED_S = (3.0, 6.0)
# Of bare OpenCV. Its own read time-out is half a minute.
_TIME_OUTS = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 3000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 2000]


def run(out: Path, scale: float) -> dict[str, Any]:
    """Measure ages behind fast and slow consumers, then hang and kill the server some times."""
    frames, rounds = max(10, round(_FRAMES * scale)), max(1, round(_ROUNDS * scale))
    random = Random(6)
    lengths_s = [random.uniform(*_STOPPED_S) for _ in range(rounds)]
    with _server() as server:
        bare = {busy_ms: _bare_ages_ms(server, busy_ms, frames) for busy_ms in _BUSY_MS}
        ours = {busy_ms: _ages(server, busy_ms, frames) for busy_ms in _BUSY_MS}
        hung = [_hang(server, seconds) for seconds in lengths_s]
        bare_hung = _bare_hang(server)
        killed = [_kill(server) for _ in range(rounds)]
        open_s = _open_of_a_hung_server(server)
    lines = [*ours.values(), *(line for line, *_ in hung), *(line for line, *_ in killed)]
    _print(bare, ours, hung, killed, bare_hung, open_s)
    return {
        "age [ms], bare OpenCV": {busy: percentiles(ages) for busy, ages in bare.items()},
        "age [ms]": {busy: percentiles(line.ages_ms()) for busy, line in ours.items()},
        "hung, detected [s]": [one[1] for one in hung],
        "hung, back [s]": [one[2] for one in hung],
        "killed, detected [s]": [one[1] for one in killed],
        "killed, back [s]": [one[2] for one in killed],
        "hung, old pictures of bare OpenCV [ms]": bare_hung,
        "open of a hung server [s]": open_s,
        "broken": [f"an old picture was given as good: {one}" for line in lines for one in line.stale()],
    }


@contextmanager
def _server() -> Iterator[Server]:
    server = Server(SIZE)
    try:
        yield server
    finally:
        server.end()


def _bare_ages_ms(server: Server, busy_ms: int, frames: int) -> list[float]:
    """Return ages as OpenCV gives pictures to who reads one after the other."""
    capture = cv2.VideoCapture(_url(server), cv2.CAP_FFMPEG, [*_TIME_OUTS, cv2.CAP_PROP_N_THREADS, 1])
    ages_ms = []
    for _ in range(frames):
        _, image = capture.read()
        ages_ms.append(_age_ms(image))
        time.sleep(busy_ms / 1000)
    capture.release()
    return ages_ms


def _ages(server: Server, busy_ms: int, frames: int) -> Line:
    with Line(source(server.port), SIZE, busy_s=busy_ms / 1000).running() as line:
        line.wait_for_frames(frames, timeout_s=120)
    return line


def _hang(server: Server, seconds: float) -> tuple[Line, float, float]:
    """Return the line, how long the loss took to be noticed, and the way back [s]."""
    with Line(source(server.port), SIZE).running() as line:
        server.send(signal.SIGSTOP)
        began_s = time.monotonic()
        gone_s = line.wait_for_fault(began_s)
        time.sleep(max(0.0, began_s + seconds - time.monotonic()))
        server.send(signal.SIGCONT)
        return line, gone_s - began_s, _back_s(line)


def _kill(server: Server) -> tuple[Line, float, float]:
    with Line(source(server.port), SIZE).running() as line:
        killed_s = time.monotonic()
        server.end()
        gone_s = line.wait_for_fault(killed_s)
        server.start()
        return line, gone_s - killed_s, _back_s(line)


def _back_s(line: Line) -> float:
    began_s, before = time.monotonic(), len(line.frames())
    line.wait_for_frames(1)
    return line.frames()[before].at_s - began_s


def _bare_hang(server: Server) -> list[float]:
    """Return the ages of what OpenCV gives as good from a server that hangs [ms]."""
    capture = cv2.VideoCapture(_url(server), cv2.CAP_FFMPEG, [*_TIME_OUTS, cv2.CAP_PROP_N_THREADS, 1])
    for _ in range(45):
        capture.read()
    server.send(signal.SIGSTOP)
    ages_ms = []
    while True:
        good, image = capture.read()
        if not good:
            break
        ages_ms.append(_age_ms(image))
    server.send(signal.SIGCONT)
    capture.release()
    return [age_ms for age_ms in ages_ms if age_ms > FRESH_MS]


def _open_of_a_hung_server(server: Server) -> float:
    server.send(signal.SIGSTOP)
    began_s = time.monotonic()
    try:
        OpenCVCamera(source(server.port), "bgr8", SIZE).open(1)
    except CameraError:
        return time.monotonic() - began_s
    finally:
        server.send(signal.SIGCONT)
    return float("nan")


def _url(server: Server) -> str:
    return str(source(server.port).device)


def _age_ms(image: Any) -> float:
    return time.monotonic_ns() / 1e6 - read_barcode(np.asarray(image))


def _print(
    bare: dict[int, list[float]],
    ours: dict[int, Line],
    hung: list[tuple[Line, float, float]],
    killed: list[tuple[Line, float, float]],
    bare_hung: list[float],
    open_s: float,
) -> None:
    table(
        f"Age of an RTSP camera's pictures when they are read [ms], {SIZE[1]}x{SIZE[0]} at 30 Hz, H.264 over TCP",
        ("consumer busy with each picture for", "n", "p50", "p99", "max", "parts UNKNOWN", "old ones given as good"),
        [
            *(
                (f"{busy} ms, bare OpenCV", *_ages_row(ages), "-", sum(age > FRESH_MS for age in ages))
                for busy, ages in bare.items()
            ),
            *(
                (f"{busy} ms", *_ages_row(line.ages_ms()), len(line.unknown()), len(line.stale()))
                for busy, line in ours.items()
            ),
        ],
    )
    table(
        "The server hung (SIGSTOP, 3 to 6 s), or killed and started: median of the rounds (lowest to highest) [s]",
        ("", "n", "detected after", "back after", "old ones given as good"),
        [
            (
                name,
                len(rounds),
                with_spread([one[1] for one in rounds], 3),
                with_spread([one[2] for one in rounds]),
                sum(len(one[0].stale()) for one in rounds),
            )
            for name, rounds in (("hung", hung), ("killed", killed))
        ],
    )
    table(
        "Of a server that hangs",
        ("", "result"),
        [
            ("bare OpenCV gives as good pictures of this age, in ms", ", ".join(f"{age:.0f}" for age in bare_hung)),
            ("an open ends after, in s, with open_timeout_ms = 3000", open_s),
        ],
    )


def _ages_row(ages_ms: list[float]) -> tuple[object, ...]:
    of = percentiles(ages_ms)
    return of["n"], of["p50"], of["p99"], of["max"]
