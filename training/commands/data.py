"""``edge-train data check`` and ``edge-train data show``: look before you train."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from pydantic import Field
from pydantic_settings import CliSubCommand
from rich.console import Console
from rich.progress import track

from edge.errors import ConfigurationError, DataError
from engines.contract import PixelFormat, TileShape
from training.commands.flags import DataFlags, Flags, TileFlags
from training.data.check import check
from training.data.datasets import list_dataset, require_names, with_splits
from training.data.faults import each
from training.data.findings import Check, NearPair, Problem
from training.data.gallery import SHEET, write_areas, write_contact_sheet, write_pairs
from training.data.look import Fault, Look, look_at
from training.data.proposal import require_free, write_split
from training.data.samples import Listing
from training.data.sampling import TrainingTiles, read_pictures
from training.data.summary import show_check
from training.data.tiles import write_batch, write_variations
from training.data.windows import TileRecipe


class CheckFlags(DataFlags):
    """Look a data set over: counts, sizes, faults, near-duplicates, leaks; exit code 6 if it is not usable."""

    out: Path = Field(Path("data-check"), description="folder for the pictures and check.json")
    format: PixelFormat = Field("mono8", description="pictures are read as this")
    fixture: bool = Field(False, description="all parts look alike: call only equal pictures near-duplicates")
    write_split: Path | None = Field(None, description="file for the label file with the proposed split; must be new")
    progress: bool = Field(True, description="show a progress bar")


class ShowFlags(TileFlags, DataFlags):
    """Draw tiles as training sees them: the original beside its variations, and one batch as the network gets it."""

    out: Path = Field(Path("data-show"), description="folder for the pictures")
    class_name: str | None = Field(None, alias="class", description="only tiles that show this class; 'sound' is one")
    count: int = Field(6, ge=1, le=50, description="tiles of each class")
    batch: int = Field(16, ge=2, le=128, description="tiles of the batch")

    def recipe(self, class_count: int) -> TileRecipe:
        tile = TileShape(core_height=self.core_height, core_width=self.core_width, halo=self.halo)
        return TileRecipe(self.format, tile, self.pad_value, class_count)


class DataCommand(Flags):
    """Look at the data before anything learns from them."""

    check: CliSubCommand[CheckFlags]
    show: CliSubCommand[ShowFlags]


def run_data(command: DataCommand) -> int:
    """Run one of the commands; return the exit code."""
    if command.check is not None:
        return run_check(command.check)
    if command.show is not None:
        return run_show(command.show)
    raise ConfigurationError("expected a command: data check or data show")


def run_check(flags: CheckFlags) -> int:
    """Print and write what is found; return 0, or DataError's exit code if the set is not usable."""
    if flags.write_split is not None:
        require_free(flags.write_split)
    listing, looks, found = look_over(flags, flags.format, fixture=flags.fixture, progress=flags.progress)
    _write(flags, found, looks)
    show_check(found, Console())
    if flags.write_split is not None:
        _write_split(flags.write_split, listing, found)
    return 0 if found.usable else DataError.exit_code


def look_over(
    flags: DataFlags, pixel_format: PixelFormat, *, fixture: bool = False, progress: bool = False
) -> tuple[Listing, list[Look | Fault], Check]:
    """Look at every picture; return the list of them, what each looks like, and what is found."""
    noted: list[DataError] = []
    listing = list_dataset(
        flags.folder,
        flags.labels_file,
        class_only=flags.class_only,
        trust_archive=flags.trust_archive,
        on_fault=noted.append,
    )
    list(each([listing], require_names, noted.append))
    samples = with_splits(listing, flags.seed)
    shown = track(samples, "looking", console=Console(stderr=True), disable=not progress, transient=True)
    looks = [look_at(sample, pixel_format) for sample in shown]
    told = [Problem("list", True, str(error)) for error in noted]
    told += [Problem("note", False, note) for note in listing.notes]
    found = check(
        flags.folder.resolve().name,
        pixel_format,
        listing.class_names,
        looks,
        told,
        has_splits=listing.has_splits,
        seed=flags.seed,
        fixture=fixture,
    )
    return listing, looks, found


def run_show(flags: ShowFlags) -> int:
    """Write the pictures; return the exit code."""
    dataset = flags.dataset()
    names = ("sound", *dataset.class_names)
    if flags.class_name is not None and flags.class_name not in names:
        raise ConfigurationError(f"--class {flags.class_name}: expected one of {', '.join(names)}")
    samples = dataset.split("train")
    recipe = flags.recipe(len(dataset.class_names))
    tiles = TrainingTiles(
        read_pictures(samples, flags.format),
        recipe,
        batch_size=flags.batch,
        steps=1,
        seed=flags.seed,
        augmentation=flags.augment,
    )
    _folder(flags.out)
    for class_id, name in enumerate(names):
        if flags.class_name in (None, name):
            path = flags.out / f"tiles-{class_id}-{name}.png"
            write_variations(path, name, class_id, samples, recipe, flags.augment, count=flags.count, seed=flags.seed)
    write_batch(flags.out / "batch.png", tiles[0], dataset.class_names)
    Console(stderr=True).print(f"pictures: {flags.out}", soft_wrap=True, highlight=False)
    return 0


def _folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--out {path}: cannot be made: {error.strerror}") from error


def _write(flags: CheckFlags, found: Check, looks: Sequence[Look | Fault]) -> None:
    """Write check.json and the pictures."""
    _folder(flags.out)
    (flags.out / "check.json").write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    usable = [look for look in looks if isinstance(look, Look)]
    for each_class in found.classes:
        showing = [look for look in usable if each_class.class_id in (look.class_ids or (0,))]
        if showing:
            path = flags.out / f"class-{each_class.class_id}-{each_class.name}.png"
            write_contact_sheet(path, each_class.name, each_class.class_id, showing, flags.format)
    if any(each_class.areas_px for each_class in found.classes):
        write_areas(flags.out / "defect-areas.png", found.classes)
    if found.near:
        by_name = {look.sample.name: look.sample for look in usable}
        clearest = {pair.groups: pair for pair in sorted(found.near, key=_severity, reverse=True)}
        chosen = sorted(clearest.values(), key=_severity)[:SHEET]
        pairs = [(by_name[pair.images[0]], by_name[pair.images[1]], _titled(pair)) for pair in chosen]
        heading = f"nearly the same: {len(chosen)} of {len(found.near)} pairs, leaks first"
        write_pairs(flags.out / "near-pairs.png", heading, pairs, flags.format)
    Console(stderr=True).print(f"pictures and check.json: {flags.out}", soft_wrap=True, highlight=False)


def _severity(pair: NearPair) -> tuple[bool, bool, float]:
    """Sort leaks between splits first, then those between groups, the clearest first."""
    return (not (pair.leaks and len(set(pair.splits)) > 1), not pair.leaks, -pair.score)


def _titled(pair: NearPair) -> str:
    sides = [
        f"{image} (group {group}, {split})"
        for image, group, split in zip(pair.images, pair.groups, pair.splits, strict=True)
    ]
    return f"{'LEAK' if pair.leaks else 'one group'}, score {pair.score:.2f}:  {sides[0]}  |  {sides[1]}"


def _write_split(path: Path, listing: Listing, found: Check) -> None:
    if not found.proposal:
        raise ConfigurationError(f"--write-split {path}: the data's own split has no leak; nothing is to be written")
    write_split(path, listing.where, {dealt.image: dealt for dealt in found.proposal})
