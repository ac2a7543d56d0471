"""The whole daemon as a process: real sockets, real engines, real signals."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import onnx
import pytest

from edge.client import Event, Gap, Mask, Picture
from edge.records import Audit, Outcome, Reason, Status, Verdict
from edge.rig import Rig, toml_from_tree
from edge.station.daemon import main
from edge.wire import payload_from_labels, sha256
from engines.contract import MANIFEST_NAME, SEGMENTER_NAME, json_from_manifest, manifest_from_json
from tests.support.bundles import picture

# A start or a verdict on a machine that does other things too.
PATIENCE_S = 60.0


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return a folder of eight pictures, every other one with a bright or a dark square."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(8):
        class_ids = () if number % 2 else (1 + number // 2 % 2,)
        cv2.imwrite(str(folder / f"{number}.png"), picture(2000 + number, *class_ids))
    return folder


def _settings(bundle: Path, source: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "station": "line1",
        "budget_ms": 20_000,
        "hang_s": 30.0,
        "bundle": {"path": bundle, "allow_unsigned": True},
        "backend": {"threads": 1},
        "cameras": [{"name": "cam1", "height": 100, "width": 170, "source": source}],
        **more,
    }


def _strip(frames: int | None = None, **more: Any) -> dict[str, Any]:
    return {"kind": "synthetic", "frames": frames, **more}


def _of(kind: type[Any], events: list[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def _until(rig: Rig, wanted: Callable[[Event], bool]) -> list[Event]:
    """Return the events up to the first that is wanted."""
    seen: list[Event] = []
    for event in rig.events(PATIENCE_S):
        seen.append(event)
        if wanted(event):
            return seen
    raise AssertionError("the station stopped before")


def _child_of(station: int) -> int:
    return int(Path(f"/proc/{station}/task/{station}/children").read_text().split()[0])


def test_one_verdict_and_one_mask_for_every_picture(tiny_bundle: Path, pictures: Path) -> None:
    """A folder of real files becomes one verdict and one mask each, in order, and the daemon ends by itself."""
    with Rig(_settings(tiny_bundle, {"kind": "replay", "path": pictures})) as rig:
        events = list(rig.events(PATIENCE_S))
        assert rig.process.wait(PATIENCE_S) == 0
    verdicts, masks = _of(Verdict, events), {mask.header.seq: mask for mask in _of(Mask, events)}
    assert [v.views[0].source for v in verdicts] == [f"{n}.png" for n in range(8)]
    assert [v.seq for v in verdicts] == list(range(1, 9))
    assert len({v.epoch for v in verdicts}) == 1
    assert [v.outcome for v in verdicts] == [Outcome.REJECT, Outcome.PASS] * 4
    assert [v.views[0].defects[0].name for v in verdicts[::2]] == ["bright", "dark"] * 2
    for verdict in verdicts:
        mask = masks[verdict.seq]
        assert mask.labels.shape == (100, 170)
        assert sha256(payload_from_labels(mask.labels)[1]) == verdict.views[0].mask.sha256
        assert bool(mask.labels.any()) == (verdict.outcome is Outcome.REJECT)
    assert not _of(Gap, events)


def test_a_killed_inspector_costs_no_part_its_verdict(tiny_bundle: Path) -> None:
    """The child is killed under load: its parts are UNKNOWN(engine), a new child goes on, same epoch, same sequence."""
    with Rig(_settings(tiny_bundle, _strip(60))) as rig:
        seen = _until(rig, lambda event: isinstance(event, Verdict) and event.seq == 10)
        os.kill(_child_of(rig.process.pid), signal.SIGKILL)
        seen += rig.events(PATIENCE_S)
    verdicts = _of(Verdict, seen)
    assert [v.views[0].frame for v in verdicts] == list(range(1, 61))
    assert [v.seq for v in verdicts] == list(range(1, 61))
    assert len({v.epoch for v in verdicts}) == 1
    assert {v.reason for v in verdicts} <= {None, Reason.ENGINE}
    assert [a.event for a in _of(Audit, seen)] == ["inspector_lost"]
    assert _of(Status, seen)[-1].inspector == 2


@pytest.mark.parametrize(("overload", "reasons"), [("every", set()), ("latest", {Reason.OVERLOAD})])
def test_frames_that_come_too_fast_have_one_verdict_each(
    tiny_bundle: Path, overload: str, reasons: set[Reason]
) -> None:
    """A source that can be held loses nothing under every; under latest whatever is skipped says so."""
    settings = _settings(tiny_bundle, _strip(200, rate_hz=1000.0))
    settings["cameras"][0] |= {"slots": 3, "overload": overload}
    with Rig(settings) as rig:
        verdicts = _of(Verdict, list(rig.events(PATIENCE_S)))
    assert sorted(v.views[0].frame for v in verdicts) == list(range(1, 201))
    assert {v.reason for v in verdicts} <= {None, *reasons}


def test_a_hung_inspector_is_late_then_replaced(tiny_bundle: Path) -> None:
    """A stopped child (SIGSTOP) cannot delay the deadline, and is replaced after hang_s."""
    settings = _settings(tiny_bundle, _strip(rate_hz=20.0), budget_ms=300, hang_s=1.5)
    with Rig(settings, flags=()) as rig:
        _until(rig, lambda event: isinstance(event, Verdict) and event.seq == 5)
        os.kill(_child_of(rig.process.pid), signal.SIGSTOP)
        late = _until(rig, lambda event: isinstance(event, Audit))
        assert all(v.outcome is Outcome.UNKNOWN for v in _of(Verdict, late)[-1:])
        again = _until(rig, lambda event: isinstance(event, Verdict) and event.outcome is not Outcome.UNKNOWN)
    seqs = [v.seq for v in _of(Verdict, late + again)]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))


def test_bad_files_are_unknown_and_the_daemon_goes_on(tiny_bundle: Path, pictures: Path) -> None:
    """An unreadable file, a 16-bit one and one that is too large get their reason; the others their verdict."""
    (pictures / "1.png").write_bytes(b"no picture")
    cv2.imwrite(str(pictures / "3.png"), np.zeros((100, 170), np.uint16))
    cv2.imwrite(str(pictures / "5.png"), np.zeros((101, 170), np.uint8))
    with Rig(_settings(tiny_bundle, {"kind": "replay", "path": pictures})) as rig:
        verdicts = _of(Verdict, list(rig.events(PATIENCE_S)))
    reasons = {v.views[0].source: v.reason for v in verdicts if v.outcome is Outcome.UNKNOWN}
    assert reasons == {"1.png": Reason.CAMERA, "3.png": Reason.GEOMETRY, "5.png": Reason.GEOMETRY}
    assert len(verdicts) == 8
    assert "1.png" in next(v.detail for v in verdicts if v.reason is Reason.CAMERA)


def test_pictures_show_rejects_first(tiny_bundle: Path) -> None:
    """The pictures socket sends decodable JPEGs that name their verdict."""
    with Rig(_settings(tiny_bundle, _strip(rate_hz=50.0), picture_rate_hz=20.0), flags=()) as rig:
        shown = _until(rig, lambda event: isinstance(event, Picture))[-1]
    assert isinstance(shown, Picture)
    decoded = cv2.imdecode(np.frombuffer(shown.jpeg, np.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded is not None
    assert decoded.shape[:2] == (shown.header.height, shown.header.width) == (100, 170)


def test_sigterm_tells_the_line_and_ends(tiny_bundle: Path) -> None:
    """On SIGTERM the last status says stopped, every part has its verdict, the exit code is 0."""
    with Rig(_settings(tiny_bundle, _strip(rate_hz=50.0)), flags=()) as rig:
        seen = _until(rig, lambda event: isinstance(event, Verdict) and event.seq == 5)
        rig.process.send_signal(signal.SIGTERM)
        seen += rig.events(PATIENCE_S)
        assert rig.process.wait(PATIENCE_S) == 0
    last = _of(Status, seen)[-1]
    assert (last.state, last.open) == ("stopped", 0)
    assert last.triggers == sum(last.counts.values()) == _of(Verdict, seen)[-1].seq


def test_systemd_is_told_when_ready_and_fed(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """READY=1 arrives on the notify socket, then WATCHDOG=1, and STOPPING=1 at the end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(PATIENCE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "200000")
        with Rig(_settings(tiny_bundle, _strip(rate_hz=50.0)), flags=()) as rig:
            said = _heard(notify, "READY=1") + _heard(notify, "WATCHDOG=1")
            rig.process.send_signal(signal.SIGTERM)
            said += _heard(notify, "STOPPING=1")
    assert said.index("READY=1") < said.index("STOPPING=1")


