"""
The tensors of one engine on a GPU: written by the host, computed on, read back.

Both engines that compute on a GPU have theirs here, so that each takes rows from the other without the host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import InferenceFailed
from edge.inspector.backend import repeat_first_row
from edge.inspector.backend.cuda import Gpu, Tensor

Shapes = Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]]
_NO_ANSWER = 0xA5


class Ports:
    """
    Inputs and outputs of the largest batch; a smaller one uses the first rows.

    Methods but ``gather`` and ``answers`` want the GPU to be current; none waits for the stream.

    Args:
        inputs, outputs: shape and dtype of the largest batch, by name.
        batched_input: the input whose rows are the batch.

    Attributes:
        inputs: what the host writes, by name; empty after free().
    """

    def __init__(self, gpu: Gpu, inputs: Shapes, outputs: Shapes, batched_input: str) -> None:
        self._gpu = gpu
        self.inputs: dict[str, NDArray[Any]] = {}
        self._tensors: dict[str, Tensor] = {}
        self._batched_input = batched_input
        self._gathered = 0
        self._rows_read = 0
        try:
            for name, (shape, dtype) in (*inputs.items(), *outputs.items()):
                self._tensors[name] = gpu.tensor(shape, dtype)
        except BaseException:
            self.free()
            raise
        self.inputs.update((name, self._tensors[name].host) for name in inputs)
        self._outputs = [self._tensors[name] for name in outputs]
        largest = len(self.inputs[batched_input])
        self._answers = [{name: self._tensors[name].host[:n] for name in outputs} for n in range(largest + 1)]

    def address(self, name: str) -> int:
        """Return where the GPU finds that tensor."""
        return self._tensors[name].address

    def answers(self, n: int) -> Mapping[str, NDArray[Any]]:
        """Return the first n rows of each output, as the last fetch() brought them; views."""
        return self._answers[n]

    def feed(self, n: int, size: int) -> None:
        """
        Bring n rows, repeated to *size*, and the other inputs to the GPU; the rows, unless they were gathered.

        Raises:
            InferenceFailed: another number of rows was gathered.
        """
        batched, gathered = self._tensors[self._batched_input], self._gathered
        self._gathered, self._rows_read = 0, n
        if gathered not in (0, n):
            raise InferenceFailed(f"{gathered} rows were gathered, and {n} are to be run: expected as many")
        if gathered:
            for row in range(n, size):
                batched.take_row(row, batched, 0)
        else:
            repeat_first_row(batched.host, n, size)
            batched.upload(size)
        for name in self.inputs:
            if name != self._batched_input:
                self._tensors[name].upload(len(self.inputs[name]))

    def spoil(self) -> None:
        """Make every float output NaN on the GPU: what is not computed anew cannot be taken for an answer."""
        for tensor in self._outputs:
            if tensor.host.dtype == np.float32:
                tensor.fill_nan()

    def fetch(self, size: int) -> None:
        """Bring *size* rows of the outputs to the host."""
        for tensor in self._outputs:
            tensor.download(size)

    def gather(self, source: Ports, rows: Sequence[int]) -> bool:
        """
        Take rows of the batched input of *source*, on the GPU; see Engine.gather().

        Returns:
            False: other stream, other rows, or none that *source* has read; it is closed.
        """
        if not source.inputs:
            return False
        mine, others = self._tensors[self._batched_input], source._tensors[source._batched_input]
        same = self._gpu is source._gpu and mine.host.dtype == others.host.dtype
        if not same or mine.host.shape[1:] != others.host.shape[1:] or not 0 < len(rows) <= len(mine.host):
            return False
        if min(rows) < 0 or max(rows) >= source._rows_read:
            return False
        with self._gpu.current():
            for row, other in enumerate(rows):
                mine.take_row(row, others, other)
        self._gathered = len(rows)
        return True

    def fill_for_trial(self, seed: int) -> None:
        """Write bytes at random and a half into floats, and what no network answers over the outputs."""
        rng = np.random.default_rng(seed)
        for host in self.inputs.values():
            host[...] = rng.integers(0, 256, host.shape, np.uint8) if host.dtype == np.uint8 else 0.5
        for tensor in self._outputs:
            tensor.host.view(np.uint8)[...] = _NO_ANSWER
            tensor.upload(len(tensor.host))

    def free(self) -> None:
        """Free everything; the stream must have been waited for. ``inputs`` is emptied: its memory is gone."""
        self.inputs.clear()
        for tensor in self._tensors.values():
            tensor.free()
        self._tensors.clear()
        self._answers = []
