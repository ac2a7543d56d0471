"""edge.inspector.machine: what an engine depends on."""

from __future__ import annotations

from edge.inspector.backend import BackendSettings
from edge.inspector.machine import cpu_from_cpuinfo, device_of

X86 = """processor\t: 0
model name\t: Some CPU
flags\t\t: sse avx

processor\t: 1
model name\t: Other
flags\t\t: sse
"""
ARM = "processor\t: 0\nFeatures\t: fp asimd\nCPU part\t: 0xd42\n"


def test_a_processor_is_its_model_and_its_features() -> None:
    """The order of the features does not matter, one more does; a second processor is not looked at."""
    assert cpu_from_cpuinfo(X86).startswith("Some CPU (")
    assert cpu_from_cpuinfo(X86) == cpu_from_cpuinfo(X86.replace("sse avx", "avx sse"))
    assert cpu_from_cpuinfo(X86) != cpu_from_cpuinfo(X86.replace("sse avx", "sse avx amx"))


def test_arm_has_no_model_name() -> None:
    """A Jetson's file says part and features."""
    assert cpu_from_cpuinfo(ARM).startswith("0xd42 (")
    assert cpu_from_cpuinfo(ARM) != cpu_from_cpuinfo(ARM.replace("asimd", "sve"))


def test_without_the_file_the_architecture_is_left() -> None:
    """Nothing is worse than no engine at all."""
    assert cpu_from_cpuinfo("")


def test_this_machine_has_a_device() -> None:
    """The same twice."""
    assert device_of(BackendSettings()) == device_of(BackendSettings(threads=1))
