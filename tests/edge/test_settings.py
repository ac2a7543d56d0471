"""Configuration: every mistake is one line that names file or key, the value, and what was expected; exit code 2."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edge.commandline import run
from edge.errors import ConfigurationError
from edge.settings import Daemon, Station, read_toml, state_dir_of
from edge.station.daemon import main

GOOD = """
station = "line1"
[bundle]
path = "nowhere"
allow_unsigned = true
[endpoints]
results = "tcp://127.0.0.1:6001"
[[cameras]]
name = "cam1"
height = 100
source = { kind = "synthetic" }
"""


@pytest.fixture(autouse=True)
def _no_settings_of_this_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("EDGE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file with nothing wrong but a bundle that is not there."""
    path = tmp_path / "line1.toml"
    path.write_text(GOOD)
    return path


def told(args: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run the daemon's --check; return its one line of complaint."""
    assert main([*args, "--check"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("edge-inspectd: ")
    return line


def changed(file: Path, old: str, new: str) -> list[str]:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return [str(file)]


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        pytest.param(
            '"line1"\n', '"line1"\nbudget = 50\n', ["budget", "50", "unknown", "did you mean budget_ms?"], id="key"
        ),
        pytest.param("height = 100", "hight = 100", ["cameras.0.hight", "100", "mean height?"], id="key of a camera"),
        pytest.param('"synthetic"', '"synthetic", sead = 3', ["sead", "3", "mean seed?"], id="key of a source"),
        pytest.param("results", "result", ["endpoints.result", "6001", "mean results?"], id="key of a table"),
        pytest.param(
            "[endpoints]", "[recipe.pits]\ngates = 1\n[endpoints]", ["recipe.pits.gates", "unknown"], id="rule"
        ),
        pytest.param(
            "height = 100", 'height = "tall"', ["cameras.0.height", "tall", "integer"], id="text for a number"
        ),
        pytest.param("height = 100", "height = 100.5", ["cameras.0.height", "100.5", "integer"], id="part of a pixel"),
        pytest.param("height = 100", "height = 8", ["cameras.0.height", "8", "16"], id="below its bound"),
        pytest.param('"line1"\n', '"line1"\nbudget_ms = 0\n', ["budget_ms", "0", "1"], id="no budget"),
        pytest.param('"line1"\n', '"line1"\nhang_s = nan\n', ["hang_s", "nan", "expected"], id="no number"),
        pytest.param('"line1"\n', '"line1"\nhang_s = inf\n', ["hang_s", "inf", "finite"], id="endless"),
        pytest.param('"line1"\n', '"line1"\nhang_s = 0.5\n', ["hang_s", "0.5", "1"], id="too short for a cycle"),
        pytest.param(
            '"line1"\n', '"line1"\nbudget_ms = 5000\n', ["hang_s", "5.0", "more than 5", "budget_ms"], id="hang_s"
        ),
        pytest.param("height = 100", "mm_per_px = inf", ["mm_per_px", "inf", "finite"], id="endless scale"),
        pytest.param(
            "height = 100", "mm_per_px = 1e-200", ["mm_per_px", "1e-200", "greater"], id="no scale of this world"
        ),
        pytest.param("allow_unsigned = true", 'allow_unsigned = "maybe"', ["allow_unsigned", "maybe"], id="no boolean"),
        pytest.param('"line1"', '"line 1/x"', ["station", "line 1/x"], id="a name that fits no topic"),
        pytest.param('"cam1"', '"a/b"', ["cameras.0.name", "a/b"], id="a camera's name that fits no topic"),
        pytest.param("[[cameras]]", "[camera]", ["table 'camera' is unknown; did you mean cameras?"], id="table"),
        pytest.param('station = "line1"\n', "", ["key 'station': expected a value, none is given"], id="no station"),
        pytest.param('kind = "synthetic"', "seed = 1", ["'cameras.0.source.kind': expected a value"], id="no kind"),
        pytest.param(
            'kind = "synthetic"',
            'kind = "opencvv", device = "rtsp://u:secret@h/"',
            ["'cameras.0.source.kind' = 'opencvv': expected one of 'synthetic', "],
            id="mistyped kind",
        ),
        pytest.param('"line1"', '"li ne"', ["expected a name of letters, digits"], id="words for a shape"),
        pytest.param("height = 100", "device = 0", ["device' = 0 is unknown; it belongs into"], id="other table"),
        pytest.param('"synthetic"', '"usb"', ["source", "usb", "synthetic", "replay", "opencv"], id="kind of source"),
        pytest.param('"line1"\n', '"line1"\nstart = "maybe"\n', ["start", "maybe", "require", "wait"], id="no choice"),
        pytest.param("127.0.0.1:6001", "0.0.0.0:6001", ["endpoints.results", "0.0.0.0", "this machine"], id="address"),
        pytest.param("127.0.0.1:6001", "*:6001", ["endpoints.results", "*:6001", "this machine"], id="any address"),
        pytest.param("127.0.0.1:", "[::1]:", ["endpoints.results", "this machine"], id="IPv6, which is not bound"),
        pytest.param("6001", "70000", ["endpoints.results", "70000", "this machine"], id="a port beyond the last"),
        pytest.param("6001", "port", ["endpoints.results", ":port", "this machine"], id="a port that is no number"),
        pytest.param("tcp://127.0.0.1:6001", "ipc://", ["endpoints.results", "'ipc://'"], id="no path"),
        pytest.param("127.0.0.1:", "127.0.0.1.evil.example:", ["endpoints.results", "this machine"], id="look-alike"),
        pytest.param(
            "height = 100", "height = 32", ["cameras.0", "32", "64 px or more"], id="a canvas too small for the strip"
        ),
        pytest.param('"synthetic"', f'"synthetic", seed = {2**63}', ["seed", str(2**63)], id="a seed too large"),
        pytest.param(
            'kind = "synthetic"', 'kind = "replay", path = "x", pattern = ""', ["pattern", "''"], id="no pattern"
        ),
        pytest.param(
            'kind = "synthetic"', 'kind = "replay", path = "x", pattern = "/a/*"', ["pattern", "/a/*"], id="a path"
        ),
        pytest.param(
            'kind = "synthetic"', 'kind = "replay", path = "x", pattern = "**.png"', ["pattern", "**/*.png"], id="stars"
        ),
        pytest.param(
            'kind = "synthetic"', 'kind = "opencv", device = 0, exposure = nan', ["exposure", "nan"], id="exposure"
        ),
        pytest.param('"line1"\n', '"line1"\nshifts = ["24:00"]\n', ["shifts.0", "24:00"], id="no time of day"),
        pytest.param('"line1"\n', '"line1"\nshifts = ["6:00"]\n', ["shifts.0", "6:00"], id="half a time of day"),
        pytest.param('"line1"\n', '"line1"\nshifts = []\n', ["shifts", "[]"], id="no shift"),
        pytest.param(
            '"line1"\n', '"line1"\nselftest_every_s = 5\n', ["selftest_every_s", "5", "10"], id="self-test too often"
        ),
        pytest.param("[bundle]", '[parts]\njoin = "size"\n[bundle]', ["parts.join", "size", "counter"], id="join"),
        pytest.param("[bundle]", "[parts]\nwindow_ms = 0\n[bundle]", ["parts.window_ms", "0", "1"], id="no window"),
        pytest.param(
            "[bundle]", "[parts]\ndebounce_ms = -1\n[bundle]", ["parts.debounce_ms", "-1", "0"], id="time runs on"
        ),
        pytest.param("[bundle]", '[journal]\nsync = "fast"\n[bundle]', ["journal.sync", "fast", "full"], id="sync"),
        pytest.param("[bundle]", "[journal]\nkeep_days = 0\n[bundle]", ["journal.keep_days", "0"], id="keeps nothing"),
        pytest.param(
            "[bundle]", "[archive]\npass_share = 1.5\n[bundle]", ["archive.pass_share", "1.5", "1"], id="share"
        ),
        pytest.param(
            'results = "tcp://127.0.0.1:6001"', 'control = "tcp://*:1"', ["endpoints.control", "this machine"], id="ctl"
        ),
        pytest.param("height = 100", 'trigger = "plc"', ["trigger", "plc", "software", "camera"], id="trigger"),
        pytest.param("height = 100", 'overload = "newest"', ["overload", "newest", "latest"], id="overload"),
        pytest.param("height = 100", 'overload = "latest"', ["cameras.0", "overload", "rate_hz"], id="none waits"),
        pytest.param(
            "height = 100",
            'trigger = "software"\noverload = "every"',
            ["cameras.0", 'overload = "every"', "request"],
            id="overload of requests",
        ),
        pytest.param("height = 100", "expect_every_ms = 0", ["expect_every_ms", "0", "1"], id="expects at once"),
        pytest.param(
            "height = 100",
            "drift = { brightness_low = 90, brightness_high = 90 }",
            ["cameras.0.drift", "brightness_low = 90 below brightness_high = 90"],
            id="no brightness is right",
        ),
        pytest.param("height = 100", "drift = { sharpness_low = nan }", ["sharpness_low", "nan"], id="sharpness"),
    ],
)
def test_a_bad_value_is_told_with_file_key_and_value(
    file: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, parts: list[str]
) -> None:
    """One line; exit code 2; nothing printed but that."""
    line = told(changed(file, old, new), capsys)
    for part in [str(file), *parts]:
        assert part in line


def test_two_cameras_of_one_name_are_refused(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their verdicts could not be told apart."""
    line = told(changed(file, "[[cameras]]", GOOD[GOOD.index("[[cameras]]") :] + "[[cameras]]"), capsys)
    assert str(file) in line
    assert "camera names repeat: cam1, cam1" in line


def test_no_camera_is_refused(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A station without a camera inspects nothing."""
    file.write_text('station = "line1"\ncameras = []\n')
    assert "cameras" in told([str(file)], capsys)


@pytest.mark.parametrize("key", ["station", "cameras"])
def test_a_missing_key_is_told(file: Path, capsys: pytest.CaptureFixture[str], key: str) -> None:
    """By its name."""
    text = GOOD[: GOOD.index("[[cameras]]")] if key == "cameras" else GOOD.replace('station = "line1"', "")
    file.write_text(text)
    line = told([str(file)], capsys)
    assert key in line
    assert "none is given" in line


def test_a_missing_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Path, and why."""
    line = told([str(tmp_path / "none.toml")], capsys)
    assert "none.toml" in line
    assert "No such file" in line


def test_a_folder_is_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Path, and why."""
    assert f"{tmp_path}: not a file" in told([str(tmp_path)], capsys)


@pytest.mark.parametrize("content", [b"station = ", b"[[[", b"\xff\xfe\x00", b"a = 1\na = 2"])
def test_what_is_not_toml_is_told(file: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    """With the file's name."""
    file.write_bytes(content)
    line = told([str(file)], capsys)
    assert f"{file}: not TOML" in line


def test_no_file_at_all_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The flags need the file's name."""
    assert "CONFIG" in told([], capsys)


@pytest.mark.parametrize("name", ["EDGE_XYZ", "EDGE_BUDGETMS", "EDGE_ENDPOINT__RESULTS", "edge_xyz"])
def test_an_unknown_variable_is_told(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """In either case, since case does not matter for those that are known."""
    monkeypatch.setenv(name, "17")
    line = told([str(file)], capsys)
    assert name in line
    assert "'17'" in line
    assert "EDGE_BUDGET_MS" in line


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("EDGE_ENDPOINTS__RESULT", "tcp://127.0.0.1:1", "endpoints.result"),
        ("EDGE_BUDGET_MS", "soon", "budget"),
        ("EDGE_ENDPOINTS__RESULTS", "tcp://10.0.0.1:1", "endpoints.results"),
    ],
)
def test_a_bad_value_of_a_variable_is_told(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, value: str, part: str
) -> None:
    """Key and value."""
    monkeypatch.setenv(name, value)
    line = told([str(file)], capsys)
    assert part in line
    assert value in line


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--budget-ms", "soon"], ["--budget-ms", "soon"]),
        (["--budget-ms", "0"], ["--budget-ms", "0"]),
        (["--no-such-flag", "1"], ["no-such-flag"]),
        (["--endpoints.masks", "tcp://*:1"], ["endpoints.masks", "tcp://*:1"]),
    ],
)
def test_a_bad_flag_is_told(file: Path, capsys: pytest.CaptureFixture[str], flags: list[str], parts: list[str]) -> None:
    """One line that names it."""
    line = told([str(file), *flags], capsys)
    for part in parts:
        assert part in line


