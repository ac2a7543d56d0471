"""Who may still write to a file: what the system tells of that, and on which drives."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import signal
from pathlib import Path

# On these each close and each rename is told, since all of it is done by this machine.
_LOCAL = {
    "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jfs", "ntfs3", "overlay", "ramfs", "tmpfs", "vfat",
    "xfs", "zfs",
}  # fmt: skip
_MOUNTS = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")


def is_local(folder: Path) -> bool:
    """
    Return whether the folder lies on a drive of this machine alone; of a kind that is not known it is said not to.

    Raises:
        OSError: there is no such folder.
    """
    place = folder.resolve(strict=True)
    kind, longest = "", -1
    for line in os.fsdecode(_MOUNTS.read_bytes()).splitlines():
        left, _, right = line.partition(" - ")
        mount = Path(_ESCAPED.sub(lambda found: chr(int(found[1], 8)), left.split(" ")[4]))
        # Of two on one place the later one lies on top.
        if (mount == place or mount in place.parents) and len(mount.parts) >= longest:
            kind, longest = right.split(" ")[0], len(mount.parts)
    return kind in _LOCAL


def is_written(path: Path) -> bool | None:
    """
    Return whether somebody has a file of a local drive open for writing.

    Asked by taking a read lease for some microseconds, which the kernel refuses then: fcntl(2), F_SETLEASE. Who opens
    it for writing in that moment waits as long; who opens it with O_NONBLOCK is told to try again.

    Returns:
        None: it cannot be told. The file is another user's and we are not root, or the drive has no leases.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        # Told by SIGIO that another one waits, the process would end.
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    finally:
        os.close(file)
    return False
