"""Enums, small values and what our code derives from. Numbers are those of 10.x; nobody may depend on them."""

from __future__ import annotations

import enum
import os

import numpy as np

VERSION = os.environ.get("STANDIN_TRT_VERSION", "10.13.0+stand-in")


class Severity(enum.IntEnum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


class ILogger:
    Severity = Severity
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = Severity

    def log(self, severity, msg):
        raise NotImplementedError


class Logger(ILogger):
    def __init__(self, min_severity=Severity.WARNING):
        self.min_severity = min_severity

    def log(self, severity, msg):
        pass


class IProgressMonitor:
    def phase_start(self, phase_name, parent_phase, num_steps):
        raise NotImplementedError

    def step_complete(self, phase_name, step):
        raise NotImplementedError

    def phase_finish(self, phase_name):
        raise NotImplementedError


class NetworkDefinitionCreationFlag(enum.IntEnum):
    STRONGLY_TYPED = 1


class BuilderFlag(enum.IntEnum):
    DEBUG = 2
    TF32 = 7
    SPARSE_WEIGHTS = 8


class MemoryPoolType(enum.IntEnum):
    WORKSPACE = 0


class ProfilingVerbosity(enum.IntEnum):
    LAYER_NAMES_ONLY = 0
    NONE = 1
    DETAILED = 2


class LayerInformationFormat(enum.IntEnum):
    ONELINE = 0
    JSON = 1


class TensorIOMode(enum.IntEnum):
    NONE = 0
    INPUT = 1
    OUTPUT = 2


class ExecutionContextAllocationStrategy(enum.IntEnum):
    STATIC = 0
    ON_PROFILE_CHANGE = 1
    USER_MANAGED = 2


class DataType(enum.IntEnum):
    FLOAT = 0
    HALF = 1
    INT8 = 2
    INT32 = 3
    BOOL = 4
    UINT8 = 5


class Dims(tuple):
    """A shape; -1 = not known."""


class IHostMemory(bytearray):
    @property
    def nbytes(self):
        return len(self)


class ITensor:
    def __init__(self, name, dtype, shape):
        self._name, self._dtype, self._shape = name, dtype, Dims(shape)

    @property
    def name(self):
        return self._name

    @property
    def dtype(self):
        return self._dtype

    @property
    def shape(self):
        return self._shape


_NUMPY = {DataType.FLOAT: np.float32, DataType.HALF: np.float16, DataType.INT8: np.int8, DataType.INT32: np.int32}
_NUMPY |= {DataType.BOOL: np.bool_, DataType.UINT8: np.uint8}


def nptype(trt_type):
    return _NUMPY[trt_type]


def dtype_of(element):
    """Return the DataType of numpy's."""
    return next(key for key, value in _NUMPY.items() if value == element)
