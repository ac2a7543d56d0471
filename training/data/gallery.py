"""The pictures of ``edge-train data``: contact sheets, near pairs, sizes of defects, tiles as training sees them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from engines.contract import PixelFormat
from training.data.findings import ClassCount
from training.data.look import Look
from training.data.outline import beside, class_colour, close_up, outlined
from training.data.samples import Sample

DPI = 100
CELL_HEIGHT, CELL_WIDTH = 230, 430
"""Of a whole picture [px]; its close-up is a square beside it."""
TITLE_PX = 26
LETTER_PX = 6
"""Room for a letter of the line above a picture, ample."""
SHEET = 12
"""Pictures or pairs on a sheet."""
GREY = "#404040"


@dataclass(frozen=True)
class Cell:
    """One picture (RGB) of a sheet and the line above it."""

    image: NDArray[np.uint8]
    title: str


def write_sheet(path: Path, heading: str, cells: Sequence[Cell], columns: int) -> None:
    """Write cells in rows as a PNG; every picture keeps its pixels and its proportions."""
    rows = -(-len(cells) // columns)
    widths = [max(_width(cell) for cell in cells[column::columns]) for column in range(min(columns, len(cells)))]
    heights = [max(cell.image.shape[0] for cell in cells[row * columns : (row + 1) * columns]) for row in range(rows)]
    gap, top = 20, 60
    width = max(sum(widths) + gap * (len(widths) + 1), 640)
    height = top + sum(heights) + (TITLE_PX + gap) * rows
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    figure.text(gap / width, 1 - 30 / height, heading, fontsize=13, fontweight="bold", va="center")
    for index, cell in enumerate(cells):
        row, column = divmod(index, columns)
        x = gap + sum(widths[:column]) + gap * column
        y = top + sum(heights[:row]) + (TITLE_PX + gap) * row
        figure.text(x / width, 1 - (y + TITLE_PX / 2) / height, cell.title, fontsize=8, va="center", color=GREY)
        figure.figimage(cell.image, xo=x, yo=height - y - TITLE_PX - cell.image.shape[0], origin="upper")
    figure.savefig(path, dpi=DPI, pil_kwargs={"compress_level": 2})


def write_contact_sheet(path: Path, name: str, class_id: int, looks: Sequence[Look], pixel_format: PixelFormat) -> None:
    """Write some pictures that show a class, whole and, where a defect is drawn, from near; smallest defect first."""
    chosen = _spread(looks, class_id)
    cells = [_contact(look, class_id, pixel_format) for look in chosen]
    heading = f"{name}: {len(chosen)} of {len(looks)} images" + (", smallest defect first" if class_id else "")
    write_sheet(path, heading, cells, columns=2 if class_id else 3)


def write_pairs(
    path: Path, heading: str, pairs: Sequence[tuple[Sample, Sample, str]], pixel_format: PixelFormat
) -> None:
    """Write pictures that look the same side by side, each pair with the line that says what is wrong with it."""
    cells = []
    for first, second, title in pairs:
        sides = [outlined(*sample.read(pixel_format), CELL_HEIGHT, CELL_WIDTH) for sample in (first, second)]
        cells.append(Cell(beside(sides), title))
    write_sheet(path, heading, cells, columns=1)


def write_areas(path: Path, classes: Sequence[ClassCount]) -> None:
    """Write a histogram of the marked area in an image for each class, on one logarithmic axis."""
    shown = [each for each in classes if each.areas_px]
    most = max(each.areas_px[-1] for each in shown)
    edges = np.geomspace(min(each.areas_px[0] for each in shown), max(most, 2) * 1.01, 31)
    height = 1.0 + 1.4 * len(shown)
    figure = Figure(figsize=(8, height), dpi=DPI)
    axes = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
    # Set by hand: the layout that finds its own margins takes seconds with logarithmic axes.
    figure.subplots_adjust(left=0.08, right=0.98, top=1.0 - 0.35 / height, bottom=0.6 / height, hspace=0.5)
    for axis, each in zip(axes, shown, strict=True):
        colour = tuple(level / 255 for level in class_colour(each.class_id))
        axis.hist(each.areas_px, bins=edges, color=colour, edgecolor="black", linewidth=0.6)
        axis.axvline(float(np.median(each.areas_px)), color="black", linestyle="--", linewidth=1)
        axis.set_xscale("log")
        axis.set_ylabel("images")
        axis.set_title(f"{each.name} ({len(each.areas_px)} images, dashed: median)", fontsize=9, loc="left")
    axes[-1].set_xlabel("marked area in an image [px]")
    figure.savefig(path)


def _width(cell: Cell) -> int:
    return max(int(cell.image.shape[1]), LETTER_PX * len(cell.title))


def _contact(look: Look, class_id: int, pixel_format: PixelFormat) -> Cell:
    image, labels = look.sample.read(pixel_format)
    sides = [outlined(image, labels, CELL_HEIGHT, CELL_WIDTH)]
    if class_id in look.areas_px:
        near = close_up(labels, class_id)
        sides.append(outlined(image[near], labels[near], CELL_HEIGHT, CELL_HEIGHT))
    area = f"{look.areas_px[class_id]} px" if class_id in look.areas_px else f"{look.height} x {look.width} px"
    title = f"{shortened(look.sample.name)}   group {shortened(look.sample.group, 16)}   {area}"
    return Cell(beside(sides), title)


def shortened(name: str, most: int = 34) -> str:
    """Return a name with its middle left out if it is long."""
    if len(name) <= most:
        return name
    half = (most - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


def _spread(looks: Sequence[Look], class_id: int) -> list[Look]:
    """Choose up to SHEET pictures: of as many groups as there are, from the smallest defect to the largest."""
    turns: dict[str, int] = defaultdict(int)
    by_turn: dict[int, list[Look]] = defaultdict(list)
    ordered = sorted(looks, key=lambda look: look.areas_px.get(class_id, 0))
    for look in ordered:
        by_turn[turns[look.sample.group]].append(look)
        turns[look.sample.group] += 1
    chosen: list[Look] = []
    for turn in sorted(by_turn):
        room = min(SHEET - len(chosen), len(by_turn[turn]))
        chosen += [by_turn[turn][round(at)] for at in np.linspace(0, len(by_turn[turn]) - 1, room)]
    return sorted(chosen, key=lambda look: look.areas_px.get(class_id, 0))
