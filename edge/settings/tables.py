"""The station's smaller tables: endpoints, bundle, recipe, parts, journal, archive, start of a replay."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from edge.settings.strict import Strict

DEMO_BUNDLE = Path(__file__).parents[1] / "demo_bundle"
DEMO_KEY = Path(__file__).parents[1] / "demo.pub"
"""Signs the demo bundle and nothing else; no station trusts it unless it is told to."""

_LOCAL = re.compile(r"ipc://.+|tcp://(127\.0\.0\.1|localhost):(\*|(?P<port>\d{1,5}))")


class Endpoints(Strict):
    """Where the outside connects. Loopback or ipc only: there are no keys yet to keep strangers out."""

    results: str = Field("tcp://127.0.0.1:5556", description="verdicts, status, audit (XPUB)")
    masks: str = Field("tcp://127.0.0.1:5557", description="masks, status (XPUB)")
    pictures: str = Field("tcp://127.0.0.1:5558", description="pictures as JPEG, rate-limited (PUB)")
    control: str = Field("tcp://127.0.0.1:5559", description="requests and their answers (ROUTER)")

    @field_validator("results", "masks", "pictures", "control")
    @classmethod
    def _local_only(cls, value: str) -> str:
        local = _LOCAL.fullmatch(value)
        # ZeroMQ binds port 70000 as 4464.
        if local is None or int(local["port"] or 0) > 65535:
            raise ValueError(
                "expected an address on this machine (tcp://127.0.0.1:PORT, tcp://localhost:PORT, ipc://PATH): "
                "nothing is encrypted yet"
            )
        return value


class BundleSettings(Strict):
    """The release bundle to inspect with."""

    path: Path = Field(DEMO_BUNDLE, description="folder with manifest.json; relative to the working directory")
    trusted_keys: tuple[Path, ...] = Field(
        (),
        description="public keys (NAME.pub of edge-engine keygen): one of them must have signed the bundle; a name "
        "without a folder is looked for among the service's credentials first; that of the bundle that ships is "
        "edge/demo.pub of the package",
    )
    allow_unsigned: bool = Field(
        False,
        description="accept a bundle without a signature; without trusted_keys also one whose signature nobody checks",
    )
    allow_older: bool = Field(
        False, description="accept a release below the highest that was ever active here, to go back on purpose"
    )


class ClassRecipe(Strict):
    """Values for one defect class; what is left out is the manifest's default. Each must lie within its bounds."""

    gate: float | None = Field(None, description="classifier probability above which a tile is segmented")
    threshold: float | None = Field(None, description="segmenter probability a pixel must reach")
    min_area_px: float | None = Field(None, description="smaller regions do not count [px]")
    min_area_mm2: float | None = Field(None, gt=0, description="the same in mm2; needs mm_per_px of the camera")
    min_peak: float | None = Field(None, description="regions never as certain as this do not count")
    max_count: int | None = Field(None, description="so many regions that count are still a PASS")

    @model_validator(mode="after")
    def _one_unit(self) -> ClassRecipe:
        if self.min_area_px is not None and self.min_area_mm2 is not None:
            raise ValueError("min_area_px and min_area_mm2 are both set: keep one of them")
        return self


class PartsSettings(Strict):
    """From triggers to parts."""

    join: Literal["each", "tag", "counter", "time"] = Field(
        "each",
        description="which frames of several cameras show the same part: none (each is a part); those of one tag; of "
        "one number that is the camera's own; of one moment. Cameras fired by a request need none of it",
    )
    window_ms: int = Field(
        20, ge=1, le=60_000, description="a view that comes later is missing; below the parts' distance"
    )
    debounce_ms: int = Field(0, ge=0, le=60_000, description="a trigger so soon after the last is the same one")
    min_interval_ms: int = Field(0, ge=0, le=60_000, description="a trigger so soon after the last is an overrun")


class JournalSettings(Strict):
    """What is kept of each part, so that none is lost and every consumer can catch up."""

    sync: Literal["normal", "full", "off"] = Field(
        "normal", description="safe against a kill; against a power cut too; no journal, each start is a new epoch"
    )
    commit_reserve_ms: int = Field(
        2, ge=0, le=1000, description="UNKNOWN(late) is claimed so long before the deadline, to be kept by then"
    )
    keep_days: float = Field(30.0, gt=0, description="verdicts go that were given so many days of running ago")
    keep_mb: int = Field(2000, ge=1, description="the oldest verdicts go when the file is larger")


class ArchiveSettings(Strict):
    """Which parts are kept with picture and mask, and for how long."""

    path: Path | None = Field(None, description="folder; none = nothing is kept")
    pass_share: float = Field(0.01, ge=0, le=1, description="random share of PASS parts")
    near_miss: float = Field(
        0.1,
        ge=0,
        le=1,
        description="PASS parts with a score so close below its gate, or a defect that does not count",
    )
    keep_days: float = Field(30.0, gt=0, description="older parts go")
    keep_mb: int = Field(10_000, ge=1, description="the oldest parts go when there is more")


class ReplayStart(Strict):
    """When the first frame is taken: what is published before somebody subscribes reaches nobody."""

    start: Literal["immediately", "first-subscriber"] = Field(
        "immediately", description="first-subscriber: no frame is taken before somebody listens (replays, tests)"
    )
