"""Parts that are announced: the next that a camera sees by itself has the mode and name that were said."""

from __future__ import annotations

from typing import Any

import pytest

from edge.records import Mode, Outcome, Reason
from edge.requests import AnyAnswer, Expect, Pause, Refusal, Refused, Triggered
from tests.support.station import Bench


def expect(
    id_: str,
    part_id: str | None = "bad-1@1",
    mode: Mode = Mode.CHALLENGE,
    seconds: float = 60.0,
    camera: str | None = None,
) -> Expect:
    return Expect(version=1, id=id_, part_id=part_id, mode=mode, camera=camera, seconds=seconds)


def ready(**settings: Any) -> Bench:
    bench = Bench(**settings)
    bench.get_ready()
    return bench


def code(answer: AnyAnswer) -> Refusal:
    assert isinstance(answer, Refused), answer
    return answer.code


def test_the_next_part_is_the_one_that_was_announced() -> None:
    """Answered as a trigger is when it has come; the part after it is a product again."""
    bench = ready()
    bench.hear(bench.captured(1))
    assert bench.ask(expect("a")) == []
    bench.after(50)
    bench.hear(bench.captured(2))
    bench.hear(bench.captured(3))
    [answer] = bench.control.answers
    assert isinstance(answer, Triggered)
    assert (answer.part, answer.trigger_us) == (2, bench.clock.now_us())
    for part in (1, 2, 3):
        bench.hear(bench.result(part))
    said = [(v.part, v.mode, v.part_id, v.outcome) for v in bench.publisher.verdicts]
    assert said == [
        (1, Mode.PRODUCTION, None, Outcome.PASS),
        (2, Mode.CHALLENGE, "bad-1@1", Outcome.PASS),
        (3, Mode.PRODUCTION, None, Outcome.PASS),
    ]


def test_a_picture_from_before_is_of_another_part() -> None:
    """What was taken before it was said, and reported after, was no master."""
    bench = ready()
    bench.ask(expect("a"))
    bench.after(5)
    bench.hear(bench.captured(1, age_ms=20))
    assert bench.control.answers == []
    bench.hear(bench.captured(2, age_ms=1))
    assert [type(answer) for answer in bench.control.answers] == [Triggered]


def said(bench: Bench) -> list[tuple[int, Mode, Outcome, Reason | None]]:
    return [(v.part, v.mode, v.outcome, v.reason) for v in bench.publisher.verdicts]


def test_a_lost_frame_may_have_been_the_announced_one() -> None:
    """Whether it passed before or after that was said is not known, so neither is which one came: show it again."""
    bench = ready()
    bench.hear(bench.captured(1))
    bench.hear(bench.result(1))
    bench.after(5)
    bench.ask(expect("a"))
    bench.after(5)
    bench.hear(bench.captured(3))
    bench.hear(bench.result(3))
    [refused] = bench.control.answers
    assert isinstance(refused, Refused)
    assert (refused.code, "a frame before this one was lost" in refused.text) == (Refusal.NO_PART, True)
    assert said(bench)[1:] == [
        (2, Mode.PRODUCTION, Outcome.UNKNOWN, Reason.MISSED),
        (3, Mode.PRODUCTION, Outcome.UNKNOWN, Reason.CAMERA),
    ]
    bench.hear(bench.captured(4))
    bench.hear(bench.result(4))
    assert said(bench)[-1] == (4, Mode.PRODUCTION, Outcome.PASS, None), "nothing is expected any more"


def test_a_frame_lost_before_that_one_was_taken_is_of_no_concern() -> None:
    """A gap that ends before the part was announced."""
    bench = ready()
    bench.hear(bench.captured(1))
    bench.ask(expect("a"))
    bench.after(5)
    bench.hear(bench.captured(3, age_ms=20))
    assert bench.control.answers == []
    bench.hear(bench.captured(4))
    assert isinstance(bench.control.answers[0], Triggered)


def test_a_camera_that_was_opened_again_may_have_missed_it() -> None:
    """So may one whose numbers jumped, and a part whose trigger was taken for a bounce: each is to be shown again."""
    bench = ready(parts={"debounce_ms": 20})
    bench.ask(expect("a"))
    bench.hear(bench.camera("cam1", "failed"), bench.camera("cam1", "open"), bench.captured(1, open_no=2))
    bench.after(50)
    bench.ask(expect("b", "bad-1@2"))
    bench.hear(bench.captured(5000, open_no=2))
    bench.after(50)
    bench.hear(bench.captured(5001, open_no=2))
    bench.ask(expect("c", "bad-1@3"))
    bench.after(1)
    bench.hear(bench.captured(5002, open_no=2))
    assert [code(answer) for answer in bench.control.answers] == [Refusal.NO_PART] * 3
    for part in (1, 2, 3):
        bench.hear(bench.result(part))
    assert {mode for _, mode, _, _ in said(bench)} == {Mode.PRODUCTION}


