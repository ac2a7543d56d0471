"""The configurations that the section ``precision`` compares: which bytes each opens, how long it takes, its memory."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.bundle import Bundle
from edge.inspector.backend import BackendName, BackendSettings, Engine, Precision, open_engine
from engines.contract import TILES
from engines.quantise import convolutions, int8_from_network

BATCHES = (1, 2, 4, 7)
THREADS = 2

Engines = tuple[Engine, Engine]
Networks = tuple[bytes, bytes]


@dataclass(frozen=True)
class Machine:
    """*kept* = MORE: more convolutions than the outermost stay as they are."""

    backend: BackendName
    precision: Precision
    kept: str = ""

    @property
    def name(self) -> str:
        return f"{self.backend} {self.precision}{self.kept and f', {self.kept}'}"


MORE = "more kept"
"""Of the classifier the first three; of the segmenter the two highest levels of the encoder and the decoder's last."""
REFERENCE = Machine("onnxruntime", "fp32")
BASE = Machine("openvino", "fp32")
INT8 = Machine("openvino", "int8")
MACHINES = (
    BASE,
    Machine("openvino", "bf16"),
    INT8,
    Machine("openvino", "int8", MORE),
    REFERENCE,
    Machine("onnxruntime", "int8"),
)


def networks_of(bundle: Bundle, tiles: NDArray[np.uint8]) -> dict[Machine, Networks]:
    """Return classifier and segmenter as each machine opens them; each is quantised once."""
    made: dict[tuple[Precision, str], Networks] = {}
    for machine in MACHINES:
        key = (machine.precision, machine.kept)
        if key not in made:
            made[key] = _networks(bundle, machine, tiles)
    return {machine: made[machine.precision, machine.kept] for machine in MACHINES}


def _networks(bundle: Bundle, machine: Machine, tiles: NDArray[np.uint8]) -> Networks:
    if machine.precision != "int8":
        return bundle.classifier, bundle.segmenter
    first, second = convolutions(bundle.classifier), convolutions(bundle.segmenter)
    kept = (first[:3], [*second[:6], *second[-4:]]) if machine.kept else ((), ())
    return (
        int8_from_network(bundle.classifier, tiles, target="cpu", keep=kept[0]),
        int8_from_network(bundle.segmenter, tiles, target="cpu", keep=kept[1]),
    )


def open_engines(opened: ExitStack, machine: Machine, networks: Networks) -> Engines:
    """Open both networks until *opened* ends."""
    settings = BackendSettings(name=machine.backend, precision=machine.precision, threads=THREADS)
    classifier, segmenter = (
        opened.enter_context(open_engine(settings, network, TILES, BATCHES)) for network in networks
    )
    return classifier, segmenter


def times_of(engines: Mapping[Machine, Engines], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return ms by machine and ``classify n`` or ``segment n``, a value a round; the machines take turns in a round."""
    times: dict[str, dict[str, list[float]]] = {machine.name: {} for machine in engines}
    for number in range(rounds + 1):
        for machine, pair in engines.items():
            for stage, engine in zip(("classify", "segment"), pair, strict=True):
                for n in BATCHES:
                    took_ms = _ms(engine, n)
                    if number:  # the first round warms up
                        times[machine.name].setdefault(f"{stage} {n}", []).append(took_ms)
    return times


def _ms(engine: Engine, n: int) -> float:
    began = time.perf_counter()
    engine.run(n)
    return 1e3 * (time.perf_counter() - began)


def resident_mb(machine: Machine, networks: Networks) -> float:
    """Return what the two open engines add to a process of their own [MB]."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_grown_mb, machine, networks).result()


def _grown_mb(machine: Machine, networks: Networks) -> float:
    with ExitStack() as opened:
        # A first pair, of the smaller network, brings the library itself into memory.
        for engine in open_engines(opened, machine, (networks[0], networks[0])):
            engine.run(1)
        before_kb = _resident_kb()
        for engine in open_engines(opened, machine, networks):
            engine.run(BATCHES[-1])
        return (_resident_kb() - before_kb) / 1024


def _resident_kb() -> int:
    """Return what this process holds now: its peak, as getrusage() has it, is inherited from its parent."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
