"""What processes of their own write down about a station: a generator, a consumer; and whether their books agree."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from edge.control import Requester, new_id
from edge.records import Verdict
from edge.requests import AskStatus, Ledger, LedgerAnswer, Replay, StatusAnswer
from tests.qualify.judgement import Judgement, Triggers, judge, lives_from_file, triggers_from_file
from tests.qualify.process import StationProcess
from tests.qualify.report import REPOSITORY

_PATIENCE_S = 60.0


class Books:
    """
    A generator that forgets no trigger and a consumer that writes before it acknowledges, beside one station.

    Args:
        folder: their files are ``triggers`` and ``consumed`` in it.
    """

    def __init__(self, station: StationProcess, folder: Path) -> None:
        self._station = station
        self._triggers, self._consumed = folder / "triggers", folder / "consumed"
        self._consumer: subprocess.Popen[bytes] | None = None

    def start_consumer(self) -> None:
        self._consumer = _started("consumer", self._station.results, self._station.control, str(self._consumed))

    def kill_consumer(self) -> None:
        """Kill it if it runs."""
        if self._consumer is not None:
            self._consumer.kill()
            self._consumer.wait()

    def require_consumer(self) -> None:
        """
        Raises:
            RuntimeError: the consumer has ended by itself.
        """
        code = None if self._consumer is None else self._consumer.poll()
        if code is not None:
            raise RuntimeError(f"the consumer ended by itself with code {code}")

    def consumed(self) -> list[Verdict]:
        """Return what the consumer got, each place once; after a crash of the station a part may have two of them."""
        got = (verdict for life in lives_from_file(self._consumed) for verdict in life.got)
        return list({(verdict.epoch, verdict.seq): verdict for verdict in got}.values())

    @contextlib.contextmanager
    def generating(self, rate_hz: float) -> Iterator[None]:
        """Trigger parts at that rate inside; outside, each of them is answered."""
        process = _started("generator", self._station.control, str(self._triggers), str(rate_hz))
        try:
            yield
            _end(process)
        finally:
            process.kill()
            process.wait()

    def closed(self) -> Judgement:
        """
        Wait until the consumer has everything that the station, ready and without further parts, has said; compare.

        Raises:
            TimeoutError: the consumer does not get it.
        """
        with Requester(self._station.control) as requester:
            status = requester.demand(AskStatus(version=1, id=new_id()), StatusAnswer, 5.0).status
            self._await_consumed(status.seq)
            assert self._consumer is not None
            _end(self._consumer)
            ledger = requester.demand(Ledger(version=1, id=new_id(), shifts=0), LedgerAnswer, 5.0)
            journal = _journal(requester)
        triggers = triggers_from_file(self._triggers) if self._triggers.exists() else Triggers()
        return judge(triggers, lives_from_file(self._consumed), journal, ledger)

    def _await_consumed(self, seq: int) -> None:
        give_up = time.monotonic() + _PATIENCE_S
        while not any(life.got and life.got[-1].seq >= seq for life in lives_from_file(self._consumed)[-1:]):
            if time.monotonic() > give_up:
                raise TimeoutError(f"the consumer has not got verdict {seq} after {_PATIENCE_S:g} s")
            time.sleep(0.2)


def _journal(requester: Requester) -> list[Verdict]:
    """Read every verdict, page by page."""
    verdicts: list[Verdict] = []
    epoch = seq = 0
    while True:
        answer, page = requester.replay(Replay(version=1, id=new_id(), epoch=epoch, seq=seq, limit=1000), 10.0)
        verdicts += page
        if answer.end and not answer.count:
            return verdicts
        epoch, seq = answer.epoch, answer.seq


def _started(module: str, *args: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", f"tests.qualify.{module}", *args], cwd=REPOSITORY)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end by itself, which it does when nothing is left to do."""
    process.terminate()
    code = process.wait(_PATIENCE_S)
    if code != 0:
        raise RuntimeError(f"{process.args!r} ended with code {code}")
