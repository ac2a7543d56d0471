"""Measured calls, and whether one more may be started."""

from __future__ import annotations

import pytest

from edge.inspector.pace import WINDOW, PacedEngine
from tests.support.engines import Classifier, Clock


class Bench:
    """An engine of batch sizes 1 and 4 whose calls take what the test says."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.engine = Classifier(4)
        self.paced = PacedEngine(self.engine, self.clock)
        answers = self.engine.answers
        self.took_us = 0

        def slowly(tiles):  # type: ignore[no-untyped-def]
            self.clock.us += self.took_us
            return answers(tiles)

        self.engine.answers = slowly  # type: ignore[method-assign]

    def call(self, n: int, took_us: int, times: int = 1) -> None:
        self.took_us = took_us
        for _ in range(times):
            self.paced.run(n)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_percentile_is_of_each_batch_size(bench: Bench) -> None:
    """Two rows need the batch of four; one row has figures of its own."""
    bench.call(1, 10)
    bench.call(2, 40)
    assert [bench.paced.p99_us(n) for n in (1, 2, 4)] == [10, 40, 40]


@pytest.mark.parametrize("calls", [2, 3, 50, 150])
def test_one_stall_is_not_believed(bench: Bench, calls: int) -> None:
    """With however few calls: the slowest one is left out, the second slowest is not."""
    bench.call(1, 10, times=calls - 1)
    bench.call(1, 90)
    assert bench.paced.p99_us(1) == 10
    bench.call(1, 80)
    assert bench.paced.p99_us(1) == 80


def test_the_window_forgets(bench: Bench) -> None:
    """Two outliers of 200 are left out, three are not, and all of them fall out of the window."""
    bench.call(1, 10, times=WINDOW)
    bench.call(1, 90, times=2)
    assert bench.paced.p99_us(1) == 10
    bench.call(1, 90)
    assert bench.paced.p99_us(1) == 90
    bench.call(1, 20, times=WINDOW)
    assert bench.paced.p99_us(1) == 20


def test_rows_that_fit(bench: Bench) -> None:
    """The largest batch that ends in time, never more rows than wanted, none when not even one does."""
    bench.call(1, 10)
    bench.call(4, 30)
    assert [bench.paced.rows_in(left, 7) for left in (30, 29, 10, 9, 0, -5)] == [4, 1, 1, 0, 0, 0]
    assert bench.paced.rows_in(30, 3) == 3


def test_a_size_that_is_always_refused_is_tried_again(bench: Bench) -> None:
    """A machine that once was slow is measured anew, and refuses no more when it is fast."""
    bench.call(1, 10)
    bench.call(4, 1000, times=WINDOW)
    given = [bench.paced.rows_in(100, 4) for _ in range(6)]
    assert given == [1] * 5 + [4]
    bench.call(4, 30, times=WINDOW)
    assert bench.paced.rows_in(100, 4) == 4


def test_after_its_time_nothing_is_tried(bench: Bench) -> None:
    """However often it was refused: a deadline that has passed is no occasion."""
    bench.call(1, 10)
    assert {bench.paced.rows_in(0, 1) for _ in range(50)} == {0}


def test_warm_up_measures_every_size_but_not_its_first_call(bench: Bench) -> None:
    """The first call of each size is slow for reasons that do not come again."""
    answers = bench.engine.answers
    first = {1, 4}

    def cold(tiles):  # type: ignore[no-untyped-def]
        bench.took_us = 5000 if len(tiles) in first else 20
        first.discard(len(tiles))
        return answers(tiles)

    bench.engine.answers = cold  # type: ignore[method-assign]
    bench.paced.warm_up()
    assert [bench.paced.p99_us(n) for n in (1, 4)] == [20, 20]
