"""camera show: what a camera really does, and what would be UNKNOWN and why; without a bundle, without a daemon."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.cameras import session as session_module
from edge.cameras import show as show_module
from edge.cameras.main import main
from edge.settings import CameraSettings
from tests.support.cameras import NetworkCamera, blurred, write_pictures, write_station

STRIP: dict[str, Any] = {
    "name": "top", "height": 64, "width": 128, "source": {"kind": "synthetic", "rate_hz": 500, "frames": 20}
}  # fmt: skip


def shown(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> dict[str, Any]:
    assert main(["show", *args, "--json"]) == code
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def printed(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> str:
    assert main(["show", *args]) == code
    return " ".join(capsys.readouterr().out.split())


def refused(capsys: pytest.CaptureFixture[str], *args: str, code: int) -> str:
    assert main(["show", *args]) == code
    said = capsys.readouterr().err
    assert said.startswith("edge-inspectd camera: ")
    assert said.count("\n") == 1
    return said


def test_a_camera_of_a_station_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rate, size, measures, promises; the only camera need not be named, and the bundle need not be there."""
    config = write_station(tmp_path / "line1.toml", STRIP, bundle={"path": tmp_path / "none"})
    told = shown(capsys, "--config", str(config))
    assert (told["camera"], told["pictures"], told["size"]) == ("top", 20, "128x64 px, grey (mono8)")
    assert 300 < told["rate_hz"] < 700
    assert told["intervals_ms"]["longest"] >= told["intervals_ms"]["p50"] > 1
    assert (told["numbered"], told["triggerable"], told["counts"]) == (True, True, False)
    assert (told["unknown"], told["takes"]) == ({}, None)
    assert told["brightness"]["low"] <= told["brightness"]["mean"] <= told["brightness"]["high"]


def test_people_get_it_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line for each thing; limits of the drift guard stand beside their measures."""
    monkeypatch.setenv("COLUMNS", "300")
    config = write_station(tmp_path / "line1.toml", {**STRIP, "drift": {"sharpness_low": 1e6, "brightness_high": 255}})
    said = printed(capsys, "top", "--config", str(config))
    for part in (
        f"camera top ({config})",
        "size 128x64 px, grey (mono8)",
        "station takes mono8",
        "expected above 1e+06",
        "numbered yes: a gap in its numbers",
        "UNKNOWN 20 of 20: UNKNOWN(drift): sharpness",
    ):
        assert part in said
    assert "none of 20, as far as" in printed(
        capsys, "--device", str(write_pictures(tmp_path / "p", *[blurred(1)] * 20))
    )


def test_faults_that_differ_in_numbers_are_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of 20 pictures that are too dark, each by another value, one line."""
    config = write_station(tmp_path / "line1.toml", {**STRIP, "drift": {"brightness_low": 250}})
    assert list(shown(capsys, "--config", str(config))["unknown"].values()) == [20]


