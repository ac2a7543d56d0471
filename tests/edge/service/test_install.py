"""edge-inspectd install: every thing that it does is said, twice is once, and what somebody edited stays."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from edge.errors import ConfigurationError
from edge.service import install as module
from edge.service.files import DROP_IN, KEY, KEY_OF_ENGINES, RULES, SYSUSERS, TMPFILES, UNIT, shipped
from edge.service.install import Install, install
from edge.service.layout import RECORD
from edge.settings import Station, read_toml
from edge.station.daemon import main

LINE1 = Path("etc/edge-inspect/line1.toml")


def _install(root: Path, **values: object) -> int:
    return install(Install(root=root, **values), refuse_unreachable=lambda: None)  # type: ignore[arg-type]


def _said(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Return by path, or by the rest of the line, what was done."""
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(("next", " "))]
    return {line[11:].split(":")[0]: line[:11].strip() for line in lines}


def test_everything_is_laid_out_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unit with this environment's program, user, folders, rules, a configuration that is valid."""
    assert _install(tmp_path, station="line1") == 0
    said = _said(capsys)
    assert {said[str(tmp_path / path)] for path in (UNIT, SYSUSERS, TMPFILES, RULES, LINE1)} == {"made"}
    program = Path(sys.executable).with_name("edge-inspectd")
    assert f"ExecStart={program} /etc/edge-inspect/%i.toml\n" in (tmp_path / UNIT).read_text()
    station = _station(tmp_path, "line1")
    assert (station.station, station.state_dir) == ("line1", Path("/var/lib/edge-inspect/line1"))
    assert station.engine_cache == Path("/var/lib/edge-inspect/engines")
    assert not list(tmp_path.rglob("*.half"))


def test_a_second_time_nothing_is_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each file is said to be the same; the configuration is the engineer's."""
    _install(tmp_path, station="line1")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    capsys.readouterr()
    assert _install(tmp_path, station="line1") == 0
    said = _said(capsys)
    assert {said[str(tmp_path / path)] for path in (UNIT, SYSUSERS, TMPFILES, RULES)} == {"same"}
    assert said[str(tmp_path / LINE1)] == "kept"
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_file_of_an_older_release_is_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is as it was laid out: nobody has put work into it."""
    from edge.service.files import ServiceFile
    from edge.service.layout import Layout

    list(Layout(tmp_path, dry=False).lay([ServiceFile(UNIT, "of an older release\n")]))
    _install(tmp_path)
    assert _said(capsys)[str(tmp_path / UNIT)] == "updated"
    assert "ExecStart" in (tmp_path / UNIT).read_text()


def test_an_edited_file_stays_and_the_new_one_lies_beside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also one that was there before anything was laid out; the line says what to compare."""
    (tmp_path / UNIT).parent.mkdir(parents=True)
    (tmp_path / UNIT).write_text("by hand\n")
    _install(tmp_path)
    assert (tmp_path / UNIT).read_text() == "by hand\n"
    assert "ExecStart" in (tmp_path / f"{UNIT}.new").read_text()
    assert "edited here; the new one is edge-inspectd@.service.new" in capsys.readouterr().out


