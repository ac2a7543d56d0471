"""Plans at work, on the addresses of the stand-in CUDA driver."""

from __future__ import annotations

import ctypes
import json
import math

import numpy as np
import onnx
import onnxruntime as ort

from tensorrt import _faults
from tensorrt._names import Dims, ExecutionContextAllocationStrategy, ILogger, TensorIOMode, nptype
from tensorrt._plan import CUDA, context_is_current, network_from_plan, ports_of

_WORKSPACE = 1 << 20
_LAUNCH_FAILED, _ILLEGAL_ADDRESS = 719, 700
_Function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Runtime:
    def __init__(self, logger):
        self._logger = logger

    def deserialize_cuda_engine(self, serialized_engine):
        try:
            if _faults.wanted("memory"):
                raise ValueError("stand-in: Error Code 2: OutOfMemory (Cuda Runtime: out of memory)")
            if not context_is_current():
                raise ValueError("stand-in: Error Code 1: Cuda Runtime (invalid device context)")
            return ICudaEngine(self._logger, *network_from_plan(serialized_engine))
        except ValueError as error:
            self._logger.log(ILogger.ERROR, str(error))
            return None


class ICudaEngine:
    def __init__(self, logger, network, profile):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        self._logger, self._network, self._profile = logger, network, profile
        self._ports = ports_of(network)
        self._by_name = {port.name: (port, mode) for port, mode in self._ports}
        self._session = ort.InferenceSession(network, options, providers=["CPUExecutionProvider"])

    @property
    def num_io_tensors(self):
        return len(self._ports)

    @property
    def device_memory_size_v2(self):
        return _WORKSPACE

    def get_tensor_name(self, index):
        return self._ports[index][0].name

    def get_tensor_mode(self, name):
        return self._by_name[name][1]

    def get_tensor_dtype(self, name):
        return self._by_name[name][0].dtype

    def get_tensor_shape(self, name):
        return self._by_name[name][0].shape

    def get_tensor_profile_shape(self, name, profile_index):
        return [Dims(shape) for shape in self._profile[name]]

    def create_execution_context(self, strategy=ExecutionContextAllocationStrategy.STATIC):
        if context_is_current():
            return IExecutionContext(self, strategy)
        self._logger.log(ILogger.ERROR, "stand-in: Error Code 1: Cuda Runtime (invalid device context)")
        return None

    def create_engine_inspector(self):
        return EngineInspector(self)


class EngineInspector:
    def __init__(self, engine):
        self._engine = engine

    def get_engine_information(self, format):
        nodes = onnx.load_from_string(self._engine._network).graph.node
        layers = [{"Name": f"stand-in: {node.name}", "LayerType": node.op_type} for node in nodes]
        return json.dumps({"Layers": layers, "Bindings": [port.name for port, _ in self._engine._ports]})


class IExecutionContext:
    def __init__(self, engine, strategy):
        self._engine, self._logger = engine, engine._logger
        self._workspace = None if strategy == ExecutionContextAllocationStrategy.USER_MANAGED else 0
        self._shapes, self._addresses = {}, {}
        self._state = 0
        self._functions = {}

    def set_optimization_profile_async(self, profile_index, stream_handle):
        return profile_index == 0

    def set_device_memory(self, memory, size):
        self._changed()
        self._workspace = memory if size >= _WORKSPACE else None

    def set_input_shape(self, name, shape):
        least, _, most = self._engine._profile[name]
        fits = len(shape) == len(least) and all(a <= b <= c for a, b, c in zip(least, shape, most, strict=True))
        if fits:
            self._changed()
            self._shapes[name] = tuple(shape)
        return fits or self._no("stand-in: Error Code 3: API Usage Error (shape outside of the profile)")

    def set_tensor_address(self, name, memory):
        self._changed()
        self._addresses[name] = memory
        return bool(memory) or self._no(f"stand-in: Error Code 3: no address for {name}")

    def infer_shapes(self):
        return [name for name in self._engine._profile if -1 in self._shape_of(name)]

    def execute_async_v3(self, stream_handle):
        capturing = ctypes.c_int()
        CUDA.cuStreamIsCapturing(ctypes.c_void_p(stream_handle), ctypes.byref(capturing))
        if capturing.value and _faults.wanted("empty-graph"):
            return True
        if capturing.value and _faults.wanted("spoil-capture"):
            CUDA.cuCtxSynchronize()
        if capturing.value and _faults.wanted("refuse-capture"):
            return self._no("stand-in: Error Code 1: Myelin (operation not permitted when stream is capturing)")
        if _faults.now("refuse"):
            return self._no("stand-in: Error Code 1: enqueue was told to fail")
        ready = self._workspace is not None and len(self._addresses) == len(self._engine._ports)
        if not (context_is_current() and ready and not self.infer_shapes()):
            return self._no("stand-in: Error Code 3: no context, workspace, address or shape")
        function = self._functions.setdefault(self._state, _Function(self._computing(self._state)))
        return CUDA.cuLaunchHostFunc(ctypes.c_void_p(stream_handle), function, None) == 0

    def _changed(self):
        self._state += 1

    def _no(self, why):
        self._logger.log(ILogger.ERROR, why)
        return False

    def _shape_of(self, name):
        return self._shapes.get(name, tuple(self._engine.get_tensor_shape(name)))

    def _computing(self, state):
        """Return what the stream carries out, perhaps much later, out of a graph."""

        def compute(_):
            try:
                if _faults.now("sticky"):
                    CUDA.standin_cuda_fail(ctypes.c_long(0), _ILLEGAL_ADDRESS)
                elif state != self._state:
                    self._no("stand-in: a shape or an address has changed under a captured graph")
                    CUDA.standin_cuda_fail(ctypes.c_long(0), _ILLEGAL_ADDRESS)
                else:
                    self._compute()
            except Exception as error:  # noqa: BLE001
                self._no(f"stand-in: {type(error).__name__}: {error}")
                CUDA.standin_cuda_fail(ctypes.c_long(0), _LAUNCH_FAILED)

        return compute

    def _compute(self):
        if self._workspace:
            ctypes.memset(self._workspace, 0x5A, _WORKSPACE)
        modes = {port.name: mode for port, mode in self._engine._ports}
        poisoned = _faults.now("nan")
        given = {name: self._array(name) for name, mode in modes.items() if mode == TensorIOMode.INPUT}
        names = [name for name, mode in modes.items() if mode == TensorIOMode.OUTPUT]
        for name, answer in zip(names, self._engine._session.run(names, given), strict=True):
            if poisoned:
                answer = np.full_like(answer, np.nan if answer.dtype == np.float32 else 0)
            ctypes.memmove(self._addresses[name], np.ascontiguousarray(answer).ctypes.data, answer.nbytes)

    def _array(self, name):
        shape, dtype = self._shape_of(name), np.dtype(nptype(self._engine.get_tensor_dtype(name)))
        size = math.prod(shape) * dtype.itemsize
        raw = (ctypes.c_ubyte * size).from_address(self._addresses[name])
        return np.frombuffer(raw, dtype).reshape(shape)
