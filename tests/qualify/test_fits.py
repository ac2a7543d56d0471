"""Many trainings, each kept once it is done; here of no training at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.qualify.fits import Fit, FitFailed, figures_of


def fit(log: str, value: int) -> dict[str, Any]:
    """Note each call, and fail for 0."""
    with Path(log).open("a") as file:
        file.write(f"{value} ")
    return {"inverse": 1 / value}


def asked(folder: Path, value: int) -> dict[str, dict[str, Any]]:
    """Ask for the one fit there is."""
    return figures_of([Fit("one", __name__, {"log": str(folder / "log"), "value": value})], folder)


def test_a_fit_is_done_once_for_its_arguments(tmp_path: Path) -> None:
    """The same arguments are read from the file, other ones are fitted anew; the file says what it was made with."""
    for value in (4, 4, 5, 4):
        assert asked(tmp_path, value) == {"one": {"inverse": 1 / value}}
    assert (tmp_path / "log").read_text() == "4 5 4 "
    kept = json.loads((tmp_path / "one.json").read_text())
    assert kept["arguments"]["value"] == 4
    assert {"commit", "date"} <= set(kept)


def test_a_result_that_does_not_say_its_arguments_is_none(tmp_path: Path) -> None:
    """Nobody knows what it is the result of."""
    (tmp_path / "one.json").write_text('{"inverse": 7.0}')
    assert asked(tmp_path, 2) == {"one": {"inverse": 0.5}}


def test_a_fit_that_fails_names_its_log(tmp_path: Path) -> None:
    """And leaves no result."""
    with pytest.raises(FitFailed, match=r"one: ended with 1; see .*one\.log"):
        asked(tmp_path, 0)
    assert not (tmp_path / "one.json").exists()
