"""A camera: its source, its canvas, what it triggers, and which of its pictures can be judged."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from edge.settings.calibration import ZoneTable
from edge.settings.sources import FolderSource, Source, SyntheticSource
from edge.settings.strict import Name, Strict
from engines.contract import PixelFormat


class DriftLimits(Strict):
    """Outside of these a picture is not what the networks were trained for: UNKNOWN(drift)."""

    brightness_low: float | None = Field(None, ge=0, le=255, description="mean grey value of a picture")
    brightness_high: float | None = Field(None, ge=0, le=255, description="mean grey value of a picture")
    sharpness_low: float | None = Field(None, ge=0, description="variance of the Laplacian [grey values squared]")
    suspicious_share: float | None = Field(
        None, gt=0, le=1, description="share of the last 200 frames with a tile over a gate; more of them is no product"
    )

    @model_validator(mode="after")
    def _low_below_high(self) -> DriftLimits:
        low, high = self.brightness_low, self.brightness_high
        if low is not None and high is not None and low >= high:
            raise ValueError(f"expected brightness_low = {low:g} below brightness_high = {high:g}")
        return self


class CameraSettings(Strict):
    """One camera and its canvas."""

    name: Name = Field(description="appears in topics and verdicts")
    source: Source = Field(description="where its frames come from: one of the sources below, chosen by its kind")
    height: int = Field(
        256,
        ge=16,
        le=16384,
        description="largest picture: height of the canvas; of an opencv or genicam source, and with mm_per_px or "
        "ignore, every one [px]",
    )
    width: int = Field(
        1600,
        ge=16,
        le=16384,
        description="largest picture: width of the canvas; of an opencv or genicam source, and with mm_per_px or "
        "ignore, every one [px]",
    )
    convert_to: PixelFormat | None = Field(
        None, description="mono8 or bgr8: convert what the source delivers; none = it must already be the manifest's"
    )
    slots: int = Field(4, ge=1, le=64, description="frames of a paced source that may wait for their verdict")
    overload: Literal["every", "latest"] | None = Field(
        None,
        description="when frames come faster than they are inspected. every: each in its turn; a file or the synthetic "
        "strip is not read while all slots are taken, a live camera goes on, and what finds no slot is "
        "UNKNOWN(overload). latest: the newest; those that wait are skipped, each UNKNOWN(overload). none: a paced "
        "source goes on at its own time as a live camera does under every; any other is read as under every",
    )
    mm_per_px: float | None = Field(
        None,
        ge=1e-6,
        le=1000,
        description="scale at this station; none = the calibration's, and without one rules in px only",
    )
    ignore: tuple[ZoneTable, ...] = Field(
        (),
        max_length=64,
        description="zones of the picture in which a defect does not count; left out = the calibration's",
    )
    most_ignored: float = Field(
        0.5, gt=0, le=0.99, description="those zones may cover this share of the canvas; more is refused at the start"
    )
    trigger: Literal["free-run", "software", "camera"] = Field(
        "free-run",
        description="what makes a part: every frame; a request; every frame of a camera with a trigger input that "
        "numbers them",
    )
    max_trigger_delay_ms: int = Field(
        50,
        ge=1,
        le=60_000,
        description="a picture asked for by a request is not taken later than this: the next part may stand there; of "
        "a genicam source exposure and the picture's way count; for trigger = software",
    )
    counter_offset: int = Field(0, description="frame number + this = number of the part; for parts.join = counter")
    expect_every_ms: int | None = Field(
        None, ge=1, description="silent for longer than this, the station is not ready; none = the line may stand"
    )
    drift: DriftLimits = Field(DriftLimits(), description="limits of a picture that can be judged")

    @property
    def held(self) -> bool:
        """Its source is not read while there is no free slot: it loses nothing meanwhile."""
        return not self.source.paced or (self.overload == "every" and not self.source.live)

    @model_validator(mode="after")
    def _frames_to_choose_from(self) -> CameraSettings:
        if self.overload is not None and self.trigger == "software":
            raise ValueError(
                f'expected no overload = "{self.overload}" with trigger = "software": each request is a part of its own'
            )
        if self.overload == "latest" and not self.source.paced:
            raise ValueError(
                'expected overload = "latest" of a source with a time of its own: this one is read when the last '
                "one's verdict is out, so that no newer frame ever waits; give it a rate_hz, or leave overload out"
            )
        return self

    @model_validator(mode="after")
    def _nothing_deleted_unseen(self) -> CameraSettings:
        deletes = isinstance(self.source, FolderSource) and self.source.afterwards == "delete"
        if deletes and self.overload != "every":
            raise ValueError(
                'expected overload = "every" with afterwards = "delete": a picture that finds no free slot would be '
                'deleted unseen; or use afterwards = "move"'
            )
        return self

    @model_validator(mode="after")
    def _room_for_the_strip(self) -> CameraSettings:
        if isinstance(self.source, SyntheticSource) and min(self.height, self.width) < 64:
            raise ValueError(
                f"expected height and width of 64 px or more, found {self.height} and {self.width}: the synthetic "
                "strip is no smaller"
            )
        return self
