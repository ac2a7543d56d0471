"""
``make demo``: a station inspects the built-in steel strip with the bundle that ships, and a subscriber watches it.

The strip knows its own defects, so that the end can say how the verdicts compare with the truth.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edge.board import Board
from edge.client import Event, Mask
from edge.commandline import run
from edge.errors import ConfigurationError
from edge.inspector.backend import BackendName, Precision
from edge.records import Outcome, Status, Verdict
from edge.rig import Rig, bundle_table
from edge.settings import DEMO_BUNDLE
from edge.synthetic import CLASS_NAMES, Strip
from edge.watch import Keeper, picture_path

_OVERVIEW_ROWS = 6
_OVERVIEW_WIDTH = 1200


class Demo(BaseModel):
    """Inspect the built-in steel strip, show verdicts as they come, compare them with the truth."""

    out: Path = Field(Path("demo-out"), description="folder for pictures, masks and verdicts")
    frames: int = Field(240, ge=1, description="frames to inspect")
    rate_hz: float = Field(16.0, gt=0, le=1000, description="frames per second of the strip")
    seed: int = Field(2024, ge=0, description="another seed is another strip; the networks were trained on seed 1")
    defect_share: float = Field(0.1, ge=0, le=1, description="share of frames with a defect")
    bundle: Path = Field(DEMO_BUNDLE, description="the bundle to inspect with")
    backend: BackendName = Field("openvino", description="what runs the networks")
    precision: Precision = Field("fp32", description="arithmetic inside the networks")
    engine_cache: Path | None = Field(
        None, description="where edge-engine build has put the engines; none = its default"
    )


@dataclass
class Tally:
    """What was received, for the summary."""

    began_s: float = field(default_factory=time.monotonic)
    verdicts: list[Verdict] = field(default_factory=list)
    masks: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    start_ms: dict[str, int] = field(default_factory=dict)
    first_s: float | None = None

    def take(self, event: Event) -> None:
        if isinstance(event, Verdict):
            self.verdicts.append(event)
            self.first_s = self.first_s or time.monotonic() - self.began_s
        elif isinstance(event, Mask):
            self.masks[event.header.seq] = event.labels
        elif isinstance(event, Status) and event.start_ms:
            self.start_ms = event.start_ms


def main(args: list[str] | None = None) -> int:
    """Run the demo and return its exit code."""
    return run("edge-demo", Demo, args, show)


def show(command: Demo) -> int:
    """
    Run station and subscriber, print the summary.

    Raises:
        ConfigurationError: the output folder is not empty.
        EdgeError: the station failed; carries its last line.
    """
    console = Console()
    if command.out.exists() and any(command.out.iterdir()):
        raise ConfigurationError(f"--out = {command.out}: the folder is not empty; remove it or name another")
    keeper, board, tally = Keeper(command.out), Board(), Tally()
    with Rig(_settings(command)) as rig, Live(board.table(), console=console, get_renderable=board.table):
        for event in rig.events():
            for reader in (tally.take, board.take, keeper.take):
                reader(event)
        keeper.drain(rig.subscriber)
    # The live table leaves its last line open where there is no terminal.
    console.line(1 if console.is_terminal else 2)
    _summarise(command, tally, console)
    return 0


def _settings(command: Demo) -> dict[str, object]:
    source = {
        "kind": "synthetic",
        "seed": command.seed,
        "defect_share": command.defect_share,
        "frames": command.frames,
        "rate_hz": command.rate_hz,
    }
    return {
        "station": "demo",
        "budget_ms": 500,
        "backend": {"name": command.backend, "precision": command.precision},
        "engine_cache": None if command.engine_cache is None else command.engine_cache.absolute(),
        "picture_rate_hz": 4,
        "bundle": bundle_table(command.bundle),
        "cameras": [{"name": "strip", "source": source, "slots": 16}],
    }


def _summarise(command: Demo, tally: Tally, console: Console) -> None:
    strip = Strip(command.seed, command.defect_share)
    truth = {v.part: strip.frame(v.views[0].frame or 0).labels for v in tally.verdicts}
    # Headings of their own: the title of a table is wrapped to the width of its columns.
    console.print("verdicts against the truth", style="italic")
    console.print(_truth_table(tally.verdicts, truth))
    console.print("masks received, Dice on the frames that have the class", style="italic")
    console.print(_dice_table(tally, truth))
    console.print(_figures(command, tally))
    unknown = sum(verdict.outcome is Outcome.UNKNOWN for verdict in tally.verdicts)
    if unknown:
        console.print(
            f"{unknown} of {len(tally.verdicts)} parts are UNKNOWN: this machine is too slow for {command.rate_hz:g} "
            f"frames/s, or busy (load {os.getloadavg()[0]:.1f}); try again, or --rate-hz {command.rate_hz / 4:g}",
            highlight=False,
        )


def _figures(command: Demo, tally: Tally) -> Table:
    """What was measured and where the pictures are, a line each."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in _speed(tally).items():
        table.add_row(name, Text(text))
    starts = ", ".join(f"{stage} {ms / 1000:.1f}" for stage, ms in tally.start_ms.items())
    table.add_row(Text("start [s]"), Text(starts))
    table.add_row("", Text(f"first verdict after {tally.first_s or 0:.1f} s"))
    table.add_row("pictures", Text(f"{command.out / 'pictures'}"))
    overview = _overview(command.out, tally.verdicts)
    if overview is not None:
        table.add_row("best look", Text(str(overview)))
    return table


