"""A signal, as Python hands it to its handler."""

from __future__ import annotations

import signal


def deliver(number: signal.Signals) -> None:
    """
    Call the handler of that signal.

    Not by the kernel: OpenVINO leaves the thread that used it a stack for signals which it has given back, and a signal
    that is to be handled there ends the process (seen with 2026.4.1, sigaltstack before and after).
    """
    handler = signal.getsignal(number)
    assert callable(handler), f"{number.name} has no handler"
    handler(number, None)