def test_a_product_before_another_camera_is_not_the_announced_part() -> None:
    """Each camera sees parts of its own: which one the master lies before has to be said."""
    bench = ready(cameras=("cam1", "cam2"))
    assert [code(answer) for answer in bench.ask(expect("a"))] == [Refusal.UNKNOWN_CAMERA]
    assert [code(answer) for answer in bench.ask(expect("b", camera="cam9"))] == [Refusal.UNKNOWN_CAMERA]
    assert bench.ask(expect("c", camera="cam1")) == []
    bench.after(5)
    bench.hear(bench.captured(1, camera="cam2"))
    bench.hear(bench.captured(1))
    bench.hear(bench.result(1, camera="cam2"), bench.result(2))
    assert [(v.part, v.views[0].camera, v.mode) for v in bench.publisher.verdicts] == [
        (1, "cam2", Mode.PRODUCTION),
        (2, "cam1", Mode.CHALLENGE),
    ]


def test_a_part_is_expected_as_long_as_somebody_asks() -> None:
    """Who was killed, or lost the network, leaves nothing behind that takes a product for the part."""
    bench = ready(hang_s=1e6)
    bench.control.heard["a"] = bench.clock.us
    bench.ask(expect("a"))
    bench.after(4000)
    bench.control.heard["a"] = bench.clock.us
    bench.after(4000)
    assert bench.control.answers == []
    assert bench.dues[-1] <= bench.control.heard["a"] + 5_000_000
    bench.after(1000)
    assert [code(answer) for answer in bench.control.answers] == [Refusal.NO_PART]
    bench.hear(bench.captured(1))
    bench.hear(bench.result(1))
    assert said(bench) == [(1, Mode.PRODUCTION, Outcome.PASS, None)]


def test_views_of_one_part_are_announced_once() -> None:
    """The first view opens it; the second joins it."""
    bench = ready(cameras=("cam1", "cam2"), parts={"join": "tag"})
    bench.ask(expect("a", mode=Mode.GAUGE))
    bench.after(1)
    bench.hear(bench.captured(1, camera="cam2", tag=5), bench.captured(1, tag=5), bench.captured(2, tag=6))
    bench.hear(bench.result(1), bench.result(1, camera="cam2"))
    assert [(v.part, v.mode) for v in bench.publisher.verdicts] == [(1, Mode.GAUGE)]
    assert len(bench.control.answers) == 1


def test_a_part_that_does_not_come_is_not_expected_for_ever() -> None:
    """After its time, or when that is asked for, the next part is a product; each request has its answer."""
    bench = ready()
    bench.ask(expect("a", seconds=2.0))
    bench.after(1999)
    assert bench.control.answers == []
    assert bench.dues[-1] <= bench.clock.us + 1000
    bench.after(1)
    assert [code(answer) for answer in bench.control.answers] == [Refusal.NO_PART]
    bench.ask(expect("b"))
    assert [code(answer) for answer in bench.ask(expect("c", None, seconds=0))] == [Refusal.NO_PART] * 2
    bench.hear(bench.captured(1))
    bench.hear(bench.result(1))
    assert bench.publisher.verdicts[0].mode is Mode.PRODUCTION


def test_what_cannot_be_expected_is_refused() -> None:
    """Two at a time, a name that was used, a line that is paused or has no such camera."""
    bench = ready()
    bench.ask(expect("a"))
    assert [code(answer) for answer in bench.ask(expect("b", "bad-1@2"))] == [Refusal.BUSY]
    bench.after(1)
    bench.hear(bench.captured(1))
    assert [code(answer) for answer in bench.ask(expect("c"))] == [Refusal.PART_ID_USED]
    bench.ask(Pause(version=1, id="p", role="fitter", reason="belt", minutes=1))
    [answer] = bench.ask(expect("d", "bad-1@3"))
    assert isinstance(answer, Refused)
    assert (answer.code, "paused by fitter" in answer.text) == (Refusal.NOT_READY, True)
    fired = ready(trigger="software")
    assert [code(answer) for answer in fired.ask(expect("e"))] == [Refusal.NO_PART]
    starting = Bench()
    assert [code(answer) for answer in starting.ask(expect("f"))] == [Refusal.NOT_READY]


def test_the_end_of_the_station_is_an_answer() -> None:
    """Who waits is told; and nobody is expected any more."""
    bench = ready()
    bench.ask(expect("a"))
    bench.loop.stop_requested = True
    bench.loop.cycle()
    assert [code(answer) for answer in bench.ask(expect("b"))] == [Refusal.STOPPING]
    bench.loop._end()
    assert [code(answer) for answer in bench.control.answers] == [Refusal.STOPPING] * 2


@pytest.mark.parametrize("mode", [Mode.PRODUCTION, Mode.PAUSED, Mode.SIMULATED])
def test_only_what_is_no_product_can_be_announced(mode: Mode) -> None:
    """It cannot be made, and one from outside is malformed."""
    with pytest.raises(ValueError, match=rf"mode = {mode.value}: expected one of challenge, gauge"):
        expect("a", mode=mode)
