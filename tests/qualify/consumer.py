"""
``python -m tests.qualify.consumer RESULTS CONTROL FILE``: writes down what it gets before it acknowledges.

It may be killed at any time and started again under its name. FILE, one JSON array a line:

    ["begin"]               a new process of it
    ["got", {...}]          a verdict, as the station said it
    ["missed", first, last, why]
    ["acked", epoch, seq]   the station has durably taken note that all up to here is dealt with
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import msgspec

from edge.subscription import Delivered, Missed, Subscription

NAME = "witness"
# So many verdicts are dealt with between two times of waiting for the acknowledgement to be durable.
_FLUSH_EVERY = 25
_FLUSH_S = 1.0


class Consumer:
    """
    Args:
        file: appended to, one write a line, so that a kill leaves whole lines.
    """

    def __init__(self, subscription: Subscription, file: Path) -> None:
        self._subscription = subscription
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._unflushed: Delivered | None = None
        self._since = 0
        self.ending = False

    def run(self) -> None:
        """Take verdicts until ``ending``."""
        self._note("begin")
        while not self.ending:
            item = self._subscription.next(timeout_s=0.2)
            if isinstance(item, Missed):
                self._note("missed", item.first, item.last, item.why)
            elif item is not None:
                self._note("got", item.verdict)
                self._subscription.acknowledge(item)
                self._unflushed = item
                self._since += 1
            if self._since >= _FLUSH_EVERY or (item is None and self._since):
                self._flush()
        self._subscription.close()

    def _flush(self) -> None:
        assert self._unflushed is not None
        last = self._unflushed.verdict
        # One that is not in the journal yet cannot be acknowledged: it is waited for with the next.
        if self._subscription.flush(_FLUSH_S) and last.journaled:
            self._note("acked", last.epoch, last.seq)
            self._since = 0

    def _note(self, *line: object) -> None:
        os.write(self._file, msgspec.json.encode(line) + b"\n")


def main() -> None:
    results, control, file = sys.argv[1:]
    # Who is started again in place of a dead one knows that it may take its name.
    subscription = Subscription(results, control, NAME, origin="oldest", take_over=True)
    consumer = Consumer(subscription, Path(file))
    signal.signal(signal.SIGTERM, lambda *_: setattr(consumer, "ending", True))
    consumer.run()


if __name__ == "__main__":
    main()
