"""
From an ONNX file to a TensorRT plan for this machine's GPU; what ``edge-engine build`` does, in minutes.

Strongly typed networks only: the file says which layer computes at which precision, and TensorRT obeys. TF32 is
switched off, which is not float32. One optimisation profile over all batch sizes, best at the largest.

The same calls from 10.3 to 11.4. Sources: TensorRT Python API reference, ``Builder``, ``IBuilderConfig`` and
``IProgressMonitor``; developer guide, "Strongly Typed Networks".
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from edge.errors import BundleError, ConfigurationError
from edge.inspector.backend.cuda import Gpu, open_gpu

try:
    import tensorrt as trt  # type: ignore[import-not-found, import-untyped, unused-ignore]
except ImportError as error:
    raise ConfigurationError(
        f"tensorrt is not installed ({error}); install 'edge-inspect[nvidia]' on the machine with the GPU"
    ) from error
from edge.inspector.backend.tensorrt import VERSION, Log, refusal, started

_WORKSPACE = 2 << 30
"""Most memory a layer may use while it is tried out [bytes]; less only rules some ways to compute out."""
_LEVEL = 3
_SAY_EVERY_S = 0.25
_LAST_LINES = 20
"""Of the log, told when a build fails: nothing else is kept of it."""


@dataclass(frozen=True)
class Plan:
    """
    What a build leaves.

    Attributes:
        plan: what TensorRtEngine opens, on this machine.
        timing_cache: how long the ways to compute took here; makes the next build faster.
        layers: JSON of TensorRT's engine inspector: what each layer became, and at which precision.
        log: what TensorRT said, a line each.
    """

    plan: bytes
    timing_cache: bytes
    layers: str
    log: str


def build_plan(
    network: bytes,
    batched_input: str,
    batches: Sequence[int],
    timing_cache: bytes,
    say: Callable[[str], None],
    *,
    gpu: int,
) -> Plan:
    """
    Build a plan for the GPU of this machine.

    Args:
        network: an ONNX file; its types are kept.
        batched_input: the input whose first dimension is the batch.
        batches: batch sizes that will be run.
        timing_cache: of an earlier build, or nothing; one of another TensorRT or GPU is left aside.
        say: given a line of progress, at most a few a second, from other threads; must not raise.
        gpu: number of the GPU.

    Raises:
        ConfigurationError: no GPU, or not enough of its memory.
        BundleError: TensorRT does not take the network; names node and operator where it does.
        KeyboardInterrupt: somebody has had enough; TensorRT has stopped in order.
    """
    progress = _Progress(say)
    rows = (batched_input, min(batches), max(batches))
    # Python hears Ctrl-C when its main thread runs, which TensorRT would keep for minutes.
    built: Future[Plan] = Future()
    thread = threading.Thread(
        target=_fulfil, args=(built, lambda: _build(network, rows, timing_cache, progress, gpu)), name="build"
    )
    # Not an executor: one that is interrupted while it starts its thread does not wait for it.
    try:
        thread.start()
        return built.result()
    except KeyboardInterrupt:
        progress.stopped = True
        raise
    finally:
        if thread.ident is not None:
            thread.join()


def _fulfil(built: Future[Plan], build: Callable[[], Plan]) -> None:
    try:
        built.set_result(build())
    except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
        built.set_exception(error)


def _build(network: bytes, rows: tuple[str, int, int], timing_cache: bytes, progress: _Progress, gpu: int) -> Plan:
    lines: list[str] = []
    log = Log(lines.append, trt.ILogger.Severity.INFO)
    device = open_gpu(gpu)
    try:
        with device.current():
            plan, cache = _built(device, log, network, rows, timing_cache, progress)
            return Plan(plan=plan, timing_cache=cache, layers=_layers(device, log, plan), log="\n".join(lines))
    except BundleError:
        for line in lines[-_LAST_LINES:]:
            progress.say(line)
        raise
    finally:
        device.close()


def _built(
    device: Gpu, log: Log, network: bytes, rows: tuple[str, int, int], timing_cache: bytes, progress: _Progress
) -> tuple[bytes, bytes]:
    """Return the plan and the timing cache."""
    builder = started(device, log, trt.Builder)
    definition = builder.create_network(_flags())
    _parse(device, log, trt.OnnxParser(definition, log), network)
    config = _config(builder, progress)
    config.add_optimization_profile(_profile(builder, definition, *rows))
    started_with = _timing_cache(config, timing_cache)
    plan = builder.build_serialized_network(definition, config)
    if plan is None:
        raise refusal(device, log, "no engine could be built of the network", "the lines before say more")
    measured = bytes(memoryview(config.get_timing_cache().serialize()))
    del started_with  # That config keeps it alive is said nowhere.
    return bytes(memoryview(plan)), measured


def _flags() -> int:
    # 11.x knows no other kind of network, and may drop the flag one day. Its number is not the same in 10.x and 11.x.
    typed = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if typed is None else 1 << int(typed)


def _parse(device: Gpu, log: Log, parser: trt.OnnxParser, network: bytes) -> None:
    if parser.parse(network):
        return
    if parser.num_errors == 0:
        raise refusal(device, log, "the network cannot be read", "export it again")
    error = parser.get_error(0)
    more = f" and {parser.num_errors - 1} more" if parser.num_errors > 1 else ""
    raise BundleError(
        f"{VERSION}: node '{error.node_name()}' of operator {error.node_operator()}{more} is not taken: "
        f"{' '.join(error.desc().split())}; export the network without it"
    )


def _config(builder: trt.Builder, progress: _Progress) -> trt.IBuilderConfig:
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, _WORKSPACE)
    config.clear_flag(trt.BuilderFlag.TF32)
    config.builder_optimization_level = _LEVEL
    # One stream: what is captured into a graph, and timed, is all there is.
    config.max_aux_streams = 0
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.progress_monitor = progress
    return config


def _profile(
    builder: trt.Builder, definition: trt.INetworkDefinition, batched_input: str, least: int, most: int
) -> trt.IOptimizationProfile:
    inputs = [definition.get_input(index) for index in range(definition.num_inputs)]
    shapes = {tensor.name: tuple(tensor.shape) for tensor in inputs}
    if batched_input not in shapes:
        raise BundleError(f"{VERSION}: the network has no input '{batched_input}'; found {', '.join(shapes)}")
    row = shapes[batched_input][1:]
    profile = builder.create_optimization_profile()
    profile.set_shape(batched_input, (least, *row), (most, *row), (most, *row))
    return profile


def _timing_cache(config: trt.IBuilderConfig, content: bytes) -> trt.ITimingCache:
    """Begin with an earlier build's; with an empty one, if TensorRT does not take it."""
    cache = config.create_timing_cache(content)
    if cache is None or not config.set_timing_cache(cache, False):
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, False)
    return cache


