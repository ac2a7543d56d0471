"""edge-inspectd challenge: what it refuses before anybody has fetched a part."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from edge.challenge import main
from edge.errors import ConfigurationError
from edge.presenting import wait_for_enter
from edge.rig import toml_from_tree

CAMERA = {"name": "top", "source": {"kind": "synthetic"}}
MASTERS = [{"name": "good-1", "expect": "PASS"}, {"name": "bad-1", "expect": "REJECT"}]


def config(folder: Path, **tree: object) -> str:
    path = folder / "line1.toml"
    path.write_text(toml_from_tree({"station": "line1", "cameras": [CAMERA], **tree}), encoding="utf-8")
    return str(path)


def test_a_station_without_masters_has_nothing_to_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table is named."""
    assert main([config(tmp_path), "--by", "x"]) == 2
    assert "no table [challenge]: name the master parts there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("masters", "told"),
    [
        (MASTERS[:1], "at least 2"),
        ([MASTERS[1], {"name": "bad-2", "expect": "REJECT"}], 'a part with expect = "PASS" too'),
        ([*MASTERS, MASTERS[0]], "names of masters repeat: good-1, bad-1, good-1"),
        ([{**MASTERS[0], "defect": "pits"}, MASTERS[1]], 'expected expect = "REJECT" of a part with defect'),
        ([{**MASTERS[0], "name": "good@1"}, MASTERS[1]], "expected a name of letters"),
    ],
)
def test_masters_that_prove_nothing_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], masters: list[dict[str, str]], told: str
) -> None:
    """Good and bad ones, each once, a defect for bad ones only, and no @ in a name."""
    assert main([config(tmp_path, challenge={"parts": masters}), "--by", "x"]) == 2
    assert told in capsys.readouterr().err


def test_a_station_that_is_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anybody is asked to put a part anywhere: one line and exit code 5."""
    monkeypatch.setattr("edge.presenting._STATUS_S", 0.05)
    endpoints = {name: f"ipc://{tmp_path}/{name}" for name in ("results", "masks", "pictures", "control")}
    path = config(tmp_path, challenge={"parts": MASTERS}, endpoints=endpoints)
    assert main([path, "--by", "x"]) == 5
    assert "no status of station line1 in 0.05 s; does it run?" in capsys.readouterr().err


def test_nobody_at_the_terminal_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A script that waits for Enter would wait for ever; the error stands on a line of its own."""
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(ConfigurationError, match="give --yes"):
        wait_for_enter("Put it there ")
    assert capsys.readouterr().err == "Put it there \n"
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    wait_for_enter("Put it there ")
