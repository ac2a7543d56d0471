"""``edge-inspectd camera list``: which cameras this machine sees, and which of a station's open."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge.cameras.nodes import Node, nodes
from edge.cameras.subject import format_of, left_as_it_is, running, station_of
from edge.errors import ConfigurationError, EdgeError
from edge.inspector.camera import make_camera
from edge.records import CameraStatus
from edge.settings import CameraSettings, Station
from engines.contract import PixelFormat

_WRONG, _GOOD = "bold red", "green"
_NO_GENICAM = "not installed: pip install 'edge-inspect[genicam]'"


class List(BaseModel):
    """List the cameras that this machine sees, and whether those of a station open."""

    model_config = ConfigDict(populate_by_name=True)

    config: Path | None = Field(None, description="a station's TOML file: open each of its cameras, and close it again")
    genicam: bool = Field(True, description="ask the network and USB for GenICam cameras; takes seconds")
    as_json: bool = Field(False, alias="json", description="print JSON")


class GenicamDevice(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    vendor: str
    model: str
    serial: str
    address: str
    protocol: str
    state: str


class OfStation(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    kind: str
    opens: bool
    detail: str


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """What was found; printed by --json as one line."""

    v4l2: tuple[Node, ...]
    genicam: tuple[GenicamDevice, ...]
    genicam_fault: str
    """Why none could be looked for; empty when they were."""
    station: tuple[OfStation, ...]


def list_cameras(command: List) -> int:
    """
    Look for cameras and print them.

    Raises:
        ConfigurationError: the station's file is none.
    """
    station = None if command.config is None else station_of(command.config)
    genicam, fault = _genicam() if command.genicam else ((), "not asked for")
    listed = Listed(
        v4l2=tuple(nodes()),
        genicam=genicam,
        genicam_fault=fault,
        station=() if station is None else _of_station(station),
    )
    if command.as_json:
        sys.stdout.write(msgspec.json.encode(listed).decode() + "\n")
    else:
        _print(listed, station)
    return 0


def _genicam() -> tuple[tuple[GenicamDevice, ...], str]:
    try:
        from edge.inspector.camera.aravis import devices
    except ConfigurationError as error:
        return (), str(error) or _NO_GENICAM
    try:
        found = devices()
    except EdgeError as error:
        return (), str(error)
    return tuple(
        GenicamDevice(
            id=device.id,
            vendor=device.vendor,
            model=device.model,
            serial=device.serial,
            address=device.address,
            protocol=device.protocol,
            state=device.state,
        )
        for device in found
    ), ""


def _of_station(station: Station) -> tuple[OfStation, ...]:
    """Return which cameras open; those of a running station are in its hands, and it knows."""
    status = running(station)
    if status is not None:
        return tuple(_told(camera, station) for camera in status.cameras)
    return tuple(_tried(left_as_it_is(camera), format_of(station, camera)) for camera in station.cameras)


def _told(camera: CameraStatus, station: Station) -> OfStation:
    kinds = {settings.name: settings.source.kind for settings in station.cameras}
    detail = f"{camera.state} in the running station: {camera.detail}"
    return OfStation(name=camera.name, kind=kinds.get(camera.name, "-"), opens=camera.state == "open", detail=detail)


def _tried(settings: CameraSettings, format_: PixelFormat | None) -> OfStation:
    name, kind = settings.name, settings.source.kind
    try:
        camera = make_camera(settings, format_ or "mono8")
        try:
            detail = camera.open(1).description
        finally:
            camera.close()
    except EdgeError as error:
        return OfStation(name=name, kind=kind, opens=False, detail=str(error))
    return OfStation(name=name, kind=kind, opens=True, detail=detail)


# ---- for people ------------------------------------------------------------------------------------------------


def _print(listed: Listed, station: Station | None) -> None:
    console = Console()
    if listed.v4l2:
        console.print(_table_of_nodes(listed.v4l2))
    else:
        console.print(Text("v4l2: no device (/dev/video*); check cable and driver: lsusb, dmesg"))
    console.print()
    if listed.genicam:
        console.print(_table_of_devices(listed.genicam))
    else:
        console.print(Text(f"genicam: {listed.genicam_fault or 'no camera answers'}"), soft_wrap=True)
    if station is not None:
        console.print()
        console.print(_table_of_station(listed.station, station))


def _table_of_nodes(found: tuple[Node, ...]) -> Table:
    table = _table("v4l2", "name", "driver", "formats", "rights", "open in")
    for node in found:
        formats = " ".join(dict.fromkeys(node.formats)) if node.pictures is not False else "no pictures: data only"
        held = Text(", ".join(node.holders) or "-", _WRONG if node.holders else "")
        rights = Text(node.rights or "yes", _WRONG if node.rights else "")
        table.add_row(Text(node.path), Text(node.name), Text(node.driver), Text(formats or "-"), rights, held)
    return table


def _table_of_devices(found: tuple[GenicamDevice, ...]) -> Table:
    table = _table("genicam", "vendor", "model", "serial", "address", "protocol", "state")
    for device in found:
        state = Text(device.state or "-", _GOOD if device.state == "free" else _WRONG if device.state else "")
        columns = (device.id, device.vendor, device.model, device.serial, device.address, device.protocol)
        table.add_row(*(Text(column or "-") for column in columns), state)
    return table


def _table_of_station(found: tuple[OfStation, ...], station: Station) -> Table:
    table = _table(f"station {station.station}", "kind", "opens", "")
    for camera in found:
        opens = Text("yes" if camera.opens else "no", _GOOD if camera.opens else _WRONG)
        table.add_row(Text(camera.name), Text(camera.kind), opens, Text(camera.detail))
    return table


def _table(*headings: str) -> Table:
    """Return an empty table; only its last column is folded when the terminal is narrow."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, no_wrap=heading != headings[-1], overflow="fold")
    return table
