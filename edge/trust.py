"""What a station's settings accept as a bundle, and the bundle read under that."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edge.bundle import Bundle, Trust, read_trusted_bundle
from edge.settings import BundleSettings, Station, credential
from edge.signature import read_public_key


def trust_from_settings(settings: BundleSettings, releases: Mapping[str, int]) -> Trust:
    """
    Read the trusted keys.

    Args:
        releases: by bundle name, the highest release number that was ever active at the station.

    Raises:
        ConfigurationError: a key cannot be read.
    """
    return Trust(
        keys=tuple(read_public_key(credential(path) or path) for path in settings.trusted_keys),
        allow_unsigned=settings.allow_unsigned,
        releases={} if settings.allow_older else releases,
    )


def read_bundle_of(station: Station, path: Path, releases: Mapping[str, int]) -> Bundle:
    """
    Read a bundle as read_trusted_bundle() does, with what the station's settings accept.

    Raises:
        ConfigurationError: a trusted key cannot be read.
        BundleError: as read_trusted_bundle().
    """
    return read_trusted_bundle(path, trust_from_settings(station.bundle, releases))
