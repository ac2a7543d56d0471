"""Run by test_plan.py on the stand-ins for CUDA and TensorRT: plumbing, on a CPU. No TensorRT, no GPU."""

from __future__ import annotations

import _thread
import json

import onnx
import pytest
import tensorrt
from onnx import TensorProto, helper
from tensorrt import _faults  # of the stand-in

from edge.errors import BundleError, ConfigurationError
from edge.inspector.backend import BackendSettings
from edge.inspector.backend.tensorrt import TensorRtEngine
from engines import plan as plan_module
from engines.plan import Plan, build_plan
from tests.edge.inspector.backend.test_backend import adding_network
from tests.support.cuda.driver import devices, live

assert "stand-in" in tensorrt.__version__


def build(network: bytes = b"", timing_cache: bytes = b"", said: list[str] | None = None) -> Plan:
    said = [] if said is None else said
    return build_plan(network or adding_network(), "rows", (1, 2, 4), timing_cache, said.append, gpu=0)


def network_of(operator: str, name: str, shape: tuple[str | int, ...] = ("N", 3)) -> bytes:
    """Return a network of one node."""
    graph = helper.make_graph(
        [helper.make_node(operator, ["rows"], ["y"], name=name)],
        "one",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=10)
    return bytes(model.SerializeToString())


def test_build_leaves_plan_cache_layers_and_log() -> None:
    """What an engine cache keeps; and nothing stays allocated."""
    before = live()
    built = build()
    with TensorRtEngine(BackendSettings(name="tensorrt"), built.plan, "rows", (1, 2, 4)) as engine:
        engine.run(4)
    assert built.timing_cache == b"stand-in timing cache"
    assert [layer["LayerType"] for layer in json.loads(built.layers)["Layers"]] == ["Cast", "ReduceSum", "Add", "Mul"]
    assert built.log == "info: stand-in: builds nothing, and wraps the ONNX file"
    assert live() == before


@pytest.mark.parametrize("cache", [b"", b"stand-in of earlier", b"of another machine"])
def test_timing_cache_that_does_not_fit_is_left_aside(cache: bytes) -> None:
    """An old cache makes a build faster, never impossible."""
    assert build(timing_cache=cache).timing_cache == b"stand-in timing cache"


def test_network_is_strongly_typed_without_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file's types are kept: fp32 is not computed as TF32, and nobody asks for another precision."""
    flags, configs = list[int](), list[tensorrt.IBuilderConfig]()
    create_network, create_config = tensorrt.Builder.create_network, tensorrt.Builder.create_builder_config

    def network(self: tensorrt.Builder, given: int = 0) -> tensorrt.INetworkDefinition:
        flags.append(given)
        return create_network(self, given)

    def config(self: tensorrt.Builder) -> tensorrt.IBuilderConfig:
        configs.append(create_config(self))
        return configs[-1]

    monkeypatch.setattr(tensorrt.Builder, "create_network", network)
    monkeypatch.setattr(tensorrt.Builder, "create_builder_config", config)
    build()
    assert flags == [1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)]
    assert not configs[0].get_flag(tensorrt.BuilderFlag.TF32)
    assert configs[0].profiling_verbosity == tensorrt.ProfilingVerbosity.DETAILED
    assert configs[0].max_aux_streams == 0


def test_flag_that_a_version_lacks_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every network is strongly typed, there may be no flag for it."""
    monkeypatch.setattr(tensorrt, "NetworkDefinitionCreationFlag", object())
    assert plan_module._flags() == 0


def test_progress_is_told_at_a_readable_pace() -> None:
    """The first phase at once, then at most a few lines a second, however many steps there are."""
    said, now_s = list[str](), [0.0]
    progress = plan_module._Progress(said.append, lambda: now_s[0])
    progress.phase_start("Building", None, 100)
    for step in range(100):
        now_s[0] += 0.05
        assert progress.step_complete("Building", step)
    progress.phase_finish("Building")
    assert said[0] == "Building: 100 steps"
    assert 18 <= len(said) <= 21
    assert said[-1].endswith("of 100")


def test_build_says_something() -> None:
    """A build of minutes is not silent."""
    said = list[str]()
    build(said=said)
    assert said[0] == "Building Engine: 2 steps"


def test_interrupt_ends_the_build_in_order() -> None:
    """Ctrl-C is told to TensorRT at its next step; then it is an interrupt again, and nothing stays allocated."""
    before, said = live(), list[str]()

    def say(line: str) -> None:
        if not said:
            _thread.interrupt_main()
        said.append(line)

    with pytest.raises(KeyboardInterrupt):
        build_plan(adding_network(), "rows", (1,), b"", say, gpu=0)
    assert live() == before


def test_stopped_build_goes_no_further() -> None:
    """What a step answers ends the build; no plan comes of it."""
    progress = plan_module._Progress(lambda line: None)
    progress.stopped = True
    assert not progress.step_complete("Building", 1)
    with pytest.raises(BundleError, match="the build was cancelled"):
        plan_module._build(adding_network(), ("rows", 1, 4), b"", progress, 0)


def test_unsupported_operator_is_named_with_its_node() -> None:
    """Node, operator, and TensorRT's own words."""
    with pytest.raises(BundleError, match=r"node 'odd1' of operator Oddity is not taken: .*No importer"):
        build(network_of("Oddity", "odd1"))


@pytest.mark.parametrize("network", [b"no network", adding_network()[:100]])
def test_bytes_that_are_no_network_are_refused(network: bytes) -> None:
    """One line, with the last thing TensorRT said."""
    with pytest.raises(BundleError, match=r"the network cannot be read .*failed to parse") as refused:
        build(network)
    assert "\n" not in str(refused.value)


def test_network_without_the_batched_input_is_refused() -> None:
    """The inputs there are, are named."""
    with pytest.raises(BundleError, match="no input 'tiles'; found rows, factor"):
        build_plan(adding_network(), "tiles", (1,), b"", lambda line: None, gpu=0)


def test_second_dynamic_input_is_refused() -> None:
    """Only the batch may be open; the reason is TensorRT's."""
    model = onnx.load_from_string(adding_network())
    model.graph.input[1].type.tensor_type.shape.dim[0].dim_param = "K"
    with pytest.raises(BundleError, match="no profile for dynamic input factor"):
        build(bytes(model.SerializeToString()))


def test_build_that_fails_says_why() -> None:
    """None instead of a plan becomes the last error of the log."""
    with _faults.injected("build"), pytest.raises(BundleError, match=r"no engine could be built .*conv1"):
        build()


def test_build_needs_a_gpu() -> None:
    """A driver without a device is a thing to mend."""
    with devices(0), pytest.raises(ConfigurationError, match="no usable GPU"):
        build()
