"""Keys that the service manager hands over: taken by their name, never required."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import ConfigurationError
from edge.inspector.cache import EngineCache
from edge.settings import BundleSettings, credential
from edge.signature import make_private_key, write_public_key
from edge.trust import trust_from_settings


@pytest.fixture
def handed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the service's credentials."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    return folder


def test_a_credential_has_a_bare_name(handed: Path) -> None:
    """A path is a path; an empty one, and one that is not there, is none."""
    (handed / "release.pub").write_text("x")
    (handed / "empty").write_text("")
    assert credential("release.pub") == handed / "release.pub"
    assert [credential(name) for name in ("/release.pub", "./a/release.pub", "empty", "other", "..")] == [None] * 5


def test_by_hand_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs a station in a terminal has no such folder."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert credential("release.pub") is None


def test_a_trusted_key_may_be_a_credential(handed: Path, tmp_path: Path) -> None:
    """A bare name is found there; a path is not looked for there."""
    public = make_private_key(tmp_path / "release.key").public
    write_public_key(handed / "release.pub", public)
    trust = trust_from_settings(BundleSettings(trusted_keys=(Path("release.pub"),)), {})
    assert [key.raw for key in trust.keys] == [public.raw]
    with pytest.raises(ConfigurationError, match="cannot be read"):
        trust_from_settings(BundleSettings(trusted_keys=(Path("/etc/nowhere/release.pub"),)), {})


def test_the_machine_s_key_may_be_a_credential(handed: Path, tmp_path: Path) -> None:
    """Then no key lies beside the engines; whatever mode it is shown with, the service manager vouches for it."""
    (handed / "machine.key").write_bytes(bytes(32))
    (handed / "machine.key").chmod(0o440)
    cache = EngineCache(tmp_path / "engines")
    cache.require_writable()
    assert not (cache.folder / "machine.key").exists()


def test_a_credential_that_is_no_key_is_refused(handed: Path, tmp_path: Path) -> None:
    """The line says how long it must be."""
    (handed / "machine.key").write_text("a word")
    with pytest.raises(ConfigurationError, match="6 bytes, expected 32"):
        EngineCache(tmp_path / "engines").require_writable()
