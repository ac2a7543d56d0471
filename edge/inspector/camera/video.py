"""OpenCV's handle of a device, a stream or a file: opened with every setting read back, or why it is not."""

from __future__ import annotations

import errno
import fcntl
import math
import os
import re
import socket
import struct
import time
from pathlib import Path
from urllib.parse import urlsplit

import cv2

from edge.errors import CameraError
from edge.settings import OpenCVSource

# Rates, exposure and gain are rounded by the drivers; a size is what it is.
_TOLERANCE = 0.02
_EXACT = {"width", "height"}
_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_PROBE_S = 0.5
_TIMED_OUT = 0.95
# linux/videodev2.h: struct v4l2_capability and v4l2_requestbuffers.
_QUERYCAP, _CAPABILITY_BYTES, _DEVICE_CAPS_AT, _VIDEO_CAPTURE = 0x80685600, 104, 88, 0x00000001
_REQBUFS, _ONE_MAPPED_BUFFER = 0xC0145608, struct.pack("5I", 1, 1, 1, 0, 0)
# What UDP loses is painted over from the picture before, and handed out as good. There is no parameter for it, and the
# variable holds for the whole process: so it is the same for all cameras, from the start. Another value is kept.
_OPTIONS, _OVER_TCP = "OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp"
os.environ.setdefault(_OPTIONS, _OVER_TCP)
# ?user=admin&pwd=secret, and /user=admin_password=secret_channel=1: all of such a piece.
_SECRETS = re.compile(
    r"(?<=[?&;/])([^=&;/?]*(?:user|usr|pass|pwd|login|token|auth|key)[^=&;/?]*)=[^&;?#]*", re.IGNORECASE
)


def shown(source: OpenCVSource) -> str:
    """Return the device as messages may show it: without user name and password."""
    return _SECRETS.sub(r"\1=***", re.sub(r"//[^/]*@", "//***@", str(source.device)))


def opened(source: OpenCVSource, by: str | None = None) -> cv2.VideoCapture:
    """
    Return an open handle to which all settings were applied.

    Args:
        by: the address by which OpenCV shall open it; None = the source's own.

    Raises:
        CameraError: it does not open, or a setting reads back differently; says requested and actual.
    """
    _require_tcp(source)
    began_s = time.monotonic()
    capture = _opened(source, by)
    # A probe that hit the time-out leaves an open handle whose time stamps are wrong.
    timed_out = _is_url(source) and time.monotonic() - began_s >= _TIMED_OUT * source.open_timeout_ms / 1000
    try:
        if timed_out or not capture.isOpened():
            raise CameraError(f"camera {shown(source)}: does not open: {_why_not(source, timed_out)}")
        _apply(capture, source)
    except CameraError:
        capture.release()
        raise
    return capture


def described(capture: cv2.VideoCapture, source: OpenCVSource, rate_hz: float | None = None) -> str:
    """Return one line for people; rate_hz: as measured, since FFmpeg says 25 of every motion JPEG [1/s]."""
    width, height = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
    rate = f"{capture.get(cv2.CAP_PROP_FPS):g} Hz" if rate_hz is None else f"{rate_hz:.3g} Hz"
    return f"{shown(source)} by {capture.getBackendName()}, {width:.0f}x{height:.0f}, {rate}"


def port_of(source: OpenCVSource) -> str | None:
    """Return which camera a bare number is now, and where it is plugged in; None = named otherwise, or unknown."""
    if not source.is_bare_number:
        return None
    try:
        descriptor = os.open(_node(source), os.O_RDWR | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        capability = fcntl.ioctl(descriptor, _QUERYCAP, bytes(_CAPABILITY_BYTES))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    # Each 32 bytes, after 16 of the driver's name.
    card, bus = (capability[at : at + 32].split(b"\0")[0].decode("utf-8", "replace") for at in (16, 48))
    return f"{card} at {bus}"


def _require_tcp(source: OpenCVSource) -> None:
    options = os.environ.get(_OPTIONS, "")
    if source.is_rtsp and _OVER_TCP not in options.split("|"):
        raise CameraError(
            f"camera {shown(source)}: {_OPTIONS} = {options!r}, expected {_OVER_TCP} among it: what UDP loses is "
            "painted over, and nothing tells; unset the variable"
        )


def _node(source: OpenCVSource) -> Path:
    return Path(f"/dev/video{source.device}" if isinstance(source.device, int) else source.device)


def _opened(source: OpenCVSource, by: str | None) -> cv2.VideoCapture:
    if isinstance(source.device, int):
        return cv2.VideoCapture(source.device, cv2.CAP_V4L2)
    if not _is_url(source):
        # FFmpeg would be asked first, and read a device as a file.
        backend = cv2.CAP_V4L2 if Path(source.device).is_char_device() else cv2.CAP_ANY
        return cv2.VideoCapture(source.device, backend)
    # As constructor parameters: set() comes too late. More decoder threads cost a frame period of delay each.
    parameters = [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, source.open_timeout_ms,
        cv2.CAP_PROP_READ_TIMEOUT_MSEC, source.read_timeout_ms,
        cv2.CAP_PROP_N_THREADS, 1,
    ]  # fmt: skip
    return cv2.VideoCapture(by or str(source.device), cv2.CAP_FFMPEG, parameters)


def address_of(source: OpenCVSource) -> tuple[str, int]:
    """
    Return host and port of an address.

    Raises:
        ValueError: it has none that could be one.
    """
    parts = urlsplit(str(source.device))
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme.lower(), 80)


