"""Where a camera's frames come from: one table for each kind of source."""

from __future__ import annotations

import os
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from edge.settings.strict import Strict

GenicamFormat = Literal["Mono8", "BGR8", "RGB8", "BayerRG8", "BayerGR8", "BayerGB8", "BayerBG8"]
"""The pixel formats that become mono8 or bgr8, as GenICam calls them."""


class SourceTable(Strict):
    """What every kind of source says of itself; the station asks by these, never by the kind."""

    @property
    def paced(self) -> bool:
        """Frames come at the source's own time; False = it is read when somebody asks."""
        return True

    @property
    def live(self) -> bool:
        """It cannot be held: what is not read meanwhile is lost."""
        return True

    @property
    def numbers_frames(self) -> bool:
        """It numbers frames by itself, so that a gap proves a missed one."""
        return True

    @property
    def tags_frames(self) -> bool:
        """It can say which part a frame shows."""
        return False

    @property
    def steady_rate_hz(self) -> float | None:
        """The rate at which frames come when nothing is lost, of a source where only their times can tell."""
        return None


class SyntheticSource(SourceTable):
    """The built-in steel strip: a pure function of (seed, frame number)."""

    kind: Literal["synthetic"] = Field(description="says that this table is such a source")
    seed: int = Field(7, ge=0, lt=2**63, description="another seed is another strip")
    defect_share: float = Field(0.1, ge=0, le=1, description="share of frames with a defect")
    rate_hz: float | None = Field(None, gt=0, le=1000, description="frames per second; none = as fast as consumed")
    frames: int | None = Field(None, ge=1, description="ends after so many frames; none = endless")

    @property
    def paced(self) -> bool:
        return self.rate_hz is not None

    @property
    def live(self) -> bool:
        return False

    @property
    def tags_frames(self) -> bool:
        return True


class ReplaySource(SourceTable):
    """Pictures of a folder in the order of their names, or the frames of a video."""

    kind: Literal["replay"] = Field(description="says that this table is such a source")
    path: Path = Field(
        description="folder of pictures, or a video file; a folder is listed when it is opened and must not change "
        "while a run lasts"
    )
    pattern: str = Field("*", pattern="^[^/]", description="which files of the folder; **/* = of its folders too")
    tag_pattern: str | None = Field(
        None,
        description="where a file's name holds the part's tag: a regular expression with one group of digits, "
        "as in part(\\d+)_; none = pictures have no tags",
    )
    rate_hz: float | None = Field(None, gt=0, le=1000, description="frames per second; none = as fast as consumed")

    @property
    def paced(self) -> bool:
        return self.rate_hz is not None

    @property
    def live(self) -> bool:
        return False

    @property
    def tags_frames(self) -> bool:
        return self.tag_pattern is not None

    @field_validator("pattern")
    @classmethod
    def _stars_alone(cls, value: str) -> str:
        if any("**" in part and part != "**" for part in value.split("/")):
            raise ValueError("expected ** to stand alone between slashes, as in **/*.png")
        return value

    @field_validator("tag_pattern")
    @classmethod
    def _one_group(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            groups = re.compile(value).groups
        except re.error as error:
            raise ValueError(f"expected a regular expression: {error}") from error
        if groups != 1:
            raise ValueError(f"expected one group in brackets, as in part(\\d+)_, found {groups}")
        return value


class OpenCVSource(SourceTable):
    """A device index, a URL, or a video file (taken as consumed, to its end), through OpenCV."""

    kind: Literal["opencv"] = Field(description="says that this table is such a source")
    device: int | str = Field(
        description="0, /dev/video0, rtsp://..., http://..., or a video file; a live one that gives the very same "
        "picture twice is corrupt or frozen: UNKNOWN(camera)"
    )
    pixel_format: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9 ]{4}$",
        description="how a USB camera sends pictures: MJPG, YUYV, GREY ...; asked of the device and read back",
    )
    width: int | None = Field(None, ge=1, description="asked of the device and read back [px]")
    height: int | None = Field(None, ge=1, description="asked of the device and read back [px]")
    rate_hz: float | None = Field(
        None,
        gt=0,
        le=1000,
        description="asked of the device and read back; of a network stream what its camera is set to; none = measured",
    )
    exposure: float | None = Field(None, description="asked of the device and read back; the driver's own unit")
    gain: float | None = Field(None, description="asked of the device and read back; the driver's own unit")
    open_timeout_ms: int = Field(3000, ge=100, description="a live source opens within this, or is tried again")
    read_timeout_ms: int = Field(
        2000, ge=100, description="a live source gives a picture within this, or is opened again; see silent_periods"
    )
    slow_read_periods: float = Field(
        2.5,
        ge=1.5,
        le=1000,
        description="a picture that comes so many periods after the one before, and at least 20 ms, may be an old one: "
        "UNKNOWN(camera), as are those behind it until one is waited for again",
    )
    silent_periods: float = Field(
        15.0,
        ge=2,
        le=1000,
        description="no picture for so many periods, and at least 250 ms: a live source is opened again",
    )
    max_lag_ms: int = Field(
        200,
        ge=1,
        le=86_400_000,
        description="a picture of an RTSP stream that comes so much later than its time stamp lets expect is "
        "UNKNOWN(camera); the largest value is for a camera with useless time stamps",
    )

    @cached_property
    def is_file(self) -> bool:
        """It was a regular file when first asked: it has an end and no time of its own."""
        return isinstance(self.device, str) and os.path.isfile(self.device)  # noqa: PTH113 - Path's raises

    @property
    def paced(self) -> bool:
        return not self.is_file

    @property
    def numbers_frames(self) -> bool:
        return False

    @property
    def steady_rate_hz(self) -> float | None:
        return self.rate_hz if self.paced else None


