"""What computes the networks on a GPU: ONNX Runtime's CUDA provider, and TensorRT from the build to the daemon."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np

from edge.bench.stages import percentiles_by_stage
from edge.bundle import Bundle
from edge.inspector.backend import BackendSettings, backend_version, open_engine
from edge.inspector.buckets import bucket_sizes
from edge.inspector.cache import CLASSIFIER, SEGMENTER, EngineCache
from edge.inspector.engines import engines_for
from edge.inspector.parity import check_parity
from engines.contract import TILES
from tests.gpu.checks import Checks, NotAsExpected, NotRun, require
from tests.gpu.networks import (
    NETWORKS,
    GpuEngine,
    answers,
    call_ms,
    daemon_verdicts,
    opened,
    parity_in_words,
    stages_ms,
)
from tests.gpu.work import INPUT, product_network, work_of

BATCHES = bucket_sizes(7)
"""Tiles of one call: the strip has 7 a frame."""
_ENGINE = "import sys; from engines.main import main; sys.exit(main(sys.argv[1:]))"
_TRIALS = 3
_PRODUCTS = 20


@dataclass
class Trial:
    """
    What both runtimes are tried with.

    Attributes:
        cache: folder of the engine cache.
        frames: of the daemon's strip.
        runs: calls of which each figure is made.
        product: side of the matrix product.
        bytes_per_s, operations_per_s: the rates of this GPU, once they are measured.
    """

    checks: Checks
    bundle: Bundle
    cache: Path
    gpu: int
    frames: int
    runs: int
    product: int
    bytes_per_s: float | None = None
    operations_per_s: float | None = None
    ran: list[str] = field(default_factory=list)

    def check_onnxruntime(self) -> None:
        """Check ONNX Runtime's CUDA provider, if it is here."""
        settings = BackendSettings(name="onnxruntime", device="cuda", gpu=self.gpu)
        with self.checks.check("onnxruntime: CUDA provider") as said:
            said.append(_cuda_provider())
            self.ran.append("onnxruntime")
        if "onnxruntime" not in self.ran:
            return
        with self.checks.check("onnxruntime: rate of a matrix product, float32 without TF32") as said:
            said.append(self._measure_rate(settings, lambda network: network))
        masters = {CLASSIFIER: self.bundle.classifier, SEGMENTER: self.bundle.segmenter}
        with ExitStack() as held:
            engines: Mapping[str, GpuEngine] = {}
            with self.checks.check("onnxruntime: opened, no node on the CPU but those of shapes") as said:
                engines = held.enter_context(opened(self.bundle, settings, masters, BATCHES))
                said += self._tell_placement(engines)
            if engines:
                with self.checks.check("onnxruntime: parity") as said:
                    said.append(parity_in_words(check_parity(self.bundle, engines[CLASSIFIER], engines[SEGMENTER])))
                self._measure_calls("onnxruntime", engines)
        self._check_daemon(settings)

    def check_tensorrt(self) -> None:
        """Check TensorRT from build to daemon, if it is here."""
        settings = BackendSettings(name="tensorrt", gpu=self.gpu)
        with self.checks.check("tensorrt: package") as said:
            said.append(_tensorrt())
            self.ran.append("tensorrt")
        if "tensorrt" not in self.ran:
            return
        plans: dict[str, bytes] = {}
        with self.checks.check("tensorrt: edge-engine build, parity") as said:
            said.append(self._build(settings))
            made = engines_for(self.bundle, settings, EngineCache(self.cache))
            if made.proof is not None:
                said.append(parity_in_words(made.proof.parity))
            plans = {CLASSIFIER: made.classifier, SEGMENTER: made.segmenter}
        if self.operations_per_s is None:
            with self.checks.check("tensorrt: rate of a matrix product, float32 without TF32") as said:
                said.append(self._measure_rate(settings, self._product_plan))
        if not plans:
            return
        with ExitStack() as held:
            engines: Mapping[str, GpuEngine] = {}
            with self.checks.check("tensorrt: opened, a CUDA graph for every batch size") as said:
                engines = held.enter_context(opened(self.bundle, settings, plans, BATCHES))
                said.append(_graphs(engines))
            if engines:
                self._check_graphs(settings, plans, engines)
                self._measure_calls("tensorrt", engines)
        self._check_daemon(settings)

    def required_runtimes(self) -> list[str]:
        """Return which were tried; raises NotAsExpected if none was."""
        require(bool(self.ran), "neither ONNX Runtime's CUDA provider nor TensorRT is here: install one of them")
        return self.ran

    # ---- what either is asked for

    def _measure_rate(self, settings: BackendSettings, made: Callable[[bytes], bytes]) -> str:
        side = self.product
        with open_engine(settings, made(product_network(side)), INPUT, [side]) as engine:
            engine.inputs[INPUT][:] = np.random.default_rng(5).standard_normal((side, side), np.float32)
            took_ms = stages_ms(cast(GpuEngine, engine), side, _PRODUCTS)["compute"]
        self.operations_per_s = 2 * side**3 / max(took_ms, 1e-6) * 1e3
        return f"{side} x {side} x {side}: {took_ms:.3f} ms, {self.operations_per_s / 1e12:.4g} Top/s"

    def _measure_calls(self, runtime: str, engines: Mapping[str, GpuEngine]) -> None:
        with self.checks.check(f"{runtime}: times of stages and calls"):
            calls: list[list[object]] = []
            roofs: list[list[object]] = []
            for name, engine in engines.items():
                for size in engine.batches:
                    times = stages_ms(engine, size, self.runs)
                    stages = [times[stage] for stage in ("upload", "compute", "download")]
                    calls.append([name, size, *stages, *call_ms(engine, size, self.runs)])
                    roofs.append([name, size, *self._roof(name, size, times["compute"])])
            self.checks.table(
                f"{runtime}: stages on the GPU by events, without a graph (median of {self.runs}), and whole calls by "
                "the clock, from host to host [ms]",
                ("network", "tiles", "upload", "compute", "download", "call p50", "call p99"),
                calls,
            )
            self.checks.table(
                f"{runtime}: roofline at the rates above, with every byte once, and node by node [ms]",
                ("network", "tiles", "Gop", "MB once", "MB by node", "once", "by node", "compute", "by node / compute"),
                roofs,
            )

    def _roof(self, name: str, size: int, compute_ms: float) -> list[object]:
        work = work_of(self.bundle.classifier if name == CLASSIFIER else self.bundle.segmenter, size)
        counted = [work.operations / 1e9, work.bytes_once / 1e6, work.bytes_by_node / 1e6]
        if self.operations_per_s is None or self.bytes_per_s is None:
            return [*counted, "-", "-", compute_ms, "-"]
        once_ms = work.once_ms(self.operations_per_s, self.bytes_per_s)
        by_node_ms = work.by_node_ms(self.operations_per_s, self.bytes_per_s)
        return [*counted, once_ms, by_node_ms, compute_ms, f"{by_node_ms / max(compute_ms, 1e-6):.0%}"]

    def _tell_placement(self, engines: Mapping[str, GpuEngine]) -> list[str]:
        """List every node that computes more than shapes, by provider."""
        placed = {name: getattr(engine, "placement", {}) for name, engine in engines.items()}
        rows = [
            (name, provider, *_listed(nodes)) for name, found in placed.items() for provider, nodes in found.items()
        ]
        self.checks.table("onnxruntime: nodes by provider", ("network", "provider", "count", "nodes"), rows)
        for name, found in placed.items():
            require(bool(found), f"{name}: ONNX Runtime's profile names no node")
        return [f"{name}: {count} on {provider}" for name, provider, count, _ in rows]

    def _check_daemon(self, settings: BackendSettings) -> None:
        with self.checks.check(f"{settings.name}: the whole daemon") as said:
            verdicts = daemon_verdicts(self.bundle, settings, self.cache, self.frames)
            rejects = sum(verdict.outcome.value == "REJECT" for verdict in verdicts)
            said.append(f"{len(verdicts)} frames, {rejects} REJECT, no UNKNOWN")
            stages = percentiles_by_stage(verdicts)
            self.checks.table(
                f"{settings.name}: the daemon on the synthetic strip [ms]",
                ("stage", "parts", "p50", "p95", "p99", "max"),
                [(name, of.parts, of.p50_ms, of.p95_ms, of.p99_ms, of.max_ms) for name, of in stages.items()],
            )

    # ---- TensorRT alone

    def _build(self, settings: BackendSettings) -> str:
        command = ["build", str(self.bundle.path), "--backend", "tensorrt", "--gpu", str(settings.gpu)]
        began_s = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", _ENGINE, *command, "--cache", str(self.cache)], capture_output=True, text=True
        )
        if done.returncode != 0:
            lines = (done.stdout + done.stderr).strip().splitlines()
            raise NotAsExpected(f"edge-engine build ended with {done.returncode}: {' / '.join(lines[-3:])}")
        return f"{time.monotonic() - began_s:.1f} s"

    def _product_plan(self, network: bytes) -> bytes:
        from engines.plan import build_plan

        return build_plan(network, INPUT, [self.product], b"", lambda line: None, gpu=self.gpu).plan

    def _check_graphs(
        self, settings: BackendSettings, plans: Mapping[str, bytes], engines: Mapping[str, GpuEngine]
    ) -> None:
        # Here only: where TensorRT is not installed, its file cannot be imported.
        from edge.inspector.backend.tensorrt import TensorRtEngine

        rows: list[list[object]] = []
        trials = min(_TRIALS, self.runs)
        with self.checks.check("tensorrt: graph and plain enqueue give equal bytes") as said:
            for name in NETWORKS:
                with TensorRtEngine(settings, plans[name], TILES, BATCHES, graphs=False) as plain:
                    for size in BATCHES:
                        _require_equal(self.bundle, engines[name], plain, size, trials)
                        rows.append([name, size, *call_ms(plain, size, self.runs)])
                        rows[-1] += call_ms(engines[name], size, self.runs)
            said.append(f"both networks, {', '.join(map(str, BATCHES))} tiles, {trials} frames each")
            self.checks.table(
                f"tensorrt: whole calls, host to host [ms, {self.runs} calls]",
                ("network", "tiles", "plain p50", "plain p99", "graph p50", "graph p99"),
                rows,
            )


