"""``edge-engine keygen`` and ``sign``: on the release machine, off the line. No torch."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from rich.console import Console

from edge.bundle import Bundle, read_bundle
from edge.errors import ConfigurationError
from edge.signature import PrivateKey, make_private_key, read_private_key, write_public_key
from engines.contract import SIGNATURE_NAME
from engines.options import Keygen, Sign


def make_keys(command: Keygen, console: Console) -> int:
    """
    Write NAME.key and NAME.pub.

    Raises:
        ConfigurationError: one of them is there already, or they cannot be written; neither is left behind.
    """
    private, public = (command.name.with_name(f"{command.name.name}.{kind}") for kind in ("key", "pub"))
    if public.exists():
        raise ConfigurationError(
            f"{public}: there is a file already, and keys are not overwritten; choose another name"
        )
    key = make_private_key(private)
    with contextlib.ExitStack() as unless_written:
        unless_written.callback(private.unlink)
        write_public_key(public, key.public)
        unless_written.pop_all()
    console.print(
        f"key {key.public.id}: {private} signs, and stays off the line; {public} goes to the line PCs, into "
        "bundle.trusted_keys",
        highlight=False,
        soft_wrap=True,
    )
    return 0


def sign_bundle(command: Sign, console: Console) -> int:
    """
    Write a bundle's manifest.sig; one that is there already is replaced.

    Raises:
        ConfigurationError: the key cannot be used.
        BundleError: the bundle is missing or altered: it is not signed.
    """
    key = read_private_key(command.key)
    bundle = read_bundle(command.bundle)
    write_signature(bundle, key)
    manifest = bundle.manifest
    console.print(
        f"{command.bundle}: bundle {manifest.name} release {manifest.release} ({bundle.hash[:12]}) is signed by "
        f"{key.public.id}",
        highlight=False,
        soft_wrap=True,
    )
    return 0


def write_signature(bundle: Bundle, key: PrivateKey) -> None:
    """
    Sign the manifest as it was loaded: whole or not at all, also over a power cut.

    Raises:
        ConfigurationError: the folder cannot be written.
    """
    path = bundle.path / SIGNATURE_NAME
    half = path.with_suffix(".new")
    try:
        _write_through(half, key.sign(bundle.text))
        half.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            half.unlink()
        raise ConfigurationError(
            f"{path}: cannot be written: {error.strerror}; sign a copy that you may write"
        ) from error


def _write_through(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
