"""``edge-train evaluate`` and ``edge-train score``."""

from __future__ import annotations

from pathlib import Path

import msgspec
from pydantic import Field
from rich.console import Console

from engines.contract import PixelFormat
from training.commands.flags import DataFlags
from training.data.splits import Split
from training.figures.evaluate import Report, evaluate, score, show
from training.figures.predict import Cascade


class _ReportFlags(DataFlags):
    split: Split = Field("test", description="which split to judge; choose nothing by the test split")
    as_json: bool = Field(False, alias="json", description="print JSON instead of a table")


class EvaluateFlags(_ReportFlags):
    """Judge two checkpoints in PyTorch: masks, ranking of images, recall of tiles."""

    classifier: Path = Field(description="the classifier's .safetensors file")
    segmenter: Path = Field(description="the segmenter's .safetensors file")
    gate: float = Field(0.5, ge=0.0, le=1.0, description="tiles with a score at or above it are segmented")
    threshold: float = Field(0.5, ge=0.0, le=1.0, description="probability at which a pixel is marked")


class ScoreFlags(_ReportFlags):
    """Judge what a subscriber of the daemon received: verdicts and masks of replayed images."""

    verdicts: Path = Field(description="a JSON object a line: the verdicts")
    masks: Path = Field(description="folder with <image stem>.png, pixel value = class id")
    format: PixelFormat = Field("mono8", description="how the line read the images")


def run_evaluate(flags: EvaluateFlags) -> int:
    """Judge two checkpoints; return the exit code."""
    cascade = Cascade(flags.classifier, flags.segmenter)
    return _report(flags, evaluate(flags.dataset(), flags.split, cascade, flags.gate, flags.threshold))


def run_score(flags: ScoreFlags) -> int:
    """Judge what a subscriber received; return the exit code."""
    return _report(flags, score(flags.dataset(), flags.split, flags.verdicts, flags.masks, flags.format))


def _report(flags: _ReportFlags, report: Report) -> int:
    if flags.as_json:
        Console(soft_wrap=True).out(msgspec.json.format(msgspec.json.encode(report)).decode(), highlight=False)
    else:
        show(report, Console())
    return 0
