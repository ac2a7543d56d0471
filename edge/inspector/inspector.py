"""The inspector at work: opened once, then one order after the other, then closed. It never gives a verdict."""

from __future__ import annotations

import time
from pathlib import Path

import zmq

from edge.errors import EdgeError
from edge.inspector.camera import make_camera
from edge.inspector.capture import CameraThread
from edge.inspector.copies import Copier
from edge.inspector.equipment import (
    Equipment,
    OpenEngine,
    Start,
    grids_of,
    open_equipment,
    refuse_other_bundle,
)
from edge.inspector.examiner import Examiner
from edge.inspector.link import (
    Answered,
    Begin,
    BundleTaken,
    Discard,
    FrameOf,
    Inspect,
    KeepBundle,
    Opening,
    Ready,
    RecipeTaken,
    SelfTest,
    Spawn,
    Stop,
    TakeBundle,
    TakeRecipe,
    ToStation,
    send,
)
from edge.inspector.loader import Loader
from edge.inspector.orders import GivenUp, Loaded, Order, Orders
from edge.inspector.pictures import PicturePublisher
from edge.inspector.results import picture_header
from edge.inspector.selftest import SelfTestRun
from edge.inspector.shelf import open_shelf
from edge.inspector.slots import make_ring
from edge.settings import CameraSettings, Station
from edge.trust import read_bundle_of

# An idle inspector proves itself through the engines this often.
_PROBE_S = 0.5
_LAST_WORD_MS = 500
_JOIN_S = 1.0


