"""
Genuine pycuda on a stand-in for the CUDA driver: what tests of the GPU's code run on, on a machine without one.

pycuda is built from its own source with the CUDA headers that PyPI has (a minute and a half), the stand-in by gcc (a
second). Neither enters the environment of the tests themselves: a test that needs them runs a process of its own with
``environment()``.
"""

from __future__ import annotations

import os
import platform
import sys
import tarfile
from pathlib import Path

from tests.support.made import REPOSITORY, Unavailable, give_up, once, pip, run

DRIVER_SOURCE = Path(__file__).with_name("libcuda.c")
TENSORRT = REPOSITORY / "tests" / "support" / "tensorrt_standin"

PYCUDA = "pycuda==2026.1"
# cudaProfiler.h and crt/host_config.h come in wheels of their own.
HEADERS = ("nvidia-cuda-runtime==13.0.*", "nvidia-cuda-crt==13.0.*", "nvidia-cuda-profiler-api==13.0.*")
# Debian's linker would drop libcuda.so.1, of which the empty one that it finds here offers nothing.
_LDFLAGS = "-Wl,--no-as-needed"
_SITECONF = """\
USE_SHIPPED_BOOST = True
CUDA_INC_DIR = [{include!r}]
CUDADRV_LIB_DIR = [{libraries!r}]
CUDA_ENABLE_CURAND = False
CXXFLAGS = ["-O0", "-g0"]
"""


def environment() -> dict[str, str]:
    """Return the environment of a process that finds pycuda, the stand-in driver and the stand-in ``tensorrt``."""
    try:
        site = once("pycuda", (PYCUDA, *HEADERS, sys.version, platform.machine(), _SITECONF, _LDFLAGS), _make_pycuda)
        binary = next(site.glob("pycuda/_driver*.so"))
        driver = once("libcuda", (DRIVER_SOURCE.read_text(), site.name), lambda to: _make_driver(to, binary))
    except Unavailable as error:
        give_up(error, "pycuda on a stand-in for the CUDA driver")
    return {
        **os.environ,
        "LD_LIBRARY_PATH": str(driver),
        "PYTHONPATH": os.pathsep.join(map(str, (site, TENSORRT, REPOSITORY))),
    }


def _make_pycuda(folder: Path) -> None:
    work = folder.parent
    pip("install", "--no-deps", "--target", str(work / "headers"), *HEADERS)
    pinned = ("--constraint", str(REPOSITORY / "constraints.txt"))
    pip("install", *pinned, "--target", str(work / "tools"), "setuptools", "wheel")
    tools = {"PYTHONPATH": str(work / "tools"), "LDFLAGS": _LDFLAGS}
    unbuilt = ("--no-deps", "--no-build-isolation", "--no-binary", ":all:", "--dest", str(work), PYCUDA)
    pip("download", *unbuilt, variables=tools)
    with tarfile.open(next(work.glob("pycuda-*.tar.gz"))) as archive:
        archive.extractall(work, filter="data")
    source = next(path for path in work.glob("pycuda-*") if path.is_dir())
    include = next((work / "headers").rglob("cuda.h")).parent
    _compile(work / "libcuda.so", "-x", "c", os.devnull)
    (source / "siteconf.py").write_text(_SITECONF.format(include=str(include), libraries=str(work)))
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(work), str(source), variables=tools)
    pip("install", "--target", str(folder), str(next(work.glob("*.whl"))))


def _make_driver(folder: Path, pycuda: Path) -> None:
    """Compile the stand-in; what pycuda asks for beyond it is answered with 801, not supported."""
    symbols = run("nm", "-D", "--undefined-only", str(pycuda)).split()
    text = DRIVER_SOURCE.read_text()
    lacking = sorted(s for s in symbols if s.startswith("cu") and s[2:3].isupper() and f"int {s}(" not in text)
    rest = folder / "unsupported.c"
    rest.write_text("".join(f"int {name}(void) {{ return 801; }}\n" for name in lacking))
    _compile(folder / "libcuda.so.1", str(DRIVER_SOURCE), str(rest))


def _compile(library: Path, *sources: str) -> None:
    run("gcc", "-shared", "-fPIC", "-O1", "-Wl,-soname,libcuda.so.1", "-o", str(library), *sources, "-lpthread")