def _truth_table(verdicts: list[Verdict], truth: dict[int, NDArray[np.uint8]]) -> Table:
    counts = Counter((bool(truth[v.part].any()), v.outcome) for v in verdicts)
    table = Table()
    for heading in ("frame is", *(outcome.value for outcome in Outcome)):
        table.add_column(heading, justify="left" if heading == "frame is" else "right")
    for defective, name in ((True, "defective"), (False, "sound")):
        table.add_row(name, *(str(counts[defective, outcome]) for outcome in Outcome))
    return table


def _dice_table(tally: Tally, truth: dict[int, NDArray[np.uint8]]) -> Table:
    table = Table()
    for heading in ("class", "frames", "Dice"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for class_id, name in enumerate(CLASS_NAMES, start=1):
        scores = [
            _dice(tally.masks[v.seq] == class_id, truth[v.part] == class_id)
            for v in tally.verdicts
            if v.seq in tally.masks and (truth[v.part] == class_id).any()
        ]
        table.add_row(name, str(len(scores)), f"{np.mean(scores):.3f}" if scores else "-")
    return table


def _dice(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    return float(2 * (found & true).sum() / (found.sum() + true.sum()))


def _speed(tally: Tally) -> dict[str, str]:
    latency_ms = [(v.published_us - v.trigger_us) / 1000 for v in tally.verdicts]
    p50, p99 = np.percentile(latency_ms, [50, 99])
    span_s = (tally.verdicts[-1].published_us - tally.verdicts[0].published_us) / 1e6
    rate = (len(tally.verdicts) - 1) / span_s if span_s else float("nan")
    return {
        "verdicts": f"{len(tally.verdicts)}, {rate:.1f} frames/s",
        "latency": f"trigger to published p50 {p50:.1f} ms, p99 {p99:.1f} ms",
    }


def _overview(out: Path, verdicts: list[Verdict]) -> Path | None:
    """Stack the most telling pictures of rejects: one of each class first."""
    by_class: dict[str, list[Path]] = {}
    for verdict in verdicts:
        view = verdict.views[0]
        picture = picture_path(out, verdict.epoch, verdict.seq, view.camera)
        if verdict.outcome is Outcome.REJECT and picture.exists():
            by_class.setdefault(view.defects[0].name, []).append(picture)
    turns = range(_OVERVIEW_ROWS)
    chosen = [found[turn] for turn in turns for found in by_class.values() if turn < len(found)]
    rows = [_scaled(picture) for picture in chosen[:_OVERVIEW_ROWS]]
    if not rows:
        return None
    path = out / "overview.png"
    cv2.imwrite(str(path), np.vstack(rows))
    return path


def _scaled(path: Path) -> NDArray[np.uint8]:
    picture = np.asarray(cv2.imread(str(path)), np.uint8)
    height = round(picture.shape[0] * _OVERVIEW_WIDTH / picture.shape[1])
    return np.asarray(cv2.resize(picture, (_OVERVIEW_WIDTH, height), interpolation=cv2.INTER_AREA), np.uint8)


if __name__ == "__main__":
    sys.exit(main())
