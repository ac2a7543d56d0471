"""What may hang on the way to the end of a station is bounded, and the bounds add up to less than what is promised."""

from __future__ import annotations

from edge.station import daemon, journal, log, loop, supervisor, trials
from tests.support.station import Bench

PROMISED_S = 5.0


def test_the_bounds_add_up_to_less_than_five_seconds() -> None:
    """Engines, a trial, the last commits, dying processes, slow readers, the journal, the log: each at its worst."""
    bounds_s = (
        loop._STOP_LIMIT_US / 1e6,
        trials._DEATH_S,
        loop._LAST_COMMITS_US / 1e6,
        supervisor._DEATH_S,
        daemon._LINGER_MS / 1e3,
        journal._CLOSE_S,
        2 * log._LAST_LINES_S,
    )
    assert sum(bounds_s) < PROMISED_S
    # Whoever did not end in the loop's time is not waited for again.
    assert supervisor._SEE_OFF_S <= loop._STOP_LIMIT_US / 1e6


def test_a_stop_does_not_wait_for_engines_that_hang() -> None:
    """The loop ends at its limit, with every part answered, though the inspector never does."""
    bench = Bench(trigger="software")
    bench.get_ready()
    bench.ask(bench.trigger("1"))
    bench.loop.stop_requested = True
    began_us = bench.clock.us
    while not bench.loop._finished():
        bench.after(100)
    assert bench.clock.us - began_us <= loop._STOP_LIMIT_US + 200_000
    bench.loop._end()
    assert [verdict.reason for verdict in bench.publisher.verdicts if verdict.reason is not None]
    assert bench.publisher.statuses[-1].state == "stopped"
