"""The rig: settings as TOML, and a station that fails to start is told, not waited for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge.bundle import read_trusted_bundle
from edge.errors import EdgeError
from edge.rig import Rig, bundle_table, toml_from_tree
from edge.settings import DEMO_BUNDLE, BundleSettings
from edge.trust import trust_from_settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def test_a_tree_survives_toml() -> None:
    """Strings with quotes and line ends, numbers, booleans, lists of tables and paths are read back as written."""
    tree = {
        "text": 'a "quoted"\nline \\ and é',
        "number": 1.5,
        "whole": 3,
        "yes": True,
        "path": Path("/some/where"),
        "tables": [{"a": 1, "b": {"c": "d"}}, {"a": 2}],
        "left_out": None,
    }
    read = tomllib.loads(toml_from_tree(tree))
    assert read == {**{k: v for k, v in tree.items() if v is not None}, "path": "/some/where"}


def test_a_module_of_the_working_directory_is_not_the_librarys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue.py where the demo is run must not be what the daemon imports."""
    (tmp_path / "queue.py").write_text("raise SystemExit('the wrong queue')")
    monkeypatch.chdir(tmp_path)
    settings = {"station": "line1", "cameras": [{"name": "cam1", "source": {"kind": "synthetic"}}]}
    with Rig(settings, flags=("--check",)) as rig, pytest.raises(EdgeError, match="trusted_keys"):
        list(rig.events())


def test_a_station_that_does_not_start_is_told(tmp_path: Path) -> None:
    """The rig raises with the station's last line instead of waiting for a message that never comes."""
    settings = {
        "station": "line1",
        "bundle": {"path": tmp_path / "nowhere", "allow_unsigned": True},
        "cameras": [{"name": "cam1", "source": {"kind": "synthetic"}}],
    }
    with Rig(settings) as rig, pytest.raises(EdgeError, match="no such folder"):
        list(rig.events())


def test_the_bundle_that_ships_is_trusted_by_its_own_key(tmp_path: Path) -> None:
    """Altered it is refused, not taken as unsigned; a bundle of one's own need not be signed for a trial."""
    trust = trust_from_settings(BundleSettings.model_validate(bundle_table(DEMO_BUNDLE)), {})
    assert read_trusted_bundle(DEMO_BUNDLE, trust).signed_by in trust.keys
    assert not trust.allow_unsigned
    assert trust_from_settings(BundleSettings.model_validate(bundle_table(tmp_path)), {}).allow_unsigned
