"""
Genuine pycuda on a stand-in for the CUDA driver: what tests of the GPU's code run on, on a machine without one.

Both are made once, into ``.cache``: pycuda as a wheel from its own source, with the CUDA headers that PyPI has (a
minute and a half), the stand-in by gcc (a second). Neither enters the environment of the tests themselves: a test that
needs them runs a process of its own with ``environment()``.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
CACHE = REPOSITORY / ".cache"
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


class Unavailable(Exception):
    """A tool or a download is not to be had; the text says which."""


def environment() -> dict[str, str]:
    """
    Return the environment of a process that finds pycuda, the stand-in driver and the stand-in ``tensorrt``.

    Without a compiler or without downloads the test fails in CI (variable CI set) and is skipped elsewhere.
    """
    try:
        site, driver = _made()
    except Unavailable as error:
        if os.environ.get("CI"):
            pytest.fail(f"{error}; CI must be able to build pycuda on a stand-in for the CUDA driver")
        pytest.skip(str(error))
    return {
        **os.environ,
        "LD_LIBRARY_PATH": str(driver),
        "PYTHONPATH": os.pathsep.join(map(str, (site, TENSORRT, REPOSITORY))),
    }


def _made() -> tuple[Path, Path]:
    """Return pycuda's folder and the one of libcuda.so.1."""
    with only_one_at_a_time("pycuda"):
        site = _once("pycuda", (PYCUDA, *HEADERS, sys.version, platform.machine(), _SITECONF, _LDFLAGS), _make_pycuda)
        binary = next(site.glob("pycuda/_driver*.so"))
        driver = _once("libcuda", (DRIVER_SOURCE.read_text(), site.name), lambda to: _make_driver(to, binary))
    return site, driver


@contextmanager
def only_one_at_a_time(name: str) -> Iterator[None]:
    """Wait for another process that makes the same."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _once(name: str, made_from: Sequence[str], make: Callable[[Path], None]) -> Path:
    """Return ``.cache/<name>-<hash of what it is made from>``; older ones of that name are removed when it is made."""
    folder = CACHE / f"{name}-{hashlib.sha256(repr(made_from).encode()).hexdigest()[:12]}"
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(dir=CACHE) as work:
            unfinished = Path(work) / "made"
            unfinished.mkdir()
            make(unfinished)
            for old in CACHE.glob(f"{name}-*"):
                shutil.rmtree(old)
            unfinished.rename(folder)
    return folder


def _make_pycuda(folder: Path) -> None:
    work = folder.parent
    _pip("install", "--no-deps", "--target", str(work / "headers"), *HEADERS)
    _pip("install", "--target", str(work / "tools"), "setuptools", "wheel")
    tools = {"PYTHONPATH": str(work / "tools"), "LDFLAGS": _LDFLAGS}
    _pip(
        "download", "--no-deps", "--no-build-isolation", "--no-binary", ":all:", "--dest", str(work), PYCUDA,
        variables=tools,
    )  # fmt: skip
    with tarfile.open(next(work.glob("pycuda-*.tar.gz"))) as archive:
        archive.extractall(work, filter="data")
    source = next(path for path in work.glob("pycuda-*") if path.is_dir())
    include = next((work / "headers").rglob("cuda.h")).parent
    _compile(work / "libcuda.so", "-x", "c", os.devnull)
    (source / "siteconf.py").write_text(_SITECONF.format(include=str(include), libraries=str(work)))
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(work), str(source), variables=tools)
    _pip("install", "--target", str(folder), str(next(work.glob("*.whl"))))


def _make_driver(folder: Path, pycuda: Path) -> None:
    """Compile the stand-in; what pycuda asks for beyond it is answered with 801, not supported."""
    symbols = _run("nm", "-D", "--undefined-only", str(pycuda)).split()
    text = DRIVER_SOURCE.read_text()
    lacking = sorted(s for s in symbols if s.startswith("cu") and s[2:3].isupper() and f"int {s}(" not in text)
    rest = folder / "unsupported.c"
    rest.write_text("".join(f"int {name}(void) {{ return 801; }}\n" for name in lacking))
    _compile(folder / "libcuda.so.1", str(DRIVER_SOURCE), str(rest))


def _compile(library: Path, *sources: str) -> None:
    _run("gcc", "-shared", "-fPIC", "-O1", "-Wl,-soname,libcuda.so.1", "-o", str(library), *sources, "-lpthread")


def _pip(*arguments: str, variables: Mapping[str, str] | None = None) -> None:
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    _run(*pip, *arguments, variables=variables)


def _run(*command: str, variables: Mapping[str, str] | None = None) -> str:
    """
    Run a tool; return what it prints.

    Raises:
        Unavailable: it is not there, or fails; the last line of what it says is in the text.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env={**os.environ, **(variables or {})}
        )
    except FileNotFoundError as error:
        raise Unavailable(f"{command[0]} is not installed") from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no word"])[-1]
        raise Unavailable(f"'{' '.join(command[:5])} ...' failed: {last}") from error
    return done.stdout
