"""Drawings for a report, as SVG text that stands in the page itself."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

# Okabe and Ito's palette: told apart in the common forms of colour blindness.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_SIZE_INCH = (5.6, 3.4)


def curves(series: Mapping[str, tuple[Sequence[float], Sequence[float]]], x: str, y: str, *, log: bool = False) -> str:
    """
    Draw one line for each name.

    Args:
        series: x and y values by name; values that are not finite leave a gap.
        x, y: what the axes show, with units.
        log: draw y by powers of ten.
    """
    figure, axes = _axes(x, y)
    for (name, (xs, ys)), colour in zip(series.items(), _colours(len(series)), strict=True):
        axes.plot(xs, ys, label=name, color=colour, marker="." if len(xs) < 40 else "")
    if log:
        axes.set_yscale("log")
    axes.legend(frameon=False)
    return _svg(figure)


def precision_recall(
    by_name: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]],
    chosen: Mapping[str, tuple[float, float]],
) -> str:
    """
    Draw precision over recall, and where the operating point lies.

    Args:
        by_name: (recall, precision) arrays.
        chosen: (recall, precision) of the operating point, for the names that have one.
    """
    figure, axes = _axes("recall", "precision")
    for (name, (recall, precision)), colour in zip(by_name.items(), _colours(len(by_name)), strict=True):
        axes.plot(recall, precision, label=name, color=colour, drawstyle="steps-post")
        if name in chosen:
            axes.plot(*chosen[name], "o", color=colour, markersize=9, markeredgecolor="black")
    axes.set_xlim(0.0, 1.02)
    axes.set_ylim(0.0, 1.02)
    axes.legend(frameon=False, loc="lower left")
    return _svg(figure)


def confusion(counts: NDArray[np.int64], names: Sequence[str]) -> str:
    """
    Draw a confusion matrix: a row a truth, a column an answer.

    Args:
        counts: (n, n) images.
        names: n names, in the order of the rows.
    """
    figure, axes = _axes("answer", "truth")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    for row, column in np.ndindex(*counts.shape):
        colour = "white" if shares[row, column] > 0.6 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.grid(visible=False)
    return _svg(figure)


def bars(values: Mapping[str, tuple[float, float, float]], x: str) -> str:
    """
    Draw a bar for each name, with its interval.

    Args:
        values: (value, low, high) by name.
        x: what is measured, with its unit.
    """
    figure, axes = _axes(x, "")
    names = list(values)[::-1]
    middle = np.array([values[name][0] for name in names])
    low = np.array([values[name][1] for name in names])
    high = np.array([values[name][2] for name in names])
    around = np.maximum(np.vstack([middle - low, high - middle]), 0.0)
    axes.barh(names, middle, xerr=around, color=PALETTE[5], ecolor="black", capsize=4)
    return _svg(figure)


def _axes(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=_SIZE_INCH, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(visible=True, alpha=0.3)
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
