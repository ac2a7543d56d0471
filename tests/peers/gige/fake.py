"""A fake GigE Vision camera as a process: started, killed, hung and let go on by a test."""

from __future__ import annotations

import fcntl
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

from typing_extensions import Self

_PORT = 3956
_PATIENCE_S = 15.0
_CAMERA = Path(__file__).with_name("camera.py")


class FakeCamera:
    """
    Debian's arv-fake-gv-camera-0.8, or with *scene* our camera.py, which shows the scene of ../rtsp.

    Two of them need an interface each: 127.0.0.1 and a real one; other addresses of the loopback are not taken.

    Args:
        serial: its id is Aravis-Fake-SERIAL.
        lost: packets that it loses, per thousand.
        lost_later: the same, between ``lose()`` and ``lose_no_more()``; with *scene* only.
    """

    def __init__(
        self,
        serial: str = "GV01",
        interface: str = "127.0.0.1",
        *,
        lost: float = 0,
        lost_later: float = 0,
        scene: bool = False,
    ) -> None:
        self.id = f"Aravis-Fake-{serial}"
        program = ["/usr/bin/python3", str(_CAMERA)] if scene else ["arv-fake-gv-camera-0.8"]
        self._command = [*program, "-i", interface, "-s", serial, *(["-r", f"{lost:g}"] if lost else [])]
        self._command += ["--lost-later", f"{lost_later:g}"] if lost_later else []
        self._process: subprocess.Popen[bytes] | None = None
        # GigE Vision has one port: who tests at the same time on this machine waits for his turn.
        lock = Path(tempfile.gettempdir(), f"edge-inspect-gige-{interface}.lock")
        self._turn = lock.open("w", encoding="ascii")

    @property
    def runs(self) -> bool:
        """It was started and not killed."""
        return self._process is not None

    def start(self) -> None:
        """Return when it listens."""
        assert self._process is None, "it runs already"
        fcntl.flock(self._turn, fcntl.LOCK_EX)
        before = _listeners()
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + _PATIENCE_S
        while _listeners() == before:
            assert self._process.poll() is None, f"{' '.join(self._command)}: ended with {self._process.returncode}"
            assert time.monotonic() < until, f"{' '.join(self._command)}: does not listen"
            time.sleep(0.01)

    def kill(self) -> None:
        """As a camera that is unplugged: no word of farewell."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def lose(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)

    def lose_no_more(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR2)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._turn.close()


def _listeners() -> int:
    """Return how many sockets of this machine are bound to GigE Vision's port."""
    table = Path("/proc/net/udp").read_text(encoding="ascii")
    return len(re.findall(rf": [0-9A-F]{{8}}:{_PORT:04X} ", table))
