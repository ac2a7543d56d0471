"""
Read a release bundle: what is used is what was hashed, byte for byte.

A bundle is loaded whole into memory and each file is hashed as loaded, so that what lies on the disk afterwards does
not matter. Anything unexpected refuses the bundle: it was altered, or made by something else. The signature is of the
manifest's bytes, and is checked before anything in them is believed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import msgspec

from edge.errors import BundleError
from edge.signature import SIGNATURE_BYTES, PublicKey
from engines.contract import (
    CLASSIFIER_NAME,
    MANIFEST_NAME,
    SCHEMA,
    SEGMENTER_NAME,
    SIGNATURE_NAME,
    Manifest,
    manifest_from_json,
)

# What the manifest cannot list: itself, and what is made of it.
_UNHASHED = (MANIFEST_NAME, SIGNATURE_NAME)

MAX_FILE_BYTES = 1 << 30
"""Larger files are no part of a bundle; without a limit a device file would fill the memory."""


@dataclass(frozen=True)
class Bundle:
    """
    A bundle whose every file was found as its manifest says.

    Attributes:
        path: the folder it was read from, for messages; it is not read again.
        manifest: decoded and checked.
        hash: SHA-256 of ``manifest.json`` as loaded: names this bundle in every verdict.
        files: the verified bytes of every listed file, by path relative to the folder.
        text: the bytes of ``manifest.json``.
        signature: the bytes of ``manifest.sig``; None = it was never signed.
        signed_by: the trusted key that verifies it; None = no trust was asked for, or the bundle is unsigned.
    """

    path: Path
    manifest: Manifest
    hash: str
    files: dict[str, bytes] = field(repr=False)
    text: bytes = field(default=b"", repr=False)
    signature: bytes | None = field(default=None, repr=False)
    signed_by: PublicKey | None = None

    @property
    def classifier(self) -> bytes:
        """The classifier's ONNX file."""
        return self.files[CLASSIFIER_NAME]

    @property
    def segmenter(self) -> bytes:
        """The segmenter's ONNX file."""
        return self.files[SEGMENTER_NAME]


@dataclass(frozen=True)
class Trust:
    """
    Which bundles are accepted for work on the line.

    Attributes:
        keys: one of these must verify the signature. Without any, no signature can be checked, and every bundle counts
            as unsigned.
        allow_unsigned: accept a bundle without a signature. Never one with a signature that none of *keys* verifies.
        releases: by bundle name, the highest release number that was ever active; a lower one is refused.
    """

    keys: tuple[PublicKey, ...] = ()
    allow_unsigned: bool = False
    releases: Mapping[str, int] = field(default_factory=dict)


def read_bundle(folder: Path) -> Bundle:
    """
    Load a bundle and check every file against the manifest; whoever has signed it, or nobody.

    Raises:
        BundleError: the manifest or a file is missing, altered, not listed, a link, may not be read, or is of a newer
            schema.
    """
    with _reading(folder):
        return _read(folder, None)


def read_trusted_bundle(folder: Path, trust: Trust) -> Bundle:
    """
    Load a bundle for work on the line.

    Raises:
        BundleError: as read_bundle(), or its signature or its release number is not acceptable to *trust*.
    """
    with _reading(folder):
        bundle = _read(folder, trust)
    _refuse_older(bundle, trust)
    return bundle


def _read(folder: Path, trust: Trust | None) -> Bundle:
    text, signature = _manifest_bytes(folder), _signature_bytes(folder)
    signed_by = None if trust is None else _signer(folder, text, signature, trust)
    manifest = _manifest(folder, text)
    _refuse_unlisted(folder, manifest)
    files = {name: _verified(folder, name, digest) for name, digest in manifest.files.items()}
    _refuse_incomplete(folder, manifest)
    return Bundle(folder, manifest, hashlib.sha256(text).hexdigest(), files, text, signature, signed_by)


def _signer(folder: Path, text: bytes, signature: bytes | None, trust: Trust) -> PublicKey | None:
    """Return the trusted key that has signed *text*; None when it need not be signed."""
    if signature is not None and len(signature) != SIGNATURE_BYTES:
        raise BundleError(
            f"{folder}: {SIGNATURE_NAME} has {len(signature)} bytes, expected {SIGNATURE_BYTES}: it is damaged; "
            "copy the bundle anew"
        )
    if signature is not None and trust.keys:
        for key in trust.keys:
            if key.verifies(text, signature):
                return key
        raise BundleError(
            f"{folder}: no trusted key has signed this {MANIFEST_NAME}: tried {', '.join(map(str, trust.keys))}; copy "
            "the bundle anew, or add its signer's key to bundle.trusted_keys"
        )
    if trust.allow_unsigned:
        return None
    if signature is None:
        raise BundleError(
            f"{folder}: the bundle carries no signature ({SIGNATURE_NAME}); sign it with edge-engine sign, or set "
            "bundle.allow_unsigned = true to inspect with it"
        )
    raise BundleError(
        f"{folder}: the bundle is signed, but no key is trusted here; name its signer's in bundle.trusted_keys (of the "
        f"bundle that ships: {Path(__file__).with_name('demo.pub')})"
    )


