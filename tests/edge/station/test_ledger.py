"""The ledger: it adds up, and when it does not, it says so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from edge.records import Mode, Outcome, Reason
from edge.station.ledger import LEDGER_LINES, Ledger, line_from_verdict, next_shift_us, shift_from_utc

SHIFTS = ("06:00", "14:00", "22:00")


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def counted(*lines: tuple[str, str, int]) -> Ledger:
    return Ledger({(shift, Mode.PRODUCTION, what): n for shift, what, n in lines})


def test_a_row_holds_every_line_of_its_shift() -> None:
    """Unknowns by reason, open as the difference, the lines that are no triggers beside."""
    ledger = counted(("a", "triggers", 10), ("a", "PASS", 5), ("a", "REJECT", 2), ("a", "UNKNOWN:late", 1))
    ledger.add("a", Mode.PRODUCTION, "unseen", 3)
    ledger.add("a", Mode.PRODUCTION, "bounced", 4)
    row = ledger.row("a", Mode.PRODUCTION)
    assert (row.triggers, row.passed, row.rejected, row.unknown, row.open) == (10, 5, 2, {"late": 1}, 2)
    assert (row.unseen, row.bounced) == (3, 4)


def test_the_newest_shifts_come_first_to_last_and_then_the_totals() -> None:
    """Only as many shifts as asked for; for ever counts all of them."""
    ledger = counted(("1", "triggers", 1), ("3", "triggers", 4), ("2", "triggers", 2))
    assert [(row.shift, row.triggers) for row in ledger.rows(2)] == [("2", 2), ("3", 4), ("", 7)]
    assert [row.shift for row in ledger.rows(None)] == ["1", "2", "3", ""]


def test_modes_are_kept_apart() -> None:
    """A challenge part is no product."""
    ledger = counted(("1", "triggers", 1))
    ledger.add("1", Mode.CHALLENGE, "triggers")
    assert [(row.shift, row.mode) for row in ledger.rows(None)] == [
        ("1", Mode.PRODUCTION),
        ("1", Mode.CHALLENGE),
        ("", Mode.PRODUCTION),
        ("", Mode.CHALLENGE),
    ]


@pytest.mark.parametrize(
    ("ledger", "open_parts", "balanced"),
    [
        (counted(("1", "triggers", 3), ("1", "PASS", 2)), 1, True),
        (counted(("1", "triggers", 3), ("1", "PASS", 2)), 0, False),
        (counted(("1", "triggers", 1), ("2", "PASS", 1)), 0, False),
        (Ledger(), 0, True),
    ],
)
def test_it_balances_only_when_every_shift_adds_up(ledger: Ledger, open_parts: int, balanced: bool) -> None:
    """Against the number of open parts that somebody else counted, and with no shift below zero."""
    assert ledger.balanced(open_parts) is balanced


def test_a_line_nobody_knows_is_refused() -> None:
    """So is a shift without a name, which would be counted as the totals."""
    with pytest.raises(ValueError, match="'mistyped'"):
        Ledger().add("1", Mode.PRODUCTION, "mistyped")
    with pytest.raises(ValueError, match="expected a shift"):
        Ledger().add("", Mode.PRODUCTION, "PASS")


def test_every_verdict_has_a_line() -> None:
    """For each outcome and each reason there is."""
    lines = [line_from_verdict(outcome, None) for outcome in (Outcome.PASS, Outcome.REJECT)]
    lines += [line_from_verdict(Outcome.UNKNOWN, reason) for reason in Reason]
    assert set(lines) == {line for line, meaning in LEDGER_LINES.items() if meaning == "verdicts"}


def test_counts_are_given_without_the_totals_and_taken_back() -> None:
    """What is stored is enough to make the same ledger again."""
    ledger = counted(("1", "triggers", 3), ("2", "triggers", 4))
    assert Ledger(ledger.counts()).rows(None) == ledger.rows(None)
    assert sum(ledger.counts().values()) == 7


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("local", "shift"),
    [
        ("2026-11-22T06:00", "2026-11-22T06:00"),
        ("2026-11-22T13:59", "2026-11-22T06:00"),
        ("2026-11-22T14:00", "2026-11-22T14:00"),
        ("2026-11-22T23:30", "2026-11-22T22:00"),
        ("2026-11-23T05:59", "2026-11-22T22:00"),
        ("2027-01-01T00:00", "2026-12-31T22:00"),
    ],
)
def test_a_shift_is_named_by_the_local_time_at_which_it_began(local: str, shift: str) -> None:
    """The night shift began yesterday."""
    utc_us = int(datetime.fromisoformat(local).timestamp() * 1_000_000)
    assert shift_from_utc(utc_us, SHIFTS) == shift


def test_the_order_of_the_settings_does_not_matter() -> None:
    """The latest start that has passed counts."""
    utc_us = int(datetime(2026, 11, 22, 15, 0).timestamp() * 1_000_000)
    assert shift_from_utc(utc_us, ("22:00", "06:00", "14:00")) == "2026-11-22T14:00"


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("local", "begins"),
    [
        ("2026-11-22T06:00", "2026-11-22T14:00"),
        ("2026-11-22T13:59", "2026-11-22T14:00"),
        ("2026-11-22T22:30", "2026-11-23T06:00"),
        ("2026-12-31T23:00", "2027-01-01T06:00"),
        ("2026-10-24T23:00", "2026-10-25T06:00"),  # an hour longer: the clocks go back in that night
    ],
)
def test_the_next_shift_begins_at_its_local_time(local: str, begins: str) -> None:
    """Also over midnight and where the clocks are changed; a moment at which one begins is in it."""
    utc_us, expected = (round(1e6 * datetime.fromisoformat(time).timestamp()) for time in (local, begins))
    assert next_shift_us(utc_us, SHIFTS) == expected
    assert shift_from_utc(expected, SHIFTS) == begins
