"""The inspector as the process it is, over its real sockets; the test is its station."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
import zmq

from edge.archive import read_archive
from edge.bundle import read_bundle
from edge.clock import SYSTEM_CLOCK
from edge.errors import CameraHangs, DeviceLost
from edge.inspector.link import (
    Answered,
    Begin,
    BundleTaken,
    CameraState,
    Captured,
    Discard,
    Failed,
    Fire,
    FrameOf,
    Inspect,
    KeepBundle,
    Progress,
    Ready,
    RecipeTaken,
    SelfTest,
    SelfTested,
    Spawn,
    Stop,
    TakeBundle,
    TakeRecipe,
    ToInspector,
    ToStation,
    ViewResult,
    endpoints,
    receive_from_inspector,
    send,
)
from edge.recipe import station_recipe, work_out
from edge.records import Outcome, Reason
from edge.settings import Station
from tests.support.inspector import station
from tests.support.records import verdict

REPOSITORY = Path(__file__).parents[3]
PATIENCE_MS = 60_000
AN_HOUR_US = 3600 * 10**6
M = TypeVar("M", bound=ToStation)


class Line:
    """One inspector and the words of its station."""

    def __init__(self, folder: Path, settings: Station, module: tuple[str, ...], bundle_hash: str) -> None:
        self.settings = settings
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        down, up = endpoints(folder, 1)
        self._orders, self._inbox = self._context.socket(zmq.PUSH), self._context.socket(zmq.PULL)
        self._orders.bind(down)
        self._inbox.bind(up)
        bundle = settings.bundle.path
        proven_bundle = proven_recipe = None
        if (bundle / "manifest.json").exists():
            read = read_bundle(bundle)
            proven_bundle = read.hash
            proven_recipe = work_out(read.manifest, settings, station_recipe(settings)).hash
        spawn = Spawn(
            inspector=1,
            station=settings.model_dump_json(),
            to_inspector=down,
            to_station=up,
            parent=os.getpid(),
            recipe=self.recipe(),
            bundle=str(bundle),
            resume_from={},
            bundle_hash=bundle_hash,
            proven_bundle=proven_bundle,
            proven_recipe=proven_recipe,
        )
        self.process = subprocess.Popen([sys.executable, *module], stdin=subprocess.PIPE, cwd=REPOSITORY)
        assert self.process.stdin is not None
        with self.process.stdin as stdin:
            stdin.write(msgspec.json.encode(spawn))

    def recipe(self) -> bytes:
        return station_recipe(self.settings).model_dump_json().encode()

    def order(self, message: ToInspector) -> None:
        """Send as the station does: it does not wait, so that an inspector that takes no orders fails the test."""
        send(self._orders, message, zmq.NOBLOCK)

    def hear(self, kind: type[M]) -> M:
        """Return the next message of that kind; others are passed over."""
        while True:
            assert self._inbox.poll(PATIENCE_MS), f"no {kind.__name__}"
            message = receive_from_inspector(self._inbox)
            if isinstance(message, kind):
                return message

    def keep_busy_until_it_hears(self, kind: type[M], orders: int) -> M | None:
        """Send at most so many orders that ask no engine, without a pause; None when nothing is said meanwhile."""
        nothing = Discard(frame=FrameOf(camera="cam1", open_no=9, frame_no=9))
        for _ in range(orders):
            self.order(nothing)
            if self._inbox.poll(5):
                message = receive_from_inspector(self._inbox)
                if isinstance(message, kind):
                    return message
        return None

    def get_ready(self) -> Ready:
        ready = self.hear(Ready)
        assert self.hear(CameraState).state == "open"
        self.order(Begin())
        return ready

    def fire(self, part: int) -> Captured:
        self.order(Fire(part=part, cameras=("cam1",), deadline_us=SYSTEM_CLOCK.now_us() + AN_HOUR_US))
        return self.hear(Captured)

    def inspect(self, frame: Captured, recipe_hash: str) -> ViewResult:
        self.order(
            Inspect(
                part=frame.part or 0,
                camera="cam1",
                open_no=frame.open_no,
                frame_no=frame.frame_no,
                deadline_us=SYSTEM_CLOCK.now_us() + AN_HOUR_US,
                recipe_hash=recipe_hash,
            )
        )
        return self.hear(ViewResult)

    def answer(self, frame: Captured, outcome: Outcome, record: bytes = b"") -> None:
        place = FrameOf(camera="cam1", open_no=frame.open_no, frame_no=frame.frame_no)
        part = frame.part or 0
        self.order(Answered(part=part, epoch=5, seq=part, outcome=outcome, frames=(place,), record=record))

    def end(self) -> int:
        return self.process.wait(PATIENCE_MS / 1000)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._context.destroy(linger=0)


@pytest.fixture
def line(tiny_bundle: Path, tmp_path: Path) -> Iterator[Callable[..., Line]]:
    """Return a maker of inspectors on the tiny bundle; each is gone at the end."""
    made: list[Line] = []

    def make(
        *module: str, bundle: Path = tiny_bundle, tree: dict[str, Any] | None = None, hash_: str = "", **camera: Any
    ) -> Line:
        settings = station(bundle, **{"height": 100, "width": 170, **camera})
        settings = Station.model_validate({**settings.model_dump(), **(tree or {})})
        made.append(Line(tmp_path, settings, module or ("-I", "-m", "edge.inspector.main"), hash_))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_day_of_an_inspector(line: Callable[..., Line], tmp_path: Path) -> None:
    """Fired, inspected, kept, switched, reloaded, self-tested, stopped: one process, each answered once."""
    one = line(tree={"archive": {"path": tmp_path / "kept", "pass_share": 1.0}})
    ready = one.get_ready()

    frame = one.fire(41)
    assert (frame.part, frame.fault, frame.camera) == (41, None, "cam1")
    told = one.inspect(frame, ready.recipe_hash)
    assert told.reason is None, told.detail
    assert told.brightness is not None
    assert {"trigger", "capture", "wait", "classify"} <= told.timings_us.keys()
    one.answer(frame, told.outcome, msgspec.json.encode(verdict(41, utc_us=SYSTEM_CLOCK.utc_us())))

    one.order(TakeRecipe(change=1, recipe=json.dumps({"name": "r", "author": "a", "classes": {"rust": {}}}).encode()))
    refused = one.hear(RecipeTaken)
    assert (refused.change, refused.recipe_hash, "rust" in refused.text) == (1, "", True)
    strict = {"name": "r", "author": "a", "classes": {"bright": {"max_count": 0, "min_area_px": 5}}}
    one.order(TakeRecipe(change=2, recipe=json.dumps(strict).encode()))
    taken = one.hear(RecipeTaken)
    assert taken.change == 2
    assert taken.recipe_hash not in ("", ready.recipe_hash)
    for hash_ in (ready.recipe_hash, taken.recipe_hash):
        frame = one.fire(42)
        assert one.inspect(frame, hash_).reason is None
        one.answer(frame, told.outcome)
    frame = one.fire(43)
    assert one.inspect(frame, "0" * 64).reason is Reason.RECIPE
    one.answer(frame, Outcome.UNKNOWN)

    one.order(SelfTest())
    tested = one.hear(SelfTested)
    assert tested.passed, tested.text

    one.order(TakeBundle(change=3, path=str(tmp_path), recipe=one.recipe()))
    no_bundle = one.hear(BundleTaken)
    assert (no_bundle.change, no_bundle.bundle_hash) == (3, "")
    path = str(one.settings.bundle.path)
    one.order(TakeBundle(change=4, path=path, recipe=one.recipe(), bundle_hash=ready.bundle_hash))
    exchanged = one.hear(BundleTaken)
    told_of = (exchanged.change, exchanged.bundle_hash, exchanged.recipe_hash)
    assert told_of == (4, ready.bundle_hash, ready.recipe_hash)
    frame = one.fire(44)
    assert one.inspect(frame, exchanged.recipe_hash).reason is None

    order = KeepBundle(folder=str(tmp_path / "copies"), bundle_hash="0" * 64, others=())
    one.order(order)  # Of a bundle that is not in use any more: nothing is done.
    one.order(msgspec.structs.replace(order, bundle_hash=ready.bundle_hash))
    copy = tmp_path / "copies" / ready.bundle_hash
    while not copy.exists():
        one.hear(Progress)  # It goes on proving itself meanwhile.
    assert read_bundle(copy).hash == ready.bundle_hash

    one.order(Stop())
    assert one.end() == 0
    (kept,) = read_archive(tmp_path / "kept")
    assert kept.verdict.part == 41


def test_while_no_part_comes_it_proves_itself(line: Callable[..., Line]) -> None:
    """Progress of no part, again and again."""
    one = line()
    one.get_ready()
    for _ in range(2):
        assert one.hear(Progress).stage == "probe"


def test_it_proves_itself_beside_orders_that_ask_no_engine(line: Callable[..., Line]) -> None:
    """A paused line's frames are freed as they come: the station must not take that for a hung inspector."""
    one = line()
    one.get_ready()
    for _ in range(3):
        assert one.keep_busy_until_it_hears(Progress, orders=2000) is not None


