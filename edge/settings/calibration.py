"""The calibration of a station: what belongs to the place, measured on a day by somebody. A TOML file of its own."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from edge.settings.strict import Name, Strict
from edge.zones import Zone

_Line = Annotated[str, Field(min_length=1, max_length=4200)]


class ZoneTable(Strict):
    """
    A part of the picture in which a defect does not count: { name = "clamp", box = [0, 0, 80, 256] }.

    A defect is ignored only if all of it lies in zones: one that reaches out of them counts, with its whole area.
    """

    name: str = Field("", max_length=80, description="what is there, for people")
    box: tuple[int, int, int, int] | None = Field(None, description="left, top, width, height [px]")
    polygon: tuple[tuple[int, int], ...] = Field(
        (), max_length=100, description="x, y of three corners or more [px]; its outline is not part of the zone"
    )

    @model_validator(mode="after")
    def _one_form(self) -> ZoneTable:
        if (self.box is None) == (not self.polygon):
            raise ValueError("expected box = [left, top, width, height] or polygon = [[x, y], ...], one of the two")
        if self.box is not None and not (min(self.box[:2]) >= 0 and min(self.box[2:]) >= 1):
            raise ValueError("expected box = [left, top, width, height] with left, top >= 0 and width, height >= 1")
        if self.polygon and (len(self.polygon) < 3 or min(min(corner) for corner in self.polygon) < 0):
            raise ValueError("expected three corners or more, with x, y >= 0")
        return self

    @property
    def zone(self) -> Zone:
        return Zone(box=self.box, polygon=self.polygon)


class CalibratedCamera(Strict):
    """What was measured of one camera at its place."""

    name: Name = Field(description="of the camera, as in the station's file")
    date: datetime = Field(description="when, UTC: 2026-11-22T06:30:00Z")
    by: str = Field(min_length=1, max_length=200, description="who answers for it")
    height: int = Field(ge=16, le=16384, description="of the canvas it was made with [px]")
    width: int = Field(ge=16, le=16384, description="of the canvas it was made with [px]")
    mm_per_px: float | None = Field(None, ge=1e-6, le=1000, description="scale; none = it was not measured")
    mm_per_px_x: float | None = Field(None, ge=1e-6, le=1000, description="along the rows")
    mm_per_px_y: float | None = Field(None, ge=1e-6, le=1000, description="along the columns")
    residual_px: float | None = Field(None, ge=0, description="root mean square of what one scale leaves unexplained")
    target: str = Field("", max_length=200, description="what it was measured from")
    source: tuple[_Line, ...] = Field(
        (), max_length=32, description="which camera and region it was made with, as edge-inspectd calibrate writes it"
    )
    exposure: float | None = Field(None, description="the camera's, in the unit of its source; none = as the source is")
    gain: float | None = Field(None, description="the camera's, in the unit of its source; none = as the source is")
    ignore: tuple[ZoneTable, ...] = Field((), max_length=64, description="zones in which a defect does not count")

    @field_validator("date")
    @classmethod
    def _utc(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            raise ValueError("expected a time with its zone, as in 2026-11-22T06:30:00Z")
        return value.astimezone(timezone.utc)


class CalibrationFile(Strict):
    """The whole file; one table [[cameras]] for each camera that was calibrated."""

    version: Literal[1] = Field(description="of this format")
    station: Name = Field(description="name of the station it belongs to")
    cameras: tuple[CalibratedCamera, ...] = Field(min_length=1, description="what was measured")

    @field_validator("cameras")
    @classmethod
    def _names_differ(cls, value: tuple[CalibratedCamera, ...]) -> tuple[CalibratedCamera, ...]:
        names = [camera.name for camera in value]
        if len(set(names)) != len(names):
            raise ValueError(f"camera names repeat: {', '.join(names)}")
        return value

    @property
    def oldest(self) -> datetime:
        """When the camera was calibrated that waits the longest for the next time."""
        return min(camera.date for camera in self.cameras)
