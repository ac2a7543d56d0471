"""edge.signature: keys that openssl knows, signatures that tell one changed bit, files nobody else may read."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from edge.errors import ConfigurationError
from edge.signature import (
    SIGNATURE_BYTES,
    PublicKey,
    make_private_key,
    read_private_key,
    read_public_key,
    write_public_key,
)

DATA = b"manifest\n"


def pair(folder: Path, name: str = "a") -> tuple[Path, Path]:
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    write_public_key(public, make_private_key(private).public)
    return private, public


def test_a_signature_is_of_one_key_and_these_bytes(tmp_path: Path) -> None:
    """Another byte, another key, or a part of the signature does not verify."""
    private, public = pair(tmp_path)
    signature = read_private_key(private).sign(DATA)
    key, other = read_public_key(public), make_private_key(tmp_path / "b.key").public
    assert len(signature) == SIGNATURE_BYTES
    assert key.verifies(DATA, signature)
    assert not key.verifies(DATA + b" ", signature)
    assert not other.verifies(DATA, signature)
    assert not any(key.verifies(DATA, wrong) for wrong in (b"", signature[:-1], signature + b"\0", bytes(64)))


def test_a_key_is_called_by_its_hash(tmp_path: Path) -> None:
    """Sixteen digits, the same for both halves, and with the file it was read from."""
    private, public = pair(tmp_path)
    key = read_public_key(public)
    assert read_private_key(private).public == key
    assert key.id == PublicKey(key.raw).id
    assert len(key.id) == 16
    assert str(key) == f"{key.id} ({public})"


def test_a_private_key_is_its_owners(tmp_path: Path) -> None:
    """Whatever the process allows for other files."""
    before = os.umask(0)
    try:
        private, _ = pair(tmp_path)
    finally:
        os.umask(before)
    assert private.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_private_key_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    """With the command that mends it."""
    private, _ = pair(tmp_path)
    private.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"mode is {mode:03o}, expected 600.*chmod 600 {private}"):
        read_private_key(private)


def test_no_key_is_overwritten(tmp_path: Path) -> None:
    """The file that lies there stays, byte for byte."""
    private, public = pair(tmp_path)
    before = private.read_bytes(), public.read_bytes()
    with pytest.raises(ConfigurationError, match=r"a\.key: there is a file already"):
        make_private_key(private)
    with pytest.raises(ConfigurationError, match=r"a\.pub: there is a file already"):
        write_public_key(public, PublicKey(bytes(32)))
    assert (private.read_bytes(), public.read_bytes()) == before


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """One line with the path."""
    with pytest.raises(ConfigurationError, match=r"nowhere.a\.key: the key cannot be written: No such file"):
        make_private_key(tmp_path / "nowhere" / "a.key")
    for read in (read_private_key, read_public_key):
        with pytest.raises(ConfigurationError, match=r"nowhere\.key: the key cannot be read: No such file"):
            read(tmp_path / "nowhere.key")


def other_kind(public: bool) -> bytes:
    key = generate_private_key(SECP256R1())
    if public:
        return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize("content", [b"", b"no key", other_kind(public=False), other_kind(public=True)])
def test_what_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    """Nothing, text, and keys of another kind: one line that says what was expected."""
    file = tmp_path / "a.key"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"a\.key: expected an Ed25519 private key") as refused:
        read_private_key(file)
    assert "\n" not in str(refused.value)
    with pytest.raises(ConfigurationError, match=r"a\.key: expected an Ed25519 public key"):
        read_public_key(file)


def test_the_halves_are_not_taken_for_each_other(tmp_path: Path) -> None:
    """A private key where a public one belongs would lie on every line PC."""
    private, public = pair(tmp_path)
    public.chmod(0o600)
    with pytest.raises(ConfigurationError, match="expected an Ed25519 public key"):
        read_public_key(private)
    with pytest.raises(ConfigurationError, match="expected an Ed25519 private key"):
        read_private_key(public)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the program openssl")
def test_openssl_agrees(tmp_path: Path) -> None:
    """What is signed here can be checked without this program, and the other way round."""
    private, public = pair(tmp_path)
    data, signature = tmp_path / "data", tmp_path / "data.sig"
    data.write_bytes(DATA)
    signature.write_bytes(read_private_key(private).sign(DATA))
    verify = ["-verify", "-pubin", "-inkey", str(public), "-rawin", "-in", str(data), "-sigfile", str(signature)]
    assert _openssl(*verify) == 0
    data.write_bytes(DATA + b" ")
    assert _openssl(*verify) != 0
    signed = tmp_path / "openssl.sig"
    assert _openssl("-sign", "-inkey", str(private), "-rawin", "-in", str(data), "-out", str(signed)) == 0
    assert read_public_key(public).verifies(DATA + b" ", signed.read_bytes())


def _openssl(*arguments: str) -> int:
    return subprocess.run(["openssl", "pkeyutl", *arguments], check=False, capture_output=True).returncode
