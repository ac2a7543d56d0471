"""
A whole station for a while: ``edge-inspectd`` as its own process on private sockets, and a subscriber beside it.

The demo, edge-bench and the tests use it; there is no second pipeline for them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from typing_extensions import Self

from edge.client import Event, Subscriber
from edge.errors import EdgeError
from edge.records import Status
from edge.settings import DEMO_BUNDLE, DEMO_KEY

# Bundle, engines, parity and warm-up of a start, on a slow machine.
_SILENCE_S = 120.0
_END_S = 10.0


class Rig:
    """
    Start a station, listen to all it says until it has stopped.

    Args:
        settings: the settings tree without endpoints and replay, as the TOML file would hold it.
        flags: for edge-inspectd, beside the file; ``--once`` ends it when its sources have ended.

    Attributes:
        process: the station's process.
        endpoints: where it publishes; control: where it takes requests.
        log: what it wrote to stderr, readable at any time.
    """

    def __init__(self, settings: Mapping[str, Any], *, flags: tuple[str, ...] = ("--once",)) -> None:
        # In the run directory of the system if it can be: the path of a Unix socket must be short.
        self._folder = tempfile.TemporaryDirectory(prefix="edge-rig-")
        folder = Path(self._folder.name)
        self.endpoints = {name: f"ipc://{folder}/{name}" for name in ("results", "masks", "pictures")}
        self.control = f"ipc://{folder}/control"
        tree = {
            "state_dir": folder / "state",
            "replay": {"start": "first-subscriber"},
            **settings,
            "endpoints": {**self.endpoints, "control": self.control},
        }
        config = folder / "station.toml"
        config.write_text(toml_from_tree(tree), encoding="utf-8")
        self.log = folder / "station.log"
        with self.log.open("wb") as log:
            # Isolated: a module in the working directory must not stand in for one of the library's.
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-m", "edge.station.daemon", str(config), *flags],
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        self.subscriber = Subscriber(*(self.endpoints[name] for name in ("results", "masks", "pictures")))

    def events(self, silence_s: float = _SILENCE_S) -> Iterator[Event]:
        """
        Yield what the station says until it says that it has stopped.

        Raises:
            EdgeError: it ended without a word or with an error, or is silent for *silence_s*; carries its last line.
        """
        while True:
            event = self._next(silence_s)
            yield event
            if isinstance(event, Status) and event.state == "stopped":
                break
        self._require_good_end()

    def _require_good_end(self) -> None:
        """A start that failed says "stopped" too: the exit code tells."""
        try:
            code = self.process.wait(_END_S)
        except subprocess.TimeoutExpired as error:
            raise EdgeError(f"the station says that it has stopped, but runs on after {_END_S:g} s") from error
        if code != 0:
            raise EdgeError(f"the station ended with {code}; its last line: {self._last_line()}")

    def _next(self, silence_s: float) -> Event:
        waited_s = 0.0
        while (event := self.subscriber.receive(timeout_s=0.5)) is None:
            waited_s += 0.5
            if self.process.poll() is not None or waited_s >= silence_s:
                raise EdgeError(f"the station ended or fell silent; its last line: {self._last_line()}")
        return event

    def _last_line(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return lines[-1] if lines else "none"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.subscriber.close()
        self.process.terminate()
        try:
            self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._folder.cleanup()


def bundle_table(bundle: Path) -> dict[str, Any]:
    """Return the table [bundle] for a trial: the bundle that ships by its own key, any other one signed or not."""
    if bundle.resolve() == DEMO_BUNDLE.resolve():
        return {"path": bundle.absolute(), "trusted_keys": [DEMO_KEY]}
    return {"path": bundle.absolute(), "allow_unsigned": True}


def toml_from_tree(tree: Mapping[str, Any]) -> str:
    """Return a settings tree as TOML: strings, numbers, booleans, lists and tables; None is left out."""
    return "".join(f"{key} = {_value(value)}\n" for key, value in tree.items() if value is not None)


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items() if item is not None) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    # JSON's strings, numbers and booleans are TOML's.
    return json.dumps(str(value) if isinstance(value, Path) else value)
