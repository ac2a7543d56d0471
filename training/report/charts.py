"""Drawings for a report, as SVG text that stands in the page itself."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from training.figures.intervals import Interval

# Okabe and Ito's palette: told apart in the common forms of colour blindness.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_SIZE_INCH = (5.6, 3.4)
_BAR_INCH = 0.34
_GREY = "#666666"

Point = tuple[float, float]
Bar = tuple[float, Interval | None]
"""A value, and its interval if there is one."""


def epochs(
    lines: Mapping[str, Sequence[float]], phases: Sequence[str], y: str, *, best: int | None = None, log: bool = False
) -> str:
    """
    Draw one line for each name over the epochs 1, 2, ..., and where a phase of the training begins.

    Args:
        lines: a value an epoch, by name; what is not finite leaves a gap.
        phases: name of the phase of each epoch.
        y: what is drawn, with its unit.
        best: number of the epoch that was kept, from 0.
        log: draw y by powers of ten.
    """
    figure, axes = _axes("epoch", y)
    counted = range(1, len(phases) + 1)
    for (name, values), colour in zip(lines.items(), _colours(len(lines)), strict=True):
        axes.plot(counted, values, label=name, color=colour, marker="." if len(phases) < 40 else "")
    if log:
        axes.set_yscale("log")
    for index, phase in enumerate(phases):
        if index == 0 or phase != phases[index - 1]:
            axes.axvline(index + 0.5, color=_GREY, linestyle=":", linewidth=1)
            axes.annotate(f" {phase}", (index + 0.5, 1.0), xycoords=("data", "axes fraction"), color=_GREY, va="bottom")
    if best is not None:
        axes.axvline(best + 1, color=PALETTE[2], linewidth=5, alpha=0.3, label="kept")
    axes.set_xlim(0.5, len(phases) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.legend(frameon=False)
    return _svg(figure)


def precision_recall(curve: Sequence[Point], chosen: Mapping[str, Point]) -> str:
    """
    Draw precision over recall, and operating points.

    Args:
        curve: (recall, precision) of each gate.
        chosen: (recall, precision) by name.
    """
    figure, axes = _axes("recall: share of the bad parts that are stopped", "precision: bad among the stopped")
    axes.plot(*_columns(curve), color=PALETTE[0], drawstyle="steps-post", label="by the score alone")
    _mark(axes, chosen)
    axes.set_xlim(0.0, 1.02)
    axes.set_ylim(0.0, 1.02)
    axes.legend(frameon=False, loc="lower left")
    return _svg(figure)


def trade_off(tried: Sequence[Point], chosen: Mapping[str, Point]) -> str:
    """
    Draw what is paid for what.

    Args:
        tried: (overkill, escapes) of each setting [%].
        chosen: (overkill, escapes) by name [%].
    """
    figure, axes = _axes("overkill: sound parts that do not pass [%]", "escapes: bad parts that pass [%]")
    axes.plot(*_columns(tried), ".", color=PALETTE[5], markersize=5, label="one gate and threshold for all classes")
    axes.plot(*_columns(_front(tried)), color=PALETTE[0], drawstyle="steps-post", label="the best of these")
    _mark(axes, chosen)
    axes.legend(frameon=False)
    return _svg(figure)


def confusion(counts: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """
    Draw a confusion matrix: a row a truth, a column an answer.

    Args:
        counts: n rows of n numbers of images.
        names: n names, in the order of the rows.
    """
    figure, axes = _axes("answer", "truth")
    images = np.array(counts)
    shares = images / np.maximum(images.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    for row, column in np.ndindex(*images.shape):
        colour = "white" if shares[row, column] > 0.6 else "black" if images[row, column] else "#bbbbbb"
        axes.text(column, row, str(images[row, column]), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.grid(visible=False)
    return _svg(figure)


def bars(values: Mapping[str, Bar], x: str) -> str:
    """
    Draw a bar for each name, from 0 to 1, with its interval.

    Args:
        values: by name, the first on top; a bar without an interval is hatched.
        x: what is measured, with its unit.
    """
    figure, axes = _axes(x, "", height=1.0 + _BAR_INCH * len(values))
    for name, (value, interval) in reversed(list(values.items())):
        around = [[max(value - interval.low, 0.0)], [max(interval.high - value, 0.0)]] if interval else None
        hatch = "" if interval else "//"
        axes.barh(name, value, xerr=around, color=PALETTE[5], ecolor="black", capsize=4, hatch=hatch, edgecolor="white")
    axes.set_xlim(0.0, 1.02)
    return _svg(figure)


def _mark(axes: Axes, chosen: Mapping[str, Point]) -> None:
    for (name, point), shape, colour in zip(chosen.items(), "osD", (PALETTE[1], PALETTE[2], PALETTE[4]), strict=False):
        axes.plot(*point, shape, color=colour, markersize=9, markeredgecolor="black", label=name, linestyle="none")


def _front(tried: Sequence[Point]) -> list[Point]:
    """Return the points that no other one beats in both, ascending."""
    front: list[Point] = []
    for point in sorted(tried):
        if not front or point[1] < front[-1][1]:
            front.append(point)
    return front


def _columns(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _axes(x: str, y: str, height: float = _SIZE_INCH[1]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_SIZE_INCH[0], height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(visible=True, alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _colours(count: int) -> list[str]:
    return [PALETTE[index % len(PALETTE)] for index in range(count)]


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    # Letters stay letters: smaller, and they can be searched. The date would make equal reports differ.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "edge-inspect"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]
