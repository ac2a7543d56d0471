"""
The whole settings tree of a station, written once.

Sources, the first wins: flags (``--endpoints.results ...``), environment (``EDGE_ENDPOINTS__RESULTS``), the TOML file.
A key nobody knows is an error in each of them.
"""

from edge.settings.calibration import CalibratedCamera, CalibrationFile, ZoneTable
from edge.settings.cameras import CameraSettings, DriftLimits
from edge.settings.challenge import ChallengeSettings, Master
from edge.settings.credentials import credential
from edge.settings.daemon import ENVIRONMENT_PREFIX, Daemon, read_station
from edge.settings.names import SHARED_FOLDERS, StationName, refuse_shared_name
from edge.settings.process import ProcessSettings
from edge.settings.sources import (
    EVERY_CAMERA,
    ArchiveSource,
    FolderSource,
    GenicamFormat,
    GenicamSource,
    OpenCVSource,
    ReplaySource,
    SyntheticSource,
)
from edge.settings.station import Station, default_engine_cache, engine_cache_of, service_state_dir, state_dir_of
from edge.settings.strict import Name, Strict
from edge.settings.tables import (
    DEMO_BUNDLE,
    DEMO_KEY,
    ArchiveSettings,
    BundleSettings,
    ClassRecipe,
    Endpoints,
    JournalSettings,
    PartsSettings,
    ReplayStart,
)
from edge.settings.toml import read_toml

__all__ = [
    "DEMO_BUNDLE",
    "DEMO_KEY",
    "ENVIRONMENT_PREFIX",
    "EVERY_CAMERA",
    "SHARED_FOLDERS",
    "ArchiveSettings",
    "ArchiveSource",
    "BundleSettings",
    "CalibratedCamera",
    "CalibrationFile",
    "CameraSettings",
    "ChallengeSettings",
    "ClassRecipe",
    "Daemon",
    "DriftLimits",
    "Endpoints",
    "FolderSource",
    "GenicamFormat",
    "GenicamSource",
    "JournalSettings",
    "Master",
    "Name",
    "OpenCVSource",
    "PartsSettings",
    "ProcessSettings",
    "ReplaySource",
    "ReplayStart",
    "Station",
    "StationName",
    "Strict",
    "SyntheticSource",
    "ZoneTable",
    "credential",
    "default_engine_cache",
    "engine_cache_of",
    "read_station",
    "read_toml",
    "refuse_shared_name",
    "service_state_dir",
    "state_dir_of",
]
