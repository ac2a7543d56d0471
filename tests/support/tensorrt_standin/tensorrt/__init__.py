"""
A stand-in for the package ``tensorrt``, for test processes on machines without a GPU. It proves plumbing only.

A "plan" holds the ONNX file; an execution context reads and writes "device" addresses of the stand-in CUDA driver and
computes with ONNX Runtime on the CPU, when its stream is waited for. Every name offered here exists in the genuine
package, with the same parameters (tests/engines/test_tensorrt_contract.py); what it leaves out our code does not use.
It refuses, as the genuine one does, by returned values and a word to the logger. Faults: see _faults.py.
"""

from __future__ import annotations

from tensorrt._build import (
    Builder,
    IBuilderConfig,
    INetworkDefinition,
    IOptimizationProfile,
    ITimingCache,
    OnnxParser,
    ParserError,
)
from tensorrt._names import (
    VERSION,
    BuilderFlag,
    DataType,
    Dims,
    ExecutionContextAllocationStrategy,
    IHostMemory,
    ILogger,
    IProgressMonitor,
    ITensor,
    LayerInformationFormat,
    Logger,
    MemoryPoolType,
    NetworkDefinitionCreationFlag,
    ProfilingVerbosity,
    TensorIOMode,
    nptype,
)
from tensorrt._run import EngineInspector, ICudaEngine, IExecutionContext, Runtime

__version__ = VERSION

__all__ = [
    "Builder",
    "BuilderFlag",
    "DataType",
    "Dims",
    "EngineInspector",
    "ExecutionContextAllocationStrategy",
    "IBuilderConfig",
    "ICudaEngine",
    "IExecutionContext",
    "IHostMemory",
    "ILogger",
    "INetworkDefinition",
    "IOptimizationProfile",
    "IProgressMonitor",
    "ITensor",
    "ITimingCache",
    "LayerInformationFormat",
    "Logger",
    "MemoryPoolType",
    "NetworkDefinitionCreationFlag",
    "OnnxParser",
    "ParserError",
    "ProfilingVerbosity",
    "Runtime",
    "TensorIOMode",
    "nptype",
]
