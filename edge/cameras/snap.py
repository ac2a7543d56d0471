"""``edge-inspectd camera snap``: take pictures, and write them as PNG, whole or not at all."""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from rich.console import Console
from rich.text import Text

from edge.cameras.session import Look, Session
from edge.cameras.subject import Looking, subject_of
from edge.errors import CameraError, ConfigurationError

# A camera that was just opened may still be settling its exposure.
_SETTLING = 3


class Snap(Looking):
    """Take pictures and write them as PNG; print size, brightness, sharpness and the share of saturated pixels."""

    out: Path = Field(
        Path(), description="file NAME.png, or an existing folder, where the camera and the time are the name"
    )
    count: int = Field(1, ge=1, le=100_000, description="so many pictures, numbered -001, -002 ...")
    skip: int = Field(_SETTLING, ge=0, le=10_000, description="pass over the first ones of a live camera")
    force: bool = Field(False, description="overwrite what is there")


class Snapped(msgspec.Struct, frozen=True, kw_only=True):
    """One picture; printed by --json as one line."""

    path: str
    width: int
    height: int
    format: str
    brightness: float
    sharpness: float
    saturated: float
    fault: str


def snap(command: Snap) -> int:
    """
    Take the pictures.

    Raises:
        ConfigurationError: no such camera, or a file that is there already, or cannot be written.
        CameraError: it does not open, or gives no picture.
    """
    subject = subject_of(command)
    stem = _stem(command, subject.settings.name)
    # Before the camera is opened: nobody waits for it in vain.
    paths = [_numbered(stem, number, command.count) for number in range(1, command.count + 1)]
    for path in paths:
        _refuse_existing(path, force=command.force)
    taken = 0
    with Session(subject, command.patience_s) as session:
        looks = session.looks()
        if subject.settings.source.live:
            looks = itertools.islice(looks, command.skip, None)
        for path, look in zip(paths, looks, strict=False):
            _said(command, _written(path, look, force=command.force))
            taken += 1
    if taken < command.count:
        raise CameraError(
            f"camera '{subject.settings.name}': gave {taken} pictures, expected {command.count}: the source has ended"
        )
    return 0


def _written(path: Path, look: Look, *, force: bool) -> Snapped:
    if look.picture is None or look.measures is None:
        raise CameraError(f"{look.source}: no picture of this part: {look.fault}")
    write_png(path, look.picture, force=force)
    height, width = look.picture.shape[:2]
    return Snapped(
        path=str(path),
        width=width,
        height=height,
        format="mono8" if look.picture.ndim == 2 else "bgr8",
        brightness=look.measures.brightness,
        sharpness=look.measures.sharpness,
        saturated=look.saturated,
        fault=look.fault,
    )


def write_png(path: Path, picture: NDArray[np.uint8], *, force: bool) -> None:
    """
    Write a picture whole or not at all.

    Raises:
        ConfigurationError: it is there already and is not to be overwritten, or cannot be written.
    """
    _, data = cv2.imencode(".png", picture)
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".snap-", delete=False) as file:
            try:
                file.write(data.tobytes())
                file.flush()
                Path(file.name).chmod(0o644)
                if force:
                    Path(file.name).replace(path)
                else:
                    # Fails where a rename would overwrite.
                    os.link(file.name, path)
            finally:
                Path(file.name).unlink(missing_ok=True)
    except FileExistsError as error:
        raise ConfigurationError(_exists(path)) from error
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written ({error.strerror}); choose another --out") from error


def _stem(command: Snap, camera: str) -> Path:
    if command.out.is_dir():
        return command.out / f"{camera}-{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}.png"
    if command.out.suffix.lower() != ".png":
        raise ConfigurationError(f"--out = {command.out}: expected a name that ends in .png, or an existing folder")
    return command.out


def _numbered(path: Path, number: int, count: int) -> Path:
    return path if count == 1 else path.with_name(f"{path.stem}-{number:03}{path.suffix}")


def _refuse_existing(path: Path, *, force: bool) -> None:
    if path.exists() and not force:
        raise ConfigurationError(_exists(path))


def _exists(path: Path) -> str:
    return f"{path}: is there already; choose another --out, or --force to overwrite it"


def _said(command: Snap, snapped: Snapped) -> None:
    if command.as_json:
        sys.stdout.write(msgspec.json.encode(snapped).decode() + "\n")
        sys.stdout.flush()
        return
    line = (
        f"{snapped.path}: {snapped.width}x{snapped.height} {snapped.format}, brightness {snapped.brightness:.1f}, "
        f"sharpness {snapped.sharpness:.1f}, saturated {snapped.saturated:.2%}"
    )
    console = Console()
    console.print(Text(line), soft_wrap=True)
    if snapped.fault:
        console.print(Text(f"  the station would answer {snapped.fault}", "bold red"), soft_wrap=True)
