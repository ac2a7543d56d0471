"""Reads TOML files: the station's and the recipes'."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from edge.errors import ConfigurationError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]

_LARGEST_TOML = 1_000_000
_GROUP = "edge-inspect"
"""Of the service's user, and of who may read what may hold a camera's password."""


def read_toml(path: Path, what: str = "the station's TOML file") -> dict[str, Any]:
    """
    Read a TOML file.

    Args:
        what: it should be, for people.

    Raises:
        ConfigurationError: it cannot be read, or is not TOML; says the line.
    """
    try:
        if path.exists() and not path.is_file():
            raise ConfigurationError(f"{path}: not a file; name {what}")
        with path.open("rb") as file:
            text = file.read(_LARGEST_TOML + 1)
        if len(text) > _LARGEST_TOML:
            raise ConfigurationError(f"{path}: larger than {_LARGEST_TOML} bytes; name {what}")
        tree: dict[str, Any] = tomllib.loads(text.decode())
    except PermissionError as error:
        raise ConfigurationError(
            f"{path}: cannot be read ({error.strerror}); a service's file is for its group alone: become a member "
            f"(usermod -aG {_GROUP} NAME, then log in anew), or give the group the file (chgrp {_GROUP} {path.name})"
        ) from error
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror}); name {what}") from error
    # Both decoding errors are ValueErrors; so is a number of thousands of digits.
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}: not TOML: {str(error)[:200]}; mend the file") from error
    return tree
