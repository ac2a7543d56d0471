"""
What else a machine may have to do: processes that want its cores, and one that wants the memory.

Memory is fought for in a control group of its own, so that nobody outside of it notices, with compressed memory for
swap (zram) where the machine has no swap, as a Jetson has it. Both need root.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

_SPIN = "while True: pass"
# Page after page, over and over, in an order that no read-ahead helps with.
_CROWD = """
import random, sys
pages = bytearray(int(sys.argv[1]))
places = list(range(0, len(pages), 4096))
random.seed(1)
while True:
    random.shuffle(places)
    for place in places:
        pages[place] = 1
"""
_V1 = Path("/sys/fs/cgroup/memory")
_ZRAM = Path("/sys/block/zram0")
_SWAP_BYTES = 2 << 30
_MB = 1 << 20


@contextlib.contextmanager
def spinning(count: int, cores: Sequence[int]) -> Iterator[None]:
    """Keep *count* processes busy on *cores*."""
    with _running([["taskset", "-c", ",".join(map(str, cores)), sys.executable, "-c", _SPIN]] * count):
        yield


class MemoryGroup:
    """
    A group of processes with an amount of memory for all of them; a context manager that removes it.

    Attributes:
        why_not: this machine cannot do it; empty = it can.
    """

    def __init__(self) -> None:
        self.why_not = _why_not()
        root = _V1 if (_V1 / "memory.limit_in_bytes").exists() else _cgroup2()
        self._limit = "memory.limit_in_bytes" if root == _V1 else "memory.max"
        self._folder = root / f"edge-qualify-{os.getpid()}"

    @property
    def under(self) -> tuple[str, ...]:
        """The command under which a process joins the group."""
        return ("sh", "-c", f'echo $$ > {self._folder}/cgroup.procs && exec "$@"', "sh")

    def limit(self, size: int) -> None:
        (self._folder / self._limit).write_text(str(size))

    @contextlib.contextmanager
    def crowded(self, size: int) -> Iterator[None]:
        """Have a process in the group go through *size* bytes without end."""
        with _running([[*self.under, sys.executable, "-c", _CROWD, str(size)]]):
            yield

    def __enter__(self) -> MemoryGroup:
        self._folder.mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        for _attempt in range(100):  # The last processes may still be on their way out.
            try:
                self._folder.rmdir()
            except OSError:
                time.sleep(0.05)
            else:
                return


@contextlib.contextmanager
def swap() -> Iterator[str]:
    """Yield what the machine swaps to; where it has nothing, compressed memory is that for as long as this lasts."""
    there = Path("/proc/swaps").read_text().splitlines()[1:]
    if there:
        yield there[0].split()[0]
        return
    device = f"/dev/{_ZRAM.name}"
    # Asked to end meanwhile, it ends by way of what follows: the machine is left as it was.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))
    (_ZRAM / "disksize").write_text(str(_SWAP_BYTES))
    try:
        subprocess.run(["mkswap", device], check=True, capture_output=True)
        subprocess.run(["swapon", device], check=True)
        try:
            yield "zram"
        finally:
            subprocess.run(["swapoff", device], check=True)
    finally:
        (_ZRAM / "reset").write_text("1")
        signal.signal(signal.SIGTERM, before)


def resident_bytes(*processes: int) -> int:
    """Return the memory that processes hold, what they share counted in parts."""
    texts = [Path(f"/proc/{process}/smaps_rollup").read_text() for process in processes]
    return sum(1024 * int(_line(text, name)) for text in texts for name in ("Pss", "SwapPss"))


def _line(text: str, name: str) -> str:
    return next(line.split()[1] for line in text.splitlines() if line.startswith(f"{name}:"))


def _why_not() -> str:
    if os.geteuid() != 0:
        return "needs root"
    if not (_V1 / "memory.limit_in_bytes").exists() and not (_cgroup2() / "memory.max").exists():
        return "no control group for memory can be made here"
    if len(Path("/proc/swaps").read_text().splitlines()) < 2 and not _ZRAM.exists():
        return "no swap, and no zram to make one of"
    return ""


def _cgroup2() -> Path:
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return next((Path(mount[1]) for mount in mounts if mount[2] == "cgroup2"), Path("/sys/fs/cgroup"))


@contextlib.contextmanager
def _running(commands: Sequence[Sequence[str]]) -> Iterator[None]:
    processes = [subprocess.Popen(command, stdin=subprocess.DEVNULL) for command in commands]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
