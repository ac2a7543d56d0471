"""
Pictures that show the same thing: the same bytes, the same picture changed a little, or the same place once more.

Thresholds were chosen on real sets, see docs/data.md. A pair is near if the hashes are close and the fine detail
agrees over the picture: its patches correlate, all but the worst quarter. Where one picture is near to those of many
groups, all parts lie in one fixture and look alike, and only a pair that agrees in the finest detail counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.hashes import VIEWS, Fingerprint, candidates, halved, view

MOST_BITS = 60
"""Hashes that differ in more of their 256 bits are of different pictures."""
COARSE_SCORE = 0.5
FINE_SCORE = 0.93
FIXTURE_GROUPS = 6
"""A picture that is near to those of more other groups shows the fixture rather than the part."""
MOST_CANDIDATES = 64
PATCH = 16
FLAT_LEVELS = 0.35
"""A patch whose detail has a smaller standard deviation shows nothing to compare [grey levels]."""
FEWEST_PATCHES = 4
CHUNK = 1024

Likeness = Literal["same", "near", "alike"]


@dataclass(frozen=True)
class Pair:
    """
    Two pictures, by index, first < second.

    Attributes:
        likeness: same = equal bytes; near = one picture or one place twice; alike = as near as all parts of a fixture.
        score: how far the fine detail agrees, up to 1.
    """

    first: int
    second: int
    likeness: Likeness
    score: float


def find_pairs(prints: Sequence[Fingerprint], groups: Sequence[str], *, fixture: bool = False) -> list[Pair]:
    """
    Find the pairs of pictures that look the same, mirrored and turned ones too.

    Args:
        prints: of all pictures.
        groups: of all pictures, as the data say.
        fixture: all parts look alike: let only the finest detail count between groups.

    Returns:
        The pairs in order; beside equal bytes those the hash finds, at most MOST_CANDIDATES a picture.
    """
    found = candidates(prints, MOST_BITS, MOST_CANDIDATES)
    scores = _scores(found, [halved(each.thumb) for each in prints], sigma=4.0)
    near: dict[tuple[int, int], tuple[float, int]] = {}
    for (first, second, way), score in zip(found.tolist(), scores.tolist(), strict=True):
        if score >= COARSE_SCORE and score > near.get((first, second), (0.0, 0))[0]:
            near[first, second] = (score, way)
    same = _same(prints)
    pairs = [Pair(*pair, "same", 1.0) for pair in same]
    pairs += _judged({pair: seen for pair, seen in near.items() if pair not in same}, prints, groups, fixture=fixture)
    return sorted(pairs, key=lambda pair: (pair.first, pair.second))


def joined_groups(groups: Sequence[str], pairs: Sequence[Pair]) -> dict[str, str]:
    """Return for each group the group it becomes when groups that share a picture are one: the first of their names."""
    parent = {group: group for group in groups}

    def root(group: str) -> str:
        while parent[group] != group:
            parent[group] = parent[parent[group]]
            group = parent[group]
        return group

    for pair in pairs:
        if pair.likeness != "alike":
            first, second = sorted((root(groups[pair.first]), root(groups[pair.second])))
            parent[second] = first
    return {group: root(group) for group in groups}


def _same(prints: Sequence[Fingerprint]) -> set[tuple[int, int]]:
    """Return each picture with the first one that has the same bytes."""
    first: dict[str, int] = {}
    for index, each in enumerate(prints):
        first.setdefault(each.pixels, index)
    return {(first[each.pixels], index) for index, each in enumerate(prints) if first[each.pixels] != index}


def _judged(
    near: dict[tuple[int, int], tuple[float, int]],
    prints: Sequence[Fingerprint],
    groups: Sequence[str],
    *,
    fixture: bool,
) -> list[Pair]:
    """Say of each near pair whether it is one, or shows only the same fixture."""
    met: dict[int, set[str]] = defaultdict(set)
    for first, second in near:
        met[first].add(groups[second])
        met[second].add(groups[first])
    crowded = {index for index, others in met.items() if len(others - {groups[index]}) > FIXTURE_GROUPS}
    doubted = [
        (*pair, way)
        for pair, (_, way) in near.items()
        if groups[pair[0]] != groups[pair[1]] and (fixture or crowded & set(pair))
    ]
    rows = np.array(doubted, np.int64).reshape(-1, 3)
    fine = _scores(rows, [each.thumb.astype(np.float32) for each in prints], sigma=2.0).tolist()
    verdict = {
        (first, second): (score, "near" if score >= FINE_SCORE else "alike")
        for (first, second, _), score in zip(doubted, fine, strict=True)
    }
    pairs = []
    for pair, (score, _) in near.items():
        judged, likeness = verdict.get(pair, (score, "near"))
        pairs.append(Pair(*pair, "alike" if likeness == "alike" else "near", judged))
    return pairs


def _scores(rows: NDArray[np.int64], thumbs: Sequence[NDArray[np.float32]], sigma: float) -> NDArray[np.float32]:
    """Return how far the detail of each candidate pair agrees."""
    scores = np.zeros(len(rows), np.float32)
    if not len(rows):
        return scores
    detail = np.stack([thumb - cv2.GaussianBlur(thumb, (0, 0), sigma) for thumb in thumbs])
    for way in range(len(VIEWS)):
        members = np.flatnonzero(rows[:, 2] == way)
        for start in range(0, len(members), CHUNK):
            chunk = members[start : start + CHUNK]
            scores[chunk] = _agreement(detail[rows[chunk, 0]], view(detail[rows[chunk, 1]], way))
    return scores


def _agreement(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """
    Compare (m, n, n) details, pair by pair.

    Returns:
        (m,) the correlation that three quarters of the patches reach, among those in which there is something to see;
        0 where these are fewer than FEWEST_PATCHES.
    """
    ones, others = _patches(first), _patches(second)  # (m, patches, PATCH * PATCH)
    spread, other_spread = np.linalg.norm(ones, axis=2), np.linalg.norm(others, axis=2)
    product = np.einsum("mpx,mpx->mp", ones, others)
    correlation = product / np.maximum(spread * other_spread, 1e-6)
    seen = np.maximum(spread, other_spread) >= FLAT_LEVELS * PATCH
    count = seen.sum(axis=1)
    ranked = np.sort(np.where(seen, correlation, np.inf), axis=1)
    quarter = ranked[np.arange(len(ranked)), np.maximum(count - 1, 0) // 4]
    return np.where(count >= FEWEST_PATCHES, quarter, 0.0).astype(np.float32)


def _patches(detail: NDArray[np.float32]) -> NDArray[np.float32]:
    many, side, _ = detail.shape
    cut = detail.reshape(many, side // PATCH, PATCH, side // PATCH, PATCH).swapaxes(2, 3)
    flat = cut.reshape(many, -1, PATCH * PATCH)
    centred: NDArray[np.float32] = flat - flat.mean(axis=2, keepdims=True)
    return centred
