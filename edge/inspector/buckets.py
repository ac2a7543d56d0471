"""How many tiles a call takes: a network is compiled for a few fixed counts, and a call is padded to the next one."""

from __future__ import annotations


def bucket_sizes(most: int) -> tuple[int, ...]:
    """Return the batch sizes to compile for at most *most* tiles a call: 1, 2, 4, ... and *most* itself."""
    sizes = [1]
    while 2 * sizes[-1] < most:
        sizes.append(2 * sizes[-1])
    return tuple(sorted({*sizes, most}))
