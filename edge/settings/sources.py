"""Where a camera's frames come from: one table for each kind of source."""

from __future__ import annotations

import os
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from edge.faults import without_secrets
from edge.settings.strict import Strict

GenicamFormat = Literal["Mono8", "BGR8", "RGB8", "BayerRG8", "BayerGR8", "BayerGB8", "BayerBG8"]
"""The pixel formats that become mono8 or bgr8, as GenICam calls them."""
EVERY_CAMERA = "*"
"""Of an archive: the pictures of all of them."""
_OF_PLACE = (
    "kind",
    "device",
    "path",
    "width",
    "height",
    "offset_x",
    "offset_y",
    "binning",
    "decimation",
    "reverse_x",
    "reverse_y",
)


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
    def place(self) -> tuple[str, ...]:
        """
        What decides which part of the world a pixel shows, as "key = value": scale and zones hold for it alone.

        Without user names and passwords: it is kept in a file and shown.
        """
        values = {key: getattr(self, key, None) for key in _OF_PLACE}
        return tuple(f"{key} = {without_secrets(str(value))}" for key, value in values.items() if value is not None)

    @property
    def cautions(self) -> tuple[str, ...]:
        """What nobody can prove of its pictures, and what would be safer: one line each, for who looks it through."""
        return ()

    @property
    def nameless(self) -> str | None:
        """What names one camera alone, where another one may come in its place unnoticed; None where none can."""
        return None

    @property
    def package(self) -> tuple[str, str] | None:
        """The package that it needs beside ours, as it is imported, and the extra that brings it."""
        return None

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
        return _with_one_group(value)


