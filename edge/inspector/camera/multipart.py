"""
Motion JPEG over HTTP: a stream of parts, each a JPEG of its own. Read without FFmpeg, which decodes half a picture as
if it were a whole one, and does not say that anything was missing.
"""

from __future__ import annotations

import math
import re
import select
import time
from collections.abc import Callable
from contextlib import ExitStack
from http.client import HTTPException, HTTPMessage, HTTPResponse
from typing import IO, Any, NoReturn
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import (
    HTTPBasicAuthHandler,
    HTTPDigestAuthHandler,
    HTTPPasswordMgrWithDefaultRealm,
    OpenerDirector,
    ProxyHandler,
    Request,
    build_opener,
)

import cv2
import numpy as np

from edge.errors import CameraError
from edge.inspector.camera.handle import Read
from edge.inspector.camera.jpeg import end_of_jpeg, fault_of_jpeg
from edge.inspector.camera.video import shown
from edge.settings import OpenCVSource

_CHUNK = 65_536
_MOST_BYTES = 32 << 20
_MOST_HEAD = 16_384
# EXIF may ask for the picture to be turned: zones and scale hold for it as the sensor saw it.
_DECODED = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]+)"|([^\s;]+))', re.IGNORECASE)
_BLANK_LINE = re.compile(rb"\n\r?\n")
_NOT_ASKED = ("pixel_format", "exposure", "gain")


class _Lost(Exception):
    """The stream ended, or says nothing that could be understood."""


class MultipartJpeg:
    """
    One open stream. Every part is looked at as a whole before it is decoded.

    Raises:
        CameraError: it does not open, is no motion JPEG, or another size than was asked for.
    """

    def __init__(self, source: OpenCVSource) -> None:
        self._source = source
        self._shown = shown(source)
        self._timeout_s = source.read_timeout_ms / 1000
        self._data = bytearray()
        self._size = "no picture yet"
        self._waited = self._begun = False
        self._until_s = 0.0
        self._response = self._opened()
        try:
            boundary = self._boundary_of(self._response.headers.get("Content-Type", ""))
            self._delimiter = re.compile(rb"(?:\A|\n)" + re.escape(boundary) + rb"(--)?[ \t]*\r?\n")
            self._longest_delimiter = len(boundary) + 16
            self._require_size()
        except CameraError:
            self.release()
            raise

    def read(self) -> Read | None:
        try:
            return self._read()
        except (_Lost, OSError, HTTPException):
            return None

    def described(self, rate_hz: float | None) -> str:
        rate = "unknown rate" if rate_hz is None else f"{rate_hz:.3g} Hz"
        return f"{self._shown} by HTTP, {self._size}, {rate}"

    def release(self) -> None:
        self._response.close()

    # ---- open ----------------------------------------------------------------------------------------------------

    def _opened(self) -> HTTPResponse:
        for name in _NOT_ASKED:
            if getattr(self._source, name) is not None:
                self._refuse(f"{name} cannot be asked of a camera over HTTP; leave it out, and set it in the camera")
        try:
            url, opener = _opener(str(self._source.device))
            response = opener.open(url, timeout=self._timeout_s)
        except HTTPError as error:
            if error.fp is not None:
                error.close()
            hint = "user and password" if error.code in (401, 403) else "path, and who else uses it"
            self._refuse(f"does not open: HTTP {error.code} {error.reason}; check {hint}")
        except (OSError, HTTPException, ValueError) as error:
            cause = error.reason if isinstance(error, URLError) else error
            if isinstance(cause, TimeoutError):
                self._refuse(f"does not open: no answer within read_timeout_ms = {self._source.read_timeout_ms}")
            self._refuse(f"does not open: {_one_line(cause)}; check cable, address and port")
        if not isinstance(response, HTTPResponse):
            response.close()
            self._refuse("does not open: it leads to another kind of address; expected http:// or https://")
        return response

    def _boundary_of(self, content: str) -> bytes:
        found = _BOUNDARY.search(content)
        if not content.lower().startswith("multipart/") or found is None:
            self._refuse(
                f"does not open: it sends {_one_line(content)!r}, expected multipart/x-mixed-replace (motion JPEG); "
                "take another path of the camera, or its rtsp:// address"
            )
        boundary = (found[1] or found[2]).encode("latin-1")
        # Many a camera counts the two dashes among its name.
        return boundary if boundary.startswith(b"--") else b"--" + boundary

    def _require_size(self) -> None:
        """A first picture has to come; what was asked for is compared with it."""
        read = self.read()
        if read is None:
            self._refuse("does not open: no picture came")
        if read.picture is None:
            return
        actual = dict(zip(("height", "width"), read.picture.shape, strict=False))
        for name, value in actual.items():
            asked = getattr(self._source, name)
            if asked is not None and asked != value:
                self._refuse(f"{name} requested {asked}, actual {value}; choose a mode it has")

    def _refuse(self, text: str) -> NoReturn:
        raise CameraError(f"camera {self._shown}: {text}")

    # ---- parts ---------------------------------------------------------------------------------------------------

    def _read(self) -> Read:
        self._until_s = time.monotonic() + self._timeout_s
        self._waited, self._begun = False, False
        head = self._head()
        while not self._data:
            self._more()
        self._begun = True
        data, waited = self._body(head), self._waited
        stamp_s = _stamp_s(head.get("x-timestamp", ""))
        damage = fault_of_jpeg(data)
        if damage is not None:
            self._take_back(data)
            return Read(None, stamp_s, waited=waited, damage=f"a damaged picture: {damage}")
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), _DECODED)
        if picture is None:
            return Read(None, stamp_s, waited=waited, damage="a damaged picture: it does not decode")
        self._size = f"{picture.shape[1]}x{picture.shape[0]}"
        return Read(picture, stamp_s, waited=waited)

    def _head(self) -> dict[str, str]:
        """Skip to the next part; return what it says of itself, names in small letters."""
        while (found := self._delimiter.search(self._data)) is None:
            # It may be cut at the end.
            del self._data[: -self._longest_delimiter]
            self._more()
        if found[1]:  # The last one.
            raise _Lost
        # With its last byte: a part may say nothing of itself.
        del self._data[: found.end() - 1]
        while (blank := _BLANK_LINE.search(self._data)) is None:
            if len(self._data) > _MOST_HEAD:
                raise _Lost
            self._more()
        lines = bytes(self._data[: blank.end()]).decode("latin-1").splitlines()
        del self._data[: blank.end()]
        pairs = [line.partition(":") for line in lines if ":" in line]
        return {name.strip().lower(): value.strip() for name, _, value in pairs}

    def _body(self, head: dict[str, str]) -> bytes:
        length = head.get("content-length", "")
        if not length:
            return self._body_without_length()
        # Digits of other scripts are no length.
        if not re.fullmatch(r"[0-9]{1,9}", length) or not 0 < int(length) <= _MOST_BYTES:
            raise _Lost
        while len(self._data) < int(length):
            self._more()
        return self._cut(int(length))

    def _body_without_length(self) -> bytes:
        """A part ends with its JPEG, or with the next delimiter, whatever comes first."""
        while True:
            delimiter = self._delimiter.search(self._data)
            try:
                end = end_of_jpeg(self._data) if delimiter is None else delimiter.start()
            except ValueError:
                # Damaged: what follows is skipped up to the next delimiter.
                end = len(self._data)
            if end is not None:
                return self._cut(end)
            if len(self._data) > _MOST_BYTES:
                raise _Lost
            self._more()

    def _cut(self, length: int) -> bytes:
        data = bytes(self._data[:length])
        del self._data[:length]
        return data

    def _take_back(self, data: bytes) -> None:
        """A part that is shorter than it says has swallowed the next one."""
        delimiter = self._delimiter.search(data)
        if delimiter is not None:
            self._data[:0] = data[delimiter.start() :]

    def _more(self) -> None:
        # Each of many small ones may come within the time-out.
        if time.monotonic() > self._until_s:
            raise _Lost
        # A picture was waited for when none of it was there. What TLS and the reader of chunks hold beside the socket
        # cannot be looked into: they make it look so.
        if not self._begun and not select.select([self._response], [], [], 0)[0]:
            self._waited = True
        data = self._response.read1(_CHUNK)
        if not data:
            raise _Lost
        self._data += data


