"""
The real inspector with engines that fail on order: ``python -I faulty.py ORDER``.

ORDER is a file that is looked at before each call of a network. When there is none, the networks work:

    nan      scores and health that are no numbers, as long as the file is there
    spins    the call never comes back from Python code; once: the file is taken away
    holds    the call is a native one that keeps the interpreter lock for an hour; once
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.inspector.backend import BackendSettings, Engine, open_engine
from edge.inspector.main import main

_HOUR_S = 3600


def open_faulty(settings: BackendSettings, network: bytes, batched_input: str, batches: Sequence[int]) -> Engine:
    """Return a real engine that does as the order says."""
    engine = open_engine(settings, network, batched_input, batches)
    works, order = engine.run, Path(sys.argv[1])

    def run(n: int) -> Mapping[str, NDArray[Any]]:
        told = order.read_text(encoding="utf-8") if order.exists() else ""
        if told in ("spins", "holds"):
            order.unlink()
            _spin() if told == "spins" else ctypes.PyDLL(None).sleep(_HOUR_S)
        answers = works(n)
        return _poisoned(answers) if told == "nan" else answers

    engine.run = run  # type: ignore[method-assign]
    return engine


def _spin() -> None:
    while True:
        pass


def _poisoned(answers: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
    return {
        name: np.full_like(answer, np.nan) if answer.dtype.kind == "f" else answer for name, answer in answers.items()
    }


if __name__ == "__main__":
    os._exit(main(open_faulty))
