"""What the inspector says, what it is told, how it is replaced: played on the loop."""

from __future__ import annotations

import logging

import pytest

from edge.errors import BundleError, CameraError, DeviceLost
from edge.inspector.link import Begin, Failed
from edge.records import Outcome, Reason
from edge.station.publisher import Topics
from tests.support.parts import answers
from tests.support.station import Bench


def test_a_dead_inspector_is_answered_for_and_replaced() -> None:
    """Parts in its hands are UNKNOWN(engine) at once; the next inspector goes on in the same sequence, one frame on."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1), bench.captured(2))
    bench.hear(bench.result(1))
    bench.supervisor.die(-9)
    bench.loop.cycle()
    assert answers(bench) == [(1, Outcome.PASS, None), (2, Outcome.UNKNOWN, Reason.ENGINE)]
    assert not bench.publisher.statuses[-1].ready
    bench.get_ready()
    assert bench.publisher.statuses[-1].ready
    assert bench.supervisor.resumed == [{}, {"cam1": 3}]
    bench.hear(bench.captured(3))
    bench.hear(bench.result(3, Outcome.REJECT))
    assert [(v.epoch, v.seq) for v in bench.publisher.verdicts] == [(77, 1), (77, 2), (77, 3)]


def test_a_message_of_an_older_inspector_is_dropped() -> None:
    """What a dead inspector had said is not taken for its successor's word."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    stale = bench.result(2)
    bench.supervisor.die(-9)
    bench.loop.cycle()
    bench.get_ready()
    bench.hear(bench.captured(2))
    bench.hear(stale)
    assert answers(bench) == [(1, Outcome.UNKNOWN, Reason.ENGINE)]


def test_a_silent_inspector_is_killed() -> None:
    """An inspector that completes no cycle for hang_s is replaced; until then its parts are late, not lost."""
    bench = Bench(hang_s=1.0)
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.after(1100)
    assert bench.supervisor.killed
    assert answers(bench) == [(1, Outcome.UNKNOWN, Reason.LATE)]


def test_the_log_says_which_recipe_an_inspector_works_with(caplog: pytest.LogCaptureFixture) -> None:
    """Name and hash, so that a restart by night can be told from a change."""
    bench = Bench()
    with caplog.at_level(logging.INFO):
        bench.get_ready()
    assert f"inspector 1: stand-in; recipe 'station' ({'r' * 12}); parity: stand-in; load 1 ms" in caplog.text


def test_nothing_begins_before_the_first_subscriber() -> None:
    """With replay.start = first-subscriber, frames are taken when somebody listens to verdicts, not to masks."""
    bench = Bench(replay={"start": "first-subscriber"})
    bench.get_ready()
    bench.publisher.topics = Topics([b"status/", b"verdict/line10/"], [b"mask/", b""])
    bench.loop.cycle()
    assert not [o for o in bench.supervisor.orders if isinstance(o, Begin)]
    bench.publisher.topics = Topics([b"verdict/"], [])
    bench.loop.cycle()
    assert len([o for o in bench.supervisor.orders if isinstance(o, Begin)]) == 1


def test_a_failed_camera_withdraws_ready_and_gives_it_back() -> None:
    """Ready means that every camera is open; the loss is told on the audit topic."""
    bench = Bench(cameras=("cam1", "cam2"))
    bench.get_ready()
    bench.hear(bench.camera("cam2", "failed", "unplugged"))
    assert bench.publisher.statuses[-1].state == "degraded"
    assert [a.event for a in bench.publisher.audits] == ["camera_lost"]
    bench.hear(bench.camera("cam2", "open"))
    assert bench.publisher.statuses[-1].ready


@pytest.mark.parametrize(("code", "kind"), [(3, BundleError), (4, CameraError), (7, DeviceLost)])
def test_a_required_start_ends_with_the_fault(code: int, kind: type[Exception]) -> None:
    """With start = require, what the first inspector could not do ends the station, in the inspector's words."""
    bench = Bench()
    bench.loop.cycle()
    with pytest.raises(kind, match="as told"):
        bench.hear(Failed(inspector=1, exit_code=code, text="as told", blames_bundle=code == 3))


