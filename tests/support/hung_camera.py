"""An inspector whose camera is gone at the first picture and then hangs: ``python -m tests.support.hung_camera``."""

from __future__ import annotations

import os
from typing import Any

from edge.errors import CameraError, CameraHangs
from edge.inspector import inspector
from edge.inspector.camera import Actual
from edge.inspector.main import main


class HungCamera:
    def __init__(self) -> None:
        self._opens = 0

    def open(self, resume_from: int) -> Actual:
        self._opens += 1
        if self._opens > 1:
            raise CameraHangs("camera 'cam1': its driver hangs")
        return Actual(numbered=False, triggerable=True, counts=False, format="mono8", description="hung")

    def read(self) -> None:
        raise CameraError("gone")

    def close(self) -> None: ...


def make_hung(*_: Any, **__: Any) -> HungCamera:
    return HungCamera()


if __name__ == "__main__":
    inspector.make_camera = make_hung  # type: ignore[assignment]
    os._exit(main())
