"""A calibration: read, laid over the settings in one place each, aged, and written so that there always is one."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from edge.calibration import (
    calibrated,
    is_old,
    keep_calibration,
    read_calibration,
    read_calibration_of,
    share_ignored,
    toml_from_calibration,
    words_of_age,
)
from edge.errors import ConfigurationError
from edge.recipe import station_recipe, work_out
from edge.settings import CalibratedCamera, CalibrationFile, GenicamSource, OpenCVSource, Station
from tests.support.records import manifest

DATE = datetime(2026, 11, 22, 6, 30, tzinfo=timezone.utc)
USB = "/dev/v4l/by-path/pci-0000:00:14.0-usb-0:1:1.0-video-index0"
ZONES = ({"name": 'the "clamp"', "box": (0, 0, 80, 256)}, {"polygon": ((10, 10), (40, 10), (25, 60))})


def camera(**changes: Any) -> dict[str, Any]:
    values = {"name": "top", "date": DATE, "by": "M. Müster", "height": 256, "width": 1600, "mm_per_px": 0.25}
    return {**values, "source": ("kind = synthetic",), **changes}


def file(*cameras: dict[str, Any], station: str = "line1") -> CalibrationFile:
    given = {"version": 1, "station": station, "cameras": cameras or (camera(),)}
    return CalibrationFile.model_validate(given)


def station(source: dict[str, Any] | None = None, **changes: Any) -> Station:
    table = {"name": "top", "source": source or {"kind": "synthetic"}, **changes}
    return Station.model_validate({"station": "line1", "cameras": [table], "calibration": "/etc/c.toml"})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Every value, zones and names with anything in them; the text has the date as TOML does."""
    whole = file(camera(ignore=ZONES, exposure=120.5, gain=-1.0, target="chessboard 9x6, 5 mm", mm_per_px_x=0.2501))
    assert keep_calibration(tmp_path / "c.toml", whole, None) is None
    assert read_calibration(tmp_path / "c.toml") == whole
    assert "date = 2026-11-22T06:30:00Z\n" in toml_from_calibration(whole)


def test_the_one_before_stays_beside_it(tmp_path: Path) -> None:
    """Under its own date; a second one of that date does not overwrite it."""
    path = tmp_path / "line1.toml"
    first, second = file(), file(camera(mm_per_px=0.5))
    keep_calibration(path, first, None)
    assert keep_calibration(path, second, first) == tmp_path / "line1.2026-11-22T063000Z.toml"
    assert keep_calibration(path, first, second) == tmp_path / "line1.2026-11-22T063000Z-2.toml"
    assert read_calibration(tmp_path / "line1.2026-11-22T063000Z.toml") == first
    assert read_calibration(tmp_path / "line1.2026-11-22T063000Z-2.toml") == second
    assert read_calibration(path) == first


def test_a_folder_that_takes_nothing_is_told(tmp_path: Path) -> None:
    """The old one is still in place."""
    with pytest.raises(ConfigurationError, match="cannot be written"):
        keep_calibration(tmp_path / "none" / "c.toml", file(), None)


def test_it_is_laid_over_the_settings() -> None:
    """Scale and zones become the camera's; so do exposure and gain of a source that has them, as it calls them."""
    over = calibrated(station(), file(camera(ignore=ZONES)))
    assert (over.cameras[0].mm_per_px, len(over.cameras[0].ignore)) == (0.25, 2)
    usb = ("kind = opencv", f"device = {USB}")
    over = calibrated(station({"kind": "opencv", "device": USB}), file(camera(source=usb, exposure=120.0, gain=2.0)))
    source = over.cameras[0].source
    assert isinstance(source, OpenCVSource)
    assert (source.exposure, source.gain) == (120.0, 2.0)
    assert Station.model_validate_json(over.model_dump_json()) == over
    assert calibrated(station(), None) == station()


def test_it_is_hashed_into_each_verdict() -> None:
    """Another scale or another zone is another recipe hash; another date of the same values is not."""
    found = [
        work_out(manifest(), over, station_recipe(over)).hash
        for over in (
            calibrated(station(), file(camera(**changes)))
            for changes in ({}, {"mm_per_px": 0.26}, {"ignore": ZONES}, {"date": DATE + timedelta(days=1)})
        )
    ]
    assert len(set(found)) == 3
    assert found[0] == found[3]


