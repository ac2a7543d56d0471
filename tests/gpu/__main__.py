"""
``make gpu-check``: everything that only a machine with an NVIDIA GPU can show, as a dated table for docs/results.md.

The GPU through pycuda; the whole daemon on ONNX Runtime's CUDA provider; with TensorRT beside it the build of an
engine, its parity, and its CUDA graphs against plain enqueue. Exit code 1: a check failed. On the tests' stand-ins it
runs as well, and every line says so.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import BaseModel, Field

from edge.bundle import read_bundle
from edge.commandline import run
from edge.inspector.backend import BackendSettings
from edge.inspector.machine import device_of
from edge.settings import DEMO_BUNDLE
from tests.gpu.checks import Checks
from tests.qualify.report import circumstances

_PACKAGES = ("pycuda", "onnxruntime-gpu", "onnxruntime", "tensorrt", "tensorrt-cu13", "tensorrt-cu12", "numpy")
_STANDIN = "stand-in"


class GpuCheck(BaseModel):
    """Check this product on an NVIDIA GPU, and measure it there."""

    gpu: int = Field(0, ge=0, le=63, description="number of the GPU")
    bundle: Path = Field(DEMO_BUNDLE, description="the bundle to inspect with")
    frames: int = Field(200, ge=4, description="frames of the strip for each daemon")
    runs: int = Field(300, ge=1, description="calls of which each figure is made")
    copy_mib: int = Field(256, ge=1, description="size of a copy, for the bandwidth [MiB]")
    product: int = Field(4096, ge=16, description="side of the matrix product, for the rate")
    cache: Path | None = Field(None, description="engine cache: build log and layers stay there; none = thrown away")


def main(args: list[str] | None = None) -> int:
    """Run the check; return the exit code."""
    return run("gpu-check", GpuCheck, args, check_gpu)


def check_gpu(command: GpuCheck) -> int:
    """
    Make every check that can be made here, print the table.

    Returns:
        0, or 1 when a check failed or there was no runtime to check.

    Raises:
        ConfigurationError: there is no driver, no GPU or no pycuda.
    """
    device = device_of(BackendSettings(name="tensorrt", gpu=command.gpu))
    facts = _facts(device)
    checks = Checks(standin=any(_STANDIN in text for _, text in facts))
    # Not before device_of() has said what is missing here.
    from tests.gpu.device import check_device, copy_rates
    from tests.gpu.runtimes import Trial

    with ExitStack() as held:
        cache = command.cache or Path(held.enter_context(TemporaryDirectory(prefix="edge-gpu-check-")))
        trial = Trial(
            checks=checks,
            bundle=read_bundle(command.bundle),
            cache=cache,
            gpu=command.gpu,
            frames=command.frames,
            runs=command.runs,
            product=command.product,
        )
        check_device(checks, command.gpu)
        with checks.check("bandwidth of copies") as said:
            rates = copy_rates(command.gpu, command.copy_mib)
            trial.bytes_per_s = 1e9 * rates["on the GPU"]
            said += [f"{name} {rate:.4g} GB/s" for name, rate in rates.items()]
        trial.check_onnxruntime()
        trial.check_tensorrt()
        with checks.check("a runtime is here") as said:
            said += trial.required_runtimes()
    heading = f"`make gpu-check`, {circumstances()['date']}: {len(checks.passed)} passed, {len(checks.failed)} failed"
    sys.stdout.write(checks.text(heading, facts))
    return 1 if checks.failed else 0


def _facts(device: str) -> list[tuple[str, str]]:
    found = circumstances()
    packages = [(name, _version(name)) for name in _PACKAGES]
    return [
        ("GPU", device),
        ("machine", f"{found['processor']}, {found['cores']} cores, load {found['load']:.1f}, Linux {found['kernel']}"),
        ("commit", found["commit"]),
        ("versions", ", ".join([f"Python {found['python']}", *(f"{n} {v}" for n, v in packages if v)])),
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
