"""The trial: what is about to become active is judged on the reference frames first."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from edge.bundle import read_bundle
from edge.errors import DeviceLost
from edge.inspector.backend import BackendSettings, Engine
from edge.inspector.equipment import recipes_from_json
from edge.inspector.golden import golden_reject
from edge.inspector.report import Task, TrialReport
from edge.inspector.trial import report_from_task
from tests.support.inspector import station

TRIAL = (sys.executable, "-I", "-m", "edge.inspector.trial")


def task(bundle: Path, **classes: dict[str, float]) -> Task:
    recipe = {"name": "r", "author": "a", "classes": classes}
    settings = station(bundle, height=100, width=170)
    return Task(station=settings.model_dump_json(), bundle=str(bundle), recipe=json.dumps(recipe).encode())


def lax(bundle: Path) -> dict[str, dict[str, float]]:
    """Return values within the bundle's bounds under which hardly anything is rejected."""
    classes = read_bundle(bundle).manifest.classes
    return {c.name: {"max_count": c.rule.max_count.high, "min_area_px": c.rule.min_area_px.high} for c in classes}


def test_the_released_values_are_accepted(tiny_bundle: Path) -> None:
    """In a process of its own: one report on standard output, with the hashes the live inspector will have."""
    told = task(tiny_bundle)
    child = subprocess.run(
        TRIAL, input=msgspec.json.encode(msgspec.structs.replace(told, parent=os.getpid())), capture_output=True
    )
    assert child.returncode == 0, child.stderr
    report = msgspec.json.decode(child.stdout, type=TrialReport)
    bundle = read_bundle(tiny_bundle)
    assert report.accepted, report.text
    assert "golden reject" in report.text
    assert report.bundle_hash == bundle.hash
    assert report.recipe_hash == recipes_from_json(bundle.manifest, station(height=100, width=170), told.recipe).hash
    assert report.class_names == bundle.manifest.class_names
    assert len(report.frames) == len(bundle.manifest.reference)
    assert all(frame.agrees for frame in report.frames)


def test_a_recipe_that_would_pass_the_golden_reject_is_refused(tiny_bundle: Path) -> None:
    """However well this machine agrees with PyTorch: the frame is named."""
    golden = golden_reject(read_bundle(tiny_bundle))
    assert golden is not None
    report = report_from_task(task(tiny_bundle, **lax(tiny_bundle)))
    assert not report.accepted
    assert report.text.startswith(f"this recipe would pass the reference reject '{golden.name}'")
    assert report.recipe_hash


def test_an_older_release_is_refused(tiny_bundle: Path) -> None:
    """Beside the line already, with both numbers; no engine is opened for it."""
    told = msgspec.structs.replace(task(tiny_bundle), releases={"squares": 2})
    report = report_from_task(told, open_engine=_never)
    assert not report.accepted
    assert "release 1, but release 2 was active here before" in report.text


def _never(settings: BackendSettings, network: bytes, batched_input: str, batches: Sequence[int]) -> Engine:
    raise AssertionError("an engine was opened")


@pytest.mark.parametrize(
    ("classes", "text"),
    [({"rust": {"gate": 0.5}}, "recipe.rust"), ({"bright": {"gate": 7.0}}, "recipe.bright.gate")],
)
def test_a_recipe_that_does_not_fit_is_refused_by_name(
    tiny_bundle: Path, classes: dict[str, dict[str, float]], text: str
) -> None:
    """A class the bundle does not have, a value out of its bounds; no engine is opened for it."""
    report = report_from_task(task(tiny_bundle, **classes), _no_engine)
    assert (report.accepted, report.recipe_hash, report.frames) == (False, "", ())
    assert text in report.text
    assert report.bundle_hash


def test_a_bundle_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """The line says which folder, and no hash is given."""
    report = report_from_task(task(tmp_path), _no_engine)
    assert (report.accepted, report.bundle_hash) == (False, "")
    assert str(tmp_path) in report.text
    assert "\n" not in report.text


def test_engines_that_fail_refuse(tiny_bundle: Path) -> None:
    """A refusal is an answer: the trial does not fail with them."""
    report = report_from_task(task(tiny_bundle), _no_engine)
    assert (report.accepted, report.text) == (False, "device 0: gone")


def _no_engine(settings: BackendSettings, network: bytes, batched_input: str, batches: Sequence[int]) -> Engine:
    raise DeviceLost("device 0: gone")


def test_a_trial_of_another_station_ends_without_a_word(tiny_bundle: Path) -> None:
    """Its station ended before it could be tied to it: nobody waits for the report."""
    orphan = msgspec.structs.replace(task(tiny_bundle), parent=1)
    child = subprocess.run(TRIAL, input=msgspec.json.encode(orphan), capture_output=True)
    assert (child.returncode, child.stdout) == (0, b"")


def test_a_trial_ends_itself_when_it_takes_too_long() -> None:
    """By a signal, whatever it is doing: here it waits for a task that never comes."""
    code = "import edge.inspector.trial as trial; trial.LIMIT_S = 0.01; trial.main()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as child:
        assert child.wait(60) == -signal.SIGALRM
