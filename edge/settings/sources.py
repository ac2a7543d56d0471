"""Where a camera's frames come from: one table for each kind of source."""

from __future__ import annotations

import os
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from edge.settings.strict import Strict


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
    width: int | None = Field(None, ge=1, description="asked of the device and read back [px]")
    height: int | None = Field(None, ge=1, description="asked of the device and read back [px]")
    rate_hz: float | None = Field(None, gt=0, le=1000, description="asked of the device and read back")
    exposure: float | None = Field(None, description="asked of the device and read back; the driver's own unit")
    gain: float | None = Field(None, description="asked of the device and read back; the driver's own unit")
    open_timeout_ms: int = Field(3000, ge=100, description="for network sources")
    read_timeout_ms: int = Field(2000, ge=100, description="for network sources")

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


Source = Annotated[SyntheticSource | ReplaySource | OpenCVSource, Field(discriminator="kind")]
