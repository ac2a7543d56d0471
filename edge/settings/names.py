"""How a station may be called: its service has folders of that name, beside those that all stations share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from edge.errors import ConfigurationError
from edge.settings.strict import Name

SHARED_FOLDERS = ("cores", "engines")
"""Of /run/edge-inspect and /var/lib/edge-inspect; a station's own go when it ends, with all that is in them."""


def _no_shared_folder(name: str) -> str:
    if name in SHARED_FOLDERS:
        raise ValueError(
            f"expected another name than {' and '.join(SHARED_FOLDERS)}: folders that the machine's stations share are "
            "called so"
        )
    return name


StationName = Annotated[Name, AfterValidator(_no_shared_folder)]


def refuse_shared_name(configuration: Path) -> None:
    """
    Refuse a file whose name would make a service of it that removes what others need.

    Raises:
        ConfigurationError: it is called as a folder that the machine's stations share.
    """
    if configuration.stem in SHARED_FOLDERS:
        raise ConfigurationError(
            f"{configuration}: its service would take a folder for its own that the machine's stations share, and "
            "remove it at its end; give the file another name"
        )
