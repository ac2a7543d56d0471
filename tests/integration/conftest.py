"""Real peers: an RTSP server, camera emulators, a real systemd. `make test-integration` installs what they need."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip them in a bare pytest: INTEGRATION is set by who has made sure that the peers are there."""
    if os.environ.get("INTEGRATION"):
        return
    skip = pytest.mark.skip(reason="its peer may not be installed: make test-integration")
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(skip)