class _Digest(HTTPDigestAuthHandler):
    """Closes the answer that asked for a password; the base leaves it open."""

    def http_error_401(self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage) -> Any:
        return _answered(super().http_error_401, req, fp, code, msg, headers)


class _Basic(HTTPBasicAuthHandler):
    """As above."""

    def http_error_401(self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage) -> Any:
        return _answered(super().http_error_401, req, fp, code, msg, headers)


def _answered(again: Callable[..., Any], req: Request, fp: IO[bytes], *told: Any) -> Any:
    """Ask again, and close the first answer, unless the next one who is asked still needs it."""
    with ExitStack() as first:
        first.callback(fp.close)
        response = again(req, fp, *told)
        if response is None:
            first.pop_all()
    return response


def _opener(device: str) -> tuple[str, OpenerDirector]:
    """Return the address without user and password, and who knows them; no proxy stands between line and camera."""
    parts = urlsplit(device)
    place = parts.netloc.rpartition("@")[2]
    url = urlunsplit(parts._replace(netloc=place))
    passwords = HTTPPasswordMgrWithDefaultRealm()
    if parts.username is not None:
        passwords.add_password(None, url, unquote(parts.username), unquote(parts.password or ""))
    handlers = (ProxyHandler({}), _Digest(passwords), _Basic(passwords))
    return url, build_opener(*handlers)


def _stamp_s(text: str) -> float | None:
    """Return the time stamp that some servers give a part [s]."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def _one_line(what: object) -> str:
    return " ".join(str(what).split())[:200]
