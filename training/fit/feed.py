"""Batches for the trainer: drawn in threads while the network is at work, and the time it waits for them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from training.data.sampling import Batch, TrainingTiles


class Feed:
    """
    An epoch of batches, in order, however many threads draw them: each is a function of its epoch and step.

    Args:
        tiles: what is drawn from.
        threads: one keeps up with a network on a CPU; a GPU wants more.
    """

    def __init__(self, tiles: TrainingTiles, threads: int) -> None:
        self._tiles = tiles
        self._threads = threads
        # Not anew for each epoch: Python ignores an interrupt while it closes what iterates, and closing would wait.
        self._pool = ThreadPoolExecutor(threads, "tiles")
        self.waited_s = 0.0
        """Spent in waiting for a batch, since begin_epoch()."""

    def begin_epoch(self, epoch: int) -> None:
        """Say which epoch the next pass is."""
        self._tiles.set_epoch(epoch)
        self.waited_s = 0.0

    def __len__(self) -> int:
        return len(self._tiles)

    def __iter__(self) -> Iterator[Batch]:
        coming = (self._pool.submit(self._tiles.__getitem__, step) for step in range(len(self._tiles)))
        drawn = deque(islice(coming, self._threads + 1))
        while drawn:
            began_s = time.perf_counter()
            batch = drawn.popleft().result()
            self.waited_s += time.perf_counter() - began_s
            drawn.extend(islice(coming, 1))
            yield batch
