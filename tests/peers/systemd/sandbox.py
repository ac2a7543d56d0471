"""A real systemd as PID 1 of namespaces of its own; see README.md for what keeps the machine around it safe."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from typing_extensions import Self

_HERE = Path(__file__).parent
_REPOSITORY = Path(__file__).parents[3]
_HOST_UNITS = Path("/lib/systemd/system")
_JOURNAL_UNITS = ("systemd-journald.service", "systemd-journald.socket", "systemd-journald-dev-log.socket")
_TARGETS = ("sysinit", "basic", "sockets", "shutdown", "umount", "local-fs", "network", "network-online", "multi-user")
_TOOLS = ("unshare", "nsenter", "setpriv", "systemctl", "journalctl", "systemd-sysusers", "systemd-tmpfiles")
_BOOT_S = 20.0

APP = Path("/run/app")
PROGRAM = APP / "venv" / "bin" / "edge-inspectd"
"""The daemon as the machine inside sees it, outside of any home directory."""

_LOOPBACK = """
import fcntl, socket, struct
with socket.socket() as s:
    fcntl.ioctl(s, 0x8914, struct.pack("16sh", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
"""


def missing() -> str:
    """Return what this machine lacks for it, empty if nothing."""
    absent = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if absent:
        return f"{', '.join(absent)} not installed"
    if os.geteuid() != 0:
        return "needs root"
    return "" if _cgroup2() is not None else "no cgroup2 is mounted"


class Sandbox:
    """
    One machine with nothing on it but this repository, the Python that runs the tests, and a journal.

    Args:
        files: put below /run/app, by their path there.

    Attributes:
        root: its file system, seen from here.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files
        self._init = 0
        self._handle: int | None = None
        """Of its systemd, and of no other process that may have that number one day."""
        self._process: subprocess.Popen[bytes] | None = None

    # ---- inside ----------------------------------------------------------------------------------------------

    @property
    def root(self) -> Path:
        return Path(f"/proc/{self._init}/root")

    def run(self, *command: str, check: bool = True, timeout_s: float = 90.0) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as root; its output is text."""
        done = subprocess.run(
            [*self._enter(), *command], capture_output=True, text=True, check=False, timeout=timeout_s
        )
        if check and done.returncode != 0:
            said = self.run("journalctl", "--no-pager", "-o", "cat", "-n", "20", check=False).stdout
            words = f"{' '.join(command)}: exit code {done.returncode}"
            raise AssertionError(f"{words}\n{done.stdout}{done.stderr}\n{said}")
        return done

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.run("systemctl", "show", "--value", "-p", name, unit).stdout.strip()

    def pid(self, unit: str) -> int:
        """Return the main process of a unit, as this machine numbers it; 0 = there is none."""
        inner = int(self.show(unit, "MainPID"))
        return 0 if inner == 0 else self._outer(inner)

    def journal(self, unit: str, *flags: str) -> list[str]:
        """Return the lines that a unit has logged."""
        told = self.run("journalctl", "--no-pager", "-o", "cat", "-u", unit, *flags)
        return told.stdout.splitlines()

    def wait(self, what: str, wanted: Callable[[], Any], timeout_s: float = 60.0) -> float:
        """Wait until *wanted* returns something true; return how long that took [s]."""
        began = time.monotonic()
        while not wanted():
            if time.monotonic() - began > timeout_s:
                raise AssertionError(f"not within {timeout_s:g} s: {what}")
            time.sleep(0.02)
        return time.monotonic() - began

    # ---- life ------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        groups = _cgroup2()
        assert groups is not None, "no cgroup2; ask missing() first"
        self._group = groups / f"edge-test-{os.getpid()}-{secrets.token_hex(3)}"
        (_REPOSITORY / ".cache").mkdir(exist_ok=True)
        # Not below /tmp, which is shadowed while this is still read.
        self._folder = Path(tempfile.mkdtemp(prefix="systemd-", dir=_REPOSITORY / ".cache"))
        try:
            self._group.mkdir()
            _prepare(self._folder, self._files)
            self._boot()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _boot(self) -> None:
        with (self._folder / "boot.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "bash", _HERE / "enter.sh", self._group, self._folder],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.wait("systemd has started", self._has_booted, _BOOT_S)
        self.wait("systemd answers", lambda: self._state() in ("running", "degraded"), _BOOT_S)
        self.run(str(APP / "venv" / "bin" / "python"), "-c", _LOOPBACK)

    def _has_booted(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"boot failed: {(self._folder / 'boot.log').read_text()}")
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        if not children or Path(f"/proc/{children[0]}/comm").read_text().strip() != "systemd":
            return False
        handle = os.pidfd_open(int(children[0]))
        # Never the init of this machine, whatever went wrong above.
        if _namespace(children[0]) == _namespace("self"):
            os.close(handle)
            return False
        self._init, self._handle = int(children[0]), handle
        return True

    def _state(self) -> str:
        return self.run("systemctl", "is-system-running", check=False).stdout.strip()

    def _end(self) -> None:
        """Kill what was started, if it has not ended by itself; leave nothing behind in any case."""
        try:
            if self._handle is not None:
                with contextlib.suppress(ProcessLookupError):
                    # The kernel takes all of its namespace with it.
                    signal.pidfd_send_signal(self._handle, signal.SIGKILL)
                os.close(self._handle)
                self._handle = None
            elif self._process is not None:
                self._process.kill()
            if self._process is not None:
                self._process.wait()
        finally:
            for folder in sorted(self._group.glob("**/"), key=lambda path: len(path.parts), reverse=True):
                _remove_group(folder)
            shutil.rmtree(self._folder, ignore_errors=True)

    def _enter(self) -> list[str]:
        library = APP / "python" / "lib"
        return [
            *("nsenter", "-t", str(self._init), "-m", "-p", "-u", "-i", "-n", "-C", "--", "env", "-i"),
            *("PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "SYSTEMD_UNIT_PATH=/etc/systemd/system"),
            *("SYSTEMD_PAGER=", "SYSTEMD_COLORS=0", f"LD_LIBRARY_PATH={library}"),
        ]

    def _outer(self, inner: int) -> int:
        """Return this machine's number of a process inside."""
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                numbers = re.search(r"^NSpid:\s+(.*)$", status.read_text(), re.MULTILINE)
                ours = _namespace(status.parent.name) == _namespace(self._init)
            except OSError:
                continue
            if ours and numbers is not None and int(numbers[1].split()[-1]) == inner:
                return int(status.parent.name)
        raise AssertionError(f"process {inner} inside has ended")


def _namespace(process: int | str) -> str:
    return str(Path(f"/proc/{process}/ns/pid").readlink())


def _prepare(folder: Path, files: Mapping[str, Path]) -> None:
    """Write what boot.sh reads."""
    for name in ("app", "dev", "stage", "upper", "units"):
        (folder / name).mkdir()
    (folder / "machine-id").write_text(secrets.token_hex(16) + "\n")
    _write_units(folder / "units")
    _write_environment(folder / "app" / "venv")
    for name, source in files.items():
        target = folder / "app" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    binds = {"python": sys.base_prefix, "site": sysconfig.get_path("purelib"), "repository": str(_REPOSITORY)}
    (folder / "binds").write_text("".join(f"{source}\t{name}\n" for name, source in binds.items()))


def _write_units(folder: Path) -> None:
    for name in _JOURNAL_UNITS:
        lines = (_HOST_UNITS / name).read_text().splitlines(keepends=True)
        foreign = re.compile(r"(Before|After|Wants|Requires)=.*(sysinit|syslog|initrd|audit)")
        (folder / name).write_text("".join(line for line in lines if not foreign.match(line)))
    for name in (*(f"{target}.target" for target in _TARGETS), "-.slice", "system.slice"):
        (folder / name).write_text(f"[Unit]\nDescription=empty {name}\nDefaultDependencies=no\n")
    (folder / "box.target").write_text(
        "[Unit]\nDescription=the machine\nDefaultDependencies=no\nWants=systemd-journald.service\n"
    )
    # The interpreter's own library may be sought where the service does not see it.
    drop_in = folder / "edge-inspectd@.service.d"
    drop_in.mkdir()
    (drop_in / "interpreter.conf").write_text(f"[Service]\nEnvironment=LD_LIBRARY_PATH={APP}/python/lib\n")


def _write_environment(folder: Path) -> None:
    """Write a virtual environment as one would be in /opt: same packages, no path into anybody's home directory."""
    python = Path(os.path.realpath(sys.executable)).relative_to(os.path.realpath(sys.base_prefix))
    packages = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    packages.mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(APP / "python" / python)
    (folder / "pyvenv.cfg").write_text(f"home = {APP / 'python' / python.parent}\n")
    (packages / "edge.pth").write_text(f"{APP}/site\n{APP}/repository\n")
    script = folder / "bin" / PROGRAM.name
    script.write_text(f"#!{APP}/venv/bin/python\nimport sys\nfrom edge.inspectd import main\nsys.exit(main())\n")
    script.chmod(0o755)


def _cgroup2() -> Path | None:
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return next((Path(mount[1]) for mount in mounts if mount[2] == "cgroup2"), None)


def _remove_group(folder: Path) -> None:
    for _ in range(100):  # Its last processes may still be on their way out.
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.02)
        else:
            return