@pytest.mark.parametrize(
    ("settings", "calibration", "text"),
    [
        (station(mm_per_px=0.25), file(), r"camera 'top': mm_per_px stands in the station's own file too"),
        (station(ignore=[{"box": (0, 0, 2, 2)}]), file(camera(ignore=ZONES)), "ignore stands in the station's own"),
        (station(), file(station="line2"), "key 'station' = 'line2': expected 'line1'"),
        (station(), file(camera(name="side")), "camera 'side': the station has none of this name; it has top"),
        (station(height=128), file(), "canvas of 1600x256, now it is 1600x128"),
        (
            station(),
            file(camera(ignore=[{"name": "c", "box": (0, 0, 80, 257)}])),
            "zone 'c' reaches to x = 79, y = 256",
        ),
        (station(), file(camera(exposure=1.0)), "exposure = 1: a synthetic source has none"),
        (
            station({"kind": "opencv", "device": USB, "exposure": 3.0}),
            file(camera(source=("kind = opencv", f"device = {USB}"), exposure=1.0)),
            "exposure = 1, and exposure = 3 in the station's own file",
        ),
    ],
)
def test_what_does_not_fit_is_refused(settings: Station, calibration: CalibrationFile, text: str) -> None:
    """What is given twice, or of another station, camera, canvas or source, names the file and what to do."""
    with pytest.raises(ConfigurationError, match=rf"^/etc/c\.toml: .*{text}"):
        calibrated(settings, calibration)


LEAVE_ITS_PLACE = {
    "pixel_format",
    "exposure_us",
    "gain_db",
    "rate_hz",
    "trigger_line",
    "trigger_activation",
    "packet_size",
    "packet_resend",
    "frame_retention_ms",
    "buffers",
    "timestamps",
    "silent_periods",
    "read_timeout_ms",
}
GENICAM = {"kind": "genicam", "device": "A", "offset_x": 100}


@pytest.mark.parametrize(
    ("source", "made_with", "text"),
    [
        ({**GENICAM, "offset_x": 400}, GENICAM, "made with offset_x = 100, the station's file says offset_x = 400"),
        (GENICAM, ("kind = genicam", "device = B", "offset_x = 100", "offset_y = 0"), "device = B, .* device = A"),
        ({**GENICAM, "reverse_x": True}, GENICAM, "made with less, the station's file says reverse_x = True"),
        (GENICAM, (), 'add source = \\["kind = genicam", "device = A", "offset_x = 100", "offset_y = 0"\\]'),
        ({**GENICAM, "decimation": 2}, GENICAM, "made with less, the station's file says decimation = 2"),
        ({"kind": "opencv", "device": USB}, ("kind = opencv", "device = 0"), f"device = 0, .* device = {USB}"),
    ],
)
def test_what_was_measured_with_another_camera_or_region_is_refused(
    source: dict[str, Any], made_with: tuple[str, ...] | dict[str, Any], text: str
) -> None:
    """The same pixel shows something else there; the line says what differs."""
    if isinstance(made_with, dict):
        made_with = station(made_with).cameras[0].source.place
    with pytest.raises(ConfigurationError, match=rf"^/etc/c\.toml: camera 'top': .*{text}"):
        calibrated(station(source), file(camera(source=made_with)))
    same = file(camera(source=station(source).cameras[0].source.place))
    assert calibrated(station(source), same).cameras[0].mm_per_px == 0.25


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ({"kind": "genicam"}, "without device another one may take its place; set device to its id or serial number"),
        ({"kind": "opencv", "device": 0}, "with device = 0 another one may take its place; .* /dev/v4l/by-path"),
        ({"kind": "opencv", "device": "/dev/video2"}, "with device = /dev/video2 another one"),
    ],
)
def test_a_scale_is_of_a_camera_that_is_named(source: dict[str, Any], text: str) -> None:
    """Another one may have its number after a replug; exposure and gain alone hold for it too."""
    place = station(source).cameras[0].source.place
    for changes in ({}, {"mm_per_px": None, "target": "none", "ignore": ZONES}):
        with pytest.raises(ConfigurationError, match=rf"^/etc/c\.toml: camera 'top': .*{text}"):
            calibrated(station(source), file(camera(source=place, **changes)))
    calibrated(station(source), file(camera(source=place, mm_per_px=None, gain=2.0)))


