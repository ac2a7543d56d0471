"""
Run by test_tensorrt.py on the stand-ins for CUDA and TensorRT: plumbing, on a CPU. No TensorRT, no GPU.

The variable BUNDLE names the tiny bundle.
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorrt
from tensorrt import _faults  # of the stand-in

from edge.bundle import read_bundle
from edge.errors import BundleError, ConfigurationError, DeviceLost, InferenceFailed
from edge.inspector.backend import BackendSettings, Engine, open_engine
from edge.inspector.backend.tensorrt import TensorRtEngine
from edge.inspector.buckets import bucket_sizes
from edge.inspector.golden import inspect_reference, references_of
from edge.inspector.pace import PacedEngine
from edge.inspector.parity import check_parity
from edge.rules import default_recipe
from engines.contract import TILES
from engines.plan import build_plan
from tests.edge.inspector.backend.test_backend import (
    adding_network,
    test_closed_engine_does_not_answer,
    test_full_batch_is_computed,
    test_inputs_are_kept_between_calls,
    test_outputs_are_reused,
    test_padding_repeats_row_zero,
    test_rows_beyond_the_largest_batch_are_refused,
)
from tests.support.cuda.driver import DRIVER, devices, failing, integrated, live, memory

ON_TENSORRT = BackendSettings(name="tensorrt")
BATCHES = (1, 2, 4)

assert "stand-in" in tensorrt.__version__
__all__ = [
    "test_closed_engine_does_not_answer",
    "test_full_batch_is_computed",
    "test_inputs_are_kept_between_calls",
    "test_outputs_are_reused",
    "test_padding_repeats_row_zero",
    "test_rows_beyond_the_largest_batch_are_refused",
]


def plan_of(network: bytes, batched_input: str = "rows", batches: Sequence[int] = BATCHES) -> bytes:
    return build_plan(network, batched_input, batches, b"", lambda line: None, gpu=0).plan


@pytest.fixture(params=[True, False], ids=["graphs", "plain"])
def engine(request: pytest.FixtureRequest) -> Iterator[TensorRtEngine]:
    """The adding network, with CUDA graphs and without; what it leaves allocated fails the test."""
    gc.collect()  # What a test leaves of a lost GPU goes when it likes.
    before = live()
    opened = TensorRtEngine(ON_TENSORRT, plan_of(adding_network()), "rows", BATCHES, graphs=request.param)
    assert opened.graphed == (BATCHES if request.param else ())
    yield opened
    opened.close()
    assert live() == before


def add(engine: Engine, *values: int) -> list[float]:
    """Run rows that hold one value each; return the first column of the answer."""
    for row, value in enumerate(values):
        engine.inputs["rows"][row] = value
    engine.inputs["factor"][:] = 1.0
    return [float(total) for total in engine.run(len(values))["total"][:, 0]]


def test_engine_says_what_it_is(engine: TensorRtEngine) -> None:
    """Vendor and version; here that it is a stand-in, too."""
    assert engine.backend == f"tensorrt {tensorrt.__version__}"
    assert "stand-in" in engine.backend
    assert engine.batches == BATCHES


def test_seam_opens_it() -> None:
    """open_engine takes a plan for tensorrt."""
    with open_engine(ON_TENSORRT, plan_of(adding_network()), "rows", BATCHES) as engine:
        assert add(engine, 3) == [6.0]


def test_closed_engine_has_no_inputs(engine: TensorRtEngine) -> None:
    """Their memory is freed: nobody can write into it any more."""
    engine.close()
    engine.close()
    assert dict(engine.inputs) == {}


def test_stages_are_timed(engine: TensorRtEngine) -> None:
    """Upload, compute and download in milliseconds, by plain enqueue."""
    add(engine, 1, 2, 3)
    took_ms = engine.stages_ms(3)
    assert list(took_ms) == ["upload", "compute", "download"]
    assert took_ms["compute"] > 0


def test_call_allocates_nothing(engine: TensorRtEngine) -> None:
    """Neither memory nor events nor graphs: a line runs for months."""
    before = live()
    for _ in range(200):
        add(engine, 1, 2, 3)
    engine.stages_ms(2)
    assert live() == before


def test_engine_that_is_lost_while_it_closes_is_left() -> None:
    """Closing says so; closing again asks nothing."""
    engine = TensorRtEngine(ON_TENSORRT, plan_of(adding_network()), "rows", BATCHES)
    with failing(1), pytest.raises(DeviceLost):
        engine.close()
    engine.close()
    with pytest.raises(InferenceFailed, match="closed"):
        engine.run(1)


def test_other_engine_goes_on_when_one_closes(engine: TensorRtEngine) -> None:
    """Both networks share stream and context, and the last that closes frees them."""
    TensorRtEngine(ON_TENSORRT, plan_of(adding_network()), "rows", BATCHES).close()
    assert add(engine, 2) == [4.0]


def test_integrated_gpu_copies_nothing() -> None:
    """On a Jetson the engine reads what the host wrote, and only the workspace is the GPU's own."""
    plan, before = plan_of(adding_network()), live().get("device memory", 0)
    with integrated(), TensorRtEngine(ON_TENSORRT, plan, "rows", BATCHES) as engine:
        assert live()["device memory"] == before + 1
        assert engine.graphed == BATCHES
        assert add(engine, 1, 2, 3) == [1 + 7, 2 + 7, 3 + 7]