def daemon(file: Path, *flags: str) -> Daemon:
    """Return the settings as the daemon would see them."""
    seen: list[Daemon] = []

    def body(command: Daemon) -> int:
        seen.append(command)
        return 0

    assert run("edge-inspectd", Daemon, [str(file), *flags], body) == 0
    return seen[0]


def test_flags_win_over_variables_over_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each source changes only what it names, inside tables too."""
    changed(file, '"line1"\n', '"line1"\nbudget_ms = 10\n')
    assert daemon(file).budget_ms == 10
    monkeypatch.setenv("EDGE_BUDGET_MS", "20")
    monkeypatch.setenv("EDGE_ENDPOINTS__MASKS", "tcp://127.0.0.1:6002")
    assert daemon(file).budget_ms == 20
    found = daemon(file, "--budget-ms", "30", "--endpoints.pictures", "ipc:///run/pictures")
    assert found.budget_ms == 30
    assert found.endpoints.results == "tcp://127.0.0.1:6001"
    assert found.endpoints.masks == "tcp://127.0.0.1:6002"
    assert found.endpoints.pictures == "ipc:///run/pictures"
    assert found.cameras[0].height == 100


def test_a_key_missing_in_the_file_may_come_from_elsewhere(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file serves several stations."""
    changed(file, 'station = "line1"', "")
    monkeypatch.setenv("EDGE_STATION", "line2")
    assert daemon(file).station == "line2"


