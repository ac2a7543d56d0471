"""Console script ``edge-train``: train a classifier and a segmenter, and say how good they are."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic_settings import CliSubCommand

from edge import commandline
from edge.errors import ConfigurationError
from training.commands.calibrate import CalibrateFlags, run_calibrate
from training.commands.data import DataCommand, run_data
from training.commands.evaluate import EvaluateFlags, ScoreFlags, run_evaluate, run_score
from training.commands.flags import Flags
from training.commands.report import ReportFlags, run_report
from training.commands.train import (
    BothFlags,
    ClassifierFlags,
    SegmenterFlags,
    train_both,
    train_classifier,
    train_segmenter,
)

PROGRAM = "edge-train"


class TrainCommand(Flags):
    """From labelled pictures to two networks, and how good they are."""

    data: CliSubCommand[DataCommand]
    both: CliSubCommand[BothFlags]
    classifier: CliSubCommand[ClassifierFlags]
    segmenter: CliSubCommand[SegmenterFlags]
    evaluate: CliSubCommand[EvaluateFlags]
    calibrate: CliSubCommand[CalibrateFlags]
    score: CliSubCommand[ScoreFlags]
    report: CliSubCommand[ReportFlags]


def main(args: Sequence[str] | None = None) -> int:
    """Run the console script; returns its exit code."""
    return commandline.run(PROGRAM, TrainCommand, args, _body)


def _body(command: TrainCommand) -> int:
    if command.data is not None:
        return run_data(command.data)
    if command.both is not None:
        return train_both(command.both)
    if command.classifier is not None:
        return train_classifier(command.classifier)
    if command.segmenter is not None:
        return train_segmenter(command.segmenter)
    if command.evaluate is not None:
        return run_evaluate(command.evaluate)
    if command.calibrate is not None:
        return run_calibrate(command.calibrate)
    if command.score is not None:
        return run_score(command.score)
    if command.report is not None:
        return run_report(command.report)
    raise ConfigurationError(f"expected a command: {', '.join(TrainCommand.model_fields)}")
