"""
What a picture looks like, in few bytes: to find the pictures that are nearly the same.

A perceptual hash finds candidates fast, whichever way a picture is mirrored or turned: a mirror only changes signs of
the cosine transform, a transposition swaps its axes. Thumbnails of the fine detail then judge them, since two sound
surfaces under one lamp have nearly one hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

HASH_SIDE = 16
"""The hash has HASH_SIDE ** 2 = 256 bits: the lowest frequencies along both axes."""
THUMB_SIDE = 128
VIEWS = tuple((transposed, flip_y, flip_x) for transposed in (0, 1) for flip_y in (0, 1) for flip_x in (0, 1))
"""The eight ways to lay a picture."""
BLOCK = 256


@dataclass(frozen=True)
class Fingerprint:
    """
    A picture in 16 kB.

    Attributes:
        pixels: SHA-256 of size and decoded bytes.
        bits: (8, 4) uint64, the hash of each of VIEWS.
        thumb: (THUMB_SIDE, THUMB_SIDE) uint8, the picture squeezed to a square.
    """

    pixels: str
    bits: NDArray[np.uint64]
    thumb: NDArray[np.uint8]


def fingerprint(image: NDArray[np.uint8]) -> Fingerprint:
    """Return what (h, w, C) pixels look like; colours count for *pixels* only."""
    shown = np.ascontiguousarray(image)
    digest = hashlib.sha256(repr(shown.shape).encode() + shown.tobytes()).hexdigest()
    grey = cv2.cvtColor(shown, cv2.COLOR_BGR2GRAY) if shown.shape[2] == 3 else shown[:, :, 0]
    squeezed = cv2.resize(grey, (THUMB_SIDE, THUMB_SIDE), interpolation=cv2.INTER_AREA)
    thumb = squeezed.astype(np.uint8, copy=False)
    return Fingerprint(digest, _bits(halved(thumb)), thumb)


def halved(thumbs: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (..., h / 2, w / 2) means of 2 x 2 px."""
    *many, height, width = thumbs.shape
    means: NDArray[np.float32] = thumbs.reshape(*many, height // 2, 2, width // 2, 2).mean((-3, -1), np.float32)
    return means


def view(array: NDArray[np.float32], index: int) -> NDArray[np.float32]:
    """Lay (..., n, n) pictures in the way VIEWS[index]."""
    transposed, flip_y, flip_x = VIEWS[index]
    if transposed:
        array = array.swapaxes(-1, -2)
    return array[..., :: -1 if flip_y else 1, :: -1 if flip_x else 1]


def candidates(prints: Sequence[Fingerprint], most_bits: int, most_each: int) -> NDArray[np.int64]:
    """
    Find pairs whose hashes are close in any of the eight ways.

    Args:
        prints: of n pictures.
        most_bits: hashes that differ in more bits are not close.
        most_each: of each picture no more pairs than this are kept, the closest ones.

    Returns:
        (m, 3) first < second, and the index of the view in which the second looks like the first.
    """
    found = [np.empty((0, 3), np.int64)]
    if prints:
        found += _close(np.stack([each.bits for each in prints]), most_bits, most_each)
    return np.concatenate(found)


def _close(bits: NDArray[np.uint64], most_bits: int, most_each: int) -> Iterator[NDArray[np.int64]]:
    """Yield the candidates block by block: (n, n) distances at once would not fit for some 10,000 pictures."""
    for start in range(0, len(bits), BLOCK):
        upright = bits[start : start + BLOCK, 0]
        distance = np.stack([_distance(upright, bits[start:, way]) for way in range(len(VIEWS))], axis=2)
        order = np.arange(len(upright))[:, np.newaxis] < np.arange(distance.shape[1])
        distance[~order] = np.iinfo(distance.dtype).max
        for row in range(len(upright)):
            columns, ways = np.nonzero(distance[row] <= most_bits)
            closest = np.argsort(distance[row, columns, ways], kind="stable")[:most_each]
            first = np.full(len(closest), start + row)
            yield np.stack([first, start + columns[closest], ways[closest]], axis=1)


def _distance(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """Return the (n, m) numbers of bits in which (n, 4) and (m, 4) words differ."""
    total = np.zeros((len(first), len(second)), np.uint16)
    for word in range(first.shape[1]):
        total += np.bitwise_count(first[:, word, np.newaxis] ^ second[:, word])
    return total


def _bits(thumb: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return (8, 4) words: which of the lowest frequencies are above their median, for each view."""
    waves = cv2.dct(np.ascontiguousarray(thumb))[:HASH_SIDE, :HASH_SIDE].astype(np.float32)
    waves[0, 0] = 0.0  # the mean grey is the lamp's business
    signs = np.where(np.arange(HASH_SIDE) % 2, np.float32(-1.0), np.float32(1.0))
    words = []
    for transposed, flip_y, flip_x in VIEWS:
        laid = waves.T if transposed else waves
        laid = laid * (signs[:, np.newaxis] if flip_y else 1.0) * (signs if flip_x else 1.0)
        words.append(np.packbits(laid > np.median(laid)).view(np.uint64))
    return np.stack(words)
