"""Bind a public socket to its address, or say who is in the way."""

from __future__ import annotations

import errno
import socket

import zmq

from edge.errors import ConfigurationError

_IPC = "ipc://"


def bind(publisher: zmq.Socket[bytes], name: str, endpoint: str) -> None:
    """
    Bind *publisher* to the address under the key ``endpoints.<name>``; it is closed when that fails.

    Raises:
        ConfigurationError: the address is in use or cannot be bound.
    """
    try:
        # ZeroMQ takes an ipc path from its owner without a word, who then speaks to nobody.
        if endpoint.startswith(_IPC) and _answers(endpoint.removeprefix(_IPC)):
            raise zmq.ZMQError(errno.EADDRINUSE)
        publisher.bind(endpoint)
    except zmq.ZMQError as error:
        publisher.close(0)
        raise ConfigurationError(
            f"key 'endpoints.{name}' = {endpoint}: {error.strerror}; choose another address, or stop who uses it"
        ) from error


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True
