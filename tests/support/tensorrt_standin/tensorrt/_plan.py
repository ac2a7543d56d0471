"""What a stand-in plan is: a line of JSON and an ONNX file; and the ports of such a file."""

from __future__ import annotations

import ctypes
import hashlib
import json

import numpy as np
import onnx

from tensorrt._names import VERSION, ITensor, TensorIOMode, dtype_of

MAGIC = b"STAND-IN PLAN, NOT OF TENSORRT "
CUDA = ctypes.CDLL("libcuda.so.1")


def context_is_current():
    """Tell whether a CUDA context is: without one the genuine package works in a context of its own choice."""
    context = ctypes.c_void_p()
    return CUDA.cuCtxGetCurrent(ctypes.byref(context)) == 0 and bool(context)


def device_name():
    name, major, minor = ctypes.create_string_buffer(256), ctypes.c_int(), ctypes.c_int()
    CUDA.cuDeviceGetName(name, 256, 0)
    CUDA.cuDeviceComputeCapability(ctypes.byref(major), ctypes.byref(minor), 0)
    return f"{name.value.decode()} {major.value}.{minor.value}"


def plan_from_network(network, profile):
    header = {
        "version": VERSION,
        "device": device_name(),
        "sha256": hashlib.sha256(network).hexdigest(),
        "profile": profile,
    }
    return MAGIC + json.dumps(header).encode() + b"\n" + network


def network_from_plan(plan):
    """
    Return the ONNX file and the profile.

    Raises:
        ValueError: not a plan, damaged, of another version or GPU; in words as the genuine package has them.
    """
    line, _, network = bytes(plan).partition(b"\n")
    if not line.startswith(MAGIC):
        raise ValueError("stand-in: Error Code 1: Serialization (Magic tag does not match)")
    header = json.loads(line[len(MAGIC) :])
    if header["sha256"] != hashlib.sha256(network).hexdigest():
        raise ValueError("stand-in: Error Code 1: Serialization (Unexpected end of the plan)")
    if header["version"] != VERSION:
        raise ValueError(
            f"stand-in: Error Code 1: Serialization (Version tag does not match: plan {header['version']}, "
            f"library {VERSION})"
        )
    if header["device"] != device_name():
        raise ValueError(f"stand-in: Error Code 6: the plan is for '{header['device']}', this is '{device_name()}'")
    return network, header["profile"]


def ports_of(network):
    """Return (tensor, mode) of every input and output of an ONNX file."""
    graph = onnx.load_from_string(network).graph
    return [
        (_tensor(port), mode)
        for ports, mode in ((graph.input, TensorIOMode.INPUT), (graph.output, TensorIOMode.OUTPUT))
        for port in ports
    ]


def _tensor(port):
    kind = port.type.tensor_type
    shape = [size.dim_value if size.HasField("dim_value") else -1 for size in kind.shape.dim]
    return ITensor(port.name, dtype_of(np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)).type), shape)
