"""The picture of the target: a file, or one that the camera takes now."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import CameraError, ConfigurationError
from edge.inspector.camera import Frame, make_camera
from edge.settings import CameraSettings, Station
from edge.trust import read_bundle_of
from engines.contract import PixelFormat

# A camera that was just opened may still be settling its exposure.
_FRAMES_PASSED_OVER = 3
_PATIENCE_S = 10.0


def picture_of(station: Station, camera: CameraSettings, path: Path | None) -> NDArray[np.uint8]:
    """
    Return the picture to measure in, of the size of the camera's canvas.

    Args:
        path: a file; None = the camera takes one now, and a running station must not have it open.

    Returns:
        (height, width) or (height, width, 3) uint8, a copy.

    Raises:
        ConfigurationError: no picture lies there, or it is of another size than the canvas.
        CameraError: the camera does not open, or gives none.
    """
    if path is None:
        image, where = _taken(camera, _format_of(station, camera)), f"camera '{camera.name}'"
    else:
        image, where = _read(path), str(path)
    if image.shape[:2] != (camera.height, camera.width):
        raise ConfigurationError(
            f"{where}: {image.shape[1]}x{image.shape[0]}, the canvas of camera '{camera.name}' is "
            f"{camera.width}x{camera.height} (width x height): scale and zones hold for pictures of that size only; "
            "take it with edge-inspectd camera snap, and neither cut nor resize it"
        )
    return image


def _format_of(station: Station, camera: CameraSettings) -> PixelFormat:
    if camera.convert_to is not None:
        return camera.convert_to
    return read_bundle_of(station, station.bundle.path, {}).manifest.format


def _taken(settings: CameraSettings, format_: PixelFormat) -> NDArray[np.uint8]:
    camera = make_camera(settings, format_)
    fault = "no picture came"
    try:
        camera.open(1)
        give_up_s = time.monotonic() + _PATIENCE_S
        passed = 0
        while time.monotonic() < give_up_s:
            taken = camera.read()
            if isinstance(taken, Frame):
                passed += 1
                if passed > _FRAMES_PASSED_OVER or not settings.source.live:
                    return np.array(taken.image, np.uint8)
            elif taken is not None:
                fault = taken.detail
    finally:
        camera.close()
    raise CameraError(f"camera '{settings.name}': {fault} in {_PATIENCE_S:g} s; give --picture, or look at its trigger")


def _read(path: Path) -> NDArray[np.uint8]:
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror}); name a picture") from error
    image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
    if image is None:
        raise ConfigurationError(f"{path}: no picture that OpenCV reads; name a PNG or JPEG")
    return np.asarray(image, np.uint8)