# ---- rows that stay on the GPU


def test_rows_are_taken_from_another_engine() -> None:
    """Gathered rows are computed on, whatever the host's own buffer holds, padding included; then the host's again."""
    plan = plan_of(adding_network())
    with (
        TensorRtEngine(ON_TENSORRT, plan, "rows", BATCHES) as source,
        TensorRtEngine(ON_TENSORRT, plan, "rows", BATCHES) as engine,
    ):
        add(source, 10, 20, 30)
        add(engine, 1, 1, 1, 1)
        assert engine.gather(source, [2, 0, 1])
        # Three rows in a batch of four: the fourth is row 0 of those gathered.
        assert [float(row[0]) for row in engine.run(3)["total"]] == [30 + 90, 10 + 90, 20 + 90]
        assert add(engine, 1, 2) == [1 + 3, 2 + 3]


@pytest.mark.parametrize("rows", [[], [3], [-1], [0] * 5])
def test_rows_that_nobody_has_read_are_not_taken(rows: list[int]) -> None:
    """None, one that the source did not run, too many: the caller writes them itself."""
    plan = plan_of(adding_network())
    with (
        TensorRtEngine(ON_TENSORRT, plan, "rows", BATCHES) as source,
        TensorRtEngine(ON_TENSORRT, plan, "rows", BATCHES) as engine,
    ):
        add(source, 10, 20, 30)
        assert not engine.gather(source, rows)
        assert add(engine, 1, 2) == [1 + 3, 2 + 3]


def test_rows_of_the_cpu_are_not_taken(engine: TensorRtEngine) -> None:
    """Another vendor's rows do not lie on the GPU."""
    with open_engine(BackendSettings(), adding_network(), "rows", BATCHES) as source:
        add(source, 1)
        assert not engine.gather(source, [0])


def test_rows_of_a_closed_engine_are_not_taken(engine: TensorRtEngine) -> None:
    """Their memory is freed."""
    with TensorRtEngine(ON_TENSORRT, plan_of(adding_network()), "rows", BATCHES) as source:
        add(source, 1)
    assert not engine.gather(source, [0])


def test_another_number_of_rows_than_gathered_is_refused(engine: TensorRtEngine) -> None:
    """Rows that were not gathered would be old ones."""
    with TensorRtEngine(ON_TENSORRT, plan_of(adding_network()), "rows", BATCHES) as source:
        add(source, 1, 2)
        assert engine.gather(source, [0, 1])
        with pytest.raises(InferenceFailed, match="2 rows were gathered, and 1 are to be run"):
            engine.run(1)
        assert add(engine, 5) == [10.0]


