"""Tiles as training sees them, for people: the original beside its variations, and one batch as the network gets it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import DataError
from training.data.gallery import Cell, shortened, write_sheet
from training.data.outline import beside, outlined
from training.data.presets import Augmentation, evaluation_pixels, training_pixels, widened
from training.data.samples import Sample
from training.data.sampling import Batch
from training.data.windows import ABSENT, PRESENT, Picture, TileRecipe, window_at

VARIATIONS = 5
SIDE = 200
"""Of a shown tile [px]."""


def write_variations(
    path: Path,
    class_name: str,
    class_id: int,
    samples: Sequence[Sample],
    recipe: TileRecipe,
    augmentation: Augmentation,
    *,
    count: int,
    seed: int,
) -> None:
    """
    Write some tiles that show a class, each beside five of its variations.

    Args:
        path: PNG to write.
        class_name, class_id: what the tiles show; 0 is sound.
        samples: of the split that is learned from.
        recipe: how tiles are cut.
        augmentation: how far they are varied.
        count: number of tiles.
        seed: of places and variations.

    Raises:
        DataError: no picture shows the class with a mask, or one cannot be read.
    """
    rng = np.random.default_rng(seed)
    fitting = [sample for sample in samples if sample.drawn and class_id in (sample.class_ids or (0,))]
    if not fitting:
        raise DataError(f"class '{class_name}': no picture of the split train shows it with a mask; choose another one")
    chosen = rng.permutation(len(fitting))[:count]
    cells = []
    for sample in (fitting[index] for index in chosen):
        picture = sample.picture(recipe.format)
        top, left = _place(picture, class_id, recipe, rng)
        still = window_at(picture, top, left, recipe.tile, recipe.pad_value)
        wide = window_at(picture, top, left, widened(recipe.tile, augmentation), recipe.pad_value)
        sides = [_shown(evaluation_pixels(still), still.labels)]
        sides += [_shown(*training_pixels(wide, recipe, augmentation, rng)) for _ in range(VARIATIONS)]
        cells.append(Cell(beside(sides), f"{shortened(sample.name, 60)}: as it is, then as training sees it"))
    write_sheet(path, f"{class_name}: {len(cells)} tiles of {recipe.tile.height} x {recipe.tile.width} px", cells, 1)


def write_batch(path: Path, batch: Batch, class_names: Sequence[str]) -> None:
    """Write one batch as the network gets it; the lines say what the classifier is told about each bag."""
    cells = []
    bags = batch.bags.numpy()
    for pixels, labels, bag in zip(batch.pixels.numpy(), batch.labels.numpy(), bags.tolist(), strict=True):
        told = _told(batch.targets.numpy()[bag], class_names)
        shared = f" (bag {bag})" if np.count_nonzero(bags == bag) > 1 else ""
        cells.append(Cell(_shown(pixels, labels.astype(np.uint8)), f"{told}{shared}"))
    heading = f"one batch: {len(cells)} tiles; in brackets: neither present nor absent"
    write_sheet(path, heading, cells, columns=6)


def _place(picture: Picture, class_id: int, recipe: TileRecipe, rng: np.random.Generator) -> tuple[int, int]:
    """Return the start of a core that holds a pixel of the class, on the line's grid."""
    y, x = rng.choice(np.argwhere(picture.labels == class_id))
    return int(y - y % recipe.tile.core_height), int(x - x % recipe.tile.core_width)


def _shown(pixels: NDArray[np.float32], labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = np.ascontiguousarray(np.rint(pixels).astype(np.uint8).transpose(1, 2, 0))
    return outlined(image, labels, SIDE, SIDE)


def _told(targets: NDArray[np.float32], class_names: Sequence[str]) -> str:
    said = [
        name if target == PRESENT else f"({name})"
        for name, target in zip(class_names, targets.tolist(), strict=True)
        if target != ABSENT
    ]
    return ", ".join(said) or "sound"
