"""
An inspector on the stand-ins for CUDA and TensorRT: ``python -m tests.support.tensorrt_inspector``.

It builds a plan of each network that it is given, and says ``stand-in`` as its backend.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from edge.inspector.backend import BackendSettings, Engine, open_engine
from edge.inspector.main import main
from engines.plan import build_plan


def open_on_tensorrt(settings: BackendSettings, network: bytes, batched_input: str, batches: Sequence[int]) -> Engine:
    """Open by TensorRT whatever the settings say."""
    plan = build_plan(network, batched_input, batches, b"", lambda line: None, gpu=0).plan
    return open_engine(BackendSettings(name="tensorrt"), plan, batched_input, batches)


if __name__ == "__main__":
    os._exit(main(open_on_tensorrt))
