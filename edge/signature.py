"""
Ed25519: which key signed which bytes. The one file that knows the package ``cryptography``.

Keys are PEM files as openssl writes and reads them; a signature is its 64 raw bytes, so that it can be checked without
this program, too:

    openssl pkeyutl -verify -pubin -inkey NAME.pub -rawin -in manifest.json -sigfile manifest.sig
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from edge.errors import ConfigurationError

SIGNATURE_BYTES = 64

# A key is 113 or 119 bytes of PEM. Without a limit a device file would fill the memory.
_MOST_KEY_BYTES = 4096
_OTHERS = 0o077


@dataclass(frozen=True)
class PublicKey:
    """
    Attributes:
        raw: its 32 bytes.
        path: the file it was read from, for messages; no part of the key.
    """

    raw: bytes
    path: Path | None = field(default=None, compare=False)

    @property
    def id(self) -> str:
        """The first 16 hex digits of the key's SHA-256: what people call it."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    def __str__(self) -> str:
        return self.id if self.path is None else f"{self.id} ({self.path})"

    def verifies(self, data: bytes, signature: bytes) -> bool:
        """Tell whether the holder of the private key has signed exactly *data*."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, data)
        except InvalidSignature:
            return False
        return True


class PrivateKey:
    """
    Attributes:
        public: the key that tells its signatures.
    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def sign(self, data: bytes) -> bytes:
        """Return the signature of *data*, SIGNATURE_BYTES long."""
        return self._key.sign(data)


def make_private_key(path: Path) -> PrivateKey:
    """
    Make a key and write it, readable by its owner alone.

    Raises:
        ConfigurationError: there is a file already (it is left as it is), or none can be written.
    """
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write_new(path, pem, 0o600)
    return PrivateKey(key)


def write_public_key(path: Path, key: PublicKey) -> None:
    """
    Write the key for those who shall trust it.

    Raises:
        ConfigurationError: as make_private_key().
    """
    public = Ed25519PublicKey.from_public_bytes(key.raw)
    _write_new(path, public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), 0o644)


def read_private_key(path: Path) -> PrivateKey:
    """
    Raises:
        ConfigurationError: it cannot be read, others than its owner may read it, or it is no Ed25519 private key.
    """
    pem = _read(path, private=True)
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(_no_key(path, "private")) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(_no_key(path, "private"))
    return PrivateKey(key)


def read_public_key(path: Path) -> PublicKey:
    """
    Raises:
        ConfigurationError: it cannot be read, or is no Ed25519 public key.
    """
    pem = _read(path, private=False)
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(_no_key(path, "public")) from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigurationError(_no_key(path, "public"))
    return PublicKey(key.public_bytes(Encoding.Raw, PublicFormat.Raw), path)


def _no_key(path: Path, kind: str) -> str:
    return f"{path}: expected an Ed25519 {kind} key as PEM, without a password; make one with edge-engine keygen"


def _read(path: Path, *, private: bool) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            pem = file.read(_MOST_KEY_BYTES)
            # A public key may be read by all; that it is none to sign with is told by who decodes it.
            if private and mode & _OTHERS and b"PUBLIC KEY" not in pem:
                raise ConfigurationError(
                    f"{path}: its mode is {mode:03o}, expected 600: others may read this private key; chmod 600 {path}"
                )
            return pem
    except OSError as error:
        raise ConfigurationError(
            f"{path}: the key cannot be read: {error.strerror}; check path, owner and mode"
        ) from error


def _write_new(path: Path, pem: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(descriptor)
    except FileExistsError as error:
        raise ConfigurationError(
            f"{path}: there is a file already, and keys are not overwritten; choose another name"
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"{path}: the key cannot be written: {error.strerror}; choose another folder"
        ) from error
