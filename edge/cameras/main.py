"""``edge-inspectd camera list|show|snap|focus``: the commands and their flags."""

from __future__ import annotations

import os
import sys
from typing import Any

import cv2
from pydantic import BaseModel, Field
from pydantic_settings import CliSubCommand, get_subcommand

from edge.cameras.focus import Focus, focus
from edge.cameras.listing import List, list_cameras
from edge.cameras.show import Show, show
from edge.cameras.snap import Snap, snap
from edge.commandline import run
from edge.errors import ConfigurationError


class Camera(BaseModel):
    """
    Look at cameras, without a bundle and without a running station. Each command has its own --help.

    Exit codes: 0 done; 2 a bad flag or file; 4 a camera does not open, or fails. The reason is one line on stderr.
    """

    list: CliSubCommand[List] = Field(description="which cameras this machine sees, and which of a station's open")
    show: CliSubCommand[Show] = Field(description="open one: mode, rate, brightness, sharpness, what would be UNKNOWN")
    snap: CliSubCommand[Snap] = Field(description="take pictures and write them as PNG")
    focus: CliSubCommand[Focus] = Field(
        description="how sharp it is at this moment, to turn the lens and set the light"
    )


def main(args: list[str] | None = None) -> int:
    """Look at cameras; return the exit code."""
    return run("edge-inspectd camera", Camera, args, look)


def look(command: Camera) -> int:
    """
    Carry out one command.

    Raises:
        ConfigurationError: there is no such camera or file.
        CameraError: it does not open, or fails.
    """
    if sys.platform != "linux":
        raise ConfigurationError(f"edge-inspectd runs on Linux only, this is {sys.platform}")
    # What goes wrong is said by us, once, and not by OpenCV and FFmpeg in lines of their own.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    asked: Any = get_subcommand(command, cli_exit_on_error=False)
    match asked:
        case List():
            return list_cameras(asked)
        case Show():
            return show(asked)
        case Snap():
            return snap(asked)
        case _:
            return focus(asked)