# ---- masks


@pytest.mark.parametrize("graphs", [True, False])
def test_masks_equal_those_of_openvino(graphs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cascade finds on the stand-in what it finds on OpenVINO, and the segmenter's tiles stay on the "GPU"."""
    bundle = read_bundle(Path(os.environ["BUNDLE"]))
    recipe = default_recipe(bundle.manifest.classes)
    networks, sizes = (bundle.classifier, bundle.segmenter), bucket_sizes(6)
    expected = [open_engine(BackendSettings(threads=1), network, TILES, sizes) for network in networks]
    found = [TensorRtEngine(ON_TENSORRT, plan_of(n, TILES, sizes), TILES, sizes, graphs=graphs) for n in networks]
    gathered, gather = list[bool](), found[1].gather
    monkeypatch.setattr(found[1], "gather", lambda source, rows: gathered.append(gather(source, rows)) or gathered[-1])
    assert check_parity(bundle, *found).backend == f"tensorrt {tensorrt.__version__}"
    for reference in references_of(bundle):
        here, there = (
            inspect_reference(bundle.manifest, reference, recipe, *(PacedEngine(one) for one in engines))
            for engines in (found, expected)
        )
        np.testing.assert_array_equal(here.labels, there.labels)
        assert here.outcome == there.outcome
    assert gathered
    assert all(gathered)
    for engine in (*found, *expected):
        engine.close()


# ---- what goes wrong


def test_refused_enqueue_is_no_answer(engine: TensorRtEngine) -> None:
    """A graph that was captured does not ask any more; plain enqueue says no, with TensorRT's reason."""
    with _faults.injected("refuse:1"):
        if engine.graphed:
            assert add(engine, 1) == [2.0]
        else:
            with pytest.raises(InferenceFailed, match=r"enqueue of 1 rows was refused .*told to fail"):
                add(engine, 1)
    assert add(engine, 1) == [2.0]


def test_answers_that_are_no_numbers_arrive(engine: TensorRtEngine) -> None:
    """NaN is passed on, so that the cascade refuses it."""
    with _faults.injected("nan:1"):
        assert np.isnan(add(engine, 1)).all()


@pytest.mark.parametrize("fault", ["empty-graph", "refuse-capture", "spoil-capture"])
def test_bad_graph_is_not_used(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    """It would replay old answers: said in the log, and plain enqueue is used."""
    before = live()
    with caplog.at_level(logging.WARNING), _faults.injected(fault):
        engine = TensorRtEngine(ON_TENSORRT, plan_of(adding_network()), "rows", BATCHES)
    assert engine.graphed == ()
    assert sum("plain enqueue" in message for message in caplog.messages) == len(BATCHES)
    assert add(engine, 1, 2) == [1 + 3, 2 + 3]
    engine.close()
    assert live() == before


def test_graph_dies_with_its_shape() -> None:
    """Why each batch size has a context of its own: with another shape set, the stand-in's graph loses the device."""
    engine = TensorRtEngine(ON_TENSORRT, plan_of(adding_network()), "rows", BATCHES)
    engine._buckets[2].context.set_input_shape("rows", (1, 3))
    with pytest.raises(DeviceLost):
        add(engine, 1, 2)
    DRIVER.standin_cuda_fail(-1, 0)


@pytest.mark.parametrize("graphs", [True, False])
def test_error_that_stays_is_a_lost_device(graphs: bool) -> None:
    """At once, on every later call, and closing asks nothing any more."""
    engine = TensorRtEngine(ON_TENSORRT, plan_of(adding_network()), "rows", BATCHES, graphs=graphs)
    with failing(1):
        for _ in range(2):
            with pytest.raises(DeviceLost, match="only a new process"):
                add(engine, 1)
        engine.close()
    with pytest.raises(InferenceFailed, match="closed"):
        engine.run(1)


def test_error_that_stays_while_opening_is_a_lost_device() -> None:
    """Also where it first shows on a capture; before anything is open, the GPU cannot be used."""
    plan, kinds = plan_of(adding_network()), list[type[Exception]]()
    for after in range(0, 130, 3):
        with failing(after), pytest.raises((ConfigurationError, DeviceLost)) as refused:
            add(TensorRtEngine(ON_TENSORRT, plan, "rows", BATCHES), 1)
        kinds.append(refused.type)
    assert kinds == sorted(kinds, key=lambda kind: kind is DeviceLost)
    assert set(kinds) == {ConfigurationError, DeviceLost}


# ---- plans that do not fit


def test_plan_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorRT returns nothing and logs why: the error has both, and the command that mends it."""
    plan = plan_of(adding_network()).replace(tensorrt.__version__.encode(), b"9.9.9+stand-in")
    with pytest.raises(BundleError, match=r"another TensorRT or GPU \(.*9\.9\.9.*edge-engine build"):
        TensorRtEngine(ON_TENSORRT, plan, "rows", BATCHES)


def test_plan_of_another_gpu_is_refused() -> None:
    """So is one that was built for another GPU."""
    plan = plan_of(adding_network())
    DRIVER.standin_cuda_capability(9, 0)
    try:
        with pytest.raises(BundleError, match=r"8\.7.*9\.0.*edge-engine build"):
            TensorRtEngine(ON_TENSORRT, plan, "rows", BATCHES)
    finally:
        DRIVER.standin_cuda_capability(8, 7)


@pytest.mark.parametrize("keep", [0, 10, -1])
def test_truncated_plan_is_refused(keep: int) -> None:
    """One line; nothing stays allocated."""
    before = live()
    with pytest.raises(BundleError, match="the plan is damaged") as refused:
        TensorRtEngine(ON_TENSORRT, plan_of(adding_network())[:keep], "rows", BATCHES)
    assert "\n" not in str(refused.value)
    assert live() == before


def test_plan_for_other_batches_is_refused() -> None:
    """The plan's rows and those of the station are named."""
    with pytest.raises(BundleError, match="takes 1 to 4 rows, expected 1 to 8"):
        TensorRtEngine(ON_TENSORRT, plan_of(adding_network()), "rows", (1, 8))


def test_plan_without_the_batched_input_is_refused() -> None:
    """The inputs there are, are named."""
    with pytest.raises(BundleError, match="no input 'tiles'; found rows, factor"):
        TensorRtEngine(ON_TENSORRT, plan_of(adding_network()), TILES, BATCHES)


def test_too_little_memory_is_a_setting_to_mend() -> None:
    """Whether our buffers or TensorRT's own do not fit; nothing stays allocated."""
    plan, before = plan_of(adding_network()), live()
    with memory(1000), pytest.raises(ConfigurationError, match=r"out of memory.*nvidia-smi"):
        TensorRtEngine(ON_TENSORRT, plan, "rows", BATCHES)
    with _faults.injected("memory"), pytest.raises(ConfigurationError, match=r"out of memory.*nvidia-smi"):
        TensorRtEngine(ON_TENSORRT, plan, "rows", BATCHES)
    assert live() == before


def test_tensorrt_that_does_not_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """pybind's word about a null pointer becomes a line about the driver."""

    def runtime(log: tensorrt.ILogger) -> None:
        raise TypeError("pybind11::init(): factory function returned nullptr")

    plan = plan_of(adding_network())
    monkeypatch.setattr(tensorrt, "Runtime", runtime)
    with pytest.raises(BundleError, match=r"it does not start .*nvidia-smi names the driver"):
        TensorRtEngine(ON_TENSORRT, plan, "rows", BATCHES)


def test_no_gpu_is_a_setting_to_mend() -> None:
    """A driver without a device: the seam passes the line on."""
    plan = plan_of(adding_network())
    with devices(0), pytest.raises(ConfigurationError, match="no usable GPU"):
        open_engine(ON_TENSORRT, plan, "rows", BATCHES)