def test_settings_cannot_be_changed_later(file: Path) -> None:
    """What was checked is what is used."""
    with pytest.raises(ValueError, match="frozen"):
        daemon(file).budget_ms = 5


def test_both_units_of_an_area_are_refused() -> None:
    """Which of them should win?"""
    with pytest.raises(ValueError, match="keep one"):
        station(recipe={"pits": {"min_area_px": 5, "min_area_mm2": 1}})


def station(**changes: Any) -> Station:
    camera = {"name": "cam1", "source": {"kind": "synthetic"}}
    return Station.model_validate({"station": "line1", "cameras": [camera], **changes})


@pytest.mark.parametrize(
    ("source", "paced"),
    [
        ({"kind": "synthetic"}, False),
        ({"kind": "synthetic", "rate_hz": 10}, True),
        ({"kind": "replay", "path": "x"}, False),
        ({"kind": "replay", "path": "x", "rate_hz": 10}, True),
        ({"kind": "opencv", "device": 0}, True),
        ({"kind": "opencv", "device": "/dev/null"}, True),
        ({"kind": "opencv", "device": "no-such-file.avi"}, True),
        ({"kind": "opencv", "device": __file__}, False),
    ],
)
def test_a_source_with_a_time_of_its_own_is_paced(source: dict[str, Any], paced: bool) -> None:
    """A live source always, a file only with a rate."""
    assert station(cameras=[{"name": "cam1", "source": source}]).cameras[0].source.paced is paced


