"""The soak for 24 hours: not run unless it is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.qualify.soak import soak

TITLE = "24 hours at 30 frames/s with faults"

_SECONDS = 24 * 3600.0
_FAULTS = 300


def run(out: Path, scale: float) -> dict[str, Any]:
    """Soak for a day times *scale*; at scale 1 a fault every five minutes."""
    return soak(out, _SECONDS * scale, max(6, round(_FAULTS * scale)))
