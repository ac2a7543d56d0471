"""Log lines carry their priority where systemd's journal reads them, and nowhere else."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from edge.logline import LineFormatter, journal_reads, prefix_of


def _record(level: int, text: str) -> logging.LogRecord:
    return logging.LogRecord("edge", level, "", 0, text, None, None)


def _journal_is_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    status = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")


@pytest.mark.parametrize(
    ("level", "prefix"),
    [(logging.CRITICAL, "<2>"), (logging.ERROR, "<3>"), (logging.WARNING, "<4>"), (logging.INFO, "<6>"), (5, "<7>")],
)
def test_the_journal_is_told_the_priority(monkeypatch: pytest.MonkeyPatch, level: int, prefix: str) -> None:
    """As syslog numbers them."""
    _journal_is_standard_error(monkeypatch)
    assert prefix_of(level) == prefix


@pytest.mark.parametrize("stream", [None, "", "1:2", "nonsense"])
def test_a_person_sees_no_numbers(monkeypatch: pytest.MonkeyPatch, stream: str | None) -> None:
    """Standard error is not the stream that the journal opened, or there is none."""
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    if stream is not None:
        monkeypatch.setenv("JOURNAL_STREAM", stream)
    assert not journal_reads()
    assert LineFormatter("edge-inspectd").format(_record(logging.ERROR, "no")) == "edge-inspectd: no"


def test_each_line_of_a_message_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal takes every line for a message of its own."""
    _journal_is_standard_error(monkeypatch)
    told = LineFormatter("edge-inspector").format(_record(logging.ERROR, "one\ntwo"))
    assert told == "<3>edge-inspector: one\n<3>edge-inspector: two"


def test_without_standard_error_nothing_fails() -> None:
    """A process whose descriptor 2 is closed has nobody to tell."""
    code = "import os; os.close(2); from edge.logline import journal_reads; raise SystemExit(int(journal_reads()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
