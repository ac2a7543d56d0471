"""The parity report as one HTML file that stands alone: what a machine answers beside what PyTorch answered."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.bundle import Bundle
from edge.inspector.backend import Engine
from edge.inspector.parity import ParityReport, labels_of
from edge.reference import load_reference
from engines.figures import HEADINGS, allowed_figures, figures_of, iou_text

WORST = 4
"""So many frames are drawn."""

# BGR, of Okabe and Ito's palette: told apart in the common forms of colour blindness.
_PYTORCH, _HERE = (233, 180, 86), (0, 120, 230)
_WIDTH_PX = 900
_STYLE = """
  body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 1000px; padding: 0 1rem; }
  .passed { color: #00785a; } .failed { color: #c8321e; }
  table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
  th, td { text-align: right; padding: .2rem .7rem; border-bottom: 1px solid #8884; }
  th:first-child, td:first-child { text-align: left; }
  figure { margin: 1rem 0; } img { max-width: 100%; } figcaption { font-size: .85rem; opacity: .8; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; }
"""


def page_from_report(
    report: ParityReport,
    problems: Sequence[str],
    facts: Mapping[str, str],
    pictures: Sequence[tuple[str, bytes]],
    moved: Sequence[tuple[str, float]] = (),
    costly: Sequence[tuple[str, float]] = (),
) -> str:
    """
    Return the page.

    Args:
        report: what was measured; *problems*, what of it is out of tolerance.
        facts: what else a reader must know, by name: bundle, machine, command, guard band.
        pictures: caption and PNG of each, the worst frame first; see worst_frames().
        moved: layer and relative deviation of what it makes from float32, the largest first.
        costly: layer and how far it alone moves the logits, the largest first: those that are worth keeping.
    """
    state = "failed" if problems else "passed"
    rows = [(frame.name, *figures_of(frame)) for frame in report.frames]
    rows.append(("allowed", *allowed_figures(report.precision)))
    parts = [
        f"<h1>Parity: {escape(report.backend)}, {escape(report.precision)}</h1>",
        f'<p class="{state}"><strong>{state}</strong></p>',
        *(f'<p class="failed">{escape(problem)}</p>' for problem in problems),
        _table(("", ""), facts.items()),
        "<h2>Frames</h2>",
        _table(("frame", *HEADINGS), rows),
        f"<p>Labels follow other thresholds: {report.thresholds.followed:.1%} of {report.thresholds.pixels_changed} px "
        f"of frame {escape(report.thresholds.name)}.</p>",
        "<h2>Worst frames</h2><p>Blue: PyTorch's labels; orange: this machine's.</p>",
        *(_figure(caption, png) for caption, png in pictures),
    ]
    for title, layers in (
        ("Layers that moved most", moved),
        ("Layers that move the logits most, by themselves", costly),
    ):
        if layers:
            parts += [
                f"<h2>{title}</h2>",
                _table(("layer", "relative deviation"), [(n, f"{d:.3f}") for n, d in layers]),
            ]
    if costly:
        parts.append(f"<pre>edge-engine build ... --keep {escape(costly[0][0])}</pre>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Parity</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def worst_frames(bundle: Bundle, report: ParityReport, segmenter: Engine) -> list[tuple[str, bytes]]:
    """
    Draw the frames that differ most from PyTorch's answers.

    Returns:
        Caption and PNG of each, the worst first.

    Raises:
        ParityFailed, InferenceFailed: the segmenter answers what cannot be believed.
    """
    frames = {frame.name: frame for frame in bundle.manifest.reference}
    worst = sorted(report.frames, key=lambda frame: (-frame.pixels_differing, frame.name))[:WORST]
    drawn = []
    for frame in worst:
        reference = load_reference(bundle, frames[frame.name])
        expected, found = labels_of(bundle, reference, segmenter)
        caption = f"{frame.name}: {frame.pixels_differing} of {frame.pixels} px differ, IoU {iou_text(frame.iou)}"
        drawn.append((caption, _drawn(reference.image, expected, found)))
    return drawn


def _drawn(image: NDArray[np.uint8], expected: NDArray[np.uint8], found: NDArray[np.uint8]) -> bytes:
    """Outline both answers, PyTorch's thick below, so that this machine's can be seen on it."""
    grey = image.shape[2] == 1
    picture = np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if grey else image.copy(), np.uint8)
    for labels, colour, thickness in ((expected, _PYTORCH, 3), (found, _HERE, 1)):
        regions, _ = cv2.findContours((labels > 0).view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, regions, -1, colour, thickness)
    width = min(_WIDTH_PX, picture.shape[1])
    size = (width, max(1, round(picture.shape[0] * width / picture.shape[1])))
    _, png = cv2.imencode(".png", cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    return png.tobytes()


def _figure(caption: str, png: bytes) -> str:
    data = base64.b64encode(png).decode("ascii")
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{escape(caption)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in headings) if any(headings) else ""
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"