def test_what_lay_there_before_is_somebody_s(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same to the byte: it is left as it is, by uninstalling too."""
    (tmp_path / RULES).parent.mkdir(parents=True)
    (tmp_path / RULES).write_text(shipped(RULES.name))
    _install(tmp_path)
    assert _said(capsys)[str(tmp_path / RULES)] == "same"
    _install(tmp_path, uninstall=True)
    assert (tmp_path / RULES).read_text() == shipped(RULES.name)


def test_what_lies_beside_is_ours_until_it_is_edited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The new one goes with the others; one that somebody works on is neither written over nor removed."""
    (tmp_path / UNIT).parent.mkdir(parents=True)
    beside = tmp_path / f"{UNIT}.new"
    (tmp_path / UNIT).write_text("by hand\n")
    _install(tmp_path)
    _install(tmp_path, uninstall=True)
    assert not beside.exists()
    _install(tmp_path)
    beside.write_text("half compared\n")
    capsys.readouterr()
    _install(tmp_path)
    assert "edge-inspectd@.service.new beside it was edited too: move it away" in capsys.readouterr().out
    _install(tmp_path, uninstall=True)
    assert (beside.read_text(), (tmp_path / UNIT).read_text()) == ("half compared\n", "by hand\n")


def test_an_edited_configuration_is_never_touched(tmp_path: Path) -> None:
    """There is no new one beside it either: it has nothing that it would need."""
    _install(tmp_path, station="line1")
    (tmp_path / LINE1).write_text("# mine\n")
    _install(tmp_path, station="line1")
    assert (tmp_path / LINE1).read_text() == "# mine\n"
    assert not (tmp_path / f"{LINE1}.new").exists()


def test_dry_run_touches_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what it would do, and that nothing was done."""
    assert _install(tmp_path, station="line1", machine_key=True, dry_run=True) == 0
    assert list(tmp_path.iterdir()) == []
    told = capsys.readouterr().out
    for path in (UNIT, KEY, LINE1):
        assert f"would make {tmp_path / path}\n" in told
    assert "\nmade" not in told
    assert "nothing was done" in told


def test_dry_run_removes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor does it say that it did; what was edited would have a new one beside it."""
    _install(tmp_path)
    (tmp_path / RULES).write_text("# my camera\n")
    capsys.readouterr()
    _install(tmp_path, dry_run=True)
    assert "the new one would be 70-edge-inspect.rules.new beside it" in capsys.readouterr().out
    _install(tmp_path, uninstall=True, dry_run=True)
    assert f"would remove {tmp_path / UNIT}\n" in capsys.readouterr().out
    assert (tmp_path / UNIT).exists()


def test_a_mistyped_root_is_not_made(tmp_path: Path) -> None:
    """An image that is not mounted is no file system to lay out into."""
    with pytest.raises(ConfigurationError, match="imgae: no such folder; expected the root of a file system"):
        _install(tmp_path / "imgae")
    assert list(tmp_path.iterdir()) == []


def test_uninstall_takes_back_what_is_unchanged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was edited, configuration, key and state stay, and it says so."""
    _install(tmp_path, station="line1", machine_key=True)
    (tmp_path / RULES).write_text("# my camera\n")
    capsys.readouterr()
    assert _install(tmp_path, uninstall=True) == 0
    said = _said(capsys)
    assert {said[str(tmp_path / path)] for path in (UNIT, SYSUSERS, TMPFILES, DROP_IN)} == {"removed"}
    assert {said[str(tmp_path / path)] for path in (LINE1.parent, KEY)} == {"kept"}
    assert not [path for path in said if "var/log" in path]
    assert said[str(tmp_path / RULES)] == "kept"
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert left == sorted(map(str, (LINE1, KEY, RULES)))
    assert not (tmp_path / DROP_IN).parent.exists()


def test_uninstall_of_nothing_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It removes nothing, and fails for nothing."""
    assert _install(tmp_path, uninstall=True) == 0
    assert "nothing was laid out" in capsys.readouterr().out


def test_uninstall_waits_for_the_stations(tmp_path: Path) -> None:
    """One that is enabled would not start any more: the line says what to say first."""
    _install(tmp_path)
    wants = (tmp_path / UNIT).parent / "multi-user.target.wants"
    wants.mkdir()
    (wants / "edge-inspectd@line1.service").symlink_to(f"/{UNIT}")
    with pytest.raises(ConfigurationError, match=r"systemctl disable --now edge-inspectd@line1\.service first"):
        _install(tmp_path, uninstall=True)
    assert (tmp_path / UNIT).exists()


def test_the_machine_s_key_is_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For root alone; a second time it stays, since engines were proven with it."""
    _install(tmp_path, machine_key=True)
    key = tmp_path / KEY
    assert (len(key.read_bytes()), key.stat().st_mode & 0o777) == (32, 0o600)
    before = key.read_bytes()
    capsys.readouterr()
    _install(tmp_path, machine_key=True)
    assert key.read_bytes() == before
    assert _said(capsys)[str(key)] == "kept"


def test_engines_that_were_proven_stay_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The key that the stations have made for themselves becomes the machine's; what is left to do is said."""
    theirs = tmp_path / KEY_OF_ENGINES
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"k" * 32)
    _install(tmp_path, machine_key=True)
    assert (tmp_path / KEY).read_bytes() == b"k" * 32
    assert f"attention  {theirs}: taken over, engines stay proven; remove it" in capsys.readouterr().out


@pytest.mark.parametrize("theirs", [b"k" * 32, b"cut short"])
def test_two_keys_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], theirs: bytes) -> None:
    """The machine's stays, or a key that is none is not taken; what was proven with the other is made anew."""
    _install(tmp_path, machine_key=True)
    if len(theirs) != 32:
        (tmp_path / KEY).unlink()
    (tmp_path / KEY_OF_ENGINES).parent.mkdir(parents=True)
    (tmp_path / KEY_OF_ENGINES).write_bytes(theirs)
    capsys.readouterr()
    _install(tmp_path, machine_key=True)
    assert len((tmp_path / KEY).read_bytes()) == 32
    assert (tmp_path / KEY).read_bytes() != theirs
    assert f"attention  {tmp_path / KEY_OF_ENGINES}: another key" in capsys.readouterr().out