class ArchiveSource(SourceTable):
    """
    A station's archive: its pictures are inspected again, in the order of time. Their parts' tags come with them; a
    verdict's source names the part.
    """

    kind: Literal["archive"] = Field(description="says that this table is such a source")
    path: Path = Field(description="folder of the archive; listed when it is opened, removed parts are UNKNOWN(camera)")
    camera: str = Field(
        EVERY_CAMERA,
        pattern=r"^(\*|[A-Za-z0-9][A-Za-z0-9_.-]{0,63})$",
        description="whose pictures, as the archive calls it; * = those of every camera",
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
        return True


class FolderSource(SourceTable):
    """
    A folder that another program writes pictures into, best by renaming them into place; each file is a part. Hidden
    files and folders within it are left alone. Needs the extra "folder".
    """

    kind: Literal["folder"] = Field(description="says that this table is such a source")
    path: Path = Field(description="folder that pictures are written to")
    pattern: str = Field("*", pattern="^[^/]+$", description="which names are pictures of this camera")
    tag_pattern: str | None = Field(
        None,
        description="where a file's name holds the part's tag: a regular expression with one group of digits, "
        "as in part(\\d+)_; none = pictures have no tags",
    )
    existing: Literal["ignore", "inspect"] = Field(
        "ignore",
        description="what lies there at the start. ignore: is no part, and is left alone or moved away; inspect: each "
        "is a part, in the order in which they came; needs afterwards = move or delete",
    )
    afterwards: Literal["keep", "move", "delete"] = Field(
        "keep",
        description="what becomes of a file whose picture was taken. delete needs overload = every; what holds no "
        "picture is moved then",
    )
    done: Path | None = Field(
        None, description="folder that files are moved to, on the same file system; none = done in the folder itself"
    )
    complete_ms: int = Field(
        2000, ge=10, le=600_000, description="a file that holds no whole picture after this is UNKNOWN(camera)"
    )
    rescan_ms: int = Field(
        5000,
        ge=20,
        le=600_000,
        description="the folder is gone through so often for files that the system said nothing of: network drives",
    )
    settle_ms: int = Field(
        500, ge=10, le=60_000, description="such a file must not have changed for so long: it may still be written"
    )

    @property
    def done_path(self) -> Path:
        """Where files are moved to; it need not exist."""
        return self.path / ("done" if self.done is None else self.done)

    @property
    def live(self) -> bool:
        return False

    @property
    def package(self) -> tuple[str, str] | None:
        return "watchdog", "folder"

    @property
    def numbers_frames(self) -> bool:
        return False

    @property
    def tags_frames(self) -> bool:
        return self.tag_pattern is not None

    @field_validator("tag_pattern")
    @classmethod
    def _one_group(cls, value: str | None) -> str | None:
        return _with_one_group(value)

    @model_validator(mode="after")
    def _inspected_once(self) -> FolderSource:
        if self.existing == "inspect" and self.afterwards == "keep":
            raise ValueError(
                'expected afterwards = "move" or "delete" with existing = "inspect": each start would inspect '
                "everything once more"
            )
        return self


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
    def is_rtsp(self) -> bool:
        return str(self.device).lower().startswith(("rtsp://", "rtsps://"))

    @property
    def is_http(self) -> bool:
        return str(self.device).lower().startswith(("http://", "https://"))

    @property
    def is_bare_number(self) -> bool:
        """It is a device by its number alone, which another one may have after a restart or a replug."""
        return isinstance(self.device, int) or re.fullmatch(r"/dev/video[0-9]+", self.device) is not None

    @property
    def cautions(self) -> tuple[str, ...]:
        if self.is_rtsp:
            return (
                "predicted video (H.264/H.265) cannot prove that no packet was lost inside a picture; use GigE/USB3 "
                "Vision or MJPEG where a missed defect matters",
            )
        if self.is_http:
            return (
                "how old a picture is that comes over HTTP cannot be known; use GigE/USB3 Vision where that matters",
            )
        if self.is_bare_number:
            return (f"{self.device} may be another camera after a restart; name it by /dev/v4l/by-path",)
        return ()

    @property
    def nameless(self) -> str | None:
        return "a path of /dev/v4l/by-path or /dev/v4l/by-id" if self.is_bare_number else None

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
    read back, and what is left out stays as the camera has it; found otherwise at a later open, it is refused.
    """

    kind: Literal["genicam"] = Field(description="says that this table is such a source")
    device: str | None = Field(
        None,
        min_length=1,
        description="id, serial number or IP address, as edge-inspectd camera list prints them; an address may lie "
        "behind a router; none = the only camera there is, and that one at each later open; with two such sources "
        "each needs its own",
    )
    pixel_format: GenicamFormat | None = Field(
        None,
        description="what the camera sends: grey, or colours, which become bgr8; none = what it is set to, if that is "
        "one of these",
    )
    offset_x: int = Field(0, ge=0, description="where the region begins on the sensor [px]")
    offset_y: int = Field(0, ge=0, description="where the region begins on the sensor [px]")
    binning: int | None = Field(
        None,
        ge=1,
        le=16,
        description="so many pixels of the sensor become one, in each direction; none = a camera that joins any is "
        "refused",
    )
    decimation: int | None = Field(
        None,
        ge=1,
        le=16,
        description="one pixel of so many is taken, in each direction; none = a camera that leaves any out is refused",
    )
    reverse_x: bool | None = Field(None, description="left is right; none = a camera that is set so is refused")
    reverse_y: bool | None = Field(None, description="top is bottom; none = a camera that is set so is refused")
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
        description="no frame for so many periods of trigger = free-run, and at least 0.25 s: the camera is lost",
    )
    read_timeout_ms: int = Field(
        1000, ge=10, le=60_000, description="a picture that was asked for, or the first one, comes within this"
    )

    @property
    def nameless(self) -> str | None:
        return "its id or serial number, as edge-inspectd camera list prints it" if self.device is None else None


Source = Annotated[
    SyntheticSource | ReplaySource | ArchiveSource | FolderSource | OpenCVSource | GenicamSource,
    Field(discriminator="kind"),
]


def _with_one_group(pattern: str | None) -> str | None:
    """
    Return the regular expression.

    Raises:
        ValueError: it is none, or has not one group.
    """
    if pattern is None:
        return None
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"expected a regular expression: {error}") from error
    if groups != 1:
        raise ValueError(f"expected one group in brackets, as in part(\\d+)_, found {groups}")
    return pattern
