"""An inspector whose device is lost after so many calls: ``python -m tests.support.lost_device CALLS``."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from edge.errors import DeviceLost
from edge.inspector.backend import BackendSettings, Engine, open_engine
from edge.inspector.main import main


def open_losing(settings: BackendSettings, network: bytes, batched_input: str, batches: Sequence[int]) -> Engine:
    """Return an engine that works for a while, then says that its device is lost, and counts how often it is asked."""
    engine = open_engine(settings, network, batched_input, batches)
    works, left = engine.run, [int(sys.argv[1])]

    def run(n: int) -> Mapping[str, NDArray[Any]]:
        left[0] -= 1
        if left[0] < -1:
            os._exit(99)  # It was asked again.
        if left[0] < 0:
            raise DeviceLost("device 0: lost")
        return works(n)

    engine.run = run  # type: ignore[method-assign]
    return engine


if __name__ == "__main__":
    os._exit(main(open_losing))