def test_a_start_that_fails_says_why_in_one_message(line: Callable[..., Line], tmp_path: Path) -> None:
    """Then the process ends, with the error's own code."""
    one = line(bundle=tmp_path)
    failed = one.hear(Failed)
    assert failed.exit_code == 3
    assert str(tmp_path) in failed.text
    assert one.end() == 3


def test_a_bundle_that_was_changed_on_disk_is_not_begun_with(line: Callable[..., Line], tiny_bundle: Path) -> None:
    """The station names the one that was active; what lies there now was never tried."""
    one = line(hash_="c" * 64)
    failed = one.hear(Failed)
    assert failed.exit_code == 3
    assert failed.text.startswith(f"{tiny_bundle}: the bundle on disk")
    assert one.end() == 3


@pytest.mark.parametrize("idle", [False, True])
def test_a_lost_device_ends_the_process_with_its_own_code(line: Callable[..., Line], idle: bool) -> None:
    """On a part or on a probe: no further call, the reason is told, and the part has no result."""
    # Three calls of each of the four batch sizes and one probe are the start; the second part or probe meets the loss.
    one = line("-m", "tests.support.lost_device", "14")
    ready = one.get_ready()
    if not idle:
        for part in (1, 2):
            frame = one.fire(part)
            one.order(
                Inspect(
                    part=part,
                    camera="cam1",
                    open_no=frame.open_no,
                    frame_no=frame.frame_no,
                    deadline_us=SYSTEM_CLOCK.now_us() + AN_HOUR_US,
                    recipe_hash=ready.recipe_hash,
                )
            )
    failed = one.hear(Failed)
    assert (failed.exit_code, failed.text) == (DeviceLost.exit_code, "device 0: lost")
    assert one.end() == DeviceLost.exit_code == 7