def _refuse_older(bundle: Bundle, trust: Trust) -> None:
    name, release = bundle.manifest.name, bundle.manifest.release
    highest = trust.releases.get(name, 0)
    if release < highest:
        raise BundleError(
            f"{bundle.path}: bundle '{name}' is release {release}, but release {highest} was active here before; "
            "use a newer one, or set bundle.allow_older = true to go back"
        )


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        path = Path(error.filename or folder)
        name = path.relative_to(folder) if path != folder and path.is_relative_to(folder) else "the folder"
        raise BundleError(f"{folder}: {name} cannot be read: {error.strerror}; check its owner and mode") from error


def _raise(error: OSError) -> None:
    raise error


def _manifest_bytes(folder: Path) -> bytes:
    if not folder.is_dir():
        raise BundleError(f"{folder}: no such folder: expected a bundle with a {MANIFEST_NAME}; check the path")
    if not (folder / MANIFEST_NAME).exists():
        raise BundleError(f"{folder}: {MANIFEST_NAME} is missing: expected a bundle, as edge-engine export writes it")
    return _loaded(folder, MANIFEST_NAME)


def _signature_bytes(folder: Path) -> bytes | None:
    return _loaded(folder, SIGNATURE_NAME) if os.path.lexists(folder / SIGNATURE_NAME) else None


def _manifest(folder: Path, text: bytes) -> Manifest:
    """Decode the manifest, its schema number first: a newer one may have any other keys."""
    where = f"{folder}: {MANIFEST_NAME}"
    try:
        schema = msgspec.json.decode(text, type=_AnySchema).schema
        if schema == SCHEMA:
            return manifest_from_json(text)
    except msgspec.DecodeError as error:
        raise BundleError(f"{where}: {error}; export the bundle again") from error
    if schema > SCHEMA:
        raise BundleError(f"{where}: schema {schema}, expected {SCHEMA}: the bundle is newer; update this program")
    raise BundleError(f"{where}: schema {schema}, expected {SCHEMA}; export the bundle again")


class _AnySchema(msgspec.Struct):
    schema: int


def _refuse_unlisted(folder: Path, manifest: Manifest) -> None:
    # rglob() leaves out in silence what it may not list.
    walked = [Path(at, name) for at, folders, files in os.walk(folder, onerror=_raise) for name in (*folders, *files)]
    for path in sorted(walked):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise BundleError(f"{folder}: {name} is a symbolic link: expected plain files; copy the bundle anew")
        if not path.is_dir() and name not in _UNHASHED and name not in manifest.files:
            raise BundleError(f"{folder}: {name} is not listed in {MANIFEST_NAME}; remove it or copy the bundle anew")


def _refuse_incomplete(folder: Path, manifest: Manifest) -> None:
    needed = [CLASSIFIER_NAME, SEGMENTER_NAME]
    for frame in manifest.reference:
        needed += [frame.image, frame.answers]
    for name in needed:
        if name not in manifest.files:
            raise BundleError(f"{folder}: {MANIFEST_NAME} lists no hash of {name}; export the bundle again")


def _verified(folder: Path, name: str, digest: str) -> bytes:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or str(path) != name or name in _UNHASHED:
        raise BundleError(
            f"{folder}: {MANIFEST_NAME} lists '{name}': expected a plain path inside the bundle; do not use this bundle"
        )
    data = _loaded(folder, name)
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise BundleError(
            f"{folder}: {name} has SHA-256 {found[:12]}..., expected {digest[:12]}...: "
            "the file was altered; copy the bundle anew"
        )
    return data


def _loaded(folder: Path, name: str) -> bytes:
    path = folder / name
    if path.is_symlink():
        raise BundleError(f"{folder}: {name} is a symbolic link: expected a plain file; copy the bundle anew")
    if not path.is_file():
        raise BundleError(f"{folder}: {name} is missing, or no file: expected a plain one; copy the bundle anew")
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise BundleError(f"{folder}: {name} is larger than {MAX_FILE_BYTES} bytes; do not use this bundle")
    return data
