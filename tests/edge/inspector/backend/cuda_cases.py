"""Run by test_cuda.py on the stand-in for the CUDA driver: genuine pycuda, memory of the CPU, no GPU."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from edge.errors import ConfigurationError, DeviceLost, InferenceFailed
from edge.inspector.backend import BackendSettings
from edge.inspector.backend.cuda import Gpu, driver_from_proc, gpu_facts, open_gpu
from edge.inspector.machine import device_of
from tests.support.cuda.driver import DRIVER, devices, failing, integrated, live, memory

FLOATS, BYTES = np.dtype(np.float32), np.dtype(np.uint8)


@pytest.fixture
def gpu() -> Iterator[Gpu]:
    """An open GPU; what a test leaves allocated fails it."""
    gc.collect()  # What a test leaves of a lost GPU goes when it likes.
    before = live()
    opened = open_gpu(0)
    yield opened
    opened.close()
    assert live() == before


def test_facts_are_a_fingerprint() -> None:
    """Name, compute capability, driver and memory tell one GPU from another, without opening it."""
    before = live()
    assert gpu_facts(0).fingerprint == "stand-in GPU (a CPU), compute 8.7, driver CUDA 13.0, 8192 MiB"
    assert live() == before


def test_driver_says_its_version_on_a_pc() -> None:
    """The kernel module has a version of its own, in words that differ between the open and the closed one."""
    closed = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\nGCC version: 12"
    opened = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.82.07  Release Build  (dvs-builder@U22)"
    assert driver_from_proc(closed, 12020) == "535.183.01 (CUDA 12.2)"
    assert driver_from_proc(opened, 13000) == "580.82.07 (CUDA 13.0)"
    assert driver_from_proc("", 12060) == "CUDA 12.6"


def test_machine_names_its_gpu() -> None:
    """An engine cache asks for the device that computes: a GPU for tensorrt, and for onnxruntime when told to."""
    gpu = gpu_facts(0).fingerprint
    assert device_of(BackendSettings(name="tensorrt")) == gpu
    assert device_of(BackendSettings(name="onnxruntime", device="cuda")) == gpu
    assert device_of(BackendSettings(name="onnxruntime")) != gpu


def test_driver_without_a_gpu_is_a_setting_to_mend() -> None:
    """A driver that finds no GPU is said in one line."""
    with devices(0), pytest.raises(ConfigurationError, match=r"no usable GPU.*no CUDA-capable device.*nvidia-smi"):
        open_gpu(0)


def test_number_beyond_the_gpus_is_refused() -> None:
    """The error says how many there are."""
    with pytest.raises(ConfigurationError, match=r"gpu 3: the driver counts 1, expected 0 to 0"):
        open_gpu(3)


def test_tensor_crosses_both_ways(gpu: Gpu) -> None:
    """What the host writes arrives on the GPU, and comes back; not before the stream was waited for."""
    with gpu.current():
        sent, received = gpu.tensor((4, 5), FLOATS), gpu.tensor((4, 5), FLOATS)
        sent.host[:] = np.arange(20).reshape(4, 5)
        sent.upload(4)
        for row in range(4):
            received.take_row(row, sent, 3 - row)
        received.download(4)
        assert not received.host.any()
        gpu.synchronize()
        np.testing.assert_array_equal(received.host, sent.host[::-1])
        sent.free()
        received.free()


def test_integrated_gpu_reads_what_the_host_writes(gpu: Gpu) -> None:
    """On a Jetson there is one memory, mapped, and nothing to copy."""
    with integrated():
        shared = open_gpu_elsewhere()
    before = live().get("device memory", 0)
    with shared.current():
        tensor = shared.tensor((3,), BYTES)
        assert tensor.address == tensor.host.ctypes.data
        assert live().get("device memory", 0) == before
        tensor.upload(3)
        tensor.download(3)
        tensor.free()
    shared.close()


def open_gpu_elsewhere() -> Gpu:
    """Open the GPU in another thread: another stream."""
    opened = list[Gpu]()
    thread = threading.Thread(target=lambda: opened.append(open_gpu(0)))
    thread.start()
    thread.join()
    return opened[0]


def test_thread_shares_one_stream(gpu: Gpu) -> None:
    """The engines of one bundle, opened by one thread, share the stream; the last that leaves frees it."""
    again = open_gpu(0)
    assert again is gpu
    again.close()
    with gpu.current():
        gpu.synchronize()


def test_bundle_got_ready_beside_the_line_has_its_own_stream(gpu: Gpu) -> None:
    """A loader that captures graphs must not catch what the line does; its engines are used and closed elsewhere."""
    other = open_gpu_elsewhere()
    assert other.stream_handle != gpu.stream_handle
    with other.current():
        tensor = other.tensor((2,), FLOATS)
        tensor.fill_nan()
        tensor.download(2)
        other.synchronize()
        assert np.isnan(tensor.host).all()
        tensor.free()
    other.close()


def test_gpu_is_opened_again_after_the_last_user_left() -> None:
    """Closing frees stream and context, and leaves nothing pushed; then it may be opened anew."""
    before = live()
    for _ in range(3):
        open_gpu(0).close()
    assert live() == before


def test_graph_repeats_what_was_captured(gpu: Gpu) -> None:
    """Captured work runs when it is launched, on what the memory holds then."""
    with gpu.current():
        source, target = gpu.tensor((2, 2), BYTES), gpu.tensor((2, 2), BYTES)

        def work() -> None:
            target.take_row(0, source, 1)
            target.download(2)

        graph = gpu.captured(work)
        for value in (7, 9):
            source.host[:] = value
            source.upload(2)
            gpu.synchronize()
            assert target.host[0, 0] != value
            graph.launch()
            gpu.synchronize()
            assert target.host[0, 0] == value
        graph.free()
        source.free()
        target.free()


@pytest.mark.parametrize("forbidden", ["wait", "allocate"])
def test_work_that_cannot_be_captured_is_refused(gpu: Gpu, forbidden: str) -> None:
    """What would stop the device spoils a capture; the stream is usable afterwards."""
    steps = {"wait": gpu.synchronize, "allocate": lambda: gpu.scratch(4)}
    with pytest.raises(InferenceFailed, match="capturing"), gpu.current():
        gpu.captured(steps[forbidden])
    with gpu.current():
        gpu.synchronize()


def test_failure_inside_a_capture_is_passed_on(gpu: Gpu) -> None:
    """What the captured work raises arrives, and its half of a graph is freed."""

    def work() -> None:
        raise InferenceFailed("enqueue refused")

    with pytest.raises(InferenceFailed, match="enqueue refused"), gpu.current():
        gpu.captured(work)
    with gpu.current():
        gpu.synchronize()


def test_stages_are_timed_by_the_gpu(gpu: Gpu) -> None:
    """Events between the steps give milliseconds by name, and are freed."""
    with gpu.current():
        tensor = gpu.tensor((1 << 20,), FLOATS)
        took_ms = gpu.timed({"upload": lambda: tensor.upload(1 << 20), "nothing": lambda: None})
        tensor.free()
    assert list(took_ms) == ["upload", "nothing"]
    assert took_ms["upload"] > took_ms["nothing"] >= 0


def test_too_little_memory_is_a_setting_to_mend(gpu: Gpu) -> None:
    """Which GPU, how much it has, and what to do; what was allocated on the way is freed."""
    before = live()
    with memory(1 << 20), pytest.raises(ConfigurationError, match=r"GPU 0 .* out of memory; .*nvidia-smi"):  # noqa: SIM117
        with gpu.current():
            gpu.tensor((2 << 20,), BYTES)
    assert live() == before
    with gpu.current():
        gpu.scratch(10).free()


def test_wrong_call_does_not_lose_the_gpu(gpu: Gpu) -> None:
    """A copy beyond a buffer is refused, and the next call succeeds."""
    with gpu.current():
        tensor = gpu.tensor((2, 2), BYTES)
    with pytest.raises(InferenceFailed, match="GPU 0"), gpu.current():
        tensor.take_row(2, tensor, 0)
    with gpu.current():
        gpu.synchronize()
        tensor.free()


@pytest.mark.parametrize("after", range(6))
def test_error_that_stays_loses_the_gpu(after: int) -> None:
    """Whichever call is the first to say it: the GPU is lost, at once and for good, and nothing is asked any more."""
    lost = open_gpu(0)
    with lost.current():
        tensor = lost.tensor((2,), BYTES)
    with failing(after):
        with pytest.raises(DeviceLost, match=r"GPU 0 .* is lost: .*(illegal memory access|ILLEGAL_ADDRESS)"):  # noqa: PT012
            for _ in range(3):
                with lost.current():
                    tensor.upload(2)
                    lost.synchronize()
        calls = DRIVER.standin_cuda_calls()
        with pytest.raises(DeviceLost), lost.current():
            pass
        lost.close()
        assert DRIVER.standin_cuda_calls() == calls
    assert open_gpu(0) is not lost


@pytest.mark.parametrize("after", range(4))
def test_what_belonged_to_a_lost_gpu_may_go(after: int) -> None:
    """pycuda aborts the process when it frees memory of a context that it believes in, and the driver says no."""
    lost = open_gpu_elsewhere() if after % 2 else open_gpu(0)
    with lost.current():
        tensor = lost.tensor((2,), BYTES)
        scratch = lost.scratch(8)
    with failing(after):
        with pytest.raises(DeviceLost), lost.current():
            lost.synchronize()
        lost.close()
        del tensor, scratch, lost
        gc.collect()


def test_refusal_of_somebody_else_is_looked_into() -> None:
    """TensorRT only says no: whether the GPU is lost is asked for."""
    other = open_gpu_elsewhere()
    with other.current():
        other.require_alive()
    with pytest.raises(DeviceLost, match="CUDA_ERROR_ILLEGAL_ADDRESS \\(700\\)"), other.current(), failing():
        other.require_alive()


def test_thread_that_loses_the_gpu_ends_quietly() -> None:
    """pycuda aborts the process at the end of a thread that has a context pushed; it must not come to that."""
    ended = list[bool]()

    def work() -> None:
        lost = open_gpu(0)
        with failing(2), pytest.raises(DeviceLost), lost.current():  # noqa: PT012
            for _ in range(5):
                lost.synchronize()
        ended.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == [True]
