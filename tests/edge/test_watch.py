"""edge-subscribe: what is shown and kept is what was received."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import zmq
from numpy.typing import NDArray
from rich.console import Console

from edge.board import Board
from edge.client import Gap, Mask, Picture, Subscriber
from edge.errors import ConfigurationError, WireError
from edge.records import Reason
from edge.subscription import Delivered, Missed
from edge.watch import Keeper, Resumed, Subscribe, main, picture_path
from edge.wire import frames_from_message
from tests.support.cameras import write_station
from tests.support.records import audit, mask, mask_reference, picture_header, reject, status, unknown, verdict, view
from tests.support.standin import StandIn

LABELS = np.zeros((40, 60), np.uint8)
LABELS[10:14, 20:30] = 1


def mask_event(seq: int, source: str = "part 3.jpg", **header: Any) -> Mask:
    return Mask(mask(seq, LABELS, source=source, **header)[0], LABELS)


def picture_event(seq: int, shape: tuple[int, int] = LABELS.shape, **header: Any) -> Picture:
    jpeg = cv2.imencode(".jpg", np.full(shape, 120, np.uint8))[1].tobytes()
    return Picture(picture_header(seq, *shape, **header), jpeg)


def read(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None, path
    return np.asarray(image, np.uint8)


def shown(board: Board) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(board.table())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_verdicts_are_kept_line_by_line(tmp_path: Path) -> None:
    """Each line is the verdict's JSON; a later run appends."""
    for seqs in ((1, 2), (3,)):
        keeper = Keeper(tmp_path / "out")
        for seq in seqs:
            keeper.take(reject(seq))
    lines = (tmp_path / "out" / "verdicts.jsonl").read_text().splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [1, 2, 3]
    assert json.loads(lines[0])["schema"] == "verdict"


@pytest.mark.parametrize(
    ("source", "name"),
    [("part 3.jpg", "part 3.png"), ("17", "17.png"), ("Prüfling_(2).v1.tif", "Prüfling_(2).v1.png")],
)
def test_a_mask_is_kept_under_its_source(tmp_path: Path, source: str, name: str) -> None:
    """As PNG with the labels as they are; a plain name stays as it is, so that masks are found by their picture."""
    Keeper(tmp_path).take(mask_event(1, source))
    assert np.array_equal(read(tmp_path / "masks" / "cam1" / name), LABELS)


_ODD_NAMES = ["../../evil", "/etc/evil", "..", ".", "", "a/b", "a\\b", "a\0b", "a\nb", ".hidden", "x" * 300, "ü" * 150]


@pytest.mark.parametrize("camera", [*_ODD_NAMES, "cam1"])
def test_no_name_from_the_network_leaves_the_folder(tmp_path: Path, camera: str) -> None:
    """Whatever camera and source are called, each has its own file, one folder below masks/ or in pictures/."""
    keeper = Keeper(tmp_path / "out")
    for seq, source in enumerate(_ODD_NAMES, start=1):
        keeper.take(mask_event(seq, source, camera=camera))
        keeper.take(picture_event(seq, camera=camera))
        keeper.take(reject(seq, views=(view(camera=camera),)))
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"masks", "pictures", "verdicts.jsonl"}
    assert len(list((tmp_path / "out" / "masks").glob("*/*.png"))) == len(_ODD_NAMES)
    assert len(list((tmp_path / "out" / "pictures").glob("*.png"))) == len(_ODD_NAMES)


def test_cameras_and_epochs_do_not_write_over_each_other(tmp_path: Path) -> None:
    """The same number and source of another camera, or of another start of the station, has its own files."""
    keeper = Keeper(tmp_path)
    keys = [(5, "left"), (5, "right"), (6, "left")]
    for epoch, camera in keys:
        keeper.take(mask_event(4, epoch=epoch, camera=camera))
        keeper.take(picture_event(4, epoch=epoch, camera=camera))
    assert list((tmp_path / "pictures").iterdir()) == []
    keeper.take(reject(4, epoch=5, views=tuple(view(camera=c, mask=mask_reference()) for c in ("left", "right"))))
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {
        "000000000005-000004-left.png",
        "000000000005-000004-right.png",
    }
    keeper.take(reject(4, epoch=6, views=(view(camera="left", mask=mask_reference()),)))
    assert all(picture_path(tmp_path, epoch, 4, camera).is_file() for epoch, camera in keys)
    assert {path.name for path in (tmp_path / "masks").iterdir()} == {"left", "right"}