def _heard(notify: socket.socket, wanted: str) -> list[str]:
    said: list[str] = []
    while wanted not in said:
        said += notify.recv(4096).decode().splitlines()
    return said


def test_a_waiting_station_starts_when_its_folder_appears(tiny_bundle: Path, pictures: Path, tmp_path: Path) -> None:
    """With start = wait a missing source is told in the status, and taken up when it is there."""
    later = tmp_path / "later"
    settings = _settings(tiny_bundle, {"kind": "replay", "path": later}, start="wait", retry_s=0.1)
    with Rig(settings) as rig:
        _until(rig, lambda event: isinstance(event, Status) and event.cameras[0].state == "failed")
        pictures.rename(later)
        verdicts = _of(Verdict, list(rig.events(PATIENCE_S)))
    assert len(verdicts) == 8


# ---- what ends the start: one line and an exit code ------------------------------------------------------------


def _start(tmp_path: Path, settings: dict[str, Any], *flags: str) -> subprocess.CompletedProcess[str]:
    config = tmp_path / "line1.toml"
    endpoints = {name: f"ipc://{tmp_path}/{name}" for name in ("results", "masks", "pictures")}
    config.write_text(toml_from_tree({"endpoints": endpoints, **settings}))
    return subprocess.run(
        [sys.executable, "-m", "edge.station.daemon", str(config), *flags],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def _says(run: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    line = run.stderr.strip().splitlines()[-1]
    assert run.returncode == code, run.stderr
    assert line.startswith("edge-inspectd: ")
    assert all(word in line for word in words), line


def test_a_missing_bundle_ends_with_3(tmp_path: Path) -> None:
    """The line names the folder."""
    run = _start(tmp_path, _settings(tmp_path / "nowhere", _strip(1)))
    _says(run, 3, "nowhere", "no such folder")


def test_an_unsigned_bundle_must_be_accepted(tiny_bundle: Path, tmp_path: Path) -> None:
    """Without allow_unsigned the bundle is refused, and the line says which key to set."""
    run = _start(tmp_path, {**_settings(tiny_bundle, _strip(1)), "bundle": {"path": tiny_bundle}})
    _says(run, 3, "signature", "allow_unsigned")


def test_an_altered_bundle_ends_with_3(tiny_bundle: Path, tmp_path: Path) -> None:
    """One changed byte in a network: the line names the file."""
    copy = shutil.copytree(tiny_bundle, tmp_path / "altered")
    network = copy / "segmenter.onnx"
    data = bytearray(network.read_bytes())
    data[len(data) // 2] ^= 1
    network.write_bytes(data)
    _says(_start(tmp_path, _settings(copy, _strip(1))), 3, "segmenter.onnx")


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_a_network_with_a_nan_weight_ends_with_3(tiny_bundle: Path, tmp_path: Path, backend: str) -> None:
    """A bundle whose hashes fit but whose segmenter is poisoned is refused before a frame is taken, on each backend."""
    copy = _with_nan_weight(shutil.copytree(tiny_bundle, tmp_path / "poisoned"))
    run = _start(tmp_path, {**_settings(copy, _strip(1)), "backend": {"name": backend, "threads": 1}})
    _says(run, 3, "NaN or infinity")


def _with_nan_weight(bundle: Path) -> Path:
    """Write a NaN into the segmenter's first convolution and list the file's new hash in the manifest."""
    path = bundle / SEGMENTER_NAME
    model = onnx.load(path)
    kernel = next(node.input[1] for node in model.graph.node if node.op_type == "Conv")
    weights = next(initializer for initializer in model.graph.initializer if initializer.name == kernel)
    values = onnx.numpy_helper.to_array(weights).copy()
    values.flat[0] = np.nan
    weights.CopyFrom(onnx.numpy_helper.from_array(values, kernel))
    onnx.save(model, path)
    manifest = manifest_from_json((bundle / MANIFEST_NAME).read_bytes())
    files = {**manifest.files, SEGMENTER_NAME: sha256(path.read_bytes())}
    (bundle / MANIFEST_NAME).write_bytes(json_from_manifest(msgspec.structs.replace(manifest, files=files)))
    return bundle


def test_a_camera_that_does_not_open_ends_with_4(tiny_bundle: Path, tmp_path: Path) -> None:
    """The line names the device."""
    run = _start(tmp_path, _settings(tiny_bundle, {"kind": "opencv", "device": str(tmp_path / "no-device")}))
    _says(run, 4, "no-device", "does not open")


@pytest.mark.parametrize("name", ["results", "masks", "pictures"])
def test_a_port_in_use_ends_with_2(tiny_bundle: Path, tmp_path: Path, name: str) -> None:
    """The line names the key and the endpoint."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        endpoints = {n: f"ipc://{tmp_path}/{n}" for n in ("results", "masks", "pictures")}
        settings = {**_settings(tiny_bundle, _strip(1)), "endpoints": {**endpoints, name: taken}}
        _says(_start(tmp_path, settings), 2, f"endpoints.{name}", taken, "in use")


def test_a_value_out_of_the_bundle_s_bounds_ends_with_2(tiny_bundle: Path, tmp_path: Path) -> None:
    """The line names key, value and bounds; --check says the same without a camera or a socket."""
    settings = {**_settings(tiny_bundle, _strip(1)), "recipe": {"bright": {"threshold": 1.5}}}
    _says(_start(tmp_path, settings), 2, "recipe.bright.threshold", "1.5")
    _says(_start(tmp_path, settings, "--check"), 2, "recipe.bright.threshold", "1.5")


def test_check_says_what_it_would_do(tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--check prints station, bundle, cameras and recipe, opens nothing, and exits 0."""
    config = tmp_path / "line1.toml"
    source = {"kind": "opencv", "device": "/dev/no-such-camera"}
    config.write_text(toml_from_tree(_settings(tiny_bundle, source)))
    assert main([str(config), "--check"]) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("line1", "squares", "cam1", "bright", "dark", "170x100"))
