"""
The inspector: process two. Owns cameras and engines; may be killed and started again at any time.

Life cycle, in order: told what to be on standard input, opens bundle and engines, proves them, opens cameras, inspects
what the station asks for, ends with its parent. It never gives a verdict: the station does.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from types import TracebackType

import cv2
import msgspec
import zmq

from edge.cores import cores_from_text, pin
from edge.errors import BundleError, EdgeError, InferenceFailed
from edge.inspector.backend import open_engine
from edge.inspector.equipment import OpenEngine
from edge.inspector.inspector import Inspector
from edge.inspector.link import Failed, Spawn, send
from edge.inspector.parent import die_with_parent, end_if_orphaned
from edge.logline import LineFormatter
from edge.memory import lock_memory
from edge.settings import ProcessSettings, Station

log = logging.getLogger("edge.inspector")

_LAST_WORD_MS = 500


def main(open_engine: OpenEngine = open_engine) -> int:
    """
    Run one inspector; returns its exit code. Started by the station, never by hand.

    Args:
        open_engine: opens both networks; a stand-in in tests.
    """
    die_with_parent()
    spawn = msgspec.json.decode(sys.stdin.buffer.read(), type=Spawn)
    end_if_orphaned(spawn.parent)
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter("edge-inspector"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    sys.excepthook = _end_unforeseen
    threading.excepthook = _end_with_any_thread
    cv2.setNumThreads(1)  # The engines have the cores; OpenCV's own pool would take them away.
    # A context of its own: its last word is waited for, and no socket of a thread that hangs can delay that.
    voice: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    to_station = voice.socket(zmq.PUSH)
    to_station.connect(spawn.to_station)
    try:
        settle(Station.model_validate_json(spawn.station).process)
        Inspector(spawn, to_station, open_engine).run()
    except EdgeError as error:
        # What a backend refuses at run time may be the machine's fault: no reason to inspect with an old bundle.
        blames = isinstance(error, BundleError) and not isinstance(error, InferenceFailed)
        failed = Failed(inspector=spawn.inspector, exit_code=error.exit_code, text=str(error), blames_bundle=blames)
        send(to_station, failed)
        return error.exit_code
    finally:
        voice.destroy(linger=_LAST_WORD_MS)
    return 0


def settle(process: ProcessSettings) -> None:
    """
    Take the inspector's cores and keep its memory, before a thread of an engine or a camera begins.

    Raises:
        ConfigurationError: this machine does not let it.
    """
    if process.inspector_cpus is not None:
        pin(cores_from_text(process.inspector_cpus), "process.inspector_cpus")
    if process.lock_memory:
        lock_memory()


def _end_unforeseen(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """End the process at once: no order may be left half carried out, and no thread may hold up the end."""
    log.critical("failed unforeseen", exc_info=(kind, error, trace))
    os._exit(1)


def _end_with_any_thread(args: threading.ExceptHookArgs) -> None:
    """End the process with a thread that fails unforeseen: a camera nobody reads must not look like an idle line."""
    log.critical("thread %s failed", args.thread.name if args.thread else "?", exc_info=args.exc_value)
    os._exit(1)


if __name__ == "__main__":
    # Not sys.exit: it would wait for the sockets of a thread that sits in a driver's call.
    os._exit(main())