def _layers(device: Gpu, log: Log, plan: bytes) -> str:
    runtime = started(device, log, trt.Runtime)
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise refusal(device, log, "the engine just built cannot be opened", "the lines before say more")
    return str(engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON))


class _Progress(trt.IProgressMonitor):  # type: ignore[misc, unused-ignore]
    """
    Tells the phases and steps of a build, from whichever thread TensorRT calls.

    Attributes:
        stopped: set it, and the build ends at the next step.
    """

    def __init__(self, say: Callable[[str], None], now_s: Callable[[], float] = time.monotonic) -> None:
        trt.IProgressMonitor.__init__(self)
        self.say = say
        self._now_s = now_s
        self._steps: dict[str, int] = {}
        self._said_s = -_SAY_EVERY_S
        self.stopped = False

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        self._steps[phase_name] = num_steps
        self._tell(f"{phase_name}: {num_steps} steps")

    def step_complete(self, phase_name: str, step: int) -> bool:
        self._tell(f"{phase_name}: {step + 1} of {self._steps.get(phase_name, step + 1)}")
        return not self.stopped

    def phase_finish(self, phase_name: str) -> None:
        self._steps.pop(phase_name, None)

    def _tell(self, line: str) -> None:
        if self._now_s() - self._said_s >= _SAY_EVERY_S:
            self._said_s = self._now_s()
            self.say(line)
