"""edge-inspectd ctl: each command is its request, each answer is shown, each refusal is one line and exit code 5."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
import pytest
import zmq
from rich.console import Console, RenderableType

from edge.clock import SYSTEM_CLOCK
from edge.ctl import main
from edge.records import Alarm, CameraStatus, ChallengeMark, ChallengeState, LedgerRow, Mode, PauseMark, RecipeMark
from edge.requests import (
    AnyAnswer,
    AnyRequest,
    AskStatus,
    Done,
    Independent,
    Ledger,
    LedgerAnswer,
    Missing,
    Pause,
    Refusal,
    Refused,
    Reload,
    Replay,
    Replayed,
    Selftest,
    StatusAnswer,
    Trigger,
    Triggered,
    UseRecipe,
)
from edge.station.control import Control
from edge.tables import table_from_counts, table_from_ledger, table_from_status
from edge.wire import frames_from_message
from tests.support.cameras import write_station
from tests.support.records import status, verdict

Ask = Callable[..., int]
DONE = Done(version=1, id="", now_us=0, text="it is done")
TRIGGERED = Triggered(version=1, id="", now_us=0, part=41, trigger_us=1, deadline_us=2, journaled=True)
ROW = LedgerRow(
    shift="2026-11-22T14:00",
    mode=Mode.PRODUCTION,
    triggers=100,
    passed=80,
    rejected=15,
    unknown={"late": 3, "camera": 1},
    open=1,
    unseen=0,
    bounced=2,
    refused=0,
)


class Stand:
    """A station in a thread that has one answer after the other ready, and keeps what it was asked."""

    def __init__(self, endpoint: str) -> None:
        self.answers: list[tuple[AnyAnswer, Sequence[bytes]]] = []
        self.asked: list[AnyRequest] = []
        self._ended = threading.Event()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._control = Control(self._context, endpoint, SYSTEM_CLOCK)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._ended.is_set():
            if not self._control.waits and not self._control.socket.poll(20):
                continue
            self._control.read()
            if (asked := self._control.receive()) is not None:
                self.asked.append(asked.request)
                self._control.answer(asked, *self.answers.pop(0))

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._control.close(0)
        self._context.destroy(linger=0)


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    stand = Stand(f"ipc://{tmp_path}/control")
    yield stand
    stand.close()


@pytest.fixture
def ask(stand: Stand, tmp_path: Path) -> Ask:
    """Return a runner of one command, answered by what is given."""

    def asked(*args: str, answer: AnyAnswer, payload: Sequence[bytes] = ()) -> int:
        stand.answers.append((answer, payload))
        return main([*args, "--control", f"ipc://{tmp_path}/control", "--timeout-s", "20"])

    return asked


def shown(table: RenderableType) -> str:
    """Return what a colour terminal is sent."""
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system="standard", legacy_windows=False)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


RED = "\x1b[1;31m"


@pytest.mark.parametrize(
    ("args", "request_"),
    [
        (["pause", "cleaning"], Pause(version=1, id="", role="operator", reason="cleaning", minutes=30)),
        (
            ["pause", "new blade", "--minutes", "2.5", "--role", "maintenance"],
            Pause(version=1, id="", role="maintenance", reason="new blade", minutes=2.5),
        ),
        (["resume"], Pause(version=1, id="", role="operator", reason="resumed", minutes=0)),
        (["recipe", "strip-2"], UseRecipe(version=1, id="", name="strip-2")),
        (["selftest"], Selftest(version=1, id="")),
        (["reload"], Reload(version=1, id="", bundle=None)),
        (["reload", "--bundle", "/srv/bundle"], Reload(version=1, id="", bundle="/srv/bundle")),
    ],
)
def test_command_is_its_request(
    args: list[str], request_: AnyRequest, ask: Ask, stand: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is asked of the station is what was typed, under an id of its own; the answer's line is printed."""
    assert ask(*args, answer=DONE) == 0
    assert [msgspec.structs.replace(asked, id="") for asked in stand.asked] == [request_]
    assert len(stand.asked[0].id) == 32
    assert capsys.readouterr().out == "it is done\n"


def test_trigger_says_the_part(ask: Ask, stand: Stand, capsys: pytest.CaptureFixture[str]) -> None:
    """Its values are those of the flags, and the id may be given to repeat it."""
    args = [
        "--part-id",
        "A17",
        "--tag",
        "3",
        "--counter",
        "9",
        "--mode",
        "challenge",
        "--cameras",
        "top",
        "--cameras",
        "side",
        "--request-id",
        "r1",
    ]
    assert ask("trigger", *args, answer=TRIGGERED) == 0
    assert stand.asked == [
        Trigger(version=1, id="r1", part_id="A17", tag=3, counter=9, mode=Mode.CHALLENGE, cameras=("top", "side"))
    ]
    assert capsys.readouterr().out == "part 41: journaled\n"


