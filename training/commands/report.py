"""``edge-train report``, and the pages that a training leaves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field
from pydantic_settings import CliPositionalArg
from rich.console import Console

from edge.errors import ConfigurationError
from engines.contract import PixelFormat
from training.commands.data import look_over
from training.commands.flags import DataFlags, Flags
from training.data.datasets import Dataset
from training.data.findings import Check
from training.networks.checkpoint import CheckpointSpec, Kind, load_spec
from training.report.made import read_check
from training.report.page import write_page
from training.report.training import training_page

KINDS: tuple[Kind, ...] = ("classifier", "segmenter")
MOST_CHECKED = 1000
"""A data set of so many pictures is checked for a report if nobody has done it: that takes some ten seconds."""


class _RunFlags(Flags):
    run: CliPositionalArg[Path] = Field(description="folder of a training, as edge-train leaves it")


class CheckFlags(Flags):
    """What the data check found before."""

    check: Path | None = Field(None, description="check.json that edge-train data check wrote, for the report")

    def found(self) -> Check | None:
        return None if self.check is None else read_check(self.check)


class ReportFlags(CheckFlags, DataFlags, _RunFlags):
    """Write the page of a training again: <run>/<kind>/report.html."""


def run_report(flags: ReportFlags) -> int:
    """Write a page for each network in the folder; return the exit code."""
    checkpoints = [path for kind in KINDS if (path := flags.run / f"{kind}.safetensors").is_file()]
    if not checkpoints:
        raise ConfigurationError(
            f"{flags.run}: has neither classifier.safetensors nor segmenter.safetensors; expected a folder that "
            "edge-train classifier, segmenter or both has left"
        )
    check, dataset = flags.found(), flags.dataset()
    for path in checkpoints:
        _require_same_split(load_spec(path), dataset, flags.seed)
    report_trainings(flags, dataset, checkpoints, check)
    return 0


def report_trainings(flags: DataFlags, dataset: Dataset, checkpoints: Sequence[Path], check: Check | None) -> None:
    """
    Write a page for each of some checkpoints that lie beside the logs of their trainings.

    Raises:
        BundleError, DataError: a checkpoint, a log or a picture is unusable.
        ConfigurationError: a page cannot be written.
    """
    console = Console(stderr=True, soft_wrap=True)
    for path in checkpoints:
        spec = load_spec(path)
        check = check or _checked(flags, dataset, spec.format)
        page = path.parent / spec.kind / "report.html"
        write_page(page, training_page(dataset, path.parent, spec.kind, check))
        console.print(f"report: {page}", highlight=False, markup=False)


def _checked(flags: DataFlags, dataset: Dataset, pixel_format: PixelFormat) -> Check | None:
    return look_over(flags, pixel_format)[2] if len(dataset.samples) <= MOST_CHECKED else None


def _require_same_split(spec: CheckpointSpec, dataset: Dataset, seed: int) -> None:
    """Refuse another seed: split val may then hold pictures that taught the network."""
    trained_with = spec.made_with.get("seed", str(seed))
    if spec.dataset_sha256 == dataset.sha256 and trained_with != str(seed):
        raise ConfigurationError(
            f"--seed = {seed}: the {spec.kind} was trained on these data with --seed {trained_with}, which may split "
            f"them otherwise; give --seed {trained_with}"
        )