def test_a_bare_folder_of_pictures_may_have_any_size_and_colour(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody has said what is right; a file that is no picture would be UNKNOWN all the same."""
    folder = write_pictures(tmp_path / "p", blurred(0), np.zeros((20, 30, 3), np.uint8))
    (folder / "x.png").write_bytes(b"no picture")
    told = shown(capsys, "--device", str(folder))
    assert told["size"] == "64x48 px, grey (mono8) and 30x20 px, 3 channels (bgr8)"
    assert (told["pictures"], told["rate_hz"], sum(told["unknown"].values())) == (3, None, 1)


def test_a_picture_that_does_not_fit_the_station_is_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Larger than the canvas, or of other channels than the bundle's; its measures are told all the same."""
    folder = write_pictures(tmp_path / "p", blurred(0), np.zeros((20, 30, 3), np.uint8))
    camera = {"name": "top", "height": 30, "width": 40, "source": {"kind": "replay", "path": folder}}
    told = shown(capsys, "--config", str(write_station(tmp_path / "line1.toml", camera)))
    too_large, colour = sorted(told["unknown"], key=len)
    assert "picture of 64x48 px, the canvas is 40x30" in too_large
    assert "3 channel(s)" in colour
    assert told["brightness"] is not None


def test_with_a_scale_a_smaller_picture_is_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As in the station: scale and zones hold for one size; without them a smaller picture is inspected."""
    folder = write_pictures(tmp_path / "p", blurred(0))
    camera = {"name": "top", "height": 50, "width": 70, "source": {"kind": "replay", "path": folder}}
    for more, faults in (({}, []), ({"mm_per_px": 0.5}, ["scale and zones hold"])):
        config = write_station(tmp_path / "line1.toml", {**camera, **more})
        unknown = list(shown(capsys, "--config", str(config))["unknown"])
        assert [fault in why for fault, why in zip(faults, unknown, strict=True)] == [True] * len(faults)


def test_a_calibration_is_laid_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What does not fit it is refused as by the station; one that is not made yet keeps nobody from looking."""
    config = str(write_station(tmp_path / "line1.toml", STRIP, calibration=tmp_path / "place.toml"))
    assert shown(capsys, "--config", config)["pictures"] == 20
    (tmp_path / "place.toml").write_text("nonsense = 1", encoding="utf-8")
    assert "place.toml" in refused(capsys, "--config", config, code=2)


def test_without_a_bundle_either_format_is_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A station that has none yet: its camera is taken for what it gives; the canvas must fit all the same."""
    for size, faults in ((64, 0), (63, 2)):
        folder = write_pictures(tmp_path / "p", *[np.zeros((48, 64, 3), np.uint8)] * 2)
        camera = {"name": "top", "height": 48, "width": size, "source": {"kind": "replay", "path": folder}}
        config = write_station(tmp_path / "line1.toml", camera, bundle={"path": tmp_path / "none"})
        assert sum(shown(capsys, "--config", str(config))["unknown"].values()) == faults


def test_what_nobody_can_know_without_a_bundle_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A camera of the wrong format looks right then, and is UNKNOWN part by part in the station."""
    monkeypatch.setenv("COLUMNS", "300")
    folder = write_pictures(tmp_path / "p", np.zeros((48, 64, 3), np.uint8))
    camera = {"name": "top", "height": 48, "width": 64, "source": {"kind": "replay", "path": folder}}
    config = write_station(tmp_path / "line1.toml", camera, bundle={"path": tmp_path / "none"})
    said = printed(capsys, "--config", str(config))
    assert f"station no bundle can be read at {tmp_path / 'none'}" in said
    assert "set convert_to" in said
    config = write_station(tmp_path / "line1.toml", {**camera, "convert_to": "mono8"})
    assert "station takes mono8" in printed(capsys, "--config", str(config))


def test_files_in_a_watched_folder_stay_where_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Looking takes nothing from the line, whatever the station does with them."""
    folder = write_pictures(tmp_path / "in", blurred(0), blurred(1))
    source = {"kind": "folder", "path": folder, "afterwards": "delete", "settle_ms": 10, "existing": "inspect"}
    camera = {"name": "top", "height": 48, "width": 64, "overload": "every", "source": source}
    config = write_station(tmp_path / "line1.toml", camera)
    assert shown(capsys, "--config", str(config), "--patience-s", "0.3")["pictures"] == 2
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize(
    ("set_hz", "rate_hz", "p50", "told"),
    [
        (60, 30, 33.3, "rate_hz is 60, measured 30 Hz: parts that never were are UNKNOWN(missed); set rate_hz to"),
        (15, 30, 33.3, "rate_hz is 15, measured 30 Hz: new pictures are taken for old ones"),
        (30, 28, 33.3, ""),
        (30, 20, 33.3, ""),  # It stood for a while.
        (30, 29.9, 5.0, ""),  # Six at a time.
        (None, 30, 33.3, ""),
    ],
)
def test_a_rate_that_the_camera_does_not_keep_is_a_fault(
    set_hz: float | None, rate_hz: float, p50: float, told: str
) -> None:
    """Gaps are told by it: parts would be missed that never were."""
    source = {"kind": "opencv", "device": "http://127.0.0.1:9/x", "rate_hz": set_hz}
    settings = CameraSettings.model_validate({"name": "top", "source": source})
    times = show_module.Intervals(p50=p50, p99=p50, longest=p50)
    fault = show_module.fault_of_rate(settings, rate_hz, times)
    assert fault.startswith(told)
    assert bool(fault) == bool(told)


def test_a_network_camera_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Its mode as read back, and the rate as measured."""
    with NetworkCamera() as camera:
        told = shown(capsys, "--device", camera.url, "--frames", "20")
    assert (told["size"], told["pictures"]) == ("64x48 px, 3 channels (bgr8)", 20)
    assert "64x48" in told["description"]
    assert (told["numbered"], told["triggerable"]) == (False, False)


def test_a_camera_that_fails_meanwhile_shows_what_it_gave(capsys: pytest.CaptureFixture[str]) -> None:
    """And ends with its fault and exit code 4."""
    with NetworkCamera() as camera:
        frames = iter(range(90))
        whole = camera.jpeg

        def jpeg() -> bytes:
            if next(frames, None) is None:
                camera.go_away.set()
            return whole()

        camera.jpeg = jpeg  # type: ignore[method-assign]
        assert main(["show", "--device", camera.url, "--frames", "1000", "--json"]) == 4
    said = capsys.readouterr()
    assert 0 < json.loads(said.out)["pictures"] < 100
    assert said.err.count("\n") == 1


def test_a_video_file_is_a_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """To its end."""
    writer = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(5):
        writer.write(np.full((48, 64, 3), 90, np.uint8))
    writer.release()
    assert shown(capsys, "--device", str(tmp_path / "a.avi"))["pictures"] == 5


@pytest.mark.parametrize(
    ("args", "code", "told"),
    [
        (["--device", "/dev/video77"], 4, "does not open"),
        (["--device", "http://127.0.0.1:9/x"], 4, "does not open"),
        ([], 2, "expected one of --config FILE"),
        (["--config", "a.toml", "--device", "0"], 2, "expected one of --config FILE"),
        (["top", "--device", "0"], 2, "NAME with --config alone"),
        (["--config", "a.toml", "--width", "64"], 2, "with --device alone"),
        (["--config", "missing.toml"], 2, "cannot be read"),
        (["--device", "0", "--frames", "0"], 2, "--frames"),
        (["--device", "/nonexistent/folder"], 2, "--device /nonexistent/folder: no such file or folder; expected one"),
        (["--device", "trial/clip.avi"], 2, "--device trial/clip.avi: no such file or folder"),
    ],
)
def test_bad_input_is_one_line(args: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With the exit code of its kind."""
    assert told in refused(capsys, *args, code=code)


def test_a_camera_that_the_file_does_not_have_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The names that it has are told; of several one must be named."""
    config = str(write_station(tmp_path / "line1.toml", STRIP, {**STRIP, "name": "side"}))
    assert "no camera 'back'; it has top, side" in refused(capsys, "back", "--config", config, code=2)
    assert "say top or side" in refused(capsys, "--config", config, code=2)


def test_who_waits_is_told_what_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, and for how long; on stderr, so that a script's JSON stays whole."""
    monkeypatch.setattr(session_module, "_SILENT_S", 0.1)
    camera = {"name": "top", "source": {"kind": "folder", "path": tmp_path}}
    config = str(write_station(tmp_path / "line1.toml", camera))
    assert main(["show", "--config", config, "--patience-s", "0.4"]) == 4
    waiting, failed = capsys.readouterr().err.splitlines()
    assert waiting == "waiting for a picture, 0.4 s at most"
    assert "no picture within 0.4 s" in failed


def test_a_folder_has_no_rate_to_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are numbered by us, and no time tells which one is missing."""
    monkeypatch.setenv("COLUMNS", "300")
    source = {"kind": "folder", "path": write_pictures(tmp_path / "in", blurred(0)), "settle_ms": 10}
    config = write_station(tmp_path / "line1.toml", {"name": "top", "height": 48, "width": 64, "source": source})
    said = printed(capsys, "--config", str(config), "--patience-s", "0.3")
    assert "numbered no: what its writer loses nobody can know" in said
    assert "rate_hz" not in said


def test_a_silent_camera_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that nothing is written to, for as long as asked."""
    camera = {"name": "top", "source": {"kind": "folder", "path": tmp_path}}
    config = str(write_station(tmp_path / "line1.toml", camera))
    assert "no picture within 0.3 s" in refused(capsys, "--config", config, "--patience-s", "0.3", code=4)


def test_controls_are_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a V4L2 device says that it is set to, below the rest."""
    monkeypatch.setattr(show_module, "controls", lambda path: {"Brightness": f"100 ({path})"})
    monkeypatch.setattr(show_module.sys, "stdout", io.StringIO())
    writer = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    writer.write(np.full((48, 64, 3), 90, np.uint8))
    writer.release()
    assert main(["show", "--device", str(tmp_path / "a.avi")]) == 0
    assert "Brightness" in show_module.sys.stdout.getvalue()  # type: ignore[attr-defined]
