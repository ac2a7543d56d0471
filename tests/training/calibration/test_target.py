"""What is asked, and when data cannot support it."""

from __future__ import annotations

import pytest

from edge.errors import TargetUnsupported
from training.calibration.target import Target
from training.figures.intervals import rate

ESCAPES = Target(aim="max-escape-rate", at_most=0.01, confidence=0.95)


def test_too_few_parts_are_refused_before_anything_runs() -> None:
    """298 parts cannot prove 1 % at 95 %, 299 can; the line says how many more it takes."""
    with pytest.raises(
        TargetUnsupported, match="has 298 independent bad parts, and even without a miss 299"
    ) as refused:
        ESCAPES.require_provable("test", 298)
    assert "add 1 more" in str(refused.value)
    ESCAPES.require_provable("test", 299)


def test_half_a_percent_takes_598_parts() -> None:
    """The line says what so few parts can prove at best."""
    target = Target(aim="max-escape-rate", at_most=0.005, confidence=0.95)
    with pytest.raises(TargetUnsupported, match="598 are needed") as refused:
        target.require_provable("test", 24)
    assert "add 574 more" in str(refused.value)
    assert "can prove 0.117 at best" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 8


def test_each_miss_takes_more_parts() -> None:
    """One miss in 299 proves 1.58 %; 473 parts with that one miss would prove 1 %."""
    missed = rate([True] + [False] * 298, [str(index) for index in range(299)])
    with pytest.raises(TargetUnsupported, match=r"1 of 299 independent bad parts of split 'test' escape") as refused:
        ESCAPES.require_proven("test", missed)
    assert "at most 0.01577" in str(refused.value)
    assert "it would take 174 more" in str(refused.value)
    ESCAPES.require_proven("test", rate([False] * 299, [str(index) for index in range(299)]))


def test_pictures_of_one_part_prove_nothing_more() -> None:
    """300 pictures of ten parts are ten parts."""
    with pytest.raises(TargetUnsupported, match="0 of 10 independent"):
        ESCAPES.require_proven("test", rate([False] * 300, [str(index % 10) for index in range(300)]))


def test_misses_allowed_while_choosing() -> None:
    """So many that the bound keeps the target; none where even none would prove it."""
    assert [ESCAPES.allowed(groups) for groups in (20, 299, 473)] == [0, 0, 1]
    ESCAPES.require_reached("val", 1, 473)
    with pytest.raises(TargetUnsupported, match="at best 2 of 473 independent bad parts of split 'val' escape, 1 may"):
        ESCAPES.require_reached("val", 2, 473)


def test_overkill_is_about_sound_parts() -> None:
    """The other target speaks of the other parts."""
    target = Target(aim="max-overkill", at_most=0.1, confidence=0.95)
    with pytest.raises(TargetUnsupported, match=r"--max-overkill = 0.1 cannot .* 12 independent sound parts"):
        target.require_provable("test", 12)
