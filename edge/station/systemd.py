"""Tell the service manager how we are: the ten lines of sd_notify that we need. Source: man 3 sd_notify."""

from __future__ import annotations

import os
import socket


class Notifier:
    """Sends states to the socket systemd names in NOTIFY_SOCKET; does nothing where there is none."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the zero byte of an abstract socket.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) if address else None

    @property
    def present(self) -> bool:
        """A service manager has started this process and listens."""
        return self._socket is not None

    def notify(self, *states: str) -> None:
        """Send states like ``READY=1`` or ``STATUS=...``; a manager that is gone is no reason to stop inspecting."""
        if self._socket is None:
            return
        try:
            self._socket.sendto("\n".join(states).encode(), socket.MSG_DONTWAIT, self._address)
        except OSError:
            return

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


def extension(seconds: float = 30.0) -> str:
    """Return the state that keeps a start from being given up: said again within that time, it may take for ever."""
    return f"EXTEND_TIMEOUT_USEC={round(1e6 * seconds)}"


def watchdog_period_s() -> float | None:
    """Return how often systemd expects a sign of life: half of WATCHDOG_USEC, None when it expects none of us."""
    usec = os.environ.get("WATCHDOG_USEC", "")
    ours = os.environ.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
    return int(usec) / 2e6 if ours and usec.isdecimal() and int(usec) > 0 else None
