"""What is wrong with the journal: told once when it begins and when it ends, each time with a word to the loop."""

from __future__ import annotations

import logging
import select
from collections.abc import Iterator

import pytest

from edge.station.trouble import Troubles


@pytest.fixture
def troubles() -> Iterator[Troubles]:
    made = Troubles()
    yield made
    made.close()


def woken(troubles: Troubles) -> bool:
    poller = select.poll()
    poller.register(troubles.fd, select.POLLIN)
    found = bool(poller.poll(0))
    troubles.acknowledge()
    return found


def test_a_change_is_told_and_a_repetition_is_not(troubles: Troubles, caplog: pytest.LogCaptureFixture) -> None:
    """A disk that fails twice a second must not fill the log, nor wake the loop."""
    with caplog.at_level(logging.INFO):
        for trouble in ("full", "full", "broken", "", ""):
            troubles.tell("write", trouble)
            assert woken(troubles) == (len(caplog.records) > 0)
            caplog.clear()
        assert str(troubles) == ""


def test_all_that_is_wrong_stands_in_one_line(troubles: Troubles) -> None:
    """By work, the oldest first; a work that is not troubled has none."""
    troubles.tell("write", "full")
    troubles.tell("read", "gone")
    assert str(troubles) == "full; gone"
    assert (troubles["write"], troubles["upkeep"]) == ("full", "")


def test_acknowledging_what_was_not_said_is_no_fault(troubles: Troubles) -> None:
    """The loop looks after every wake-up, whoever caused it."""
    troubles.acknowledge()
    assert not woken(troubles)
