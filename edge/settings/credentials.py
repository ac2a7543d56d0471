"""Secrets that the service manager hands to the service. Source: man 5 systemd.exec, "CREDENTIALS"."""

from __future__ import annotations

import os
from pathlib import Path


def credential(name: str | Path) -> Path | None:
    """
    Return the file that holds the credential *name*; None when there is none, or it is empty.

    Args:
        name: a path with a folder in it names no credential.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    if not folder or Path(name).name != str(name):
        return None
    path = Path(folder) / name
    return path if path.is_file() and path.stat().st_size > 0 else None