def _cuda_provider() -> str:
    if importlib.util.find_spec("onnxruntime") is None:
        raise NotRun("onnxruntime-gpu is not installed; 'edge-inspect[nvidia-onnx]' brings it")
    from edge.inspector.backend.onnxruntime import CUDA_PROVIDER, VERSION, ort

    if CUDA_PROVIDER not in ort.get_available_providers():
        raise NotRun(f"{VERSION} is the package without CUDA; put 'edge-inspect[nvidia-onnx]' in its place")
    return str(VERSION)


def _tensorrt() -> str:
    if importlib.util.find_spec("tensorrt") is None:
        raise NotRun("tensorrt is not installed; docs/engines.md says which package")
    return backend_version("tensorrt")


def _listed(nodes: tuple[str, ...]) -> tuple[int, str]:
    return len(nodes), ", ".join(nodes)


def _graphs(engines: Mapping[str, GpuEngine]) -> str:
    for name, engine in engines.items():
        graphed = getattr(engine, "graphed", ())
        require(graphed == BATCHES, f"{name}: graphs of {graphed} tiles, expected {BATCHES}; the log says why")
    return f"{', '.join(map(str, BATCHES))} tiles"


def _require_equal(bundle: Bundle, graph: GpuEngine, plain: GpuEngine, size: int, trials: int) -> None:
    for frame in range(trials):
        one, other = (answers(engine, bundle, size, frame) for engine in (graph, plain))
        for output, values in one.items():
            differing = int((values != other[output]).sum())
            require(differing == 0, f"{output} of {size} tiles: {differing} of {values.size} values differ")
