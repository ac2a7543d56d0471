"""What the station's two processes may take of the machine for themselves."""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from edge.cores import cores_from_text, text_from_cores
from edge.settings.strict import Strict


class ProcessSettings(Strict):
    """What the station and its inspector keep of the machine for themselves; nothing, unless it is said here."""

    station_cpus: str | None = Field(
        None, description="cores of the station (sockets, deadlines, journal), as in 2-3,5; none = any"
    )
    inspector_cpus: str | None = Field(
        None,
        description="cores of the inspector (cameras, engines); both or neither. No other station of this machine may "
        "name one of them, and backend.threads must not be more",
    )
    lock_memory: bool = Field(
        False, description="neither process is ever swapped out: what it has touched stays in memory"
    )

    @property
    def cores(self) -> tuple[int, ...]:
        """All that are claimed; empty = none."""
        named = (self.station_cpus, self.inspector_cpus)
        return tuple(sorted({core for text in named if text is not None for core in cores_from_text(text)}))

    @field_validator("station_cpus", "inspector_cpus")
    @classmethod
    def _are_cores(cls, value: str | None) -> str | None:
        return None if value is None else text_from_cores(cores_from_text(value))

    @model_validator(mode="after")
    def _both_or_neither(self) -> ProcessSettings:
        if (self.station_cpus is None) != (self.inspector_cpus is None):
            raise ValueError("expected station_cpus and inspector_cpus both or neither: one would starve the other")
        return self
