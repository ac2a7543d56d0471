"""Pictures of figures with their intervals, for docs/results.md: 1000 px wide, told apart without colours, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from training.figures.intervals import Estimate
from training.report.charts import PALETTE

_MARKERS = "osD^vX"
_APART = 0.12


def compared(
    path: Path,
    series: Mapping[str, Sequence[Estimate]],
    places: Sequence[str],
    *,
    x: str,
    y: str,
    lines: bool = False,
) -> None:
    """
    Draw each series over the places, its intervals as bars.

    Args:
        path: of the picture; an old one is replaced.
        series: by name, an estimate a place; one without a value is left out.
        places: names along the axis.
        x, y: what the axes are, with units.
        lines: join the places of a series; where they have an order.
    """
    figure = Figure(figsize=(10.0, 5.6), layout="constrained")
    axes = figure.add_subplot()
    for number, (name, estimates) in enumerate(series.items()):
        shift = _APART * (number - (len(series) - 1) / 2)
        known = [(at + shift, of.value, of.interval) for at, of in enumerate(estimates) if of.value is not None]
        around = [
            [max(value - between.low, 0.0) if between else 0.0 for _, value, between in known],
            [max(between.high - value, 0.0) if between else 0.0 for _, value, between in known],
        ]
        axes.errorbar(
            [at for at, _, _ in known],
            [value for _, value, _ in known],
            yerr=around,
            label=name,
            color=PALETTE[number % len(PALETTE)],
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=8,
            capsize=4,
            linestyle="-" if lines else "none",
        )
    axes.set_xticks(range(len(places)), places)
    axes.tick_params(labelsize=13)
    axes.set_xlabel(x, fontsize=14)
    axes.set_ylabel(y, fontsize=14)
    axes.grid(visible=True, axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, fontsize=13, loc="outside upper center", ncols=len(series))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
