from __future__ import annotations

import numpy as np
import pytest

from tests.support.surfaces import surface
from training.data.hashes import VIEWS, candidates, fingerprint, halved, view

SQUARE = surface(3, 96, 96)[:, :, 0].astype(np.float32)


@pytest.mark.parametrize("way", range(len(VIEWS)))
def test_a_mirrored_or_turned_picture_is_found_in_its_view(way: int) -> None:
    """Whichever way a picture is laid, its hash is the one that its original has for that way."""
    laid = np.ascontiguousarray(view(SQUARE, way)).astype(np.uint8)[..., np.newaxis]
    found = candidates([fingerprint(laid), fingerprint(SQUARE.astype(np.uint8)[..., np.newaxis])], 20, 8)
    assert way in found[:, 2].tolist()


def test_an_oblong_picture_is_found_turned() -> None:
    """A picture of 96 x 128 px and its quarter turn have close hashes, since both are squeezed to a square."""
    image = surface(4)
    prints = [fingerprint(image), fingerprint(np.rot90(image))]
    assert len(candidates(prints, 20, 8)) == 1


def test_other_surfaces_under_one_lamp_are_no_candidates() -> None:
    """The lamp alone brings no two hashes within a few bits."""
    assert not len(candidates([fingerprint(surface(seed)) for seed in range(12)], 40, 8))


def test_only_equal_pixels_have_equal_digests() -> None:
    """One grey level in one pixel, or another shape of the same bytes, is another digest."""
    image = surface(1)
    other = image.copy()
    other[0, 0] ^= 1
    digests = {fingerprint(each).pixels for each in (image, other, image.reshape(128, 96, 1))}
    assert len(digests) == 3
    assert fingerprint(image.copy()).pixels == fingerprint(image).pixels


def test_of_many_candidates_the_closest_are_kept() -> None:
    """A picture has no more candidates than asked for, its equals first."""
    noisy = surface(2) ^ np.random.default_rng(0).integers(0, 8, (96, 128, 1), np.uint8)
    prints = [fingerprint(surface(2)), fingerprint(noisy), fingerprint(surface(2))]
    found = candidates(prints, 60, 1)
    assert [0, 2, 0] in found.tolist()
    assert not [row for row in found.tolist() if row[:2] == [0, 1]]


def test_no_picture_has_no_candidates() -> None:
    """An empty set is no special case."""
    assert candidates([], 60, 8).shape == (0, 3)


def test_halved_is_the_mean_of_four() -> None:
    """Each pixel is the mean of the 2 x 2 it stands for."""
    assert halved(np.array([[0, 4], [8, 12]], np.uint8)).tolist() == [[6.0]]
