from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.support.surfaces import surface
from training.data.duplicates import FIXTURE_GROUPS, find_pairs, joined_groups
from training.data.hashes import fingerprint


def exposed(image: NDArray[np.uint8], gain: float, seed: int) -> NDArray[np.uint8]:
    """Return another exposure of a picture, with noise of its own."""
    noise = np.random.default_rng(seed).normal(0.0, 3.0, image.shape)
    return np.clip(image * gain + noise, 0, 255).astype(np.uint8)


def test_exposures_mirrors_and_smaller_copies_are_near() -> None:
    """Another exposure, a mirror image, a quarter turn and a smaller JPEG of a picture are all near it."""
    image = surface(1)
    small = cv2.resize(image, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    encoded = cv2.imdecode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 70])[1], 0)
    others = [exposed(image, 0.7, 1), image[::-1], np.rot90(image), encoded[..., np.newaxis].astype(np.uint8)]
    prints = [fingerprint(each) for each in [image, *others]]
    pairs = find_pairs(prints, list("abcde"))
    assert [(pair.second, pair.likeness) for pair in pairs if pair.first == 0] == [(k, "near") for k in (1, 2, 3, 4)]


def test_other_surfaces_are_not_near() -> None:
    """Surfaces of one kind under one lamp, each with its own texture, are nobody's copies."""
    assert find_pairs([fingerprint(surface(seed)) for seed in range(40)], [str(k) for k in range(40)]) == []


def test_pictures_without_anything_to_see_are_not_near() -> None:
    """Two grey pictures with a little noise are not called near, though their hashes say nothing; equal bytes are."""
    flat = [np.full((64, 64, 1), grey, np.uint8) for grey in (100, 101, 101)]
    pairs = find_pairs([fingerprint(each) for each in flat], ["a", "b", "c"])
    assert [(pair.first, pair.second, pair.likeness) for pair in pairs] == [(1, 2, "same")]


def test_equal_bytes_are_paired_with_the_first_of_them() -> None:
    """Three equal pictures are two pairs."""
    pairs = find_pairs([fingerprint(surface(5))] * 3, ["a", "a", "b"])
    assert [(pair.first, pair.second) for pair in pairs if pair.likeness == "same"] == [(0, 1), (0, 2)]


def fixed(seed: int) -> NDArray[np.uint8]:
    """Return another part in the same fixture: much in common, a fine texture of its own."""
    own = cv2.GaussianBlur(np.random.default_rng(seed).normal(0.0, 1.0, (128, 128)), (0, 0), 1.0)
    return np.clip(surface(0, 128, 128)[:, :, 0] + own * 11.0, 0, 255).astype(np.uint8)[..., np.newaxis]


def test_parts_in_one_fixture_are_alike_and_not_near() -> None:
    """Where every part looks like very many others, only what agrees in the finest detail counts as near."""
    count = FIXTURE_GROUPS + 10
    images = [fixed(seed) for seed in range(count)]
    groups = [str(k) for k in range(count)]
    pairs = find_pairs([fingerprint(each) for each in [*images, images[3][:, ::-1]]], [*groups, "mirror"])
    near = [(pair.first, pair.second) for pair in pairs if pair.likeness == "near"]
    assert near == [(3, count)]
    assert sum(pair.likeness == "alike" for pair in pairs) > count


def test_a_known_fixture_needs_no_crowd() -> None:
    """With few parts the fixture has to be told; then they are alike, and not near."""
    prints = [fingerprint(fixed(seed)) for seed in range(3)]
    assert {pair.likeness for pair in find_pairs(prints, ["a", "b", "c"])} == {"near"}
    assert {pair.likeness for pair in find_pairs(prints, ["a", "b", "c"], fixture=True)} == {"alike"}


def test_groups_that_share_pictures_become_one() -> None:
    """Groups are joined over chains of near pairs, and called by their first name."""
    images = [surface(1), exposed(surface(1), 0.8, 1), surface(2), exposed(surface(2), 0.8, 2), surface(3)]
    groups = ["c", "b", "b", "a", "z"]
    pairs = find_pairs([fingerprint(each) for each in images], groups)
    assert joined_groups(groups, pairs) == {"a": "a", "b": "a", "c": "a", "z": "z"}