class Inspector:
    """Everything of one inspector process; used by its main thread, which is the engine thread."""

    def __init__(self, spawn: Spawn, to_station: zmq.Socket[bytes], open_engine: OpenEngine) -> None:
        self._spawn = spawn
        self._to_station = to_station
        self._open_engine = open_engine
        self._station = Station.model_validate_json(spawn.station)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._stopping = False
        self._said_s = 0.0
        """When this thread gave its last sign of life (monotonic)."""
        self._loading: int | None = None
        """Number of the change whose bundle is being loaded."""
        self._selftest: SelfTestRun | None = None
        self._copier: Copier | None = None

    def run(self) -> None:
        """
        Open, prove, inspect until told to stop.

        Raises:
            EdgeError: bundle, engines, recipe or an endpoint is not usable.
            CameraHangs: a camera will be opened by no process but a new one.
        """
        self._open()
        while not self._stopping:
            self._turn()
        self._close()

    # ---- start -----------------------------------------------------------------------------------------------

    def _open(self) -> None:
        start = Start(lambda stage: self._say(Opening(inspector=self._spawn.inspector, stage=stage)))
        equipment = self._equipment(start)
        manifest = equipment.manifest
        grids = grids_of(self._station, manifest)
        self._rings = {
            c.name: make_ring(grids[c.name], manifest.channels, manifest.pad_value, _slots(c))
            for c in self._station.cameras
        }
        self._cameras = {c.name: self._camera(c, equipment) for c in self._station.cameras}
        self._pictures = self._picture_publisher()
        self._shelf = open_shelf(self._station, equipment.active)
        fires = {name: camera.fire for name, camera in self._cameras.items()}
        self._orders = Orders(self._context, self._spawn.to_inspector, fires)
        self._examiner = Examiner(
            self._spawn.inspector, self._station, equipment, self._rings, self._say, self._orders.part_waits
        )
        # Before Ready is said: what the station orders on hearing it must find somebody.
        self._orders.connect()
        self._orders.start()
        self._say(
            Ready(
                inspector=self._spawn.inspector,
                bundle_hash=equipment.bundle.hash,
                bundle_name=manifest.name,
                release=manifest.release,
                backend=equipment.classifier.engine.backend,
                class_names=manifest.class_names,
                recipe_hash=equipment.active.hash,
                engines_hash=equipment.engines_hash,
                took_ms=start.took_ms,
                parity=equipment.parity,
            )
        )
        for camera in self._cameras.values():
            camera.start()

    def _equipment(self, start: Start) -> Equipment:
        with start.stage("load"):
            bundle = read_bundle_of(self._station, Path(self._spawn.bundle), self._spawn.releases)
            refuse_other_bundle(bundle, self._spawn.bundle_hash)
        return open_equipment(
            self._station,
            bundle,
            self._spawn.recipe,
            self._open_engine,
            start,
            self._spawn.proven_bundle,
            self._spawn.proven_recipe,
        )

    def _camera(self, settings: CameraSettings, equipment: Equipment) -> CameraThread:
        return CameraThread(
            settings,
            self._station,
            make_camera(settings, equipment.manifest.format, resumed=settings.name in self._spawn.resume_from),
            self._rings[settings.name],
            self._context,
            self._spawn.to_station,
            self._spawn.inspector,
            self._spawn.resume_from.get(settings.name, 1),
            lambda error: self._orders.put(GivenUp(error)),
        )

    def _picture_publisher(self) -> PicturePublisher | None:
        if self._station.picture_rate_hz == 0:
            return None
        publisher = PicturePublisher(self._context, self._station.endpoints.pictures, self._station.picture_rate_hz)
        publisher.start()
        return publisher

    # ---- work ------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        """Carry out the next order; without one, go on with a self-test. Prove the engines when they are silent."""
        if self._selftest is not None and self._selftest.overdue:
            self._go_on_with_selftest(self._selftest)
        order = self._orders.next(_PROBE_S if self._selftest is None else 0)
        if order is not None:
            self._carry_out(order)
        elif self._selftest is not None:
            self._go_on_with_selftest(self._selftest)
        # Also when orders come that ask no engine: of a paused line's frames, say, which are freed as they come.
        if time.monotonic() - self._said_s >= _PROBE_S and not self._stopping:
            self._examiner.probe()

    def _carry_out(self, order: Order) -> None:
        match order:
            case Inspect():
                self._examiner.examine(order)
            case Answered():
                self._answered(order)
            case Discard():
                self._release(order.frame)
            case Begin():
                for camera in self._cameras.values():
                    camera.begin.set()
            case TakeRecipe():
                self._take_recipe(order)
            case TakeBundle():
                self._load(order)
            case Loaded():
                self._exchange(order.equipment)
            case KeepBundle():
                self._keep(order)
            case GivenUp():
                raise order.error
            case SelfTest():
                self._selftest = SelfTestRun(self._spawn.inspector, self._examiner.equipment)
            case Stop():
                self._stopping = True

    def _answered(self, answer: Answered) -> None:
        """Show and keep the pictures and free their slots: the part has its verdict."""
        slots = {f.camera: self._rings[f.camera].find(f.open_no, f.frame_no) for f in answer.frames}
        seen = {camera: slot for camera, slot in slots.items() if slot is not None and slot.captured_us}
        if answer.record and self._shelf is not None:
            self._shelf.keep(answer.record, seen)
        for frame in answer.frames:
            if self._pictures is not None and frame.camera in seen:
                slot = seen[frame.camera]
                header = picture_header(self._station.station, answer, frame, slot)
                self._pictures.offer(header, slot.canvas.picture)
            self._release(frame)

    def _release(self, frame: FrameOf) -> None:
        self._rings[frame.camera].release(frame.open_no, frame.frame_no)

    def _take_recipe(self, order: TakeRecipe) -> None:
        try:
            recipes = self._examiner.equipment.take_recipe(order.recipe)
        except EdgeError as error:
            self._say_taken(order.change, "", str(error))
            return
        if self._shelf is not None:
            self._shelf.use(recipes)
        self._say_taken(order.change, recipes.hash, "")

    def _say_taken(self, change: int, recipe_hash: str, text: str) -> None:
        self._say(RecipeTaken(inspector=self._spawn.inspector, change=change, recipe_hash=recipe_hash, text=text))

    def _load(self, order: TakeBundle) -> None:
        if self._loading is not None:
            self._refuse_bundle(order.change, "another bundle is being loaded; ask again when that is answered")
            return
        self._loading = order.change
        Loader(
            self._station,
            order,
            self._examiner.equipment.manifest,
            self._open_engine,
            lambda equipment: self._orders.put(Loaded(equipment)),
        ).start()

    def _exchange(self, loaded: Equipment | EdgeError) -> None:
        """Inspect with the new engines from the next part on, or stay with the old ones and say why."""
        assert self._loading is not None
        change, self._loading = self._loading, None
        if isinstance(loaded, EdgeError):
            self._refuse_bundle(change, str(loaded))
            return
        old = self._examiner.equipment
        self._examiner.use(loaded)
        if self._selftest is not None:
            self._selftest = SelfTestRun(self._spawn.inspector, loaded)
        if self._shelf is not None:
            self._shelf.use(loaded.active)
        old.close()
        self._say(
            BundleTaken(
                inspector=self._spawn.inspector,
                change=change,
                bundle_hash=loaded.bundle.hash,
                bundle_name=loaded.manifest.name,
                release=loaded.manifest.release,
                recipe_hash=loaded.active.hash,
                engines_hash=loaded.engines_hash,
                class_names=loaded.manifest.class_names,
                text=loaded.parity,
            )
        )

    def _refuse_bundle(self, change: int, text: str) -> None:
        self._say(
            BundleTaken(
                inspector=self._spawn.inspector,
                change=change,
                bundle_hash="",
                recipe_hash="",
                class_names=(),
                text=text,
            )
        )

    def _keep(self, order: KeepBundle) -> None:
        bundle = self._examiner.equipment.bundle
        if bundle.hash == order.bundle_hash:
            self._copier = Copier(bundle, order, self._copier)
            self._copier.start()

    def _go_on_with_selftest(self, run: SelfTestRun) -> None:
        result = run.step()
        if result is None:
            self._examiner.tell_alive()
            return
        self._selftest = None
        self._say(result)

    def _say(self, message: ToStation) -> None:
        self._said_s = time.monotonic()
        send(self._to_station, message)

    # ---- end -------------------------------------------------------------------------------------------------

    def _close(self) -> None:
        """Let every thread end that can, and what they said last arrive; one that hangs ends with the process."""
        for camera in self._cameras.values():
            camera.stop.set()
        if self._pictures is not None:
            self._pictures.stop()
        if self._shelf is not None:
            self._shelf.stop()
        threads = [t for t in (*self._cameras.values(), self._orders, self._pictures) if t is not None]
        for thread in threads:
            thread.join(_JOIN_S)
        self._examiner.equipment.close()
        if not any(thread.is_alive() for thread in threads):
            self._context.destroy(linger=_LAST_WORD_MS)


def _slots(camera: CameraSettings) -> int:
    return camera.slots if camera.source.paced or camera.trigger == "software" else 1