def test_trigger_that_is_not_journaled_says_so(ask: Ask, stand: Stand, capsys: pytest.CaptureFixture[str]) -> None:
    """By default it is no product and every camera sees it."""
    assert ask("trigger", answer=msgspec.structs.replace(TRIGGERED, journaled=False)) == 0
    assert capsys.readouterr().out == "part 41: not journaled, a crash now would lose it\n"
    asked = stand.asked[0]
    assert isinstance(asked, Trigger)
    assert (asked.mode, asked.cameras, asked.part_id) == (Mode.SIMULATED, None, None)


def test_the_endpoint_may_be_a_file_s(stand: Stand, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second station has ports of its own; --control wins, and a file that is none is told."""
    config = write_station(tmp_path / "line2.toml", {"name": "top", "source": {"kind": "synthetic"}})
    stand.answers.append((DONE, ()))
    assert main(["selftest", "--config", str(config)]) == 0
    stand.answers.append((DONE, ()))
    config.write_text("", encoding="utf-8")
    assert main(["selftest", "--config", str(config), "--control", f"ipc://{tmp_path}/control"]) == 0
    capsys.readouterr()
    assert main(["selftest", "--config", str(tmp_path / "none.toml")]) == 2
    assert "none.toml: cannot be read" in capsys.readouterr().err


def test_status_is_a_table(ask: Ask, stand: Stand, capsys: pytest.CaptureFixture[str]) -> None:
    """State, cameras, counts and position."""
    camera = CameraStatus(name="top", state="open", detail="1600x256 mono8", last_frame=3, numbered=False)
    answer = StatusAnswer(version=1, id="", now_us=0, status=status(12, cameras=(camera,), journaled_seq=10))
    assert ask("status", answer=answer) == 0
    assert isinstance(stand.asked[0], AskStatus)
    out = capsys.readouterr().out
    for part in (
        "ready: inspecting",
        "top",
        "1600x256 mono8",
        "best effort",
        "alarms     none",
        "PASS 12",
        "2 not journaled yet",
    ):
        assert part in out


@pytest.mark.parametrize(
    ("state", "last", "words", "red"),
    [
        ("passed", 1_796_057_582_000_000, ("by M. Muster; the next is due",), False),
        ("due", None, ("DUE, a shift has begun; no part passes from", "none given yet"), False),
        ("overdue", None, ("OVERDUE, a shift has begun",), True),
        ("failed", 1_796_057_582_000_000, ("FAILED", "by M. Muster"), True),
    ],
)
def test_a_challenge_is_shown_with_when_and_by_whom(
    state: ChallengeState, last: int | None, words: tuple[str, ...], red: bool
) -> None:
    """What closes the line is red; what was passed says when the next is due."""
    mark = ChallengeMark(
        state=state,
        last_by="M. Muster",
        last_utc_us=last,
        due_utc_us=1_796_060_000_000_000,
        closes_utc_us=1_796_061_000_000_000,
        why="a shift has begun",
    )
    table = shown(table_from_status(status(1, challenge=mark)))
    assert [word for word in words if word not in table] == []
    assert (RED in table) is red


def test_unknown_is_counted_by_reason() -> None:
    """The most frequent first."""
    assert "late 7  camera 2" in shown(table_from_status(status(9, unknown={"camera": 2, "late": 7})))


def test_what_is_wrong_is_red() -> None:
    """A station that is not ready and its alarms are; a pause is shown with who, why and until when."""
    sound = shown(table_from_status(status(1)))
    assert RED not in sound
    wrong = shown(
        table_from_status(
            status(
                1,
                state="paused",
                ready=False,
                alarms=(Alarm.JOURNAL_FAILING,),
                paused=PauseMark(role="operator", reason="[red]cleaning", until_utc_us=1_796_060_000_000_000),
                recipe=RecipeMark(name="strip-2", hash="0" * 64, author="ann", since_utc_us=1),
            )
        )
    )
    until = f"{datetime.fromtimestamp(1_796_060_000):%Y-%m-%d %H:%M}"
    paused = f"by operator until {until}: [red]cleaning"
    for part in (f"{RED}paused", f"{RED}journal_failing", paused, "strip-2 by ann"):
        assert part in wrong
    assert "inspecting" not in wrong
    assert "none" not in wrong


def test_ledger_is_a_table(ask: Ask, stand: Stand, capsys: pytest.CaptureFixture[str]) -> None:
    """A line a shift and mode, then the second counts."""
    answer = LedgerAnswer(
        version=1,
        id="",
        now_us=0,
        rows=(ROW, msgspec.structs.replace(ROW, shift="")),
        independent=(Independent(source="counter", counted=100, triggered=100, state="balanced"),),
    )
    assert ask("ledger", "--shifts", "1", answer=answer) == 0
    assert [msgspec.structs.replace(asked, id="") for asked in stand.asked] == [Ledger(version=1, id="", shifts=1)]
    out = capsys.readouterr().out
    for part in ("2026-11-22T14:00", "for ever", "production", "late 3, camera 1", "balanced"):
        assert part in out


def test_ledger_that_does_not_add_up_is_red() -> None:
    """So are parts that nobody saw, and a second count that says something else."""
    assert RED not in shown(table_from_ledger((ROW,)))
    assert f"{RED}100 != 101" in shown(table_from_ledger((msgspec.structs.replace(ROW, passed=81),)))
    assert f"{RED}17 unseen, 2 bounced" in shown(table_from_ledger((msgspec.structs.replace(ROW, unseen=17),)))
    counts = (Independent(source="top", counted=101, triggered=100, state="unbalanced"),)
    assert f"{RED}unbalanced" in shown(table_from_counts(counts))


def page(count: int, seq: int, end: bool, missing: Missing | None = None) -> Replayed:
    return Replayed(version=1, id="", now_us=0, count=count, epoch=5, seq=seq, end=end, missing=missing)


def records(*seqs: int) -> list[bytes]:
    return [frames_from_message(verdict(seq))[1] for seq in seqs]


GONE = Missing(epoch=5, first=1, last=6, why="retention")


def test_replay_goes_on_to_the_end(ask: Ask, stand: Stand, capsys: pytest.CaptureFixture[str]) -> None:
    """Page after page, each behind the last one; what is gone is said in its place."""
    stand.answers.append((page(2, 8, end=False, missing=GONE), records(7, 8)))
    assert ask("replay", "--limit", "10", answer=page(1, 9, end=True), payload=records(9)) == 0
    asked = [msgspec.structs.replace(request, id="") for request in stand.asked]
    assert asked == [
        Replay(version=1, id="", epoch=0, seq=0, limit=10),
        Replay(version=1, id="", epoch=5, seq=8, limit=8),
    ]
    gone, *lines = capsys.readouterr().out.splitlines()
    assert gone == "verdicts 1 to 6 of epoch 000000000005 are gone: retention"
    assert [line.split()[1] for line in lines] == ["7", "8", "9"]


def test_json_is_a_line_each(ask: Ask, stand: Stand, capsys: pytest.CaptureFixture[str]) -> None:
    """For scripts: the answer as it came; of a replay what is gone, and the verdicts."""
    assert ask("trigger", "--json", answer=TRIGGERED) == 0
    assert json.loads(capsys.readouterr().out)["part"] == 41
    assert ask("replay", "--json", answer=page(2, 8, end=True, missing=GONE), payload=records(7, 8)) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("why") or line["seq"] for line in lines] == ["retention", 7, 8]


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_refusal_is_one_line(flags: list[str], ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    """Its code and text go to stderr, nothing to stdout; exit code 5."""
    refused = Refused(version=1, id="", now_us=0, code=Refusal.RECIPE, text="recipe 'x': gate = 2: expected 0.1..0.9")
    assert ask("recipe", "x", *flags, answer=refused) == 5
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == "edge-inspectd ctl: refused (recipe): recipe 'x': gate = 2: expected 0.1..0.9\n"


def test_station_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 5 and the endpoint."""
    assert main(["status", "--control", f"ipc://{tmp_path}/control", "--timeout-s", "0.01"]) == 5
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "does the station run?" in error


@pytest.mark.parametrize(
    ("args", "named"),
    [([], "{status,"), (["dance"], "dance"), (["pause"], "REASON"), (["ledger", "--shifts", "-1"], "--shifts")],
)
def test_wrong_command_line_is_one_line(args: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and what is wrong."""
    assert main(args) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert named in error


def test_help_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Every command with its purpose, and the exit codes."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for part in ("edge-inspectd ctl", "Exit codes", "verify a recipe and make it active", "end a pause"):
        assert part in text
