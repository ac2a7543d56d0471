"""Where the station runs: on its own cores, which no other station has, and in memory that stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edge.cores import claimed, claims_folder, cores_from_text, pin, refuse_missing
from edge.memory import lock_memory
from edge.settings import Station, engine_cache_of, service_state_dir


@contextmanager
def placed(station: Station) -> Iterator[None]:
    """
    Claim the cores of both processes, move this one to its own and lock its memory, as the settings say.

    Raises:
        ConfigurationError: a core is missing or another station's, or memory may not be locked.
    """
    process = station.process
    if process.lock_memory:
        lock_memory()
    if process.station_cpus is None or process.inspector_cpus is None:
        yield
        return
    ours = cores_from_text(process.station_cpus)
    refuse_missing(ours, "process.station_cpus")
    refuse_missing(cores_from_text(process.inspector_cpus), "process.inspector_cpus")
    folder = claims_folder(engine_cache_of(station), service=service_state_dir() is not None)
    with claimed(process.cores, station.station, folder):
        pin(ours, "process.station_cpus")
        yield