class GenicamSource(SourceTable):
    """
    A GigE Vision or USB3 Vision camera, through Aravis. The canvas is the region that is asked of it; every setting is
    read back, and what is left out stays as the camera has it.
    """

    kind: Literal["genicam"] = Field(description="says that this table is such a source")
    device: str | None = Field(
        None,
        min_length=1,
        description="id, serial number or IP address, as edge-inspectd camera list prints them; an address may lie "
        "behind a router; none = the only camera there is",
    )
    pixel_format: GenicamFormat | None = Field(
        None,
        description="what the camera sends: grey, or colours, which become bgr8; none = what it is set to, if that is "
        "one of these",
    )
    offset_x: int = Field(0, ge=0, description="where the region begins on the sensor [px]")
    offset_y: int = Field(0, ge=0, description="where the region begins on the sensor [px]")
    exposure_us: float | None = Field(None, gt=0, le=60e6, description="time of exposure; switches the automatic off")
    gain_db: float | None = Field(
        None, ge=-100, le=100, description="gain, in the camera's unit, most often dB; switches the automatic off"
    )
    rate_hz: float | None = Field(None, gt=0, le=10_000, description="frames per second, of trigger = free-run")
    trigger_line: str = Field("Line1", min_length=1, description="input of trigger = camera, as the camera calls it")
    trigger_activation: Literal["RisingEdge", "FallingEdge", "AnyEdge", "LevelHigh", "LevelLow"] = Field(
        "RisingEdge", description="which change of the input takes a picture"
    )
    packet_size: int | None = Field(
        None,
        ge=220,
        le=16_384,
        description="of GigE Vision [bytes]; none = the camera's, or what passes the network if that does not",
    )
    packet_resend: bool = Field(True, description="ask for lost packets again, of a camera that can send them again")
    frame_retention_ms: int = Field(
        100, ge=1, le=10_000, description="a frame that lacks packets is given up after this; of GigE Vision"
    )
    buffers: int = Field(8, ge=2, le=256, description="frames that may wait for the thread that takes them")
    timestamps: Literal["camera", "host"] = Field(
        "camera",
        description="which clock says when a picture was taken; host = that of its arrival, for a camera whose clock "
        "is of no use",
    )
    silent_periods: float = Field(
        5.0,
        ge=2,
        le=1000,
        description="no frame for so many periods of trigger = free-run, and at least 0.1 s: the camera is lost",
    )
    read_timeout_ms: int = Field(
        1000, ge=10, le=60_000, description="a picture that was asked for, or the first one, comes within this"
    )


Source = Annotated[SyntheticSource | ReplaySource | OpenCVSource | GenicamSource, Field(discriminator="kind")]