def test_a_mask_that_does_not_fit_its_picture_is_refused(tmp_path: Path) -> None:
    """WireError with both sizes; nothing is drawn."""
    keeper = Keeper(tmp_path)
    keeper.take(mask_event(4))
    keeper.take(picture_event(4, (20, 30)))
    with pytest.raises(WireError, match=r"verdict 4 of camera cam1.*\(40, 60\).*\(20, 30\)"):
        keeper.take(reject(4, views=(view(mask=mask_reference()),)))


@pytest.mark.parametrize("order", ["vmp", "mvp", "mpv", "vpm", "pvm", "pmv"])
def test_a_picture_is_drawn_with_its_mask_in_whatever_order_they_come(tmp_path: Path, order: str) -> None:
    """Three endpoints have no order among them: verdict, mask and picture of a part find each other."""
    keeper = Keeper(tmp_path)
    events = {"v": reject(4, views=(view(mask=mask_reference()),)), "m": mask_event(4), "p": picture_event(4)}
    for kind in order:
        keeper.take(events[kind])
    drawn = read(picture_path(tmp_path, 5, 4, "cam1"))
    assert drawn.shape[1] == 60
    assert not (drawn[-40:][10, 20] == 120).all(), "the mask is not drawn"


@pytest.mark.parametrize("without", ["no mask", "mask too large"])
def test_a_picture_without_a_mask_is_drawn_too(tmp_path: Path, without: str) -> None:
    """A verdict that names no mask, or one that was not sent, waits for none."""
    keeper = Keeper(tmp_path)
    reference = None if without == "no mask" else mask_reference(sent=False)
    keeper.take(picture_event(4))
    keeper.take(unknown(4, Reason.LATE) if reference is None else reject(4, views=(view(mask=reference),)))
    assert read(picture_path(tmp_path, 5, 4, "cam1")).shape[1] == 60


