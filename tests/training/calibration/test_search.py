"""The search for values, on answers whose optimum is known."""

from __future__ import annotations

from tests.support.recordings import SHAPE, one_tile, recipe
from training.calibration.recording import Recording
from training.calibration.replay import Replay
from training.calibration.search import Choice, Judge, search
from training.calibration.target import Aim, Target


def judge(recordings: list[Recording], aim: Aim = "max-escape-rate", at_most: float = 0.1) -> Judge:
    return Judge(Replay(recordings, SHAPE), Target(aim=aim, at_most=at_most, confidence=0.95))


def found(recordings: list[Recording], aim: Aim = "max-escape-rate", at_most: float = 0.1) -> Choice:
    bad = sum(bool(recording.class_id) for recording in recordings)
    return search(judge(recordings, aim, at_most), recipe(), (bad, len(recordings) - bad))


def bad(count: int, *, score: float = 0.9, probability: float = 0.9, area_px: int = 60) -> list[Recording]:
    return [one_tile(f"bad{i}", 1, score=score, probability=probability, area_px=area_px) for i in range(count)]


def sound(count: int, *, score: float, probability: float = 0.9, area_px: int = 60) -> list[Recording]:
    return [one_tile(f"sound{i}", 0, score=score, probability=probability, area_px=area_px) for i in range(count)]


def test_the_gate_is_put_between_both() -> None:
    """Bad parts at 0.45, sound ones at 0.015, alike to the segmenter: the gate is midway, on the grid's own scale."""
    choice = found(bad(5, score=0.45) + sound(5, score=0.015))
    assert (choice.tally.escapes, choice.tally.overkill) == (0, 0)
    assert choice.recipe.classes[0].gate in (0.05, 0.1)


def test_the_area_tells_what_the_gate_cannot() -> None:
    """Sound parts that look like bad ones but for their size are told by the smallest area."""
    choice = found(bad(5, area_px=160) + sound(5, score=0.9, area_px=15))
    assert (choice.tally.escapes, choice.tally.overkill) == (0, 0)
    assert 15 < choice.recipe.classes[0].min_area_px <= 160


def test_the_peak_tells_what_the_area_cannot() -> None:
    """A certain pixel in each bad part: the smallest peak parts them, without losing the marks around it."""
    certain = bad(5, probability=0.45)
    for recording in certain:
        recording.cores[0][0, 0, 0] = 0.97
    choice = found(certain + sound(5, score=0.9, probability=0.6))
    assert (choice.tally.escapes, choice.tally.overkill) == (0, 0)
    assert choice.recipe.classes[0].min_peak > 0.6 or choice.recipe.classes[0].threshold > 0.6


def test_no_escape_is_bought_with_overkill() -> None:
    """Where the two cannot be told apart, the target decides: all sound parts like the worst bad one are rejected."""
    parts = [*bad(8), one_tile("faint", 1, score=0.3, probability=0.9, area_px=60), *sound(4, score=0.35)]
    choice = found(parts)
    assert (choice.tally.escapes, choice.tally.overkill) == (0, 4)


def test_no_overkill_is_bought_with_escapes() -> None:
    """The other target gives up the faint part instead, and only that one."""
    parts = [*bad(8), one_tile("faint", 1, score=0.3, probability=0.9, area_px=60), *sound(4, score=0.35)]
    choice = found(parts, "max-overkill")
    assert (choice.tally.escapes, choice.tally.overkill) == (1, 0)


def test_a_class_without_parts_keeps_its_values() -> None:
    """Nothing is known of cracks here: switching them off would cost nothing, and is not done."""
    choice = found([*bad(5), one_tile("s", 0, score=0.9, probability=0.9, area_px=60, seen_as=2)])
    assert choice.recipe.classes[1] == recipe().classes[1]
    assert choice.tally.overkill == 1


def test_groups_are_missed_not_pictures() -> None:
    """Three pictures of one part that all pass are one miss."""
    faint = [one_tile(f"p{i}", 1, score=0.0, probability=0.9, area_px=60, group="one") for i in range(3)]
    the_judge = judge(faint + bad(3) + sound(1, score=0.1))
    tally = the_judge.tally(recipe())
    assert (tally.escapes, tally.escaped_groups) == (3, 1)
    assert the_judge.misses(tally) == (1, 4)
    assert not the_judge.keeps(tally)


def test_the_search_is_deterministic_and_keeps_what_it_tried() -> None:
    """The same answers give the same choice; every common setting stands in the trade-off."""
    parts = bad(5, score=0.6) + sound(5, score=0.3)
    first, second = found(parts), found(parts)
    assert first == second
    assert len(first.tried) == 19 * 12
    open_, closed = first.tried[0], first.tried[-1]
    assert (open_.escape_rate, open_.overkill_rate) == (0.0, 1.0)
    assert (closed.escape_rate, closed.overkill_rate) == (1.0, 0.0)