def test_a_camera_that_hangs_for_ever_ends_the_process(line: Callable[..., Line]) -> None:
    """The part is answered, the reason is told, and the station starts the process that can open it."""
    one = line("-m", "tests.support.hung_camera")
    one.get_ready()
    assert one.fire(1).detail == "gone"
    failed = one.hear(Failed)
    assert (failed.exit_code, failed.text) == (CameraHangs.exit_code, "camera 'cam1': its driver hangs")
    assert not failed.blames_bundle
    assert one.end() == CameraHangs.exit_code == 4


def test_an_order_that_cannot_be_carried_out_ends_the_process(
    line: Callable[..., Line], capfd: pytest.CaptureFixture[str]
) -> None:
    """A camera that does not exist is no part to skip: the process ends at once, with threads in the middle of work."""
    one = line()
    one.get_ready()
    one.order(Inspect(part=1, camera="cam9", open_no=1, frame_no=1, deadline_us=AN_HOUR_US, recipe_hash=""))
    assert one.end() == 1
    assert "KeyError" in capfd.readouterr().err


def test_a_trigger_for_a_camera_that_does_not_exist_ends_the_process(
    line: Callable[..., Line], capfd: pytest.CaptureFixture[str]
) -> None:
    """The thread that hears the station fails as hard as the engine thread."""
    one = line()
    one.get_ready()
    one.order(Fire(part=1, cameras=("cam9",), deadline_us=AN_HOUR_US))
    assert one.end() == 1
    assert "thread orders failed" in capfd.readouterr().err
