"""The training: one fit of Lightning's for each phase, the best epoch on disk, and a state to go on from."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import lightning as L
import msgspec
import torch
from lightning.pytorch.accelerators import CUDAAccelerator, MPSAccelerator
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console

from edge.errors import ConfigurationError
from training.data.datasets import Dataset
from training.data.digests import picture_digests
from training.fit.epochs import Books, Pace
from training.fit.objective import terms_from_text
from training.fit.processes import Together, from_first, is_first
from training.fit.progress import Display
from training.fit.record import Record, Row, record_from_tree
from training.fit.run import Run, essence, made_with, require_same, state_path
from training.fit.schedule import Leg, Stopwatch, legs_from_phases
from training.fit.state import SafetensorsIO, read_state
from training.fit.strategy import takes_head
from training.fit.task import TileTask
from training.fit.tiles import Tiles, read_tiles
from training.networks.checkpoint import CheckpointSpec, Kind, Network, network_from_spec
from training.networks.weights import load_weights


@dataclass(frozen=True)
class Outcome:
    """Where the best checkpoint lies, the epoch it is of, and whether this process is the first of several."""

    path: Path
    best: Row
    is_first: bool


def train(
    dataset: Dataset, spec: CheckpointSpec, run: Run, build: Callable[[CheckpointSpec], Network] = network_from_spec
) -> Outcome:
    """
    Train one network on the train split and keep the epoch that is best on the val split.

    Args:
        dataset: its splits train and val are used, test is not touched.
        spec: the network; what it is made with and has seen is filled in here.
        run: how long, how fast, where to.
        build: makes the network; another than ours can be trained in the very same way, to compare the two.

    Returns:
        The best checkpoint. Files: <out>/<kind>.safetensors and .json; metrics.csv and state.safetensors in <kind>/.

    Raises:
        DataError: pictures or labels are unusable, a split is empty, or the loss is not finite.
        ConfigurationError: the network cannot be built, the accelerator is not there, *out* cannot be written, or the
            training to resume is another one.
        BundleError: the state to resume from, or the weights to begin with, cannot be read.
    """
    watch = Stopwatch()
    terms = terms_from_text(run.loss)
    legs = legs_from_phases(run.phases, run.epochs, run.time_budget_s)
    if run.threads is not None:
        torch.set_num_threads(run.threads)
    torch.manual_seed(run.seed)
    network = build(spec)
    with _disk_errors(run.out), _quiet_lightning():
        record = _begin(network, spec, run)
        watch.add(record.rows[-1].elapsed_s if record.rows else 0.0)
        spec = msgspec.structs.replace(
            spec, made_with={**made_with(run), **record.loaded}, seen=_seen(dataset, record.seen)
        )
        display = Display(spec.kind, legs, record, watch, bar=run.progress)
        tiles: Tiles | None = None
        for number, leg in enumerate(legs):
            if number < record.leg or _is_too_late(leg, record, watch):
                continue
            goes_on = bool(record.rows) and record.rows[-1].phase == leg.phase.name
            if record.rows and not goes_on:
                network.load_state_dict(record.weights)  # the phase begins from the best epoch so far
            books = Books(record, leg, spec, run, watch, display)
            trainer = _trainer(run, spec, leg, [Pace(leg, record, watch, run.seed), display, books], len(record.rows))
            tiles = tiles or read_tiles(dataset, spec, run, trainer.global_rank, trainer.world_size)
            if not record.rows:
                _remove_older(run, spec.kind)  # only now: a new training that cannot begin leaves the old one whole
            task = TileTask(network, len(spec.class_names), leg.phase, terms, record.fresh)
            with _interrupts(spec.kind):
                trainer.fit(
                    task, tiles.training, tiles.validation, ckpt_path=state_path(run, spec.kind) if goes_on else None
                )
    assert record.best is not None
    return Outcome(run.out / f"{spec.kind}.safetensors", record.best, is_first())


def _begin(network: Network, spec: CheckpointSpec, run: Run) -> Record:
    """Return the record of the training to resume, or of a new one, with the weights loaded that it begins with."""
    state = state_path(run, spec.kind)
    if run.resume and state.is_file():
        tree = read_state(state)
        require_same(tree["run"], essence(run, spec), state)
        return record_from_tree(tree["record"])
    if run.weights is None:
        return Record()
    loaded = load_weights(network, spec, run.weights, with_head=takes_head(run.strategy))
    if is_first():
        Console(stderr=True, soft_wrap=True).print(f"{spec.kind}: {loaded}", highlight=False, markup=False)
    said = {"weights": loaded.source, "weights_sha256": loaded.sha256}
    if loaded.seen == ():
        raise ConfigurationError(
            f"--weights {run.weights}: does not say which pictures it has seen, so that nothing could be proven with "
            "what is made of it; train it again"
        )
    return Record(fresh=list(loaded.fresh), loaded=said, seen=list(loaded.seen or ()))


def _seen(dataset: Dataset, before: Sequence[str]) -> tuple[str, ...]:
    """Return what the network has seen at the end: no proof may stand on these pictures."""
    return tuple(sorted({*before, *picture_digests([*dataset.split("train"), *dataset.split("val")])}))


def _remove_older(run: Run, kind: Kind) -> None:
    """Remove what a training before has left to be resumed from."""
    state = state_path(run, kind)
    for path in (state, state.with_name("metrics.csv")):
        path.unlink(missing_ok=True)


def _is_too_late(leg: Leg, record: Record, watch: Stopwatch) -> bool:
    """Say whether the phases before have used up the time of this one."""
    return bool(record.rows) and leg.until_s is not None and from_first(watch.elapsed_s()) >= leg.until_s


def _trainer(
    run: Run, spec: CheckpointSpec, leg: Leg, callbacks: Sequence[L.Callback], epochs_before: int
) -> L.Trainer:
    together = run.devices * run.nodes > 1
    try:
        return L.Trainer(
            accelerator=run.accelerator,
            devices=run.devices,
            num_nodes=run.nodes,
            strategy=Together(run.threads) if together else "auto",
            precision=run.precision,
            max_epochs=-1 if leg.epochs is None else leg.epochs,
            accumulate_grad_batches=run.accumulate,
            callbacks=list(callbacks),
            plugins=[SafetensorsIO()],
            logger=_board(run, spec.kind, epochs_before) if run.tensorboard else False,
            log_every_n_steps=1,
            # CUDA has no deterministic kernel for two of the operators used.
            deterministic=True if _is_on_cpu(run.accelerator) else "warn",
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
    except (RuntimeError, ValueError) as error:
        raise ConfigurationError(f"--accelerator {run.accelerator} --devices {run.devices}: {error}") from error


def _is_on_cpu(accelerator: str) -> bool:
    """Tell where Lightning will compute, by the questions that it asks itself for ``auto``."""
    if accelerator == "auto":
        return not (CUDAAccelerator.is_available() or MPSAccelerator.is_available())
    return accelerator == "cpu"


def _board(run: Run, kind: Kind, epochs_before: int) -> TensorBoardLogger:
    """Log for TensorBoard; what an interrupted training has written beyond its state is taken back."""
    return TensorBoardLogger(run.out / kind, name="tensorboard", version="", purge_step=epochs_before)


@contextmanager
def _interrupts(kind: Kind) -> Iterator[None]:
    """Turn Lightning's answer to Ctrl-C, an exit without a word, into what a command line knows."""
    try:
        yield
    except SystemExit as exit_:
        if is_first():
            Console(stderr=True, soft_wrap=True).print(
                f"{kind}: interrupted; the same command with --resume goes on after the last whole epoch"
            )
        raise KeyboardInterrupt from exit_


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"--out {out}: {error.strerror or error}; expected a folder with room, or a name for a new one; "
            "what was written before is intact"
        ) from error


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    # Lightning announces devices and processes and advertises services at INFO.
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # Lightning asks a newer torch for a name that is on its way out there; nothing of ours.
        warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)
        # A frozen backbone is in evaluation mode, and is meant to be.
        warnings.filterwarnings("ignore", ".*in eval mode at the start of training")
        yield
