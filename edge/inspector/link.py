"""
The private link between the two processes: typed messages over ipc. Only these two files' neighbours speak it.

station -> inspector   PUSH bind / PULL connect   one socket, read by the inspector's engine thread
inspector -> station   PULL bind / PUSH connect   one socket for each thread of the inspector that has something to say

Each inspector gets a new pair of socket paths, so that a message of an older one cannot reach its successor's reader;
every message carries the inspector's number all the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import msgspec
import zmq

from edge.errors import ConfigurationError, WireError
from edge.records import CameraStateName, Defect, MaskReference, Outcome, Reason
from edge.wire import Encoding

# sun_path of a Unix socket; the kernel cuts or refuses longer ones.
_LONGEST_PATH = 107


class Message(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of the link's messages; private, so both ends are always of one version."""


class FromInspector(Message, frozen=True, kw_only=True):
    inspector: int
    """Number of the process that speaks."""


class Opening(FromInspector, frozen=True):
    stage: str


class Ready(FromInspector, frozen=True):
    """Engines are proven and warm; frames are taken after ``Begin``."""

    bundle_hash: str
    backend: str
    class_names: tuple[str, ...]
    recipe_hash: str
    """Of the working values of all cameras, as edge.recipe.Recipes.hash gives it."""
    took_ms: dict[str, int]
    """Start, in stages: load, compile, parity, warm-up, recipe."""
    parity: str
    """One line: how close this machine is to PyTorch's answers, and what the recipe has proven."""
    engines_hash: str = ""
    """SHA-256 of the engines as they were opened, and of their guard band: what a recipe is proven with."""
    bundle_name: str = ""
    """Empty: of a stand-in, which has none that could be kept."""
    release: int = 0


class Failed(FromInspector, frozen=True):
    """The start failed, or it cannot go on; the process ends after this."""

    exit_code: int
    text: str
    blames_bundle: bool = False
    """Another bundle could mend it."""


class CameraState(FromInspector, frozen=True):
    camera: str
    state: CameraStateName
    text: str
    numbered: bool
    """Its frames carry the camera's own numbers."""
    counts: bool
    """Its numbers go on while it is closed: an independent count of parts."""


class Captured(FromInspector, frozen=True):
    """A part passed. Sent at once, by the camera's own thread."""

    camera: str
    part: int | None
    """The part this answers to, of a camera that is fired; None = the camera saw it by itself."""
    open_no: int
    """Counts from 1; 0 = no frame was taken, and frame_no names none."""
    frame_no: int
    t_us: int
    tag: int | None
    source: str
    numbered: bool
    """frame_no is the camera's own, so a gap proves missed frames."""
    fault: Reason | None
    """Why there is nothing to inspect; None = the frame waits in its slot."""
    detail: str


class Progress(FromInspector, frozen=True):
    """The engine thread begins with a stage of a part, or has completed an idle probe through the engines."""

    part: int | None
    camera: str
    """Empty for the probe."""
    stage: str
    """Of STAGES, or ``probe``."""


class ViewResult(FromInspector, frozen=True):
    """What the cascade found in one view; outcome UNKNOWN comes with its reason."""

    part: int
    camera: str
    outcome: Outcome
    reason: Reason | None
    detail: str
    defects: tuple[Defect, ...]
    defects_total: int
    scores: dict[str, float]
    tiles: int
    segmented: int
    stage: str | None
    """The stage in which there was no more time; of UNKNOWN(overload)."""
    timings_us: dict[str, int]
    brightness: float | None
    sharpness: float | None
    height: int
    width: int
    encoding: Encoding
    mask: MaskReference | None
    """None when there is no mask."""
    payload: bytes
    """Labels as edge.wire encodes them; empty when they are not to be sent."""
    sent_us: int
    open_no: int = 0
    frame_no: int = 0
    """The frame that was inspected: the order's."""
    bundle_hash: str = ""
    """Of the bundle it was inspected with: a reload may come between two views of a part."""


class RecipeTaken(FromInspector, frozen=True):
    """Answer to TakeRecipe: parts may be inspected with it from now on. Those before it keep theirs."""

    change: int
    """The order's."""
    recipe_hash: str
    """Empty when it was refused."""
    text: str


class BundleTaken(FromInspector, frozen=True):
    """Answer to TakeBundle: the engines were exchanged between two parts, or the old ones stay."""

    change: int
    """The order's."""
    bundle_hash: str
    """Empty when it was refused, like the name."""
    recipe_hash: str
    """The active recipe's with the new bundle."""
    class_names: tuple[str, ...]
    text: str
    bundle_name: str = ""
    release: int = 0
    engines_hash: str = ""


class SelfTested(FromInspector, frozen=True):
    """Answer to SelfTest."""

    passed: bool
    text: str


class Begin(Message, frozen=True):
    """Take frames."""


class Fire(Message, frozen=True):
    """Take a picture of this part with each of these cameras, now."""

    part: int
    cameras: tuple[str, ...]
    deadline_us: int