def test_every_setting_of_a_camera_is_of_its_place_or_leaves_it_alone() -> None:
    """A new one must be thought of: whether it changes which part of the world a pixel shows."""
    every = GenicamSource.model_fields
    set_all = GenicamSource.model_construct(**dict.fromkeys(every, 1))  # type: ignore[arg-type]
    assert set(every) - {line.partition(" = ")[0] for line in set_all.place} == LEAVE_ITS_PLACE


def test_no_password_is_written_or_shown() -> None:
    """Which stream it is stays."""
    for device in ("rtsp://me:word@10.0.0.9/live?channel=1", "rtsp://10.0.0.9/live?user=me&pwd=word&channel=1"):
        place = station({"kind": "opencv", "device": device}).cameras[0].source.place
        assert place == ("kind = opencv", "device = rtsp://10.0.0.9/live?channel=1")


def test_pictures_that_were_taken_before_are_of_whatever_took_them() -> None:
    """A station's archive is judged again with its calibration."""
    for source in ({"kind": "archive", "path": "/a"}, {"kind": "replay", "path": "/a"}):
        assert calibrated(station(source), file()).cameras[0].mm_per_px == 0.25


def test_zones_that_leave_too_little_are_refused() -> None:
    """Of the calibration or the station's own file: a camera that ignores everything passes everything."""
    half, more = {"box": (0, 0, 800, 256)}, {"box": (0, 0, 801, 256)}
    assert share_ignored(calibrated(station(), file(camera(ignore=(half, half)))).cameras[0]) == 0.5
    for settings, measured in ((station(), file(camera(ignore=(more,)))), (station(ignore=(more,)), None)):
        with pytest.raises(ConfigurationError, match=r"zones cover 50\.1% of the canvas, most_ignored = 0\.5"):
            calibrated(settings, measured)
    assert calibrated(station(most_ignored=0.6), file(camera(ignore=(more,)))).cameras[0].ignore
    with pytest.raises(ConfigurationError, match="ignore zone '' reaches to x = 1600"):
        calibrated(station(ignore=[{"box": (1500, 0, 101, 1)}]), None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, r"cannot be read .*name a calibration, or make it: edge-inspectd calibrate STATION\.toml --by NAME"),
        ("version = 1\nstation =", "not TOML"),
        ('version = 2\nstation = "line1"\ncameras = []', "key 'version' = 2"),
        ('version = 1\nstation = "line1"\ncameras = []', "key 'cameras'"),
        ("version = 1\nstation = 'line1'\n[[cameras]]\nname = 'top'\ndate = 2026-11-22T06:30:00", "with its zone"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str | None, expected: str) -> None:
    """Missing, broken, of another version, empty, or with a time that may be of any zone."""
    path = tmp_path / "c.toml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=expected):
        read_calibration_of(station().model_copy(update={"calibration": path}))
    assert read_calibration_of(station().model_copy(update={"calibration": None})) is None


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ({}, "one of the two"),
        ({"box": (0, 0, 1, 1), "polygon": ((0, 0), (1, 0), (0, 1))}, "one of the two"),
        ({"box": (-1, 0, 1, 1)}, "left, top >= 0"),
        ({"box": (0, 0, 0, 1)}, "width, height >= 1"),
        ({"polygon": ((0, 0), (1, 0))}, "three corners"),
        ({"polygon": ((0, 0), (1, 0), (-1, 5))}, "x, y >= 0"),
    ],
)
def test_a_zone_is_a_box_or_a_polygon(zone: dict[str, Any], text: str) -> None:
    """One of the two, and of this picture."""
    with pytest.raises(ValueError, match=text):
        file(camera(ignore=[zone]))


def test_its_age_is_that_of_the_oldest_camera() -> None:
    """Too old, or dated ahead of the clock: then its age is not known."""
    both = file(camera(), camera(name="side", date=DATE + timedelta(days=5)))
    assert not is_old(both, 10, DATE + timedelta(days=10))
    assert is_old(both, 10, DATE + timedelta(days=10, minutes=1))
    assert is_old(both, 10, DATE)
    top = CalibratedCamera.model_validate(camera())
    assert words_of_age(top, 10, DATE + timedelta(days=3)) == (
        "calibrated 2026-11-22 06:30 UTC by M. Müster, 3 days ago"
    )
    assert words_of_age(top, 10, DATE + timedelta(days=11)).endswith("OLDER than 10 days, calibrate again")
    assert "IN THE FUTURE" in words_of_age(top, 10, DATE - timedelta(days=2))
