"""
From two checkpoints to an operating point: chosen on split val, proven on split test.

    before anything runs   has test enough independent parts for the target, even without a miss?      else refused
    record val             both networks over every tile, once
    search                 gates, thresholds, rules, end to end                                         else refused
    bounds                 how far a recipe may move each value
    test                   the line's cascade with the networks themselves, at the chosen values
    proof                  the exact upper bound by group is not above the target                       else refused
    corners                the same at the worst of the settings within the bounds else no value may move that way
"""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from edge.errors import DataError
from edge.rules import default_recipe
from engines.contract import DefectClass
from training.calibration.bounds import bounded_classes
from training.calibration.certain import CertainNetworks
from training.calibration.corners import proven_bounds
from training.calibration.record import Calibration
from training.calibration.recording import record
from training.calibration.replay import Replay, Shape
from training.calibration.search import Judge, search
from training.calibration.target import Target
from training.data.datasets import Dataset
from training.data.samples import Sample
from training.data.splits import Split
from training.figures.engine import TrainedNetworks
from training.figures.evaluate import evaluate, require_same_classes
from training.figures.parts import part_figures
from training.figures.report import Report, Terms
from training.figures.unseen import require_unseen


@dataclass(frozen=True)
class Calibrated:
    """The record, and the whole report of the proof."""

    calibration: Calibration
    test: Report

    def require_proven(self) -> None:
        """
        Refuse a choice that split test does not prove.

        Raises:
            TargetUnsupported: says the bound, and how many more independent parts it would take.
        """
        target, decisions = self.calibration.target, self.test.decisions
        rate = decisions.escapes if target.aim == "max-escape-rate" else decisions.overkill
        target.require_proven("test", rate)


def calibrate(
    dataset: Dataset,
    networks: TrainedNetworks,
    target: Target,
    start: Sequence[DefectClass],
    bad_share: float,
    seed: int,
    says: Callable[[str], None] = lambda stage: None,
) -> Calibrated:
    """
    Choose and measure; whether the target is proven says Calibrated.require_proven().

    Args:
        dataset: with the splits val and test.
        networks: both of them.
        target: what is asked.
        start: values to begin with; max_count is not changed.
        bad_share: of the parts that come in, for what is shipped.
        seed: of the split, where the data bring none.
        says: told what begins.

    Raises:
        TargetUnsupported: the parts of split test cannot prove the target, or no setting keeps it on split val.
        DataError: a split has no bad or no sound part, or a picture is unusable.
        ConfigurationError: a network has seen a part of split test.
        BundleError: a checkpoint does not say what it has seen.
    """
    require_same_classes(dataset, networks)
    require_unseen(dataset, networks)
    for split in ("val", "test"):
        _require_both_kinds(dataset, split)
    target.require_provable("test", _groups(dataset.split("test"), target.kind))
    says("both networks over every tile of split val")
    replay = Replay(
        list(record(dataset.split("val"), networks)),
        Shape(networks.class_names, networks.spec.tile, networks.max_tiles),
    )
    judge = Judge(replay, target)
    says("choosing gates, thresholds and rules")
    bad = sum(bool(recording.class_id) for recording in replay.recordings)
    choice = search(judge, default_recipe(start), (bad, len(replay.recordings) - bad))
    target.require_reached("val", *judge.misses(choice.tally))
    says("how far each value may move")
    classes = bounded_classes(judge, choice.recipe)
    says("the line's cascade over split test")
    terms = Terms(target.confidence, bad_share)
    test = evaluate(dataset, "test", networks, classes, terms)
    says("the same with every value at its bound")
    bounds = proven_bounds(
        classes,
        target,
        test.decisions,
        lambda corner: (
            evaluate(
                dataset, "test", CertainNetworks(networks, [of.threshold.low for of in corner]), corner, terms
            ).decisions
        ),
    )
    return Calibrated(
        Calibration(
            schema=1,
            dataset=dataset.name,
            dataset_sha256=dataset.sha256,
            classifier_sha256=str(networks.classifier_spec.weights_sha256),
            segmenter_sha256=str(networks.segmenter_spec.weights_sha256),
            max_tiles=networks.max_tiles,
            target=target,
            classes=bounds.classes,
            not_calibrated=tuple(
                name for k, name in enumerate(networks.class_names) if k not in judge.classes_with_parts()
            ),
            val=part_figures(replay.parts(choice.recipe), networks.class_names, bad_share, target.confidence),
            test=test.decisions,
            corner=bounds.high,
            low_corner=bounds.low,
            taken_back=bounds.taken_back,
            tried=choice.tried,
            made_with=made_with(seed),
        ),
        test,
    )


def made_with(seed: int) -> dict[str, str]:
    """Say what figures are made with: command, seed, versions."""
    return {
        "command": shlex.join(["edge-train", *sys.argv[1:]]),
        "seed": str(seed),
        "python": platform.python_version(),
    } | {name: version(name) for name in ("edge-inspect", "torch", "scipy")}


def _groups(samples: Sequence[Sample], kind: str) -> int:
    """Return how many groups have a picture of the kind, bad or sound."""
    return len({sample.group for sample in samples if bool(sample.class_ids) == (kind == "bad")})


def _require_both_kinds(dataset: Dataset, split: Split) -> None:
    for kind in ("bad", "sound"):
        if not _groups(dataset.split(split), kind):
            raise DataError(
                f"{dataset.name}: split '{split}' has no {kind} part; calibration weighs bad parts against sound ones"
            )