# ---- settings --------------------------------------------------------------------------------------------------


def _apply(capture: cv2.VideoCapture, source: OpenCVSource) -> None:
    """
    Ask for every setting, then believe what is read back: with some drivers set() says true and changes nothing, and
    V4L2 applies a size only after width and height were both set.
    """
    fourcc = None if source.pixel_format is None else cv2.VideoWriter.fourcc(*source.pixel_format)
    settings = {
        # The format first: it says which sizes and rates there are.
        "pixel_format": (cv2.CAP_PROP_FOURCC, fourcc),
        "width": (cv2.CAP_PROP_FRAME_WIDTH, source.width),
        "height": (cv2.CAP_PROP_FRAME_HEIGHT, source.height),
        # Nobody can ask a network camera for it.
        "rate_hz": (cv2.CAP_PROP_FPS, None if _is_url(source) else source.rate_hz),
        "exposure": (cv2.CAP_PROP_EXPOSURE, source.exposure),
        "gain": (cv2.CAP_PROP_GAIN, source.gain),
    }
    asked = {name: (property_, value) for name, (property_, value) in settings.items() if value is not None}
    for property_, value in asked.values():
        capture.set(property_, value)
    for name, (property_, value) in asked.items():
        actual = capture.get(property_)
        exact = name in _EXACT or name == "pixel_format"
        if not math.isclose(actual, value, rel_tol=0.0 if exact else _TOLERANCE):
            of = _text_from_fourcc if name == "pixel_format" else "{:g}".format
            raise CameraError(
                f"camera {shown(source)}: {name} requested {of(value)}, actual {of(actual)}; choose a mode it has"
            )


def _text_from_fourcc(code: float) -> str:
    letters = struct.pack("<I", round(code) & 0xFFFFFFFF).decode("ascii", "replace")
    return letters if letters.isprintable() else "none"


# ---- why it does not open: OpenCV does not say -----------------------------------------------------------------


def _why_not(source: OpenCVSource, timed_out: bool) -> str:
    if timed_out:
        return f"no stream within open_timeout_ms = {source.open_timeout_ms}: it hangs, or the network is too slow"
    if _is_url(source):
        return _why_no_stream(source)
    node = _node(source)
    try:
        descriptor = os.open(node, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        return _why_no_node(node, error)
    try:
        return _why_no_capture(node, descriptor)
    finally:
        os.close(descriptor)


def _why_no_node(node: Path, error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"no right to read and write {node}: make this user a member of the group that owns it, most often video"
    if error.errno == errno.EBUSY:
        return _busy(node)
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        present = ", ".join(sorted(map(str, Path("/dev").glob("video*")))) or "none"
        return f"there is no {node}; devices present: {present}; check the cable, or name another device"
    return f"{node}: {error.strerror}; check the device"


def _why_no_capture(node: Path, descriptor: int) -> str:
    try:
        capability = fcntl.ioctl(descriptor, _QUERYCAP, bytes(_CAPABILITY_BYTES))
    except OSError:
        return f"{node} is no camera and no video file; name another device"
    (capabilities,) = struct.unpack_from("<I", capability, _DEVICE_CAPS_AT)
    if not capabilities & _VIDEO_CAPTURE:
        return f"{node} gives no pictures: many cameras have a second node for data about them; name the other one"
    try:
        fcntl.ioctl(descriptor, _REQBUFS, _ONE_MAPPED_BUFFER)
    except OSError as error:
        return _busy(node) if error.errno == errno.EBUSY else f"{node}: {error.strerror}; check the device"
    return f"{node} is there and free, but OpenCV cannot stream from it; try another pixel_format"


def _busy(node: Path) -> str:
    return f"{node} is in use by another program, or it hangs: fuser -v {node} tells; end that program, or replug it"


def _why_no_stream(source: OpenCVSource) -> str:
    try:
        with socket.create_connection(address_of(source), timeout=_PROBE_S):
            return "it answers but gives no stream (RTSP: over TCP); check path, user, password, and who else uses it"
    except (OSError, ValueError) as error:
        return f"{str(error).strip() or 'no connection'}; check cable, address and port"


def _is_url(source: OpenCVSource) -> bool:
    return isinstance(source.device, str) and "://" in source.device
