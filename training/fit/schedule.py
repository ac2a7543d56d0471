"""How long each phase of a training lasts, in epochs or in time, and how fast it learns meanwhile."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge.errors import ConfigurationError
from training.fit.strategy import Phase

START = 0.04
"""Of the peak learning rate, when a phase begins."""
END = 4e-6
"""Of the peak learning rate, when a phase ends."""

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


@dataclass(frozen=True)
class Leg:
    """
    A phase and its part of a training.

    Attributes:
        epochs: of the phase; None = as many as the time allows.
        until_s: where the phase ends, in seconds since training began; None = when its epochs are done.
    """

    phase: Phase
    epochs: int | None
    until_s: float | None


def legs_from_phases(phases: Sequence[Phase], epochs: int | None, budget_s: float | None) -> tuple[Leg, ...]:
    """
    Deal a training's length to its phases, by epochs or by time.

    Raises:
        ConfigurationError: not exactly one of both is given, or there are fewer epochs than phases.
    """
    if budget_s is not None and epochs is None:
        return _by_time(phases, budget_s)
    if budget_s is None and epochs is not None:
        return _by_epochs(phases, epochs)
    raise ConfigurationError("--epochs and --time-budget: expected one of them; each says how long the training is")


def _by_epochs(phases: Sequence[Phase], epochs: int) -> tuple[Leg, ...]:
    """Deal whole epochs to the phases by their shares, at least one each."""
    if epochs < len(phases):
        names = " and ".join(phase.name for phase in phases)
        raise ConfigurationError(f"--epochs {epochs}: expected at least {len(phases)}, one each for {names}")
    legs: list[Leg] = []
    first, share = 0, 0.0
    for number, phase in enumerate(phases):
        share += phase.share
        still_to_come = len(phases) - 1 - number
        end = min(max(round(share * epochs), first + 1), epochs - still_to_come)
        legs.append(Leg(phase, end - first, None))
        first = end
    return tuple(legs)


def _by_time(phases: Sequence[Phase], budget_s: float) -> tuple[Leg, ...]:
    """Deal the time to the phases by their shares; one that ends early leaves its rest to the next."""
    ends = [budget_s * sum(phase.share for phase in phases[: number + 1]) for number in range(len(phases))]
    return tuple(Leg(phase, None, end) for phase, end in zip(phases, ends, strict=True))


def rate_factor(share: float, warm_up: float) -> float:
    """
    Return the learning rate as a part of its peak: up along a cosine, then down along another.

    Source: Smith, Topin, "Super-Convergence", 2018 (one cycle); the shape and the numbers of torch's OneCycleLR.

    Args:
        share: of the phase that is over, 0..1.
        warm_up: share at which the peak is reached, 0..1.
    """
    if share < warm_up:
        return _between(START, 1.0, share / warm_up)
    return _between(1.0, END, min((share - warm_up) / (1.0 - warm_up), 1.0)) if warm_up < 1.0 else END


def _between(begin: float, end: float, share: float) -> float:
    return end + (begin - end) * (1.0 + math.cos(math.pi * share)) / 2.0


class Stopwatch:
    """Seconds of training, those before a restart included; *now_s* is the clock, monotonic."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._began_s = now_s()

    def add(self, before_s: float) -> None:
        """Count *before_s* seconds that an earlier process spent."""
        self._began_s -= before_s

    def elapsed_s(self) -> float:
        return self._now_s() - self._began_s


def seconds_from_text(text: str) -> float:
    """
    Read ``90s``, ``30m`` or ``1h30m``.

    Raises:
        ValueError: it is none of these, or nothing.
    """
    found = _DURATION.fullmatch(text.strip())
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    total = 3600 * hours + 60 * minutes + seconds
    if not total:
        raise ValueError(f"'{text}' is no duration: expected for instance 90s, 30m or 1h30m")
    return float(total)


def text_from_seconds(seconds: float) -> str:
    """Return ``1 h 05 min``, ``12 min 30 s`` or ``8 s``."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"
