"""
The inspector: process two. Owns cameras and engines; may be killed and started again at any time.

Life cycle, in order: told what to be on standard input, opens bundle and engines, proves them, opens cameras, inspects
what the station asks for, ends with its parent. It never gives a verdict: the station does.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import cv2
import msgspec
import numpy as np
import zmq

from edge.bundle import Bundle, read_trusted_bundle
from edge.clock import SYSTEM_CLOCK
from edge.errors import EdgeError, InferenceFailed
from edge.inspector.backend import Engine, open_engine
from edge.inspector.buckets import bucket_sizes
from edge.inspector.camera import make_camera
from edge.inspector.capture import CameraThread
from edge.inspector.cascade import Cascade, DeadlinePassed
from edge.inspector.link import (
    Answered,
    Begin,
    Failed,
    Inspect,
    Opening,
    Progress,
    Ready,
    Spawn,
    Stop,
    ViewResult,
    receive_from_station,
    send,
)
from edge.inspector.parity import check_parity
from edge.inspector.pictures import PicturePublisher
from edge.inspector.results import picture_header, result_from_inspection, unknown_result
from edge.inspector.slots import Ring, Slot, make_ring
from edge.recipe import recipe_for_camera
from edge.records import Reason
from edge.rules import Recipe
from edge.settings import CameraSettings, Station
from edge.tiles import Grid
from engines.contract import HEALTH, SCORES, TILES, Manifest

T = TypeVar("T")

log = logging.getLogger("edge.inspector")

_PR_SET_PDEATHSIG = 1
# An idle inspector proves itself through the engines this often.
_PROBE_MS = 500
# An engine that stands the probe and still fails part after part is not believed either.
_FAILURES_IN_A_ROW = 3


def main() -> int:
    """Run one inspector; returns its exit code. Started by the station, never by hand."""
    spawn = msgspec.json.decode(sys.stdin.buffer.read(), type=Spawn)
    _die_with_parent(spawn.parent)
    logging.basicConfig(level=logging.INFO, format="edge-inspector: %(message)s")
    threading.excepthook = _end_with_any_thread
    cv2.setNumThreads(1)  # The engines have the cores; OpenCV's own pool would take them away.
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    to_station = context.socket(zmq.PUSH)
    to_station.connect(spawn.to_station)
    try:
        Inspector(spawn, context, to_station).run()
    except EdgeError as error:
        send(to_station, Failed(inspector=spawn.inspector, exit_code=error.exit_code, text=str(error)))
        return error.exit_code
    finally:
        context.destroy(linger=500)
    return 0


class Inspector:
    """Everything of one inspector process; used by its main thread."""

    def __init__(self, spawn: Spawn, context: zmq.Context[zmq.Socket[bytes]], to_station: zmq.Socket[bytes]) -> None:
        self._spawn = spawn
        self._context = context
        self._to_station = to_station
        self._station = Station.model_validate_json(spawn.station)
        self._stopping = False
        self._failures = 0
        self._took_ms: dict[str, int] = {}

    def run(self) -> None:
        """
        Open, prove, inspect until told to stop.

        Raises:
            EdgeError: bundle, engines, recipe or an endpoint is not usable.
        """
        from_station = self._context.socket(zmq.PULL)
        from_station.connect(self._spawn.to_inspector)
        self._open()
        for thread in self._threads.values():
            thread.start()
        while not self._stopping:
            if from_station.poll(_PROBE_MS):
                self._handle(from_station)
            else:
                self._probe()
        self._close()

    # ---- start -----------------------------------------------------------------------------------------------

    def _open(self) -> None:
        bundle = self._stage("load", self._load)
        manifest = bundle.manifest
        self._manifest = manifest
        cameras = self._station.cameras
        self._recipes: dict[str, Recipe] = {c.name: recipe_for_camera(manifest, self._station, c) for c in cameras}
        grids = {c.name: Grid(c.height, c.width, manifest.tile) for c in cameras}
        self._classifier, self._segmenter = self._stage("compile", lambda: self._engines(bundle, grids))
        parity = self._stage("parity", lambda: self._prove(bundle))
        self._cascades = {name: Cascade(self._classifier, self._segmenter, manifest, g) for name, g in grids.items()}
        self._stage("warm-up", self._warm_up)
        self._rings = {c.name: _ring(c, grids[c.name], manifest) for c in cameras}
        self._threads = {c.name: self._thread(c) for c in cameras}
        self._pictures = self._picture_publisher()
        send(
            self._to_station,
            Ready(
                inspector=self._spawn.inspector,
                bundle_hash=bundle.hash,
                backend=self._classifier.backend,
                class_names=manifest.class_names,
                recipe_hashes={name: recipe.hash for name, recipe in self._recipes.items()},
                took_ms=self._took_ms,
                parity=parity,
            ),
        )

    def _load(self) -> Bundle:
        return read_trusted_bundle(self._station.bundle.path, allow_unsigned=self._station.bundle.allow_unsigned)

    def _engines(self, bundle: Bundle, grids: dict[str, Grid]) -> tuple[Engine, Engine]:
        most = min(max(grid.count for grid in grids.values()), bundle.manifest.max_tiles)
        batches = bucket_sizes(most)
        return (
            open_engine(self._station.backend, bundle.classifier, TILES, batches),
            open_engine(self._station.backend, bundle.segmenter, TILES, batches),
        )

    def _prove(self, bundle: Bundle) -> str:
        if bundle.hash == self._spawn.proven_bundle:
            return "proven by an earlier inspector of this station"
        report = check_parity(bundle, self._classifier, self._segmenter)
        iou = "no marks to compare" if report.iou is None else f"IoU {report.iou:.4f}"
        return f"{len(report.frames)} frames, {iou}, score deviation {report.score_deviation:.1e}"

    def _warm_up(self) -> None:
        """Run every batch size once: the first call of each is many times slower than the next."""
        for engine in (self._classifier, self._segmenter):
            for size in engine.batches:
                engine.run(size)

    def _thread(self, camera: CameraSettings) -> CameraThread:
        return CameraThread(
            camera,
            self._station,
            make_camera(camera, self._manifest.format),
            self._rings[camera.name],
            self._context,
            self._spawn.to_station,
            self._spawn.inspector,
            self._spawn.resume_from.get(camera.name, 1),
        )

    def _picture_publisher(self) -> PicturePublisher | None:
        if self._station.picture_rate_hz == 0:
            return None
        publisher = PicturePublisher(self._context, self._station.endpoints.pictures, self._station.picture_rate_hz)
        publisher.start()
        return publisher

    def _stage(self, name: str, work: Callable[[], T]) -> T:
        send(self._to_station, Opening(inspector=self._spawn.inspector, stage=name))
        started = time.monotonic()
        result = work()
        self._took_ms[name] = round(1000 * (time.monotonic() - started))
        return result

    # ---- work ------------------------------------------------------------------------------------------------

    def _handle(self, from_station: zmq.Socket[bytes]) -> None:
        message = receive_from_station(from_station)
        match message:
            case Inspect():
                self._inspect(message)
            case Answered():
                self._answered(message)
            case Begin():
                for thread in self._threads.values():
                    thread.begin.set()
            case Stop():
                self._stopping = True

    def _inspect(self, order: Inspect) -> None:
        slot = self._rings[order.camera].find(order.open_no, order.frame_no)
        if slot is None:
            send(
                self._to_station,
                unknown_result(self._spawn.inspector, order, Reason.ENGINE, f"frame {order.frame_no} is in no slot"),
            )
            return
        result = self._result(order, slot)
        late = Progress(inspector=self._spawn.inspector, part=order.part, stage="late")
        send(self._to_station, late if result is None else result)
        self._count_failures(result)

    def _result(self, order: Inspect, slot: Slot) -> ViewResult | None:
        """Return what the cascade found; None when the deadline passed, since the station has answered by itself."""
        wait_us = SYSTEM_CLOCK.now_us() - slot.captured_us
        try:
            found = self._cascades[order.camera].inspect(slot.canvas, self._recipes[order.camera], order.deadline_us)
        except InferenceFailed as error:
            return unknown_result(self._spawn.inspector, order, Reason.ENGINE, str(error))
        except DeadlinePassed:
            return None
        return result_from_inspection(self._spawn.inspector, order, slot, found, wait_us, self._station.max_mask_bytes)

    def _count_failures(self, result: ViewResult | None) -> None:
        """
        After a failed inference, prove the engines before the next part.

        Raises:
            InferenceFailed: they do not stand the proof, or fail part after part; a new process must be started.
        """
        if result is None or result.reason is not Reason.ENGINE:
            self._failures = 0
            return
        self._failures += 1
        if self._failures >= _FAILURES_IN_A_ROW:
            raise InferenceFailed(f"{self._failures} parts in a row failed, the last one: {result.detail}")
        self._probe()

    def _answered(self, answer: Answered) -> None:
        """Show the picture and free its slot: the part has its verdict."""
        ring = self._rings[answer.camera]
        slot = ring.find(answer.open_no, answer.frame_no)
        if slot is not None and slot.captured_us and self._pictures is not None:
            self._pictures.offer(picture_header(self._station.station, answer, slot), slot.canvas.picture)
        ring.release(answer.open_no, answer.frame_no)

    def _probe(self) -> None:
        """
        Prove the engines while no part comes: one tile through each.

        Raises:
            InferenceFailed: what comes back cannot be believed; this process ends and a new one is started.
        """
        scores = self._classifier.run(1)[SCORES]
        health = self._segmenter.run(1)[HEALTH]
        if not (np.isfinite(scores).all() and np.isfinite(health).all()):
            raise InferenceFailed("idle probe: scores or health are not finite; the engines cannot be believed")
        send(self._to_station, Progress(inspector=self._spawn.inspector, part=None, stage="probe"))

    # ---- end -------------------------------------------------------------------------------------------------

    def _close(self) -> None:
        for thread in self._threads.values():
            thread.stop.set()
        if self._pictures is not None:
            self._pictures.stop()
            self._pictures.join(timeout=1.0)
        for thread in self._threads.values():
            thread.join(timeout=1.0)
        self._classifier.close()
        self._segmenter.close()


def _ring(camera: CameraSettings, grid: Grid, manifest: Manifest) -> Ring:
    return make_ring(grid, manifest.channels, manifest.pad_value, camera.slots if camera.paced else 1)


def _end_with_any_thread(args: threading.ExceptHookArgs) -> None:
    """End the process with a thread that fails unforeseen: a camera nobody reads must not look like an idle line."""
    log.critical("thread %s failed", args.thread.name if args.thread else "?", exc_info=args.exc_value)
    os._exit(1)


def _die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the station ends, however it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # It ended before the call above.
        sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
