"""Each class's default gate, threshold and rule in a new bundle, and the bounds a recipe may move them within."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edge.errors import ConfigurationError
from engines.contract import DefectClass, Limit, Rule

GATE = Limit(default=0.5, low=0.001, high=0.999)
THRESHOLD = Limit(default=0.5, low=0.05, high=0.99)  # low: above engines.contract.PLANES_FROM
MIN_AREA_PX = Limit(default=20.0, low=1.0, high=1_000_000.0)
MIN_PEAK = Limit(default=0.0, low=0.0, high=1.0)
MAX_COUNT = Limit(default=0.0, low=0.0, high=1000.0)


def defect_classes(
    class_names: Sequence[str],
    *,
    gate: Sequence[str] = (),
    threshold: Sequence[str] = (),
    min_area_px: Sequence[str] = (),
    min_peak: Sequence[str] = (),
    max_count: Sequence[str] = (),
) -> tuple[DefectClass, ...]:
    """
    Return the manifest's classes.

    Args:
        class_names: of class 1..K.
        gate, threshold, min_area_px, min_peak, max_count: each a list of ``0.4`` (all classes) and ``pits=0.2`` (one).

    Raises:
        ConfigurationError: a value is no number, out of bounds, or names no class; names the flag.
    """
    gates = _limits("gate", gate, class_names, GATE)
    thresholds = _limits("threshold", threshold, class_names, THRESHOLD)
    areas = _limits("min-area-px", min_area_px, class_names, MIN_AREA_PX)
    peaks = _limits("min-peak", min_peak, class_names, MIN_PEAK)
    counts = _limits("max-count", max_count, class_names, MAX_COUNT)
    return tuple(
        DefectClass(
            name=name,
            gate=gates[name],
            threshold=thresholds[name],
            rule=Rule(min_area_px=areas[name], min_peak=peaks[name], max_count=counts[name]),
        )
        for name in class_names
    )


def _limits(flag: str, texts: Sequence[str], class_names: Sequence[str], limit: Limit) -> dict[str, Limit]:
    """Return each class's limit: *limit*, moved by the values for all classes, then by those for one."""
    limits = dict.fromkeys(class_names, limit)
    for text in sorted(texts, key=lambda text: "=" in text):
        name, _, number = text.rpartition("=")
        if name and name not in class_names:
            raise ConfigurationError(f"--{flag} = {text}: no such class; expected {', '.join(class_names)}")
        moved = msgspec.structs.replace(limit, default=_number(flag, text, number, limit))
        limits |= dict.fromkeys([name] if name else class_names, moved)
    return limits


def _number(flag: str, text: str, number: str, limit: Limit) -> float:
    try:
        value = float(number)
    except ValueError as error:
        raise ConfigurationError(f"--{flag} = {text}: expected a number, or CLASS=NUMBER") from error
    if not limit.low <= value <= limit.high:
        raise ConfigurationError(f"--{flag} = {text}: expected {limit.low:g} to {limit.high:g}")
    return value
