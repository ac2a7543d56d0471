"""From ONNX to a plan. It knows the operators that the package ``onnx`` knows, and its builds take no time."""

from __future__ import annotations

import onnx

from tensorrt import _faults
from tensorrt._names import Dims, IHostMemory, ILogger
from tensorrt._plan import context_is_current, plan_from_network, ports_of

_STEPS = 40


class ParserError:
    def __init__(self, node, index):
        self._node, self._index = node, index

    def code(self):
        return 8

    def desc(self):
        return "stand-in: No importer registered for op"

    def node(self):
        return self._index

    def node_name(self):
        return self._node.name

    def node_operator(self):
        return self._node.op_type


class INetworkDefinition:
    def __init__(self):
        self._bytes = b""
        self._inputs = []

    @property
    def num_inputs(self):
        return len(self._inputs)

    def get_input(self, index):
        return self._inputs[index]


class OnnxParser:
    def __init__(self, network, logger):
        self._network, self._logger, self._errors = network, logger, []

    def parse(self, model, path=None):
        try:
            nodes = onnx.load_from_string(bytes(model)).graph.node
        except Exception as error:  # noqa: BLE001
            self._logger.log(ILogger.ERROR, f"stand-in: ModelImporter: failed to parse the ONNX file: {error}")
            return False
        self._errors = [
            ParserError(node, index)
            for index, node in enumerate(nodes)
            if not onnx.defs.has(node.op_type, domain=node.domain)
        ]
        if self._errors or not nodes:
            return False
        self._network._bytes = bytes(model)
        self._network._inputs = [port for port, mode in ports_of(self._network._bytes) if mode.name == "INPUT"]
        return True

    @property
    def num_errors(self):
        return len(self._errors)

    def get_error(self, index):
        return self._errors[index]


class IOptimizationProfile:
    def __init__(self):
        self._shapes = {}

    def set_shape(self, input, min, opt, max):
        self._shapes[input] = [list(min), list(opt), list(max)]


class ITimingCache:
    def __init__(self, content):
        self._content = content

    def serialize(self):
        return IHostMemory(self._content)


class IBuilderConfig:
    builder_optimization_level = 3
    max_aux_streams = -1
    profiling_verbosity = None
    progress_monitor = None

    def __init__(self):
        self._flags, self._profiles, self._cache = {7}, [], None

    def set_memory_pool_limit(self, pool, pool_size):
        self._limit = pool_size

    def set_flag(self, flag):
        self._flags.add(int(flag))

    def clear_flag(self, flag):
        self._flags.discard(int(flag))

    def get_flag(self, flag):
        return int(flag) in self._flags

    def create_timing_cache(self, serialized_timing_cache):
        return ITimingCache(bytes(serialized_timing_cache))

    def set_timing_cache(self, cache, ignore_mismatch):
        self._cache = cache
        return not cache._content or cache._content.startswith(b"stand-in")

    def get_timing_cache(self):
        return self._cache

    def add_optimization_profile(self, profile):
        self._profiles.append(profile)
        return len(self._profiles) - 1


class Builder:
    def __init__(self, logger):
        if not context_is_current():
            raise TypeError("stand-in: pybind11::init(): factory function returned nullptr")
        self._logger = logger

    def create_network(self, flags=0):
        return INetworkDefinition()

    def create_builder_config(self):
        return IBuilderConfig()

    def create_optimization_profile(self):
        return IOptimizationProfile()

    def build_serialized_network(self, network, config):
        self._logger.log(ILogger.INFO, "stand-in: builds nothing, and wraps the ONNX file")
        if _faults.wanted("build"):
            self._logger.log(ILogger.ERROR, "stand-in: Error Code 10: could not find any implementation for node conv1")
            return None
        if not self._worked(config.progress_monitor):
            self._logger.log(ILogger.ERROR, "stand-in: the build was cancelled")
            return None
        unknown = [
            port.name for port in network._inputs if -1 in port.shape and port.name not in config._profiles[0]._shapes
        ]
        if unknown:
            self._logger.log(ILogger.ERROR, f"stand-in: Error Code 4: no profile for dynamic input {unknown[0]}")
            return None
        config._cache = ITimingCache(b"stand-in timing cache")
        shapes = config._profiles[0]._shapes
        profile = {port.name: shapes.get(port.name, [Dims(port.shape)] * 3) for port in network._inputs}
        return IHostMemory(plan_from_network(network._bytes, profile))

    def _worked(self, monitor):
        if monitor is None:
            return True
        monitor.phase_start("Building Engine", None, 2)
        monitor.phase_start("Tactic Selection", "Building Engine", _STEPS)
        goes_on = all(monitor.step_complete("Tactic Selection", step) for step in range(_STEPS))
        monitor.phase_finish("Tactic Selection")
        monitor.phase_finish("Building Engine")
        return goes_on
