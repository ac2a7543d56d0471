"""
Aravis: GigE Vision and USB3 Vision. The only file that imports it, through GObject introspection.

Facts that were measured (Aravis 0.8.26, PyGObject 3.50):
- ``timeout_pop_buffer`` releases the interpreter lock: while one thread was blocked in it for 1 s another went through
  898 turns of 1 ms. tests/integration/test_genicam.py holds that.
- Looking for cameras takes 1.0 s, always. A register access takes 0.03 ms, on a dead camera 2.5 s, then it fails.
- ``control-lost`` comes 5.8 s after a GigE camera was gone. An old handle never delivers again, even when its register
  accesses succeed: only a new camera and a new stream help.
- A camera that another program controls can be opened, and fails at the first write in the words of a dead one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from edge.errors import CameraError, ConfigurationError
from edge.inspector.camera.driver import SUCCESS, Device, Grabbed, Key
from edge.inspector.camera.features import FEATURES, MARKS
from edge.inspector.camera.times import Arrivals

_MENDING = (
    "install the system's gir1.2-aravis-0.8 (Debian, Ubuntu: apt install gir1.2-aravis-0.8), then pip install "
    "'edge-inspect[genicam]'"
)
try:
    import gi  # type: ignore[import-not-found, import-untyped, unused-ignore]

    gi.require_version("Aravis", "0.8")
    from gi.repository import Aravis, Gio, GLib, GObject  # type: ignore[import-not-found, import-untyped, unused-ignore]
except (ImportError, ValueError) as error:
    raise ConfigurationError(
        f"GenICam cameras need Aravis and PyGObject, which are not here ({error}); {_MENDING}"
    ) from error

# What the kernel keeps while the receiving thread waits for a processor; it gives no more than net.core.rmem_max.
_SOCKET_FRAMES = 4
# One list of cameras for the whole process: it must not change between counting them and reading of the last.
_LIST = threading.Lock()


def devices() -> list[Device]:
    """Return every camera that answers, and whether it can be had; takes more than a second."""
    return [_with_state(device) for device in found()]


def found() -> list[Device]:
    """Return every camera that answers, without opening any; takes a second."""
    with _LIST:
        Aravis.update_device_list()
        return [_device(index) for index in range(Aravis.get_n_devices())]


def features(device: str) -> dict[str, str]:
    """
    Return what a camera is set to and what it can, for people.

    Args:
        device: id or address.

    Raises:
        CameraError: it does not open.
    """
    handle = AravisHandle(device, exclusive=False)
    try:
        return handle.describe()
    finally:
        handle.tear_down()


def open_handle(device: str) -> AravisHandle:
    """
    Take control of a camera.

    Raises:
        CameraError: it does not open, or somebody else has it.
    """
    return AravisHandle(device)


class AravisHandle:
    """
    The camera and its stream. Only the thread that tears it down may drop the last reference to them: that blocks.

    Args:
        exclusive: False = to look at it only, also while another has it.
    """

    def __init__(self, device: str, *, exclusive: bool = True) -> None:
        self.id = device
        self._lost = threading.Event()
        self._arrivals = Arrivals()
        self._stream: Any = None
        with _told(f"{device}: does not open"), _LIST:
            self._camera = Aravis.Camera.new(device)
        self._device = self._camera.get_device()
        # The closure holds the event and not this object: no cycle keeps the camera alive.
        self._device.connect("control-lost", lambda _device, lost: lost.set(), self._lost)
        if exclusive and not self._controls:
            self.tear_down()
            raise CameraError(
                f"{device}: is not ours to control: in use by another program or host, or gone this moment; close the "
                "other one (a dead program's hold ends after some seconds), or check cable and power"
            )

    @property
    def lost(self) -> bool:
        return self._lost.is_set() or not self._controls

    @property
    def _controls(self) -> bool:
        # A flag of the heartbeat's thread; nobody is asked.
        return not self._camera.is_gv_device() or bool(self._device.is_controller())

    # ---- what it is set to -----------------------------------------------------------------------------------

    def bounds(self, key: Key) -> tuple[float, float] | None:
        if not self._has(key):
            return None
        with _told(key):
            return FEATURES[key].bounds(self._camera)

    def write(self, key: Key, value: float) -> None:
        with _told(f"{key} requested {value:g}"):
            FEATURES[key].write(self._camera, value)

    def read(self, key: Key) -> float:
        with _told(key):
            return FEATURES[key].read(self._camera)

    def marks(self) -> dict[str, str]:
        with _told("features"):
            return {name: self._text(name) for name in MARKS if self._implements(name)}

    def formats(self) -> list[str]:
        with _told("pixel formats"):
            return list(self._camera.dup_available_pixel_formats_as_strings())

    def write_format(self, code: int) -> None:
        with _told(f"pixel format requested {code:#010x}"):
            self._camera.set_pixel_format(code)

    def read_format(self) -> tuple[int, str]:
        with _told("pixel format"):
            return self._camera.get_pixel_format(), self._camera.get_pixel_format_as_string()

    def trigger_sources(self) -> list[str]:
        with _told("trigger sources"):
            return list(self._camera.dup_available_trigger_sources())

    def write_trigger(self, source: str | None, activation: str | None) -> None:
        with _told(f"trigger requested {source or 'off'}"):
            self._camera.clear_triggers()
            if source is not None:
                self._camera.set_trigger(source)
        if activation is not None:
            with _told(f"trigger_activation requested {activation}"):
                self._camera.set_string("TriggerActivation", activation)

    def read_trigger(self) -> tuple[str | None, str | None]:
        with _told("trigger"):
            if not self._implements("TriggerMode") or self._camera.get_string("TriggerMode") == "Off":
                return None, None
            told = self._implements("TriggerActivation")
            activation = self._camera.get_string("TriggerActivation") if told else None
            return self._camera.get_string("TriggerSource"), activation

    def describe(self) -> dict[str, str]:
        """Return every feature that this product sets, with its bounds."""
        camera = self._camera
        told: dict[str, Callable[[], object]] = {
            "vendor": camera.get_vendor_name,
            "model": camera.get_model_name,
            "serial": camera.get_device_serial_number,
            "state": lambda: "free" if self._controls else "in use",
            "sensor [px]": lambda: "{}x{}".format(*camera.get_sensor_size()),
            "region [px]": lambda: "{2}x{3} at ({0}, {1})".format(*camera.get_region()),
            **{feature.name: self._line(key) for key, feature in FEATURES.items()},
            "pixel_format": camera.get_pixel_format_as_string,
            "pixel formats": lambda: ", ".join(self.formats()),
            "trigger": lambda: ", ".join(part or "-" for part in self.read_trigger()),
            "trigger sources": lambda: ", ".join(self.trigger_sources()),
            "payload [bytes]": camera.get_payload,
            "without a setting": lambda: ", ".join(f"{name} {text}" for name, text in self.marks().items()),
        }
        return {name: _tried(ask) for name, ask in told.items()}

    def _line(self, key: Key) -> Callable[[], str]:
        def line() -> str:
            bounds = self.bounds(key)
            return "none" if bounds is None else f"{self.read(key):g} ({bounds[0]:g} to {bounds[1]:g})"

        return line

    def _has(self, key: Key) -> bool:
        with _told(key):
            return FEATURES[key].is_there(self._camera)

    def _text(self, feature: str) -> str:
        try:
            return str(self._device.get_feature(feature).get_value_as_string())
        except GLib.Error:
            # Some are there in some modes only: that it tells nothing is then what it tells.
            return "unreadable"

    def _implements(self, feature: str) -> bool:
        return bool(self._camera.is_feature_available(feature))

    # ---- frames ----------------------------------------------------------------------------------------------

    def start(self, buffers: int, resend: bool, retention_ms: int) -> None:
        with _told("does not start"):
            if self._camera.is_gv_device():
                # Packet sockets are for root; the service is not, and what is tested shall be what runs on the line.
                self._camera.gv_set_stream_options(Aravis.GvStreamOption.PACKET_SOCKET_DISABLED)
            self._stream = stream = self._camera.create_stream(None, None)
            if self._camera.is_gv_device():
                stream.set_property("socket-buffer", Aravis.GvStreamSocketBuffer.FIXED)
                stream.set_property("socket-buffer-size", _SOCKET_FRAMES * self._camera.get_payload())
                stream.set_property("frame-retention", 1000 * retention_ms)
                if not resend:
                    stream.set_property("packet-resend", Aravis.GvStreamPacketResend.NEVER)
            if self._implements("AcquisitionMode"):
                self._camera.set_acquisition_mode(Aravis.AcquisitionMode.CONTINUOUS)
            payload = self._camera.get_payload()
            for _ in range(buffers):
                stream.push_buffer(Aravis.Buffer.new_allocate(payload))
            self._camera.start_acquisition()

    def pop(self, timeout_s: float) -> Grabbed | None:
        buffer = self._stream.timeout_pop_buffer(max(round(timeout_s * 1e6), 0))
        wall_ns, now_ns = time.time_ns(), time.monotonic_ns()
        if buffer is None:
            self._arrivals.look(wall_ns, now_ns)
            return None
        arrived_ns = self._arrivals.arrived_ns(buffer.get_system_timestamp(), wall_ns, now_ns)
        grabbed = _grabbed(buffer, arrived_ns)
        self._stream.push_buffer(buffer)
        return grabbed

    def fire(self) -> None:
        with _told("software trigger"):
            self._camera.software_trigger()

    def ping(self) -> None:
        with _told("does not answer"):
            self._camera.get_payload()

    def tear_down(self) -> None:
        # It may be gone; that is most often why it is torn down.
        with suppress(GLib.Error):
            if self._stream is not None and not self.lost:
                self._camera.stop_acquisition()
        self._device = None
        # The stream's thread reads through the device: first the stream.
        stream, self._stream = [self._stream], None
        camera, self._camera = [self._camera], None
        _forget(stream)
        _forget(camera)


def _forget(last: list[Any]) -> None:
    """
    Drop the last reference to an object of GLib's, taken out of the list.

    Where a Python variable drops it, its finalisation runs with the interpreter lock held: that of a dead camera writes
    to its registers, and stood still all other threads for 2.4 s. A call of the binding releases the lock.
    """
    holder = Gio.ListStore.new(GObject.Object)
    if last[0] is not None:
        holder.append(last[0])
    last.clear()
    holder.remove_all()


def _grabbed(buffer: Any, arrived_ns: int) -> Grabbed:
    status, frame_id, stamp_ns = buffer.get_status(), buffer.get_frame_id(), buffer.get_timestamp()
    if status != Aravis.BufferStatus.SUCCESS:
        return Grabbed(status.value_nick, frame_id, 0, arrived_ns)
    payload = buffer.get_payload_type()
    if payload not in (Aravis.BufferPayloadType.IMAGE, Aravis.BufferPayloadType.EXTENDED_CHUNK_DATA):
        return Grabbed(SUCCESS, frame_id, stamp_ns, arrived_ns, payload.value_nick)
    return Grabbed(
        SUCCESS,
        frame_id,
        stamp_ns,
        arrived_ns,
        "image",
        buffer.get_image_pixel_format(),
        buffer.get_image_width(),
        buffer.get_image_height(),
        buffer.get_image_x(),
        buffer.get_image_y(),
        _row_padding(buffer),
        # A copy: the buffer goes back to the stream.
        bytes(buffer.get_image_data()),
    )


def _row_padding(buffer: Any) -> int:
    x, _ = buffer.get_image_padding()
    return int(x)


# ---- finding them ----------------------------------------------------------------------------------------------------


def _device(index: int) -> Device:
    return Device(
        id=Aravis.get_device_id(index) or "",
        vendor=Aravis.get_device_vendor(index) or "",
        model=Aravis.get_device_model(index) or "",
        serial=Aravis.get_device_serial_nbr(index) or "",
        address=Aravis.get_device_address(index) or "",
        protocol=Aravis.get_device_protocol(index) or "",
    )


def _with_state(device: Device) -> Device:
    try:
        handle = AravisHandle(device.id, exclusive=False)
    except CameraError as error:
        state = str(error)
    else:
        state = "in use" if handle.lost else "free"
        handle.tear_down()
    return Device(device.id, device.vendor, device.model, device.serial, device.address, device.protocol, state)


def _tried(ask: Callable[[], object]) -> str:
    """Return the answer as text, or that there is none: not every camera has every feature."""
    try:
        return str(ask())
    except (GLib.Error, CameraError) as error:
        return f"not to be had ({error})"


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn what GLib raises into one line of ours."""
    try:
        yield
    except GLib.Error as error:
        raise CameraError(f"{what}: {' '.join(error.message.split())}") from error