def test_a_waiting_start_goes_on_trying() -> None:
    """With start = wait the station stays up, says why it is not ready, and starts the next inspector."""
    bench = Bench(start="wait")
    bench.loop.cycle()
    bench.hear(Failed(inspector=1, exit_code=3, text="as told", blames_bundle=True))
    bench.supervisor.die(3)
    bench.loop.cycle()
    bench.get_ready()
    assert bench.supervisor.number == 2
    assert bench.publisher.statuses[-1].ready


def test_what_a_dead_inspector_had_reported_is_still_heard() -> None:
    """A frame and a result that were on their way when it died are a part and its verdict, not lost."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.supervisor.inbox.extend([bench.result(1, Outcome.REJECT), bench.captured(2)])
    for _ in range(300):  # More than several cycles read.
        bench.supervisor.inbox.appendleft(bench.camera("cam1", "open"))
    bench.supervisor.die(-9)
    bench.loop.cycle()
    assert answers(bench) == [(1, Outcome.REJECT, None), (2, Outcome.UNKNOWN, Reason.ENGINE)]


def test_verdicts_of_a_dead_inspector_still_name_bundle_and_recipe() -> None:
    """A part was to be inspected with them, whatever became of the inspector."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.supervisor.die(-9)
    bench.loop.cycle()
    assert bench.publisher.verdicts[0].bundle_hash == "b" * 64
    recipe = bench.publisher.verdicts[0].recipe
    assert recipe is not None
    assert (recipe.name, recipe.hash) == ("station", "r" * 64)


def test_numbers_of_two_inspectors_are_not_compared() -> None:
    """A camera with a counter of its own goes on counting while no inspector runs: that is no gap we can answer."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1), bench.result(1))
    bench.supervisor.die(-9)
    bench.loop.cycle()
    bench.get_ready()
    bench.hear(bench.captured(50))
    assert len(bench.publisher.verdicts) == 1


def test_no_camera_begins_before_all_are_open() -> None:
    """Else a start that is required and fails would leave parts behind."""
    bench = Bench(cameras=("cam1", "cam2"))
    bench.loop.cycle()
    bench.hear(bench.ready(), bench.camera("cam1", "open"))
    assert not [o for o in bench.supervisor.orders if isinstance(o, Begin)]
    bench.hear(bench.camera("cam2", "open"))
    assert len([o for o in bench.supervisor.orders if isinstance(o, Begin)]) == 1


def test_a_lost_camera_does_not_hold_up_the_others_after_a_restart() -> None:
    """The second inspector begins as soon as it is proven."""
    bench = Bench(cameras=("cam1", "cam2"))
    bench.get_ready()
    bench.supervisor.die(-9)
    bench.loop.cycle()
    bench.loop.cycle()
    bench.hear(bench.ready(), bench.camera("cam1", "open"), bench.camera("cam2", "failed", "unplugged"))
    assert len([o for o in bench.supervisor.orders if isinstance(o, Begin)]) == 2
    assert not bench.publisher.statuses[-1].ready


def test_the_inspectors_own_reason_is_told_not_its_exit_code() -> None:
    """With start = wait the status keeps the line that says what to mend."""
    bench = Bench(start="wait")
    bench.loop.cycle()
    bench.hear(Failed(inspector=1, exit_code=3, text="as told", blames_bundle=True))
    bench.supervisor.die(3)
    bench.supervisor.start_at_us = None
    bench.loop.cycle()
    assert bench.publisher.statuses[-1].detail == "as told"


def test_parts_that_passed_while_a_camera_was_closed_are_unseen() -> None:
    """Its own count went on: three parts without a verdict, in the ledger and on the audit topic."""
    bench = Bench()
    bench.get_ready()
    bench.hear(bench.captured(1))
    bench.hear(bench.camera("cam1", "failed", "unplugged"), bench.camera("cam1", "open", counts=True))
    bench.hear(bench.captured(5, open_no=2))
    [row] = bench.journal.ledger.rows(0)
    assert (row.triggers, row.unseen) == (2, 3)
    assert [a.event.value for a in bench.publisher.audits] == ["camera_lost", "unseen"]
