"""What of a machine an engine or its proof depends on, as one line."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path

from edge.inspector.backend import BackendSettings

_CPUINFO = Path("/proc/cpuinfo")
# As x86 and ARM call them.
_MODEL_KEYS = ("model name", "CPU part")
_FEATURE_KEYS = ("flags", "Features")


def device_of(settings: BackendSettings) -> str:
    """
    Return the device that computes, with what makes its results or its engines differ from another's.

    Of a CPU its model and a digest of its features; of a GPU name, compute capability and driver.

    Raises:
        ConfigurationError: a GPU is asked for, and there is none that can be used.
    """
    if settings.name == "tensorrt" or settings.device == "cuda":
        from edge.inspector.backend.cuda import gpu_facts

        return gpu_facts(settings.gpu).fingerprint
    return cpu_from_cpuinfo(_CPUINFO.read_text(encoding="utf-8") if _CPUINFO.exists() else "")


def cpu_from_cpuinfo(text: str) -> str:
    """Return the first processor of /proc/cpuinfo; all of them are equal on the machines we know."""
    found = dict(_pair(line) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    model = next((found[key] for key in _MODEL_KEYS if key in found), platform.machine())
    features = next((found[key] for key in _FEATURE_KEYS if key in found), "")
    digest = hashlib.sha256(" ".join(sorted(features.split())).encode()).hexdigest()
    return f"{model} ({platform.machine()}, features {digest[:12]})"


def _pair(line: str) -> tuple[str, str]:
    key, _, value = line.partition(":")
    return key.strip(), value.strip()
