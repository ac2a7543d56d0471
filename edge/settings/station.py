"""A whole station, and where it keeps what must outlive a restart."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from edge.cores import cores_from_text
from edge.inspector.backend import BackendSettings
from edge.settings.cameras import CameraSettings
from edge.settings.challenge import ChallengeSettings
from edge.settings.names import StationName
from edge.settings.process import ProcessSettings
from edge.settings.sources import ArchiveSource, GenicamSource
from edge.settings.strict import Strict
from edge.settings.tables import (
    ArchiveSettings,
    BundleSettings,
    ClassRecipe,
    Endpoints,
    JournalSettings,
    PartsSettings,
    ReplayStart,
)

_TimeOfDay = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class Station(Strict):
    """A whole station: what one TOML file describes."""

    station: StationName = Field(description="name of this station; appears in topics and verdicts")
    cameras: tuple[CameraSettings, ...] = Field(min_length=1, description="one table [[cameras]] each")
    bundle: BundleSettings = Field(BundleSettings(), description="the release bundle to inspect with")
    backend: BackendSettings = Field(BackendSettings(), description="what runs the networks, and how")
    recipe: dict[str, ClassRecipe] = Field(default_factory=dict, description="by class name: [recipe.pits] gate = 0.3")
    recipes: Path | None = Field(
        None, description="folder of further recipes, NAME.toml, switched by request; none = only the one above"
    )
    calibration: Path | None = Field(
        None,
        description="file of what was measured at the cameras' place, made by edge-inspectd calibrate; none = none",
    )
    calibration_max_age_days: float = Field(
        365.0, gt=0, le=36500, description="an older calibration raises the alarm calibration_old"
    )
    challenge: ChallengeSettings | None = Field(
        None, description="master parts that must be shown to the station; none = none are asked for"
    )
    process: ProcessSettings = Field(
        ProcessSettings(), description="cores and memory that the station keeps for itself"
    )
    parts: PartsSettings = Field(PartsSettings(), description="from triggers to parts")
    journal: JournalSettings = Field(JournalSettings(), description="what is kept of each part")
    archive: ArchiveSettings = Field(ArchiveSettings(), description="pictures and masks that are kept")
    shifts: tuple[_TimeOfDay, ...] = Field(
        ("06:00", "14:00", "22:00"), min_length=1, description="when shifts begin, local time"
    )
    selftest_every_s: float | None = Field(
        None, ge=10, description="judge the reference frames so often, while no part is open; none = by request only"
    )
    state_dir: Path | None = Field(
        None,
        description="journal, cursors, active recipe; none = $STATE_DIRECTORY of the service, else "
        "~/.local/state/edge-inspect/<station>",
    )
    engine_cache: Path | None = Field(
        None,
        description="engines that were made and proven on this machine; none = "
        "~/.local/state/edge-inspect/engines, shared by the machine's stations",
    )
    endpoints: Endpoints = Field(Endpoints(), description="where the outside connects")
    budget_ms: int = Field(100, ge=1, le=60_000, description="trigger to published; then the part is UNKNOWN(late)")
    start: Literal["require", "wait"] = Field(
        "require", description="a camera or bundle that fails at start: require = say why and exit; wait = retry"
    )
    replay: ReplayStart = Field(ReplayStart(), description="when the first frame is taken")
    run_dir: Path | None = Field(None, description="private sockets; none = a new folder of this process")
    max_mask_bytes: int = Field(500_000, ge=1024, description="a larger mask is announced, not sent")
    mask_buffer_bytes: int = Field(256_000_000, ge=1024, description="bound of what waits for slow mask readers")
    picture_rate_hz: float = Field(5.0, ge=0, le=100, description="pictures per second and camera; 0 = none")
    hang_s: float = Field(
        5.0,
        ge=1.0,
        description="an inspector that completes no cycle for so long is replaced; more than budget_ms",
        validate_default=True,
    )
    retry_s: float = Field(1.0, gt=0, description="pause before a camera or the inspector is tried again; doubles")
    retry_limit_s: float = Field(30.0, gt=0, description="longest such pause")

    @property
    def seats(self) -> tuple[tuple[str, ...], ...]:
        """
        Cameras, by those that see a part together.

        Those that a request fires; then the others, all of them where their frames are joined, or each by itself.
        """
        fired = tuple(camera.name for camera in self.cameras if camera.trigger == "software")
        others = tuple(camera.name for camera in self.cameras if camera.trigger != "software")
        groups = (others,) if self.parts.join != "each" else tuple((name,) for name in others)
        return tuple(group for group in (fired, *groups) if group)

    @field_validator("parts")
    @classmethod
    def _frames_can_be_joined(cls, value: PartsSettings, info: ValidationInfo) -> PartsSettings:
        cameras = [camera for camera in info.data.get("cameras", ()) if camera.trigger != "software"]
        unfit = {
            "tag": ([c.name for c in cameras if not c.source.tags_frames], "gives its frames no tags"),
            "counter": ([c.name for c in cameras if not c.source.numbers_frames], "does not number its frames"),
        }
        names, lacks = unfit.get(value.join, ([], ""))
        if names:
            raise ValueError(
                f"expected another join than {value.join}: the source of camera {', '.join(names)} {lacks}; "
                "use time, or another source (replay: set tag_pattern)"
            )
        return value

    @field_validator("process")
    @classmethod
    def _threads_have_cores(cls, value: ProcessSettings, info: ValidationInfo) -> ProcessSettings:
        backend = info.data.get("backend")
        cores = cores_from_text(value.inspector_cpus) if value.inspector_cpus is not None else ()
        if cores and backend is not None and backend.name != "tensorrt" and backend.threads > len(cores):
            raise ValueError(
                f"expected at least {backend.threads} inspector_cpus for backend.threads = {backend.threads}: threads "
                "that share a core wait for each other; name more cores, or set backend.threads lower"
            )
        return value

    @field_validator("archive")
    @classmethod
    def _not_its_own_archive(cls, value: ArchiveSettings, info: ValidationInfo) -> ArchiveSettings:
        replayed = {
            camera.source.path: camera.name
            for camera in info.data.get("cameras", ())
            if isinstance(camera.source, ArchiveSource)
        }
        if value.path in replayed:
            raise ValueError(
                f"expected another path than {value.path}, which camera {replayed[value.path]} inspects: the station "
                "would be fed with its own parts"
            )
        return value

    @field_validator("hang_s")
    @classmethod
    def _longer_than_the_budget(cls, value: float, info: ValidationInfo) -> float:
        budget_ms = info.data.get("budget_ms", 0)
        if 1000 * value <= budget_ms:
            raise ValueError(
                f"expected more than {budget_ms / 1000:g}: an inspector may rightly be busy for budget_ms = {budget_ms}"
            )
        return value

    @field_validator("cameras")
    @classmethod
    def _names_differ(cls, value: tuple[CameraSettings, ...]) -> tuple[CameraSettings, ...]:
        names = [camera.name for camera in value]
        if len(set(names)) != len(names):
            raise ValueError(f"camera names repeat: {', '.join(names)}")
        return value

    @field_validator("cameras")
    @classmethod
    def _genicam_devices_differ(cls, value: tuple[CameraSettings, ...]) -> tuple[CameraSettings, ...]:
        sources = {camera.name: camera.source for camera in value}
        devices = {name: source.device for name, source in sources.items() if isinstance(source, GenicamSource)}
        if len(devices) > 1 and (None in devices.values() or len(set(devices.values())) < len(devices)):
            told = ", ".join(f"{name} {device or 'none'}" for name, device in devices.items())
            raise ValueError(f"expected a device of its own for each genicam source, found {told}: one takes another's")
        return value


def state_dir_of(station: Station) -> Path:
    """Return the folder of what must outlive a restart; it need not exist."""
    if station.state_dir is not None:
        return station.state_dir
    return service_state_dir() or _state_home() / station.station


def service_state_dir() -> Path | None:
    """Return the folder that a service manager has made for what must outlive a restart; None = there is none."""
    # systemd gives a list when the unit names several; the first is the station's.
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(given) if given else None


def engine_cache_of(station: Station) -> Path:
    """Return the folder of the engine cache; it need not exist."""
    return station.engine_cache if station.engine_cache is not None else default_engine_cache()


def default_engine_cache() -> Path:
    """Return where ``edge-engine build`` and the stations of a user look for engines unless they are told otherwise."""
    return _state_home() / "engines"


def _state_home() -> Path:
    home = os.environ.get("XDG_STATE_HOME", "")
    return (Path(home) if home else Path.home() / ".local" / "state") / "edge-inspect"
