"""Run-lengths of COCO files, against the library that defines them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco_mask

from edge.errors import DataError
from training.data.regions import Region, counts_from_text

MASKS = array_shapes(min_dims=2, max_dims=2, max_side=40).flatmap(lambda shape: arrays(np.bool_, shape))


@given(MASKS)
def test_compressed_run_lengths_mean_what_pycocotools_means(mask: np.ndarray) -> None:
    """Whatever the mask: decoding the library's text gives the pixels back."""
    text = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    counts = counts_from_text("x", text)
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    assert (flat.reshape(mask.shape, order="F") == mask).all()


@given(st.text(max_size=40), st.integers(1, 50), st.integers(1, 50))
def test_any_text_is_decoded_or_refused(text: str, height: int, width: int) -> None:
    """Garbage ends in DataError, or in run-lengths of exactly that picture; nothing else is ever returned."""
    try:
        counts = Region("x", 1, runs=text, size=(height, width)).counts(height, width)
    except DataError:
        return
    assert counts.sum() == height * width


@given(st.lists(st.integers(-(10**30), 10**30), max_size=6))
def test_any_numbers_are_taken_or_refused(numbers: list[int]) -> None:
    """A number that no picture has does not overflow into one that it has."""
    try:
        counts = Region("x", 1, runs=tuple(numbers), size=(4, 5)).counts(4, 5)
    except DataError:
        return
    assert counts.tolist() == numbers
