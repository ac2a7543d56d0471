"""``edge-inspectd camera focus``: how sharp the picture is at this moment, while somebody turns the lens."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edge.cameras.session import Look, Session
from edge.cameras.subject import Looking, subject_of
from edge.errors import ConfigurationError
from edge.inspector.drift import measures_from_picture

_BAR = 40
_SHOWN_EVERY_S = 0.1
_LINE_EVERY_S = 1.0
_RATE_OVER = 30
_NEAR_PEAK = 0.95
_WRONG = "bold red"

Region = Annotated[str, Field(pattern=r"^\d{1,5},\d{1,5},[1-9]\d{0,4},[1-9]\d{0,4}$")]


class Focus(Looking):
    """
    Show how sharp the picture is, and the sharpest so far, while the lens is turned; brightness and saturation for the
    exposure. Sharpness is what [cameras.drift] limits: only the same scene under the same light can be compared.
    Ends with Ctrl-C.
    """

    region: Region | None = Field(None, description="part of the picture that is measured, X,Y,WIDTH,HEIGHT [px]")
    seconds: float | None = Field(None, gt=0, le=86_400, description="end after this; none = with Ctrl-C")


class Sharpness(msgspec.Struct, frozen=True, kw_only=True):
    """Of one picture; printed by --json as one line. Of a part without a picture nothing is measured: None."""

    sharpness: float | None
    peak: float
    brightness: float | None
    saturated: float | None
    rate_hz: float | None
    fault: str


def focus(command: Focus) -> int:
    """
    Measure until told to stop.

    Raises:
        ConfigurationError: no such camera, or the region lies outside of the picture.
        CameraError: it does not open, or gives no picture.
    """
    subject = subject_of(command)
    with Session(subject, command.patience_s) as session:
        meter = _Meter(command.region)
        # Its way to end: no failure.
        with suppress(KeyboardInterrupt):
            _follow(session, meter, command)
    if not command.as_json:
        Console().print(meter.summary(), soft_wrap=True)
    return 0


def _follow(session: Session, meter: _Meter, command: Focus) -> None:
    until_s = None if command.seconds is None else time.monotonic() + command.seconds
    console = Console()
    live = Live(console=console, auto_refresh=False, transient=True) if _moves(console, command) else None
    show = _shower(console, live, command)
    shown_s = 0.0
    every_s = 0.0 if command.as_json else _SHOWN_EVERY_S if live is not None else _LINE_EVERY_S
    with live or nullcontext():
        for look in session.looks():
            sharpness = meter.measure(look)
            now_s = time.monotonic()
            if now_s - shown_s >= every_s:
                show(sharpness)
                shown_s = now_s
            if until_s is not None and now_s >= until_s:
                return


def _moves(console: Console, command: Focus) -> bool:
    return console.is_terminal and not command.as_json


def _shower(console: Console, live: Live | None, command: Focus) -> Callable[[Sharpness], None]:
    def lines(sharpness: Sharpness) -> None:
        sys.stdout.write(msgspec.json.encode(sharpness).decode() + "\n")
        sys.stdout.flush()

    if command.as_json:
        return lines
    if live is None:
        return lambda sharpness: console.print(line_from_sharpness(sharpness), soft_wrap=True)
    return lambda sharpness: live.update(_table(sharpness), refresh=True)


class _Meter:
    """Measures picture after picture, and remembers the sharpest."""

    def __init__(self, region: str | None) -> None:
        self._region = None if region is None else tuple(int(number) for number in region.split(","))
        self._times_us: deque[int] = deque(maxlen=_RATE_OVER)
        self._count = 0
        self._last: Sharpness | None = None

    def measure(self, look: Look) -> Sharpness:
        self._times_us.append(look.captured_us)
        self._count += 1
        peak = 0.0 if self._last is None else self._last.peak
        if look.picture is None or look.measures is None:
            nothing = Sharpness(
                sharpness=None, peak=peak, brightness=None, saturated=None, rate_hz=self._rate_hz(), fault=look.fault
            )
            self._last = nothing
            return nothing
        measures, saturated = look.measures, look.saturated
        if self._region is not None:
            part = self._cut(look.picture)
            measures, saturated = measures_from_picture(part), float((part.max(axis=2) == 255).mean())
        self._last = Sharpness(
            sharpness=measures.sharpness,
            peak=max(peak, measures.sharpness),
            brightness=measures.brightness,
            saturated=saturated,
            rate_hz=self._rate_hz(),
            fault=look.fault,
        )
        return self._last

    def summary(self) -> Text:
        if self._last is None:
            return Text("no picture came")
        return Text(f"{self._count} pictures; last ").append_text(line_from_sharpness(self._last))

    def _cut(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        assert self._region is not None
        left, top, width, height = self._region
        rows, columns = picture.shape[:2]
        if left + width > columns or top + height > rows:
            raise ConfigurationError(
                f"--region = {left},{top},{width},{height}: lies outside of the picture of {columns}x{rows} px"
            )
        part = picture[top : top + height, left : left + width]
        return part[:, :, np.newaxis] if part.ndim == 2 else part

    def _rate_hz(self) -> float | None:
        span_us = self._times_us[-1] - self._times_us[0]
        return (len(self._times_us) - 1) * 1e6 / span_us if span_us > 0 else None


def line_from_sharpness(sharpness: Sharpness) -> Text:
    """
    Return everything on one line; green as long as the lens stands near the best so far.

    Of a part that was not measured it is the fault alone.
    """
    if sharpness.sharpness is None or sharpness.brightness is None or sharpness.saturated is None:
        return Text(f"no picture: {sharpness.fault}", _WRONG)
    share = _share(sharpness)
    rate = "" if sharpness.rate_hz is None else f", {sharpness.rate_hz:.3g} Hz"
    style = "green" if share >= _NEAR_PEAK else ""
    line = Text(f"sharpness {sharpness.sharpness:8.1f}, {share:4.0%} of the sharpest {sharpness.peak:.1f}", style)
    line.append(f"; brightness {sharpness.brightness:.1f}, saturated {sharpness.saturated:.2%}{rate}", "default")
    if sharpness.fault:
        line.append(f"; {sharpness.fault}", _WRONG)
    return line


def _share(sharpness: Sharpness) -> float:
    return (sharpness.sharpness or 0.0) / sharpness.peak if sharpness.peak > 0 else 0.0


def _table(sharpness: Sharpness) -> Table:
    share = _share(sharpness)
    near = share >= _NEAR_PEAK
    table = Table.grid(padding=(0, 2))
    bar = Text("#" * round(share * _BAR), "green" if near else "yellow").append(
        "." * (_BAR - round(share * _BAR)), "dim"
    )
    table.add_row(
        "sharpness", Text(_number(sharpness.sharpness, "10.1f"), "bold"), bar, f"{share:4.0%} of {sharpness.peak:.1f}"
    )
    lost = sharpness.saturated is not None and sharpness.saturated >= 0.001
    saturated = Text(_number(sharpness.saturated, "10.2%"), _WRONG if lost else "")
    table.add_row("brightness", _number(sharpness.brightness, "10.1f"), "0 is black, 255 white", "")
    table.add_row("saturated", saturated, "of the pixels; above 0 detail is lost in the lights", "")
    table.add_row("rate [Hz]", _number(sharpness.rate_hz, "10.3g"), "Ctrl-C ends", "")
    if sharpness.fault:
        table.add_row("UNKNOWN", "", Text(sharpness.fault, _WRONG, overflow="fold"), "")
    return table


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
