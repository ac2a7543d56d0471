"""``edge-inspectd camera show``: open a camera, and tell what it really does."""

from __future__ import annotations

import itertools
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from pydantic import Field
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge.cameras.nodes import controls
from edge.cameras.session import Look, Session
from edge.cameras.subject import Looking, Subject, features_of, subject_of
from edge.errors import CameraError, EdgeError
from edge.inspector.drift import Measures
from edge.settings import CameraSettings, FolderSource, GenicamSource, OpenCVSource, Station
from engines.contract import PixelFormat

_WRONG = "bold red"
_RATE_TOLERANCE = 0.1
_NUMBER = re.compile(r"\d+(\.\d+)?")


class Show(Looking):
    """Open a camera, take pictures for a while, and tell what it really does, and what would be UNKNOWN and why."""

    frames: int = Field(60, ge=1, le=100_000, description="take so many pictures")
    seconds: float = Field(10.0, gt=0, le=3600, description="but for no longer than this")


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    mean: float
    low: float
    high: float


class Intervals(msgspec.Struct, frozen=True, kw_only=True):
    """Between two pictures [ms]; of a source with a time of its own."""

    p50: float
    p99: float
    longest: float


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen; printed by --json as one line."""

    camera: str
    description: str
    opened_s: float
    pictures: int
    seconds: float
    rate_hz: float | None
    intervals_ms: Intervals | None
    rate_fault: str
    """What is wrong with the rate that was set, as far as gaps are told by it; empty = nothing."""
    size: str
    takes: PixelFormat | None
    """What the station takes; None = its bundle cannot be read, or there is no station, so that any format is right."""
    brightness: Spread | None
    sharpness: Spread | None
    saturated: Spread | None
    numbered: bool
    triggerable: bool
    counts: bool
    unknown: dict[str, int]
    """Why, of the first picture of each kind; how many pictures."""
    settings: dict[str, str]
    """What the device says that it is set to; empty where there is nobody to ask."""


def show(command: Show) -> int:
    """
    Look at a camera and print what was seen.

    Raises:
        ConfigurationError: there is no such camera.
        CameraError: it does not open, or gives no picture.
    """
    subject = subject_of(command)
    with Session(subject, command.patience_s) as session:
        looks, fault = _taken(session, command, live=subject.settings.source.live)
        seen = _summary(subject, session, looks)
    # When it is closed again: some devices answer one program alone.
    shown = msgspec.structs.replace(seen, settings=_settings_of(subject))
    if command.as_json:
        sys.stdout.write(msgspec.json.encode(shown).decode() + "\n")
    else:
        _print(subject, shown)
    if fault is not None:
        raise fault
    return 0


def _taken(session: Session, command: Show, *, live: bool) -> tuple[list[Look], CameraError | None]:
    """Return what came, and what ended it too early: what was seen until then is worth being shown."""
    looks: list[Look] = []
    until_s = time.monotonic() + command.seconds
    try:
        for look in itertools.islice(session.looks(), command.frames):
            looks.append(look)
            if time.monotonic() >= until_s:
                break
    except CameraError as error:
        if not looks:
            raise
        # That a folder has no further files is no fault of its.
        return looks, error if live else None
    return looks, None


def _summary(subject: Subject, session: Session, looks: Sequence[Look]) -> Shown:
    times_us = [look.captured_us for look in looks]
    span_s = (times_us[-1] - times_us[0]) / 1e6 if times_us else 0.0
    between_ms = np.diff(times_us) / 1000
    paced = subject.settings.source.paced and len(between_ms) > 0
    p50, p99, longest = np.percentile(between_ms, [50, 99, 100]).tolist() if paced else (0.0, 0.0, 0.0)
    actual = session.actual
    times = Intervals(p50=p50, p99=p99, longest=longest) if paced else None
    rate_hz = len(between_ms) / span_s if paced and span_s > 0 else None
    return Shown(
        camera=subject.settings.name,
        description=actual.description,
        opened_s=session.opened_s,
        pictures=len(looks),
        seconds=span_s,
        rate_hz=rate_hz,
        intervals_ms=times,
        rate_fault=fault_of_rate(subject.settings, rate_hz, times),
        size=_sizes(looks),
        takes=subject.format if subject.station is not None else None,
        brightness=_spread(looks, lambda measures, _: measures.brightness),
        sharpness=_spread(looks, lambda measures, _: measures.sharpness),
        saturated=_spread(looks, lambda _, look: look.saturated),
        numbered=actual.numbered,
        triggerable=actual.triggerable,
        counts=actual.counts,
        unknown=_faults(looks),
        settings={},
    )


def fault_of_rate(settings: CameraSettings, rate_hz: float | None, times: Intervals | None) -> str:
    """Return what a rate that the camera does not keep does to its parts."""
    set_hz = settings.source.steady_rate_hz if settings.trigger == "free-run" else None
    if set_hz is None or rate_hz is None or times is None:
        return ""
    # Both: pauses make the rate smaller, and pictures that come in bunches make most distances so.
    apart = (abs(rate_hz / set_hz - 1), abs(times.p50 * set_hz / 1000 - 1))
    if min(apart) <= _RATE_TOLERANCE:
        return ""
    harm = "parts that never were are UNKNOWN(missed)" if rate_hz < set_hz else "new pictures are taken for old ones"
    return f"rate_hz is {set_hz:g}, measured {rate_hz:.4g} Hz: {harm}; set rate_hz to what the camera sends"


def _faults(looks: Sequence[Look]) -> dict[str, int]:
    """Return what speaks against the pictures, the most frequent first; those that differ in numbers alone once."""
    counts: Counter[str] = Counter()
    first: dict[str, str] = {}
    for look in looks:
        if look.fault:
            kind = _NUMBER.sub("#", look.fault)
            first.setdefault(kind, look.fault)
            counts[kind] += 1
    return {first[kind]: count for kind, count in counts.most_common()}


def _sizes(looks: Sequence[Look]) -> str:
    shapes = Counter(look.picture.shape for look in looks if look.picture is not None)
    return " and ".join(f"{shape[1]}x{shape[0]} px, {_colours(shape)}" for shape, _ in shapes.most_common()) or "-"


def _colours(shape: tuple[int, ...]) -> str:
    return "grey (mono8)" if len(shape) == 2 else f"{shape[2]} channels (bgr8)"


def _spread(looks: Sequence[Look], value: Callable[[Measures, Look], float]) -> Spread | None:
    values = [value(look.measures, look) for look in looks if look.measures is not None]
    return Spread(mean=float(np.mean(values)), low=min(values), high=max(values)) if values else None


def _settings_of(subject: Subject) -> dict[str, str]:
    source = subject.settings.source
    try:
        if isinstance(source, OpenCVSource) and "://" not in str(source.device):
            node = f"/dev/video{source.device}" if isinstance(source.device, int) else source.device
            return controls(Path(node))
        if isinstance(source, GenicamSource):
            return features_of(source.device)
    except EdgeError as error:
        return {"settings": str(error)}
    return {}


# ---- for people ------------------------------------------------------------------------------------------------


def _print(subject: Subject, shown: Shown) -> None:
    limits = subject.settings.drift
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in (
        ("camera", Text(f"{shown.camera} ({subject.where})")),
        ("opened", Text(f"in {shown.opened_s:.2f} s: {shown.description}")),
        ("pictures", Text(_rate(shown))),
        *([("rate", Text(shown.rate_fault, _WRONG))] if shown.rate_fault else []),
        ("size", Text(shown.size)),
        *_takes(subject.station, shown),
        ("brightness", _measure(shown.brightness, ".1f", limits.brightness_low, limits.brightness_high)),
        ("sharpness", _measure(shown.sharpness, ".1f", limits.sharpness_low, None)),
        ("saturated", _measure(shown.saturated, ".2%", None, None)),
        ("numbered", Text(_numbered(subject.settings.source, numbered=shown.numbered))),
        ("triggerable", Text(_triggerable(subject, shown))),
        ("counts", Text(_COUNTS[shown.counts])),
        *_unknown(shown),
    ):
        table.add_row(name, text)
    console = Console()
    console.print(table)
    if shown.settings:
        console.print(_settings_table(shown.settings))


_TRIGGERABLE = {
    True: 'yes: trigger = "software" gives a picture taken after the request',
    False: 'no: trigger = "software" would be refused',
}
_COUNTS = {
    True: "yes: its numbers go on while it is closed",
    False: "no: what passes while it is closed is not known",
}


def _numbered(source: object, *, numbered: bool) -> str:
    if numbered:
        return "yes: a gap in its numbers proves a lost picture"
    if isinstance(source, FolderSource):
        return "no: what its writer loses nobody can know"
    return "no: a lost picture shows in the times alone, and best with rate_hz set"


def _triggerable(subject: Subject, shown: Shown) -> str:
    if isinstance(subject.settings.source, GenicamSource) and not shown.triggerable:
        return f'with trigger = "software"; it is opened with "{subject.settings.trigger}" now'
    return _TRIGGERABLE[shown.triggerable]


def _rate(shown: Shown) -> str:
    if shown.rate_hz is None or shown.intervals_ms is None:
        return f"{shown.pictures}, as fast as they were read" if shown.pictures > 1 else f"{shown.pictures}"
    times = shown.intervals_ms
    return (
        f"{shown.pictures} in {shown.seconds:.1f} s, {shown.rate_hz:.4g} Hz; "
        f"between two p50 {times.p50:.1f}, p99 {times.p99:.1f}, longest {times.longest:.1f} ms"
    )


def _takes(station: Station | None, shown: Shown) -> list[tuple[str, Text]]:
    """Return what the station takes; a camera of another format passes for a good one as long as nobody knows."""
    if station is None:
        return []
    if shown.takes is not None:
        return [("station", Text(f"takes {shown.takes}"))]
    doubt = f"no bundle can be read at {station.bundle.path}: whether it takes what this camera gives is not known"
    return [("station", Text(f"{doubt}; if it takes the other one of mono8 and bgr8, set convert_to", _WRONG))]


def _measure(spread: Spread | None, form: str, low: float | None, high: float | None) -> Text:
    if spread is None:
        return Text("-")
    said = f"{format(spread.mean, form)} ({format(spread.low, form)} to {format(spread.high, form)})"
    bounds = [f"{what} {limit:g}" for what, limit in (("above", low), ("below", high)) if limit is not None]
    inside = (low is None or spread.low >= low) and (high is None or spread.high <= high)
    if not bounds:
        return Text(said)
    return Text(f"{said}; expected {' and '.join(bounds)}", "" if inside else _WRONG)


def _unknown(shown: Shown) -> list[tuple[str, Text]]:
    if not shown.unknown:
        return [("UNKNOWN", Text(f"none of {shown.pictures}, as far as a camera alone can tell", "green"))]
    return [("UNKNOWN", Text(f"{count} of {shown.pictures}: {why}", _WRONG)) for why, count in shown.unknown.items()]


def _settings_table(settings: dict[str, str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("set to", no_wrap=True)
    table.add_column("", overflow="fold")
    for name, value in settings.items():
        table.add_row(Text(name), Text(value))
    return table
