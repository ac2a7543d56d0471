"""A camera that is opened to be looked at: as which format, and which error is told."""

from __future__ import annotations

from typing import Any

import pytest

from edge.cameras import session as session_module
from edge.cameras.session import Session
from edge.cameras.subject import Subject
from edge.errors import CameraError
from edge.inspector.camera.pixels import LAYOUTS
from edge.settings import CameraSettings
from engines.contract import PixelFormat
from tests.support.genicam import FakeHandle, Rig


class Bench:
    """Makes fake GenICam cameras; notes as which format."""

    def __init__(self, pixels: str, monkeypatch: pytest.MonkeyPatch, **source: Any) -> None:
        self.asked: list[PixelFormat] = []
        self._pixels, self._source = pixels, source
        monkeypatch.setattr(session_module, "make_camera", self._made)

    def _made(self, settings: CameraSettings, format_: PixelFormat) -> Any:
        self.asked.append(format_)
        rig = Rig(format_, **self._source)

        def prepare(handle: FakeHandle) -> None:
            handle.code = LAYOUTS[self._pixels].code
            handle.limits["exposure_us"] = (10, 1000)

        rig.prepare = prepare
        return rig.camera

    def session(self) -> Session:
        source = {"kind": "genicam", **self._source}
        settings = CameraSettings.model_validate({"name": "cam1", "height": 16, "width": 24, "source": source})
        return Session(Subject(settings, "line1.toml", None, None), 1.0)


@pytest.mark.parametrize(("pixels", "formats"), [("Mono8", ["mono8"]), ("RGB8", ["mono8", "bgr8"])])
def test_a_camera_of_colours_is_opened_as_one(pixels: Any, formats: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has said which it is; it says so itself."""
    bench = Bench(pixels, monkeypatch)
    with bench.session() as session:
        assert session.format == formats[-1]
    assert bench.asked == formats


@pytest.mark.parametrize(("pixels", "formats"), [("Mono8", ["mono8"]), ("RGB8", ["mono8", "bgr8"])])
def test_the_true_error_is_told(pixels: Any, formats: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that it does not take, not that it does not give the format that was tried last."""
    bench = Bench(pixels, monkeypatch, exposure_us=1.0)
    with pytest.raises(CameraError, match="exposure_us requested 1, actual 5000; it takes 10 to 1000"):
        bench.session()
    assert bench.asked == formats
