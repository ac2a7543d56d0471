"""
The whole settings tree of a station, written once.

Sources, the first wins: flags (``--endpoints.results ...``), environment (``EDGE_ENDPOINTS__RESULTS``), the TOML file.
A key nobody knows is an error in each of them.
"""

from __future__ import annotations

import os
import re
import sys
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, CliPositionalArg, PydanticBaseSettingsSource, SettingsConfigDict

from edge.errors import ConfigurationError
from edge.inspector.backend import BackendSettings
from engines.contract import PixelFormat

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]

ENVIRONMENT_PREFIX = "EDGE_"
_LARGEST_TOML = 1_000_000
DEMO_BUNDLE = Path(__file__).parent / "demo_bundle"

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
_TimeOfDay = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
_LOCAL = re.compile(r"ipc://.+|tcp://(127\.0\.0\.1|localhost):(\*|(?P<port>\d{1,5}))")


class Strict(BaseModel):
    """Frozen; a mistyped key is an error, and so is a number that is none (TOML has nan and inf)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


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
    allow_unsigned: bool = Field(False, description="bundles cannot be signed yet: say true to accept that")


class SyntheticSource(Strict):
    """The built-in steel strip: a pure function of (seed, frame number)."""

    kind: Literal["synthetic"] = Field(description="says that this table is such a source")
    seed: int = Field(7, ge=0, lt=2**63, description="another seed is another strip")
    defect_share: float = Field(0.1, ge=0, le=1, description="share of frames with a defect")
    rate_hz: float | None = Field(None, gt=0, le=1000, description="frames per second; none = as fast as consumed")
    frames: int | None = Field(None, ge=1, description="ends after so many frames; none = endless")


class ReplaySource(Strict):
    """Pictures of a folder in the order of their names, or the frames of a video."""

    kind: Literal["replay"] = Field(description="says that this table is such a source")
    path: Path = Field(
        description="folder of pictures, or a video file; a folder is listed when it is opened and must not change "
        "while a run lasts"
    )
    pattern: str = Field("*", pattern="^[^/]", description="which files of the folder; **/* = of its folders too")
    tag_pattern: str | None = Field(
        None,
        description="where a file's name holds the part's tag: a regular expression with one group of digits, "
        "as in part(\\d+)_; none = pictures have no tags",
    )
    rate_hz: float | None = Field(None, gt=0, le=1000, description="frames per second; none = as fast as consumed")

    @field_validator("pattern")
    @classmethod
    def _stars_alone(cls, value: str) -> str:
        if any("**" in part and part != "**" for part in value.split("/")):
            raise ValueError("expected ** to stand alone between slashes, as in **/*.png")
        return value

    @field_validator("tag_pattern")
    @classmethod
    def _one_group(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            groups = re.compile(value).groups
        except re.error as error:
            raise ValueError(f"expected a regular expression: {error}") from error
        if groups != 1:
            raise ValueError(f"expected one group in brackets, as in part(\\d+)_, found {groups}")
        return value


class OpenCVSource(Strict):
    """A device index, a URL, or a video file (taken as consumed, to its end), through OpenCV."""

    kind: Literal["opencv"] = Field(description="says that this table is such a source")
    device: int | str = Field(
        description="0, /dev/video0, rtsp://..., http://..., or a video file; a live one that gives the very same "
        "picture twice is corrupt or frozen: UNKNOWN(camera)"
    )
    width: int | None = Field(None, ge=1, description="asked of the device and read back [px]")
    height: int | None = Field(None, ge=1, description="asked of the device and read back [px]")
    rate_hz: float | None = Field(None, gt=0, le=1000, description="asked of the device and read back")
    exposure: float | None = Field(None, description="asked of the device and read back; the driver's own unit")
    gain: float | None = Field(None, description="asked of the device and read back; the driver's own unit")
    open_timeout_ms: int = Field(3000, ge=100, description="for network sources")
    read_timeout_ms: int = Field(2000, ge=100, description="for network sources")

    @cached_property
    def is_file(self) -> bool:
        """It was a regular file when first asked: it has an end and no time of its own."""
        return isinstance(self.device, str) and os.path.isfile(self.device)  # noqa: PTH113 - Path's raises


Source = Annotated[SyntheticSource | ReplaySource | OpenCVSource, Field(discriminator="kind")]


class DriftLimits(Strict):
    """Outside of these a picture is not what the networks were trained for: UNKNOWN(drift)."""

    brightness_low: float | None = Field(None, ge=0, le=255, description="mean grey value of a picture")
    brightness_high: float | None = Field(None, ge=0, le=255, description="mean grey value of a picture")
    sharpness_low: float | None = Field(None, ge=0, description="variance of the Laplacian [grey values squared]")
    suspicious_share: float | None = Field(
        None, gt=0, le=1, description="share of the last 200 frames with a tile over a gate; more of them is no product"
    )

    @model_validator(mode="after")
    def _low_below_high(self) -> DriftLimits:
        low, high = self.brightness_low, self.brightness_high
        if low is not None and high is not None and low >= high:
            raise ValueError(f"expected brightness_low = {low:g} below brightness_high = {high:g}")
        return self


class CameraSettings(Strict):
    """One camera and its canvas."""

    name: Name = Field(description="appears in topics and verdicts")
    source: Source = Field(description="where its frames come from: one of the sources below, chosen by its kind")
    height: int = Field(
        256, ge=16, le=16384, description="largest picture: height of the canvas; of an opencv source every one [px]"
    )
    width: int = Field(
        1600, ge=16, le=16384, description="largest picture: width of the canvas; of an opencv source every one [px]"
    )
    convert_to: PixelFormat | None = Field(
        None, description="mono8 or bgr8: convert what the source delivers; none = it must already be the manifest's"
    )
    slots: int = Field(4, ge=1, le=64, description="frames of a paced source that may wait for their verdict")
    mm_per_px: float | None = Field(
        None, ge=1e-6, le=1000, description="scale at this station; none = rules in px only"
    )
    trigger: Literal["free-run", "software", "camera"] = Field(
        "free-run",
        description="what makes a part: every frame; a request; every frame of a camera with a trigger input that "
        "numbers them",
    )
    max_trigger_delay_ms: int = Field(
        50,
        ge=1,
        le=60_000,
        description="a picture asked for by a request is not taken later than this: the next part may stand there; "
        "for trigger = software",
    )
    counter_offset: int = Field(0, description="frame number + this = number of the part; for parts.join = counter")
    expect_every_ms: int | None = Field(
        None, ge=1, description="silent for longer than this, the station is not ready; none = the line may stand"
    )
    drift: DriftLimits = Field(DriftLimits(), description="limits of a picture that can be judged")

    @property
    def paced(self) -> bool:
        """Frames come at the source's own time; False = the next is taken when the last one's verdict is out."""
        if isinstance(self.source, OpenCVSource):
            return not self.source.is_file
        return self.source.rate_hz is not None

    @property
    def tags_frames(self) -> bool:
        """Its source can say which part a frame shows."""
        if isinstance(self.source, ReplaySource):
            return self.source.tag_pattern is not None
        return isinstance(self.source, SyntheticSource)

    @property
    def numbers_frames(self) -> bool:
        """Its source numbers frames by itself, so that a gap proves a missed one."""
        return not isinstance(self.source, OpenCVSource)

    @model_validator(mode="after")
    def _room_for_the_strip(self) -> CameraSettings:
        if isinstance(self.source, SyntheticSource) and min(self.height, self.width) < 64:
            raise ValueError("expected height and width of 64 px or more: the synthetic strip is no smaller")
        return self


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


class Station(Strict):
    """A whole station: what one TOML file describes."""

    station: Name = Field(description="name of this station; appears in topics and verdicts")
    cameras: tuple[CameraSettings, ...] = Field(min_length=1, description="one table [[cameras]] each")
    bundle: BundleSettings = Field(BundleSettings(), description="the release bundle to inspect with")
    backend: BackendSettings = Field(BackendSettings(), description="what runs the networks, and how")
    recipe: dict[str, ClassRecipe] = Field(default_factory=dict, description="by class name: [recipe.pits] gate = 0.3")
    recipes: Path | None = Field(
        None, description="folder of further recipes, NAME.toml, switched by request; none = only the one above"
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

    @field_validator("parts")
    @classmethod
    def _frames_can_be_joined(cls, value: PartsSettings, info: ValidationInfo) -> PartsSettings:
        cameras = [camera for camera in info.data.get("cameras", ()) if camera.trigger != "software"]
        unfit = {
            "tag": ([c.name for c in cameras if not c.tags_frames], "gives its frames no tags"),
            "counter": ([c.name for c in cameras if not c.numbers_frames], "does not number its frames"),
        }
        names, lacks = unfit.get(value.join, ([], ""))
        if names:
            raise ValueError(
                f"expected another join than {value.join}: the source of camera {', '.join(names)} {lacks}; "
                "use time, or another source (replay: set tag_pattern)"
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


def state_dir_of(station: Station) -> Path:
    """Return the folder of what must outlive a restart; it need not exist."""
    if station.state_dir is not None:
        return station.state_dir
    # systemd gives a list when the unit names several; the first is the station's.
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    home = os.environ.get("XDG_STATE_HOME", "")
    return (Path(home) if home else Path.home() / ".local" / "state") / "edge-inspect" / station.station


class TomlFile(PydanticBaseSettingsSource):
    """The file named by ``--config``; checked by itself, so that its faults are told with its name."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError("this source gives the whole tree at once")

    def __call__(self) -> dict[str, Any]:
        _refuse_unknown_environment()
        path = Path(self.current_state["config"])
        tree = read_toml(path)
        try:
            Station.model_validate(tree)
        except ValidationError as error:
            # What is missing here may come from a flag or the environment: that is told later.
            faults = [fault for fault in error.errors(include_url=False) if fault["type"] != "missing"]
            if faults:
                raise ConfigurationError(_described(path, faults[0])) from error
        return tree


