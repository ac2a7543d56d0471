"""The witness's judge: it finds each fault that it is there to find, and nothing else."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge.records import LedgerRow, Mode, Outcome, Reason, Verdict
from edge.requests import LedgerAnswer
from tests.qualify.judgement import Judgement, judge, lives_from_file, triggers_from_file
from tests.support.records import verdict


def _verdicts(count: int, epoch: int = 1) -> list[Verdict]:
    return [verdict(seq, epoch=epoch, part=seq, part_id=f"part-{seq}", journaled=True) for seq in range(1, count + 1)]


def _ledger(triggers: int, passed: int) -> LedgerAnswer:
    row = LedgerRow(
        shift="",
        mode=Mode.PRODUCTION,
        triggers=triggers,
        passed=passed,
        rejected=0,
        unknown={},
        open=0,
        unseen=0,
        bounced=0,
        refused=0,
    )
    return LedgerAnswer(version=1, id="1", now_us=0, rows=(row,), independent=())


def _judged(tmp_path: Path, journal: list[Verdict], consumed: list[object], sent: int = 3) -> Judgement:
    """Judge *sent* acknowledged triggers, this journal, and these lines of the consumer."""
    triggers = [line for n in range(1, sent + 1) for line in (f"T part-{n}\n", f"A part-{n} {n} 1\n")]
    (tmp_path / "triggers").write_text("".join(triggers))
    (tmp_path / "consumed").write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in consumed))
    files = triggers_from_file(tmp_path / "triggers"), lives_from_file(tmp_path / "consumed")
    return judge(*files, journal, _ledger(len(journal), len(journal)))


def _got(*verdicts: Verdict) -> list[object]:
    return [("got", one) for one in verdicts]


def test_all_is_well(tmp_path: Path) -> None:
    """Each trigger has its verdict in the journal and at the consumer: nothing is broken."""
    of = _verdicts(3)
    judged = _judged(tmp_path, of, [("begin",), *_got(*of)])
    assert judged.broken == []
    assert (judged.triggers, judged.verdicts) == (3, 3)


def test_a_lost_verdict_is_found(tmp_path: Path) -> None:
    """An acknowledged trigger without a verdict is lost."""
    of = _verdicts(2)
    assert _judged(tmp_path, of, [("begin",), *_got(*of)]).lost == 2, "once in the journal, once at the consumer"


def test_a_verdict_that_never_reached_the_consumer_is_found(tmp_path: Path) -> None:
    """A verdict in the journal that the consumer never got is lost, and its place is a hole."""
    of = _verdicts(3)
    judged = _judged(tmp_path, of, [("begin",), *_got(of[0], of[2])])
    assert (judged.lost, judged.disordered) == (2, 1)


def test_two_verdicts_of_a_part_are_found(tmp_path: Path) -> None:
    """A part with two verdicts in the journal counts, by its number and by its name."""
    of = [*_verdicts(3), verdict(4, epoch=1, part=3, part_id="part-3", journaled=True)]
    assert _judged(tmp_path, of, [("begin",), *_got(*of)]).twice == 2


@pytest.mark.parametrize(("acked", "repeated"), [(True, 1), (False, 0)])
def test_only_what_was_acknowledged_must_not_come_again(tmp_path: Path, acked: bool, repeated: int) -> None:
    """After a kill the consumer may get again what it had not acknowledged, and nothing else."""
    of = _verdicts(3)
    lines = [("begin",), *_got(of[0]), *([("acked", 1, 1)] if acked else []), ("begin",), *_got(*of)]
    assert _judged(tmp_path, of, lines).repeated == repeated


def test_a_lost_frame_is_found(tmp_path: Path) -> None:
    """A number missing among a camera's frames is a fault, unless its part was answered after the restart."""
    view = verdict(1).views[0]
    views = [(msgspec.structs.replace(view, frame=frame),) for frame in (1, 2, 4)]
    of = [
        verdict(seq, epoch=1, part=seq, part_id=None, journaled=True, views=seen)
        for seq, seen in enumerate(views, start=1)
    ]
    restart = verdict(
        4, epoch=2, part=4, part_id=None, journaled=True, outcome=Outcome.UNKNOWN, reason=Reason.RESTART, views=()
    )
    assert _judged(tmp_path, of, [("begin",), *_got(*of)], sent=0).frames_lost == 1
    assert _judged(tmp_path, [*of, restart], [("begin",), *_got(*of, restart)], sent=0).frames_lost == 0


def test_a_camera_may_count_anew_after_a_stop(tmp_path: Path) -> None:
    """Within one epoch, from one again; a number that comes twice in one count stays a fault."""
    view = verdict(1).views[0]

    def lost(*frames: int) -> int:
        of = [
            verdict(seq, epoch=1, part=seq, journaled=True, views=(msgspec.structs.replace(view, frame=frame),))
            for seq, frame in enumerate(frames, start=1)
        ]
        return _judged(tmp_path, of, [("begin",), *_got(*of)], sent=0).frames_lost

    assert lost(1, 2, 3, 1, 2) == 0
    assert lost(1, 2, 3, 1, 3) == 1
    assert lost(5, 6, 6) == 1


def test_an_unjournaled_verdict_may_be_superseded(tmp_path: Path) -> None:
    """A verdict that said it was not journaled and went with a kill is counted, and is no fault."""
    of = _verdicts(3)
    gone = verdict(3, epoch=9, part=3, part_id="part-3", journaled=False)
    judged = _judged(tmp_path, of, [("begin",), *_got(of[0], of[1], gone), *_got(of[2])])
    assert (judged.superseded, judged.broken) == (1, [])


def test_a_ledger_that_does_not_add_up_is_found(tmp_path: Path) -> None:
    """The ledger's rows must balance, and agree with the journal."""
    of = _verdicts(3)
    (tmp_path / "none").write_bytes(b"")
    none = triggers_from_file(tmp_path / "none"), lives_from_file(tmp_path / "none")
    assert "4 triggers" in judge(*none, of, _ledger(4, 3)).ledger
    assert "2 answered" in judge(*none, of, _ledger(2, 2)).ledger