def test_a_picture_that_is_none_is_refused(tmp_path: Path) -> None:
    """WireError with its number, not OpenCV's silence."""
    with pytest.raises(WireError, match="picture 4"):
        Keeper(tmp_path).take(Picture(picture_header(4, 40, 60), b"no jpeg"))


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A folder that is gone: an error with the path, not a mask that is missing in silence."""
    keeper = Keeper(tmp_path / "out")
    (tmp_path / "out" / "masks").rmdir()
    with pytest.raises(ConfigurationError, match="masks"):
        keeper.take(mask_event(1))


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and the path, before anything is listened to."""
    (tmp_path / "file").write_text("mine")
    assert main(["--save", str(tmp_path / "file"), "--lines"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert str(tmp_path / "file") in line


def test_the_board_shows_the_last_verdicts_and_the_counts() -> None:
    """Outcome, source, what was found or why not, tiles, what was lost."""
    board = Board()
    assert "waiting for a station" in shown(board)
    for event in (verdict(1), reject(2), unknown(3, Reason.LATE, "no result"), Gap(5, 4, 6), status(6)):
        board.take(event)
    text = shown(board)
    for part in ("PASS 1", "UNKNOWN 1", "REJECT 1", "lost 3", "1 pits 12 px", "late: no result", "0/7", "line1: ready"):
        assert part in text
    board.take(audit(detail="unplugged"))
    assert "camera_lost: unplugged" in shown(board)


def test_the_board_tells_cameras_apart_when_there_are_several() -> None:
    """One camera needs no column; of a part with several views all sources and tiles are shown."""
    board = Board()
    board.take(verdict(1, views=(view(camera="left", source="7"),)))
    assert "camera" not in shown(board)
    board.take(verdict(2, views=tuple(view(camera=c, source=f"{c}.png", segmented=1) for c in ("left", "right"))))
    text = shown(board)
    for part in ("camera", "left, right", "left.png, right.png", "2/14"):
        assert part in text
    board.take(verdict(3, views=()))
    assert "PASS 3" in shown(board)


def test_the_board_keeps_the_last_rows_only() -> None:
    """A long run does not scroll the screen away."""
    board = Board()
    for seq in range(100, 200):
        board.take(verdict(seq))
    text = shown(board)
    assert " 199 " in text
    assert " 150 " not in text
    assert "PASS 100" in text


@pytest.mark.parametrize("text", ["[/]", "[red]x[/red]", "a[0].png", "[/nothing]"])
def test_brackets_in_names_and_reasons_are_shown_as_they_are(text: str) -> None:
    """A file name is no mark-up: it neither vanishes nor ends the table."""
    board = Board()
    board.take(verdict(1, views=(view(source=text),)))
    board.take(unknown(2, Reason.CAMERA, f"reason {text}"))
    board.take(status(2, detail=f"note {text}"))
    assert shown(board).count(text) == 3


class Talker:
    """A station's sockets, sending what a test wants once the reader has subscribed to verdicts."""

    def __init__(self, folder: Path) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.endpoints = {name: f"ipc://{folder}/{name}" for name in ("results", "masks", "pictures")}
        self.results, self.masks = (self.context.socket(zmq.XPUB) for _ in range(2))
        for socket, name in ((self.results, "results"), (self.masks, "masks")):
            socket.xpub_verbose = True
            socket.bind(self.endpoints[name])

    @property
    def flags(self) -> list[str]:
        return [flag for name, endpoint in self.endpoints.items() for flag in (f"--{name}", endpoint)]

    def talk(self, messages: list[list[bytes]]) -> threading.Thread:
        thread = threading.Thread(target=self._talk, args=(messages,))
        thread.start()
        return thread

    def _talk(self, messages: list[list[bytes]]) -> None:
        while self.masks.recv() != b"\x01status/":
            pass
        self.masks.send_multipart(frames_from_message(status(0)))
        while self.results.recv() != b"\x01verdict/":
            pass
        for frames in messages:
            (self.masks if frames[0].startswith(b"mask/") else self.results).send_multipart(frames)


@pytest.fixture
def talker(tmp_path: Path) -> Iterator[Talker]:
    """Return bound sockets that are closed at the end."""
    talker = Talker(tmp_path)
    yield talker
    talker.context.destroy(linger=0)


@pytest.fixture
def station(tmp_path: Path) -> Iterator[StandIn]:
    """Return a station with a journal, whose masks endpoint nobody serves."""
    folder = tmp_path / "station"
    folder.mkdir()
    station = StandIn(folder, beat_s=1.0)
    yield station
    station.close()


def resumed(station: StandIn, *flags: str) -> list[str]:
    endpoints = ["--results", station.results, "--control", station.control, "--masks", station.results]
    return [*endpoints, "--pictures", station.results, "--from-last", "shelf", "--timeout-s", "20", *flags]


def seqs(lines: bytes) -> list[int]:
    return [json.loads(line)["seq"] for line in lines.splitlines()]


def test_from_last_goes_on_where_the_last_run_ended(
    station: StandIn, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Each verdict is printed and kept once over two runs, and acknowledged when it is on disk."""
    out = tmp_path / "out"
    station.publish(7)
    assert main(resumed(station, "--lines", "--save", str(out), "--count", "4", "--oldest")) == 0
    assert station.journal.cursors["shelf"].seq == 4
    station.publish(1)
    assert main(resumed(station, "--lines", "--save", str(out), "--count", "4")) == 0
    assert seqs(capfdbinary.readouterr().out) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert seqs((out / "verdicts.jsonl").read_bytes()) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_from_last_tells_what_is_gone_for_good(station: StandIn, capfd: pytest.CaptureFixture[str]) -> None:
    """On stderr between the lines, or in the table."""
    station.publish(2)
    assert main(resumed(station, "--lines", "--count", "1", "--oldest")) == 0
    station.publish(4)
    station.forget(4)
    assert main(resumed(station, "--lines", "--count", "1")) == 0
    said = capfd.readouterr()
    assert "verdicts from 2 to 4 can no longer be given: retention" in said.err
    assert seqs(said.out.encode()) == [1, 5]


class Told(Subscriber):
    """A subscriber to masks and status that is told these, and then nothing."""

    hears_masks = True

    def __init__(self, *events: Any) -> None:
        self.events = list(events)

    def receive(self, timeout_s: float) -> Any:
        return self.events.pop(0) if self.events else None


class Backlog:
    """A subscription in which every verdict up to *last* waits, of epoch 5 up to *ended*, then of epoch 6."""

    def __init__(self, last: int, ended: int) -> None:
        self.last, self.ended = last, ended
        self.given = 0
        self.acknowledged: list[int] = []

    def next(self, timeout_s: float) -> Delivered | None:
        assert self.given < 10_000, "it takes without end"
        if self.given == self.last:
            return None
        self.given += 1
        epoch = 5 if self.given <= self.ended else 6
        return Delivered(verdict(self.given, epoch=epoch), self.given, live=True, offset=None)

    def acknowledge(self, delivered: Delivered) -> None:
        self.acknowledged.append(delivered.verdict.seq)

    def close(self) -> None: ...


def resumed_on(backlog: Backlog, subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch) -> Resumed:
    monkeypatch.setattr("edge.watch.Subscription", lambda *args, **kwargs: backlog)
    return Resumed(Subscribe(from_last="shelf"), subscriber, None)


def test_what_was_not_given_is_not_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A station that says it has stopped while a backlog waits: only what was shown and kept is acknowledged."""
    backlog = Backlog(last=300, ended=300)
    resumed = resumed_on(backlog, Told(None, status(300, state="stopped")), monkeypatch)
    assert [resumed.receive(1.0) for _ in range(3)] == [verdict(seq) for seq in (1, 2, 3)]
    resumed.settle()
    assert backlog.acknowledged == [3]


def test_the_last_word_comes_after_its_runs_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The backlog of the run that has stopped is shown first; a new run that publishes fast does not put it off."""
    backlog = Backlog(last=1_000_000, ended=250)
    resumed = resumed_on(backlog, Told(None, status(250, state="stopped")), monkeypatch)
    events = [resumed.receive(1.0) for _ in range(252)]
    assert events[:250] == [verdict(seq, epoch=5) for seq in range(1, 251)]
    assert events[250] == status(250, state="stopped")
    assert events[251] == verdict(251, epoch=6)


def test_the_last_word_is_given_though_the_last_verdict_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A verdict that died with its station holds up nothing; what comes of the next run follows."""
    backlog = Backlog(last=10, ended=10)
    resumed = resumed_on(backlog, Told(None, status(12, state="stopped")), monkeypatch)
    assert [resumed.receive(1.0) for _ in range(11)][10] == status(12, state="stopped")
    resumed.settle()
    assert backlog.acknowledged == [10]


def test_the_board_shows_what_is_replayed_and_what_is_gone() -> None:
    """A replayed verdict has no latency; what can no longer be given counts as lost."""
    board = Board()
    board.take(verdict(3, replayed=True))
    board.take(Missed(5, 4, 9, "retention"))
    text = shown(board)
    for part in ("replayed", "lost 6", "4 to 9", "retention"):
        assert part in text


def test_a_verdict_that_comes_again_is_written_once(tmp_path: Path) -> None:
    """A run that was killed between writing and acknowledging leaves its last line, whole or torn."""
    keeper = Keeper(tmp_path)
    for seq in (1, 2, 3):
        keeper.take(verdict(seq))
    keeper.sync()
    path = tmp_path / "verdicts.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    again = Keeper(tmp_path)
    for seq in (2, 3, 4):
        again.take(verdict(seq, replayed=True))
    assert seqs(path.read_bytes()) == [1, 2, 3, 4]


def test_lines_are_verdicts_as_json(talker: Talker, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """One line each on stdout, nothing else, until the station says that it has stopped."""
    messages = [frames_from_message(m) for m in (verdict(1), status(1), reject(2), status(2, state="stopped"))]
    thread = talker.talk(messages)
    assert main([*talker.flags, "--lines", "--until-stopped", "--timeout-s", "20"]) == 0
    thread.join()
    lines = capfdbinary.readouterr().out.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [1, 2]


def test_it_ends_after_so_many_verdicts_with_the_last_ones_mask(
    talker: Talker, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The mask of the last verdict comes after it, and a heartbeat may come between: it is kept all the same."""
    header, payload = mask(2, LABELS)
    messages = [frames_from_message(m) for m in (verdict(1), reject(2), status(2))]
    thread = talker.talk([*messages, frames_from_message(header, payload)])
    out = tmp_path / "out"
    assert main([*talker.flags, "--lines", "--count", "2", "--timeout-s", "20", "--save", str(out)]) == 0
    thread.join()
    assert np.array_equal(read(out / "masks" / "cam1" / "2.png"), LABELS)
    assert len((out / "verdicts.jsonl").read_text().splitlines()) == 2
    assert capfd.readouterr().err == ""


def test_the_live_table_ends_with_the_station(talker: Talker, capfd: pytest.CaptureFixture[str]) -> None:
    """Without a terminal the last state is printed once."""
    thread = talker.talk([frames_from_message(m) for m in (reject(1), status(1, state="stopped"))])
    assert main([*talker.flags, "--until-stopped", "--timeout-s", "20"]) == 0
    thread.join()
    said = capfd.readouterr().out
    assert "REJECT 1" in said
    assert said.endswith("\n")


def test_silence_ends_with_an_error(talker: Talker, capfd: pytest.CaptureFixture[str]) -> None:
    """Exit code 5 and one line, when nothing comes for as long as was said."""
    assert main([*talker.flags, "--lines", "--timeout-s", "0.1"]) == 5
    (line,) = capfd.readouterr().err.splitlines()
    assert talker.endpoints["results"] in line


def test_endpoints_and_name_may_be_a_file_s(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A second station has ports of its own; a flag wins, and a file that is none is told."""
    config = str(write_station(tmp_path / "line2.toml", {"name": "top", "source": {"kind": "synthetic"}}))
    assert main(["--config", config, "--lines", "--timeout-s", "0.01"]) == 5
    assert f"nothing came from ipc://{tmp_path}/results" in capfd.readouterr().err
    assert main(["--config", config, "--lines", "--timeout-s", "0.01", "--results", f"ipc://{tmp_path}/other"]) == 5
    assert f"nothing came from ipc://{tmp_path}/other" in capfd.readouterr().err
    assert main(["--config", str(tmp_path / "none.toml")]) == 2
    assert "none.toml: cannot be read" in capfd.readouterr().err


def test_a_bad_endpoint_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    """Exit code 2; no traceback of ZeroMQ."""
    assert main(["--results", "nonsense", "--lines"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("edge-subscribe: ")
    assert "nonsense" in line


def test_drain_ends_on_a_busy_line(tmp_path: Path) -> None:
    """A station that never falls silent does not keep the reader for ever, and later verdicts are not kept."""

    class Busy(Subscriber):
        def __init__(self) -> None:
            self.given = 0

        def receive(self, timeout_s: float) -> object:
            self.given += 1
            return verdict(self.given)

    keeper = Keeper(tmp_path)
    keeper.drain(Busy(), limit_s=0.05)
    assert not (tmp_path / "verdicts.jsonl").exists()
