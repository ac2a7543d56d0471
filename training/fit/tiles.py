"""The tiles of one training: what a process trains and validates on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edge.errors import ConfigurationError, DataError
from engines.contract import TileShape
from training.data.cache import PictureStore
from training.data.datasets import Dataset, Sample
from training.data.sampling import TrainingTiles, ValidationTiles
from training.data.splits import Split
from training.data.windows import TileRecipe
from training.fit.feed import Feed
from training.fit.run import Run
from training.fit.scores import require_scorable
from training.networks.checkpoint import CheckpointSpec


@dataclass(frozen=True)
class Tiles:
    """Of one process."""

    training: Feed
    validation: ValidationTiles


def read_tiles(dataset: Dataset, spec: CheckpointSpec, run: Run, rank: int, world: int) -> Tiles:
    """
    Decode the pictures of the splits train and val.

    Args:
        dataset: whose test split is not touched.
        spec: tile and format.
        run: batch, crop, seed, augmentation.
        rank, world: of this process, and how many there are.

    Raises:
        DataError: pictures or labels are unusable, a split holds nothing to learn from, or val nothing to score.
        ConfigurationError: the crop does not fit the network, or the pictures not the memory, or there are fewer
            validation tiles than processes.
    """
    recipe = TileRecipe(spec.format, spec.tile, spec.pad_value, len(spec.class_names))
    store = PictureStore(dataset.sha256, spec.format, memory_gb=run.memory_gb, folder=run.cache)
    training = TrainingTiles(
        store.pictures(_teaching(dataset, "train", spec)),
        _training_recipe(recipe, spec, run.crop),
        batch_size=run.batch,
        steps=run.steps_per_epoch,
        seed=run.seed,
        augmentation=run.augmentation,
        rank=rank,
    )
    pictures = store.pictures(_teaching(dataset, "val", spec))

    def validation(of_rank: int) -> ValidationTiles:
        return ValidationTiles(
            pictures, recipe, batch_size=run.batch, max_tiles=run.validation_tiles, rank=of_rank, world=world
        )

    if world > 1 and not len(validation(world - 1)):  # each asks for the last one, so that all stop or none
        raise ConfigurationError(
            f"--devices {run.devices} --nodes {run.nodes}: split 'val' gives fewer tiles than the {world} processes, "
            f"expected one or more for each; start fewer, label more pictures for 'val', or raise --validation-tiles "
            f"(now {run.validation_tiles})"
        )
    tiles = Tiles(Feed(training, run.loaders), validation(rank))
    require_scorable(tiles.validation.targets, spec.kind, dataset.name)
    return tiles


def _teaching(dataset: Dataset, split: Split, spec: CheckpointSpec) -> tuple[Sample, ...]:
    """Leave out what teaches a segmenter nothing: defective pictures of which only the class is known."""
    samples = dataset.split(split)
    if spec.kind == "classifier":
        return samples
    drawn = tuple(sample for sample in samples if sample.drawn)
    if not drawn:
        raise DataError(f"{dataset.name}: no picture of split '{split}' has a mask; a segmenter learns from masks")
    return drawn


def _training_recipe(recipe: TileRecipe, spec: CheckpointSpec, crop: int | None) -> TileRecipe:
    """Cut squares of *crop* px for training instead of whole tiles; a segmenter learns as much from them, faster."""
    if crop is None:
        return recipe
    if spec.depth is None or crop % (1 << spec.depth):
        raise ConfigurationError(f"--crop {crop}: expected a multiple of 2**depth = {1 << (spec.depth or 0)} px")
    return replace(recipe, tile=TileShape(core_height=crop, core_width=crop, halo=0))