class Daemon(BaseSettings, Station):
    """
    Inspect every part that passes the cameras, and publish one verdict each.

    Settings come from the TOML file, EDGE_ variables (EDGE_ENDPOINTS__RESULTS) and the flags below; the last wins.
    """

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__"
    )

    config: CliPositionalArg[Path] = Field(description="the station's TOML file")
    check: bool = Field(False, description="validate configuration and bundle, say what would be done, exit")
    once: bool = Field(False, description="exit 0 when every source has ended and every verdict is out")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlFile(settings_cls)


def read_toml(path: Path, what: str = "the station's TOML file") -> dict[str, Any]:
    """
    Read a TOML file.

    Args:
        what: it should be, for people.

    Raises:
        ConfigurationError: it cannot be read, or is not TOML; says the line.
    """
    try:
        if path.exists() and not path.is_file():
            raise ConfigurationError(f"{path}: not a file; name {what}")
        with path.open("rb") as file:
            text = file.read(_LARGEST_TOML + 1)
        if len(text) > _LARGEST_TOML:
            raise ConfigurationError(f"{path}: larger than {_LARGEST_TOML} bytes; name {what}")
        tree: dict[str, Any] = tomllib.loads(text.decode())
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror}); name {what}") from error
    # Both decoding errors are ValueErrors; so is a number of thousands of digits.
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}: not TOML: {str(error)[:200]}; mend the file") from error
    return tree


def _refuse_unknown_environment() -> None:
    known = {ENVIRONMENT_PREFIX + name.upper() for name in Daemon.model_fields}
    for name, value in os.environ.items():
        # Case does not matter for the known ones, so it must not hide a mistyped one.
        if name.upper().startswith(ENVIRONMENT_PREFIX) and name.split("__")[0].upper() not in known:
            raise ConfigurationError(
                f"environment: {name} = {value!r} is no setting; expected one of {', '.join(sorted(known))}"
            )


def _described(path: Path, fault: Any) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"{path}: key '{key}' = {fault['input']!r} is unknown; expected a key of docs/settings.md"
    expected = fault["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    return f"{path}: key '{key}' = {fault['input']!r}: {expected}"