def test_the_state_directory_is_the_settings_then_the_services_then_the_users(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first of several that the service manager names; without any, a folder of this station under home."""
    for name in ("STATE_DIRECTORY", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_dir_of(station()) == tmp_path / ".local" / "state" / "edge-inspect" / "line1"
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert state_dir_of(station()) == Path("/state/edge-inspect/line1")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/one:/var/lib/two")
    assert state_dir_of(station()) == Path("/var/lib/one")
    assert state_dir_of(station(state_dir="here")) == Path("here")


def test_the_tree_survives_as_json() -> None:
    """The inspector is told the station's settings as JSON: nothing may be lost on the way."""
    before = station(
        cameras=[
            {"name": "a", "source": {"kind": "opencv", "device": "0"}},
            {"name": "b", "source": {"kind": "opencv", "device": 0}, "mm_per_px": 0.1},
            {"name": "c", "source": {"kind": "replay", "path": "x"}, "convert_to": "mono8"},
            {"name": "d", "source": {"kind": "synthetic"}, "trigger": "software", "drift": {"sharpness_low": 3.5}},
        ],
        parts={"join": "time", "window_ms": 7},
        shifts=["05:30"],
        state_dir="/state",
        recipe={"pits": {"gate": 0.3}},
    )
    assert Station.model_validate_json(before.model_dump_json()) == before


def test_a_file_of_others_says_who_may_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service's configuration is for its group: a person becomes a member, a copy is given to it."""

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigurationError, match=r"line1\.toml: cannot be read \(Permission denied\); ") as caught:
        read_toml(tmp_path / "line1.toml")
    assert "usermod -aG edge-inspect NAME" in str(caught.value)
    assert "chgrp edge-inspect line1.toml" in str(caught.value)