class Inspect(Message, frozen=True):
    part: int
    camera: str
    open_no: int
    frame_no: int
    deadline_us: int
    recipe_hash: str


class FrameOf(msgspec.Struct, frozen=True, kw_only=True):
    """Where a frame of a part lies."""

    camera: str
    open_no: int
    frame_no: int


class Answered(Message, frozen=True):
    """The part has its verdict: its slots are free, and its pictures may be shown and kept."""

    part: int
    epoch: int
    seq: int
    outcome: Outcome
    frames: tuple[FrameOf, ...]
    """Frames of the part that this inspector has reported; none when it has none."""
    record: bytes
    """The verdict as JSON, when the part is to be kept in the archive; else empty."""


class Discard(Message, frozen=True):
    """This frame belongs to no open part: its slot is free."""

    frame: FrameOf


class TakeRecipe(Message, frozen=True):
    """Get ready to inspect with another recipe; it has been verified."""

    change: int
    """Which change this is: an answer to one that was given up must not be taken for the next one's."""
    recipe: bytes
    """A RecipeFile of edge.recipe as JSON."""


class TakeBundle(Message, frozen=True):
    """Load another bundle beside the present one and exchange them between two parts; it has been verified."""

    change: int
    """As in TakeRecipe."""
    path: str
    recipe: bytes
    """The RecipeFile to use with it, as JSON."""
    bundle_hash: str = ""
    """Of the bundle that was verified: another one in that folder is refused. Empty = any."""
    releases: dict[str, int] = {}
    """By bundle name, the highest release number that was ever active at the station."""


class KeepBundle(Message, frozen=True):
    """Copy the bundle in use, beside the line: it is what the station goes back to when another one is refused."""

    folder: str
    """Of all copies, each named by its hash."""
    bundle_hash: str
    """Of the bundle that is meant; when another one is in use by now, nothing is done."""
    others: tuple[str, ...]
    """Hashes of the copies that stay beside it."""


class SelfTest(Message, frozen=True):
    """Judge the bundle's reference frames with the engines in use."""


class Stop(Message, frozen=True):
    pass


ToStation: TypeAlias = (
    Opening | Ready | Failed | CameraState | Captured | Progress | ViewResult | RecipeTaken | BundleTaken | SelfTested
)
ToInspector: TypeAlias = (
    Begin | Fire | Inspect | Answered | Discard | TakeRecipe | TakeBundle | KeepBundle | SelfTest | Stop
)


class Spawn(msgspec.Struct, frozen=True, kw_only=True):
    """What a new inspector is told on its standard input."""

    inspector: int
    station: str
    """The settings tree as JSON."""
    to_inspector: str
    to_station: str
    parent: int
    """Process id of the station: an inspector whose parent is another one has been orphaned and ends."""
    recipe: bytes
    """The RecipeFile of edge.recipe that is active, as JSON."""
    bundle: str
    """Folder of the bundle that is active."""
    resume_from: dict[str, int]
    """By camera that was open in this run: the first frame number that no earlier inspector has reported."""
    bundle_hash: str = ""
    """Of the bundle that is active: another one in that folder is refused. Empty = any, at the very first start."""
    releases: dict[str, int] = {}
    """By bundle name, the highest release number that was ever active at the station."""
    proven_bundle: str | None
    """Hash of the bundle whose parity an earlier inspector of this station has proven; it need not be proven again."""
    proven_recipe: str | None = None
    """Hash of a recipe that was proven with ``proven_bundle``; any other one is proven on the reference frames."""


_encoder = msgspec.msgpack.Encoder()
_to_station = msgspec.msgpack.Decoder(ToStation)
_to_inspector = msgspec.msgpack.Decoder(ToInspector)


def send(socket: zmq.Socket[bytes], message: ToStation | ToInspector, flags: int = 0) -> None:
    socket.send(_encoder.encode(message), flags)


def receive_from_inspector(socket: zmq.Socket[bytes]) -> ToStation:
    """
    Return the message that waits.

    Raises:
        zmq.Again: none waits.
        WireError: it is none of ours.
    """
    try:
        message: ToStation = _to_station.decode(socket.recv(zmq.NOBLOCK))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"the inspector speaks another version: {error}") from error
    return message


def receive_from_station(socket: zmq.Socket[bytes]) -> ToInspector:
    message: ToInspector = _to_inspector.decode(socket.recv(zmq.NOBLOCK))
    return message


def endpoints(run_dir: Path, inspector: int) -> tuple[str, str]:
    """
    Return (to the inspector, to the station) socket addresses for inspector number *inspector*.

    Raises:
        ConfigurationError: the run directory's path is too long for a Unix socket.
    """
    paths = [run_dir / f"{inspector}.down", run_dir / f"{inspector}.up"]
    for path in paths:
        if len(str(path).encode()) > _LONGEST_PATH:
            raise ConfigurationError(
                f"key 'run_dir' = {run_dir}: socket path {path} is longer than {_LONGEST_PATH} bytes; use a shorter one"
            )
    return f"ipc://{paths[0]}", f"ipc://{paths[1]}"
