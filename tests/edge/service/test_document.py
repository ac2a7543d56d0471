"""docs/service.md says what unit and code do, where it lists something."""

from __future__ import annotations

import re
from pathlib import Path

from edge.errors import BundleError, CameraError, ConfigurationError, DeviceLost
from edge.service.files import shipped
from edge.station.starts import HEALTHY_S

DOCUMENT = (Path(__file__).parents[3] / "docs" / "service.md").read_text(encoding="utf-8")
UNIT = shipped("edge-inspectd@.service")


def test_every_directive_that_takes_something_away_is_explained() -> None:
    """Why it is there and what it costs, for each below the line in the unit."""
    table = DOCUMENT.partition("## 9.")[2]
    below = UNIT.partition("what it may not do")[2].partition("[Install]")[0]
    directives = set(re.findall(r"^([A-Za-z]+)=", below, re.MULTILINE))
    assert len(directives) > 20
    assert not {name for name in directives if f"`{name}" not in table}


def test_times_are_those_of_the_unit() -> None:
    """Watchdog, limits and pauses, as the document tells them."""
    told = {name: re.search(rf"^{name}=(\d+)$", UNIT, re.MULTILINE) for name in ("WatchdogSec", "TimeoutStopSec")}
    for name, found in told.items():
        assert found is not None
        assert f"`{name}` = {found[1]} s" in DOCUMENT
    assert "TimeoutStartSec=180" in UNIT
    assert "does not begin within 180 s" in DOCUMENT
    assert "lived for five minutes" in DOCUMENT
    assert HEALTHY_S == 300


def test_exit_codes_are_those_of_the_errors() -> None:
    """Each that a station ends with."""
    for error in (ConfigurationError, BundleError, CameraError, DeviceLost):
        assert f"\n| {error.exit_code} | " in DOCUMENT
