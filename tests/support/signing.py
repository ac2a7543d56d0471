"""Signed bundles for tests: a pair of keys in a folder of the test's own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.bundle import read_bundle
from edge.signature import PrivateKey, make_private_key, write_public_key
from engines.contract import MANIFEST_NAME
from engines.keys import write_signature


class Signer:
    """
    Attributes:
        public: path of the key to trust.
    """

    def __init__(self, folder: Path, name: str = "release") -> None:
        self.key: PrivateKey = make_private_key(folder / f"{name}.key")
        self.public = folder / f"{name}.pub"
        write_public_key(self.public, self.key.public)

    def sign(self, bundle: Path) -> Path:
        """Sign a bundle that may be changed; return its folder."""
        write_signature(read_bundle(bundle), self.key)
        return bundle

    def copy(self, bundle: Path, to: Path, **changes: object) -> Path:
        """Return a signed copy at *to*, with other keys in its manifest."""
        shutil.copytree(bundle, to)
        change_manifest(to, changes)
        return self.sign(to)


def change_manifest(bundle: Path, changes: Mapping[str, object]) -> None:
    """Write other values into a bundle's manifest."""
    path = bundle / MANIFEST_NAME
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**manifest, **changes}), encoding="utf-8")