def test_a_file_is_read_as_utf8(tmp_path: Path) -> None:
    """Also where the locale is another."""
    (tmp_path / "x.toml").write_bytes('a = "Prüfung"'.encode())
    assert read_toml(tmp_path / "x.toml") == {"a": "Prüfung"}
    with pytest.raises(ConfigurationError):
        read_toml(tmp_path / "y.toml")


CAN_TAG: dict[str, Any] = {"name": "t", "source": {"kind": "replay", "path": "x", "tag_pattern": r"part(\d+)_"}}
CANNOT_TAG: dict[str, Any] = {"name": "r", "source": {"kind": "replay", "path": "x"}}
CANNOT_NUMBER: dict[str, Any] = {"name": "o", "source": {"kind": "opencv", "device": 0}}


@pytest.mark.parametrize(
    ("join", "camera", "text"),
    [
        ("tag", CANNOT_TAG, "camera r gives its frames no tags"),
        ("tag", CANNOT_NUMBER, "camera o gives its frames no tags"),
        ("counter", CANNOT_NUMBER, "camera o does not number its frames"),
    ],
)
def test_frames_that_can_never_be_joined_are_told(join: str, camera: dict[str, Any], text: str) -> None:
    """Every part would lack a view; the cameras are named, and what else to use."""
    with pytest.raises(ValidationError, match=f"{text}; use time"):
        station(cameras=[CAN_TAG, camera], parts={"join": join})


@pytest.mark.parametrize(
    ("join", "camera"),
    [
        ("tag", {"name": "s", "source": {"kind": "synthetic"}}),
        ("counter", CANNOT_TAG),
        ("time", CANNOT_NUMBER),
        ("tag", {**CANNOT_TAG, "trigger": "software"}),
    ],
)
def test_frames_that_can_be_joined_are_no_fault(join: str, camera: dict[str, Any]) -> None:
    """Those of a camera that is fired belong to the part that was asked for, whatever they carry."""
    assert station(cameras=[CAN_TAG, camera], parts={"join": join}).parts.join == join


@pytest.mark.parametrize("devices", [(None, None), ("A-1", None), ("A-1", "A-1"), ("A-1", "A-2", "A-1")])
def test_two_genicam_sources_need_a_device_each(devices: tuple[str | None, ...]) -> None:
    """The one without takes whatever is alone, and that may be the other's."""
    cameras = [{"name": f"cam{n}", "source": {"kind": "genicam", "device": d}} for n, d in enumerate(devices)]
    with pytest.raises(
        ValidationError, match=f"a device of its own for each genicam source, found cam0 {devices[0] or 'none'}"
    ):
        station(cameras=cameras)


def test_one_genicam_source_needs_none() -> None:
    """Whatever other kinds stand beside it; and two that are named are no fault."""
    genicam = {"name": "g", "source": {"kind": "genicam"}}
    assert len(station(cameras=[genicam, CANNOT_NUMBER]).cameras) == 2
    named = [{"name": name, "source": {"kind": "genicam", "device": name}} for name in ("A-1", "A-2")]
    assert len(station(cameras=named).cameras) == 2


@pytest.mark.parametrize(
    ("pattern", "text"), [("part(", "expected a regular expression"), (r"\d+", "found 0"), (r"(\d)(\d)", "found 2")]
)
def test_a_pattern_without_its_one_group_is_told(pattern: str, text: str) -> None:
    """Which number is the tag would be a guess."""
    with pytest.raises(ValidationError, match=text):
        station(cameras=[{"name": "r", "source": {**CAN_TAG["source"], "tag_pattern": pattern}}])
