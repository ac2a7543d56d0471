"""The stations of one machine, by their configurations: what two of them want and only one can have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge.errors import ConfigurationError
from edge.settings import Endpoints, ProcessSettings, read_toml, refuse_shared_name

_FIRST_PORT, _LAST_PORT, _STEP = 5556, 65000, 10
_PORTS = 4


def conflicts(folder: Path) -> Iterator[str]:
    """Yield a line for whatever two configurations in *folder* both claim, and for each that is not usable."""
    claims: dict[str, list[str]] = defaultdict(list)
    for path in sorted(folder.glob("*.toml")):
        try:
            tree = read_toml(path)
            if not _is_station(tree):
                continue
            refuse_shared_name(path)
            for claim in _claims(tree):
                claims[claim].append(path.name)
        except (ConfigurationError, ValidationError) as error:
            yield _first_line(path, error)
    for claim, names in claims.items():
        if len(names) > 1:
            yield f"{' and '.join(names)} both have {claim}: only one of them will start; give the other another one"


def free_port(folder: Path) -> int:
    """Return the first of four ports that no configuration in *folder* names."""
    taken: set[int] = set()
    for path in folder.glob("*.toml"):
        try:
            addresses = [address for _, address in Endpoints.model_validate(_table(read_toml(path), "endpoints"))]
        except (ConfigurationError, ValidationError):
            continue
        taken |= {int(port) for address in addresses if (port := address.rpartition(":")[2]).isdecimal()}
    for first in range(_FIRST_PORT, _LAST_PORT, _STEP):
        if not taken & set(range(first, first + _PORTS)):
            return first
    raise ConfigurationError(f"{folder}: no four free ports in a row; name endpoints by hand")


def _is_station(tree: Mapping[str, Any]) -> bool:
    """Tell a station's file from a calibration, which has a table for each camera too, and from a recipe."""
    cameras = tree.get("cameras")
    return isinstance(cameras, list) and any(isinstance(camera, Mapping) and "source" in camera for camera in cameras)


def _claims(tree: Mapping[str, Any]) -> Iterator[str]:
    for _, address in Endpoints.model_validate(_table(tree, "endpoints")):
        if not address.endswith(":*"):
            yield f"the endpoint {address.replace('localhost', '127.0.0.1')}"
    for core in ProcessSettings.model_validate(_table(tree, "process")).cores:
        yield f"core {core}"
    for key in ("state_dir", "run_dir"):
        if key in tree:
            yield f'{key} = "{tree[key]}"'
    yield f'the name "{tree.get("station")}"'


def _table(tree: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = tree.get(name, {})
    return table if isinstance(table, Mapping) else {}


def _first_line(path: Path, error: Exception) -> str:
    if isinstance(error, ValidationError):
        fault = error.errors(include_url=False)[0]
        return f"{path}: key '{'.'.join(map(str, fault['loc']))}': {fault['msg']}"
    return str(error)
