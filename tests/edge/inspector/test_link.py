"""The private link: every message arrives as it was sent, on paths the kernel takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
import zmq

from edge.errors import ConfigurationError
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
    Opening,
    Progress,
    Ready,
    RecipeTaken,
    SelfTest,
    SelfTested,
    Stop,
    TakeBundle,
    TakeRecipe,
    ToInspector,
    ToStation,
    ViewResult,
    endpoints,
    receive_from_inspector,
    receive_from_station,
    send,
)
from edge.records import Outcome, Reason
from tests.support.records import defect, mask_reference

TO_STATION: list[ToStation] = [
    Opening(inspector=1, stage="load"),
    Ready(
        inspector=1,
        bundle_hash="b",
        backend="x",
        class_names=("pits",),
        recipe_hash="r",
        took_ms={"load": 3},
        parity="fine",
    ),
    Failed(inspector=1, exit_code=3, text="no bundle"),
    CameraState(inspector=1, camera="cam1", state="failed", text="unplugged", numbered=True, counts=False),
    Captured(
        inspector=1,
        camera="cam1",
        part=9,
        open_no=2,
        frame_no=7,
        t_us=2**52,
        tag=65535,
        source="Prüfung 7.png",
        numbered=True,
        fault=Reason.GEOMETRY,
        detail="too large",
    ),
    Progress(inspector=1, part=None, camera="", stage="probe"),
    ViewResult(
        inspector=1,
        part=4,
        camera="cam1",
        outcome=Outcome.REJECT,
        reason=None,
        detail="",
        defects=(defect(),),
        defects_total=1,
        scores={"pits": 0.5},
        tiles=7,
        segmented=1,
        stage=None,
        timings_us={"tile": 1},
        brightness=99.5,
        sharpness=None,
        height=4,
        width=5,
        encoding="raw",
        mask=mask_reference(),
        payload=bytes(range(20)),
        sent_us=9,
        open_no=2,
        frame_no=7,
        bundle_hash="b",
    ),
    RecipeTaken(inspector=1, change=2, recipe_hash="r", text=""),
    BundleTaken(inspector=1, change=3, bundle_hash="", recipe_hash="", class_names=(), text="no such folder"),
    SelfTested(inspector=1, passed=False, text="frame '01'"),
]
FRAME = FrameOf(camera="cam1", open_no=1, frame_no=1)
TO_INSPECTOR: list[ToInspector] = [
    Begin(),
    Fire(part=1, cameras=("cam1", "cam2"), deadline_us=2**52),
    Inspect(part=1, camera="cam1", open_no=1, frame_no=1, deadline_us=2**52, recipe_hash="r"),
    Answered(part=1, epoch=2**48 - 1, seq=2, outcome=Outcome.UNKNOWN, frames=(FRAME,), record=b"{}"),
    Discard(frame=FRAME),
    TakeRecipe(change=2, recipe=b"{}"),
    KeepBundle(folder="/state/bundles", bundle_hash="b", others=("a",)),
    TakeBundle(change=3, path="/bundle", recipe=b"{}", bundle_hash="b"),
    SelfTest(),
    Stop(),
]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[zmq.Socket[bytes], zmq.Socket[bytes]]]:
    """Return a PUSH and a PULL that are connected over ipc."""
    with zmq.Context() as context, context.socket(zmq.PUSH) as push, context.socket(zmq.PULL) as pull:
        push.bind(f"ipc://{tmp_path}/link")
        pull.connect(f"ipc://{tmp_path}/link")
        yield push, pull


def test_each_message_arrives_as_it_was_sent(pair: tuple[zmq.Socket[bytes], zmq.Socket[bytes]]) -> None:
    """Types, reasons, tuples and bytes are the same on the other side, in both directions."""
    push, pull = pair
    assert {type(message) for message in TO_STATION} == set(get_args(ToStation))
    assert {type(message) for message in TO_INSPECTOR} == set(get_args(ToInspector))
    for message in TO_STATION:
        send(push, message)
        assert pull.poll(10_000)
        assert receive_from_inspector(pull) == message
    for order in TO_INSPECTOR:
        send(push, order)
        assert pull.poll(10_000)
        assert receive_from_station(pull) == order


def test_each_inspector_has_its_own_paths(tmp_path: Path) -> None:
    """A message of an older inspector cannot reach its successor's reader."""
    assert len({*endpoints(tmp_path, 1), *endpoints(tmp_path, 2)}) == 4


def test_the_longest_path_that_is_accepted_can_be_bound(tmp_path: Path) -> None:
    """The kernel takes what endpoints() lets pass; one byte more is refused with the key's name."""
    room = 107 - len(str(tmp_path / "x" / "1.down")) + 1
    folder = tmp_path / ("x" * room)
    folder.mkdir()
    to_inspector, _ = endpoints(folder, 1)
    assert len(to_inspector.removeprefix("ipc://")) == 107
    with zmq.Context() as context, context.socket(zmq.PUSH) as push:
        push.bind(to_inspector)
    with pytest.raises(ConfigurationError, match=r"'run_dir'.*107"):
        endpoints(folder, 10)