def test_a_password_in_an_address_is_not_everybody_s(tmp_path: Path) -> None:
    """A configuration is root's and the group's that the stations run with; so is what is copied beside it."""
    _install(tmp_path, station="line1")
    assert (tmp_path / LINE1).stat().st_mode & 0o777 == 0o640
    assert "z /etc/edge-inspect/*.toml 0640 root edge-inspect" in (tmp_path / TMPFILES).read_text()
    assert "d /etc/edge-inspect 2755 root edge-inspect" in (tmp_path / TMPFILES).read_text()


@pytest.mark.parametrize("name", ["cores", "engines"])
def test_no_station_is_called_as_what_all_share(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Its service would remove that folder at its end: not installed, not accepted, and told where it is there."""
    with pytest.raises(ValidationError, match="expected another name than cores and engines"):
        Install(root=tmp_path, station=name)
    _install(tmp_path, station="line1")
    with pytest.raises(ValidationError, match="expected another name than cores and engines"):
        Station.model_validate({**read_toml(tmp_path / LINE1), "station": name})
    (tmp_path / LINE1).rename((tmp_path / LINE1).with_name(f"{name}.toml"))
    capsys.readouterr()
    _install(tmp_path)
    told = capsys.readouterr().out
    assert f"{name}.toml: its service would take a folder for its own" in told
    assert main([str((tmp_path / LINE1).with_name(f"{name}.toml")), "--check"]) == 2
    assert "give the file another name" in capsys.readouterr().err


def test_a_second_station_gets_ports_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No two of a machine's stations can have the same; nothing is left to be said about it."""
    for name in ("line1", "line2", "line3"):
        _install(tmp_path, station=name)
    ports = [
        {int(address.rpartition(":")[2]) for _, address in _station(tmp_path, name).endpoints}
        for name in ("line1", "line2", "line3")
    ]
    assert [min(of) for of in ports] == [5556, 5566, 5576]
    assert "attention" not in capsys.readouterr().out


def test_what_two_stations_cannot_share_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same port, core and name: both files are named."""
    _install(tmp_path, station="line1")
    (tmp_path / LINE1).with_name("copy.toml").write_text((tmp_path / LINE1).read_text())
    capsys.readouterr()
    _install(tmp_path)
    told = capsys.readouterr().out
    assert "copy.toml and line1.toml both have the endpoint tcp://127.0.0.1:5556" in told
    assert 'both have the name "line1"' in told


def test_a_calibration_is_no_station(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It lies beside the configuration and names the same station and its cameras: nothing is in the way."""
    _install(tmp_path, station="line1")
    (tmp_path / LINE1).with_name("line1.calibration.toml").write_text(
        'version = 1\nstation = "line1"\n[[cameras]]\nname = "cam1"\ndate = 2026-11-22T06:30:00Z\nby = "KM"\n'
        "height = 256\nwidth = 256\nmm_per_px = 0.1\n"
    )
    capsys.readouterr()
    _install(tmp_path)
    assert "attention" not in capsys.readouterr().out


def test_a_configuration_that_cannot_be_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is somebody's work in progress: no reason to stop."""
    (tmp_path / LINE1).parent.mkdir(parents=True)
    (tmp_path / LINE1).write_text("station =\n")
    assert _install(tmp_path, station="line2") == 0
    assert "attention  " + str(tmp_path / LINE1) in capsys.readouterr().out


def test_only_root_changes_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may look with --dry-run."""
    monkeypatch.setattr(module.os, "geteuid", lambda: 1000)
    with pytest.raises(ConfigurationError, match="run as root"):
        _install(Path("/"))


@pytest.mark.parametrize("root", ["//", ".", "/proc/../"])
def test_this_machine_has_one_name(monkeypatch: pytest.MonkeyPatch, root: str) -> None:
    """However its root is spelled it is not another file system, in which nothing is run."""
    monkeypatch.chdir("/")
    assert str(Install(root=root).root) == "/"  # type: ignore[arg-type]


def test_a_damaged_record_is_told(tmp_path: Path) -> None:
    """The line says what removing it means."""
    (tmp_path / RECORD).parent.mkdir(parents=True)
    (tmp_path / RECORD).write_text("{")
    with pytest.raises(ConfigurationError, match="files that differ are then kept as edited"):
        _install(tmp_path)


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file where a folder is expected, for instance."""
    (tmp_path / "etc").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be"):
        _install(tmp_path)


def _station(root: Path, name: str) -> Station:
    return Station.model_validate(read_toml(root / "etc" / "edge-inspect" / f"{name}.toml"))
