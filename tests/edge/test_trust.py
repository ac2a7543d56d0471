"""edge.trust and the signature in edge.bundle: who has signed it, and whether it is older than what was active."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.bundle import Bundle, Trust, read_bundle, read_trusted_bundle
from edge.errors import BundleError, ConfigurationError
from edge.settings import DEMO_BUNDLE, DEMO_KEY, BundleSettings
from edge.trust import read_bundle_of, trust_from_settings
from engines.contract import MANIFEST_NAME, SIGNATURE_NAME
from tests.support.inspector import station
from tests.support.signing import Signer, change_manifest


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer(tmp_path)


@pytest.fixture
def signed(tiny_bundle: Path, tmp_path: Path, signer: Signer) -> Path:
    """A signed bundle that may be broken."""
    return signer.copy(tiny_bundle, tmp_path / "signed", release=7)


def read(folder: Path, *keys: Path, releases: dict[str, int] | None = None, **settings: bool) -> Bundle:
    """Read a bundle as a station with these settings does."""
    trusting = BundleSettings(path=folder, trusted_keys=keys, **settings)
    return read_bundle_of(station().model_copy(update={"bundle": trusting}), folder, releases or {})


def refused(folder: Path, *keys: Path, releases: dict[str, int] | None = None, **settings: bool) -> str:
    """Return why that is refused: one line that names the folder."""
    with pytest.raises(BundleError) as error:
        read(folder, *keys, releases=releases, **settings)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_bundle_signed_by_a_trusted_key_is_read(signed: Path, signer: Signer, tmp_path: Path) -> None:
    """Any of the trusted keys will do, and the bundle says which it was."""
    other = Signer(tmp_path, "other")
    bundle = read(signed, other.public, signer.public)
    assert bundle.signed_by == signer.key.public
    assert bundle.signature == (signed / SIGNATURE_NAME).read_bytes()
    assert bundle.text == (signed / MANIFEST_NAME).read_bytes()


def test_a_bundle_of_another_signer_is_refused(signed: Path, tmp_path: Path) -> None:
    """Also where unsigned ones are accepted: somebody has signed it, and it is nobody who is trusted."""
    other = Signer(tmp_path, "other")
    for allow_unsigned in (False, True):
        text = refused(signed, other.public, allow_unsigned=allow_unsigned)
        assert f"tried {other.key.public.id} ({other.public})" in text


def test_a_manifest_that_was_changed_is_refused(signed: Path, signer: Signer) -> None:
    """Before what it says is believed: the schema of another program is not told."""
    change_manifest(signed, {"schema": 99})
    assert "no trusted key has signed this manifest.json" in refused(signed, signer.public, allow_unsigned=True)


def test_the_signature_of_another_bundle_is_refused(signed: Path, signer: Signer, tmp_path: Path) -> None:
    """It is of that manifest alone."""
    other = signer.copy(signed, tmp_path / "other", release=8)
    shutil.copy(other / SIGNATURE_NAME, signed / SIGNATURE_NAME)
    assert "no trusted key has signed" in refused(signed, signer.public)


@pytest.mark.parametrize("size", [0, 63, 65])
def test_a_damaged_signature_is_refused(signed: Path, signer: Signer, size: int) -> None:
    """Whatever is trusted: its length tells."""
    signature = (signed / SIGNATURE_NAME).read_bytes() + b"\0"
    (signed / SIGNATURE_NAME).write_bytes(signature[:size])
    for keys in ((signer.public,), ()):
        assert f"manifest.sig has {size} bytes, expected 64" in refused(signed, *keys, allow_unsigned=True)


def test_an_unsigned_bundle_must_be_accepted(tiny_bundle: Path, signer: Signer) -> None:
    """The station's settings decide; the line says how to sign, and what to set."""
    text = refused(tiny_bundle, signer.public)
    assert "edge-engine sign" in text
    assert "allow_unsigned = true" in text
    assert read(tiny_bundle, signer.public, allow_unsigned=True).signed_by is None


def test_a_signature_nobody_can_check_counts_as_none(signed: Path) -> None:
    """Without trusted keys a signed bundle is accepted where an unsigned one is."""
    assert "no key is trusted here" in refused(signed)
    assert read(signed, allow_unsigned=True).signed_by is None


def test_no_station_trusts_the_demo_bundle_by_itself() -> None:
    """Who leaves the path out must say what to trust."""
    with pytest.raises(BundleError, match=f"no key is trusted here.*{re.escape(str(DEMO_KEY))}"):
        read_trusted_bundle(DEMO_BUNDLE, trust_from_settings(BundleSettings(), {}))


def _link(folder: Path) -> None:
    (folder / SIGNATURE_NAME).rename(folder.parent / "elsewhere.sig")
    (folder / SIGNATURE_NAME).symlink_to(folder.parent / "elsewhere.sig")


def _dangle(folder: Path) -> None:
    (folder / SIGNATURE_NAME).unlink()
    (folder / SIGNATURE_NAME).symlink_to(folder.parent / "nowhere.sig")


def _folder(folder: Path) -> None:
    (folder / SIGNATURE_NAME).unlink()
    (folder / SIGNATURE_NAME).mkdir()


def _list(folder: Path) -> None:
    files = read_bundle(folder).manifest.files
    change_manifest(folder, {"files": {**files, SIGNATURE_NAME: "0" * 64}})


def _copy(folder: Path) -> None:
    (folder / "reference" / SIGNATURE_NAME).write_bytes((folder / SIGNATURE_NAME).read_bytes())


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_link, "manifest.sig is a symbolic link"),
        (_dangle, "manifest.sig is a symbolic link"),
        (_folder, "manifest.sig is missing, or no file"),
        (_list, "lists 'manifest.sig'"),
        (_copy, "reference/manifest.sig is not listed"),
    ],
)
def test_a_signature_is_a_plain_file_beside_the_manifest(
    signed: Path, damage: Callable[[Path], None], told: str
) -> None:
    """And nothing else unlisted is allowed."""
    damage(signed)
    with pytest.raises(BundleError, match=told):
        read_bundle(signed)


def test_a_key_that_cannot_be_read_is_a_fault_of_the_settings(signed: Path, signer: Signer, tmp_path: Path) -> None:
    """No bundle could be believed: the line names the key's file."""
    with pytest.raises(ConfigurationError, match=r"nowhere\.pub: the key cannot be read"):
        read(signed, signer.public, tmp_path / "nowhere.pub")
    (tmp_path / "text.pub").write_text("no key")
    with pytest.raises(ConfigurationError, match=r"text\.pub: expected an Ed25519 public key"):
        read(signed, signer.public, tmp_path / "text.pub")


def test_an_older_release_is_refused(signed: Path, signer: Signer) -> None:
    """Both numbers, and what to set; the same release and a newer one are read, and other names do not count."""
    text = refused(signed, signer.public, releases={"squares": 8})
    assert "release 7, but release 8 was active here before" in text
    assert "allow_older = true" in text
    for releases in ({"squares": 7}, {"squares": 6}, {"other": 8}):
        assert read(signed, signer.public, releases=releases).manifest.release == 7
    assert read(signed, signer.public, releases={"squares": 8}, allow_older=True).manifest.release == 7


def test_what_was_checked_is_what_is_used(signed: Path, signer: Signer) -> None:
    """A file changed after the check does not matter: the bytes are in memory."""
    bundle = read_trusted_bundle(signed, Trust(keys=(signer.key.public,)))
    os.truncate(signed / "segmenter.onnx", 10)
    assert len(bundle.segmenter) > 10
