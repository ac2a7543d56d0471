"""Both networks of a bundle on a GPU: parity, the times of each stage and call, and the whole daemon on them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from edge.bundle import Bundle
from edge.inspector.answers import canvas_of
from edge.inspector.backend import BackendSettings, Engine, open_engine
from edge.inspector.cache import CLASSIFIER, SEGMENTER
from edge.inspector.parity import ParityReport
from edge.records import Outcome, Verdict
from edge.reference import load_reference
from edge.rig import Rig, bundle_table
from engines.contract import THRESHOLDS, TILES
from tests.gpu.checks import require

NETWORKS = (CLASSIFIER, SEGMENTER)
_WARM_UPS = 20
# What is slow is to be seen in the table, not to become UNKNOWN.
_BUDGET_MS = 10_000
_HANG_S = 30
_RATE_HZ = 20


class GpuEngine(Engine, Protocol):
    """What the engines that compute on a GPU have beside."""

    def stages_ms(self, n: int) -> Mapping[str, float]:
        """Run; return how long the GPU took to upload, compute and download [ms]."""
        ...


@contextmanager
def opened(
    bundle: Bundle, settings: BackendSettings, networks: Mapping[str, bytes], batches: Sequence[int]
) -> Iterator[dict[str, GpuEngine]]:
    """Open both networks on a GPU, with real tiles in their inputs."""
    with ExitStack() as held:
        engines = {
            name: cast(GpuEngine, held.enter_context(open_engine(settings, networks[name], TILES, batches)))
            for name in NETWORKS
        }
        for engine in engines.values():
            fill(engine, bundle)
        yield engines


def fill(engine: Engine, bundle: Bundle, frame: int = 0) -> None:
    """Write tiles of a reference frame, and the thresholds: zeros would let some kernels skip work."""
    canvas = canvas_of(bundle.manifest, load_reference(bundle, bundle.manifest.reference[frame]).image)
    canvas.cut([row % canvas.grid.count for row in range(engine.batches[-1])], engine.inputs[TILES])
    if THRESHOLDS in engine.inputs:
        engine.inputs[THRESHOLDS][:] = [c.threshold.default for c in bundle.manifest.classes]


def stages_ms(engine: GpuEngine, rows: int, runs: int) -> dict[str, float]:
    """Return the median time that the GPU works on each stage [ms]."""
    found = [engine.stages_ms(rows) for _ in range(runs + (runs > 1))][-runs:]
    return {stage: statistics.median(times[stage] for times in found) for stage in found[0]}


def call_ms(engine: Engine, rows: int, runs: int) -> tuple[float, float]:
    """Return p50 and p99 of whole calls, from the host's memory to the host's memory [ms]."""
    for _ in range(min(_WARM_UPS, runs - 1)):
        engine.run(rows)
    took_ms = []
    for _ in range(runs):
        began_s = time.perf_counter()
        engine.run(rows)
        took_ms.append(1e3 * (time.perf_counter() - began_s))
    p50, p99 = np.percentile(took_ms, (50, 99))
    return float(p50), float(p99)


def answers(engine: Engine, bundle: Bundle, rows: int, frame: int) -> dict[str, NDArray[Any]]:
    """Return copies of all outputs for *rows* tiles of a reference frame."""
    fill(engine, bundle, frame % len(bundle.manifest.reference))
    return {name: output.copy() for name, output in engine.run(rows).items()}


def parity_in_words(report: ParityReport) -> str:
    iou = "no marks to compare" if report.iou is None else f"IoU {report.iou:.4f}"
    return (
        f"{len(report.frames)} reference frames against PyTorch: {iou}, score deviation {report.score_deviation:.1e}, "
        f"verdict flips {report.verdict_flips}, REJECT -> PASS {report.fails_open}"
    )


def daemon_verdicts(bundle: Bundle, settings: BackendSettings, cache: Path, frames: int) -> list[Verdict]:
    """
    Let a whole station inspect the built-in strip on that backend.

    Raises:
        EdgeError: it does not start, or ends with an error; carries its last line.
        NotAsExpected: a frame has no verdict, an UNKNOWN, or all are alike.
    """
    camera = {
        "name": "strip",
        "source": {"kind": "synthetic", "seed": 77, "defect_share": 0.5, "frames": frames, "rate_hz": _RATE_HZ},
        "slots": 16,
    }
    tree = {
        "station": "gpu-check",
        "budget_ms": _BUDGET_MS,
        "hang_s": _HANG_S,
        "backend": settings.model_dump(),
        "engine_cache": cache.absolute(),
        "picture_rate_hz": 0,
        "bundle": bundle_table(bundle.path),
        "cameras": [camera],
    }
    with Rig(tree) as rig:
        verdicts = [event for event in rig.events() if isinstance(event, Verdict)]
    require(len(verdicts) == frames, f"{len(verdicts)} verdicts for {frames} frames")
    unknown = [verdict for verdict in verdicts if verdict.outcome is Outcome.UNKNOWN]
    require(not unknown, f"{len(unknown)} of {frames} are UNKNOWN, the first {unknown[0].reason if unknown else ''}")
    require(len({verdict.outcome for verdict in verdicts}) == 2, f"all {frames} are {verdicts[0].outcome.value}")
    return verdicts
