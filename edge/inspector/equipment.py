"""What a part is inspected with: a bundle, its engines, a cascade a camera, and the recipes in use."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TypeAlias

import msgspec
import numpy as np

from edge.bundle import Bundle
from edge.errors import BundleError, InferenceFailed
from edge.inspector.backend import BackendSettings, Engine
from edge.inspector.buckets import bucket_sizes
from edge.inspector.cache import EngineCache
from edge.inspector.cascade import Cascade
from edge.inspector.engines import engines_for, is_own, keep_proof
from edge.inspector.golden import references_of
from edge.inspector.guard import NO_BAND, GuardBand, guarded, measure_guard, refuse_tighter, refuse_wide_band
from edge.inspector.pace import PacedEngine
from edge.inspector.parity import ParityReport, check_parity
from edge.inspector.proof import Values, frames_under, proof_from_frames
from edge.inspector.report import FrameTrial
from edge.recipe import RecipeFile, Recipes, work_out
from edge.rules import Recipe, default_recipe
from edge.settings import Station, engine_cache_of
from edge.tiles import Grid
from edge.zones import mask_from_zones
from engines.contract import HEALTH, SCORES, TILES, Manifest

OpenEngine: TypeAlias = Callable[[BackendSettings, bytes, str, Sequence[int]], Engine]
"""edge.inspector.backend.open_engine, or a stand-in."""

_RECIPES_KEPT = 8


class Start:
    """
    The stages of getting ready, told as they begin.

    Attributes:
        took_ms: by stage, those that have ended.
    """

    def __init__(self, say: Callable[[str], None] = lambda stage: None) -> None:
        self._say = say
        self.took_ms: dict[str, int] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self._say(name)
        started = time.monotonic()
        yield
        self.took_ms[name] = round(1000 * (time.monotonic() - started))


class Equipment:
    """
    Engines that are open, proven and warm; used by one thread at a time.

    Args:
        parity: one line, how close this machine is to PyTorch's answers, and what its recipe has proven.
        recipes: the recipe to begin with.
        band: of these engines; taken off every recipe's limits.
        engines_hash: SHA-256 of the engines' bytes and of their band: what a recipe is proven with.

    Attributes:
        active: the recipe that was taken last, as these engines judge by it.
    """

    def __init__(
        self,
        station: Station,
        bundle: Bundle,
        engines: tuple[Engine, Engine],
        parity: str,
        recipes: Recipes,
        band: GuardBand = NO_BAND,
        engines_hash: str = "",
    ) -> None:
        self.bundle = bundle
        self.engines_hash = engines_hash
        self._band = band
        self.parity = parity
        self.classifier, self.segmenter = (PacedEngine(engine) for engine in engines)
        self.cascades = {
            name: Cascade(self.classifier, self.segmenter, bundle.manifest, grid)
            for name, grid in grids_of(station, bundle.manifest).items()
        }
        self._station = station
        self._asked = recipes
        self.active = _cautious(bundle.manifest, recipes, band)
        self._recipes = {self.active.hash: self.active}
        self._draw_zones()

    @property
    def manifest(self) -> Manifest:
        return self.bundle.manifest

    def recipe(self, hash_: str, camera: str) -> Recipe | None:
        """Return a camera's values of the recipe of that hash, None when it is not, or no longer, in use here."""
        recipes = self._recipes.get(hash_)
        return None if recipes is None else recipes.by_camera[camera]

    def judged_frames(self) -> tuple[FrameTrial, ...]:
        """
        Judge the reference frames under the active recipe.

        Raises:
            InferenceFailed: what comes back cannot be believed.
        """
        return frames_under(self.bundle, self.active_recipes, self.classifier, self.segmenter)

    @property
    def active_recipes(self) -> tuple[Values, ...]:
        """The active recipe's values for the cameras, equal ones once, as they hold for the reference frames."""
        cameras = self._asked.by_camera
        found = {
            asked.hash: Values(_anywhere(asked), _anywhere(self.active.by_camera[camera]))
            for camera, asked in cameras.items()
        }
        return tuple(found.values())

    def take_recipe(self, recipe: bytes) -> Recipes:
        """
        Make another recipe usable; the last eight are kept, for the parts that were triggered under them.

        Raises:
            ConfigurationError: it does not fit the bundle or a camera.
        """
        asked = recipes_from_json(self.manifest, self._station, recipe)
        recipes = _cautious(self.manifest, asked, self._band)
        self._asked = asked
        self._recipes.pop(recipes.hash, None)
        self._recipes[recipes.hash] = self.active = recipes
        for old in list(self._recipes)[:-_RECIPES_KEPT]:
            del self._recipes[old]
        self._draw_zones()
        return recipes

    def _draw_zones(self) -> None:
        """Draw each camera's ignore zones now: the first part has no time for that."""
        for camera in self._station.cameras:
            if ignore := self.active.by_camera[camera.name].ignore:
                mask_from_zones(ignore, camera.height, camera.width)

    def probe(self) -> None:
        """
        Send one tile through each engine.

        Raises:
            InferenceFailed: what comes back cannot be believed.
        """
        scores = self.classifier.run(1)[SCORES]
        health = self.segmenter.run(1)[HEALTH]
        if not (np.isfinite(scores).all() and np.isfinite(health).all()):
            raise InferenceFailed("probe: scores or health are not finite; the engines cannot be believed")

    def close(self) -> None:
        self.classifier.engine.close()
        self.segmenter.engine.close()


def _anywhere(recipe: Recipe) -> Recipe:
    """Return the recipe without its zones: they are of the station's place, which the reference frames do not show."""
    return msgspec.structs.replace(recipe, ignore=())


def grids_of(station: Station, manifest: Manifest) -> Mapping[str, Grid]:
    """Return the tiles of every camera's canvas."""
    return {c.name: Grid(c.height, c.width, manifest.tile) for c in station.cameras}


def recipes_from_json(manifest: Manifest, station: Station, recipe: bytes) -> Recipes:
    """
    Work out a RecipeFile that came as JSON.

    Raises:
        ConfigurationError: it does not fit the bundle or a camera.
    """
    return work_out(manifest, station, RecipeFile.model_validate_json(recipe))


def _cautious(manifest: Manifest, recipes: Recipes, band: GuardBand) -> Recipes:
    """
    Take the band off a recipe.

    Raises:
        ConfigurationError: the band says nothing about regions as small or faint as this recipe counts.
    """
    for recipe in recipes.by_camera.values():
        refuse_tighter(recipe, default_recipe(manifest.classes), band)
    return Recipes(recipes.file, {camera: guarded(recipe, band) for camera, recipe in recipes.by_camera.items()})


def refuse_other_bundle(bundle: Bundle, hash_: str) -> None:
    """
    Refuse a bundle that is not the one the station means: somebody has changed its folder.

    Args:
        hash_: of the bundle that is meant; empty = any.

    Raises:
        BundleError: names the folder and both hashes.
    """
    if hash_ and bundle.hash != hash_:
        raise BundleError(
            f"{bundle.path}: the bundle on disk (hash {bundle.hash[:12]}) is not the one that was active (hash "
            f"{hash_[:12]}): put the old one back, or restart the station to take this one"
        )


def open_equipment(
    station: Station,
    bundle: Bundle,
    recipe: bytes,
    open_engine: OpenEngine,
    start: Start,
    proven_bundle: str | None = None,
    proven_recipe: str | None = None,
) -> Equipment:
    """
    Compile the bundle's networks, prove them, warm them up, and prove the recipe with them.

    Args:
        recipe: the RecipeFile to begin with, as JSON.
        start: told each stage.
        proven_bundle: hash of a bundle whose parity need not be proven again.
        proven_recipe: hash of a recipe that was proven with that bundle and need not be proven again.

    Raises:
        EdgeError: networks, engines or recipe are not usable; nothing is left open.
    """
    equipment = open_untried(station, bundle, recipe, open_engine, start, proven_bundle)
    # Engines that were built can have been built anew since; those of the bundle's own networks are named by its hash.
    same = is_own(station.backend) and station.backend.precision == "fp32"
    if same and (bundle.hash, equipment.active.hash) == (proven_bundle, proven_recipe):
        return equipment
    with ExitStack() as opened:
        opened.callback(equipment.close)
        with start.stage("recipe"):
            equipment.parity += f"; {proof_from_frames(bundle, equipment.judged_frames())}"
        opened.pop_all()
    return equipment


def open_untried(
    station: Station,
    bundle: Bundle,
    recipe: bytes,
    open_engine: OpenEngine,
    start: Start,
    proven_bundle: str | None = None,
) -> Equipment:
    """Do as open_equipment(), but for the proof of the recipe: for those who try it themselves."""
    recipes = recipes_from_json(bundle.manifest, station, recipe)
    with ExitStack() as opened:
        with start.stage("compile"):
            cache = EngineCache(engine_cache_of(station))
            made = engines_for(bundle, station.backend, cache)
            batches = _batches(station, bundle.manifest)
            classifier, segmenter = (
                opened.enter_context(open_engine(station.backend, network, TILES, batches))
                for network in (made.classifier, made.segmenter)
            )
        with start.stage("parity"):
            # An engine of lower precision cannot do without its band, whoever proved it before.
            known = NO_BAND if station.backend.precision == "fp32" else None
            if made.proof is not None:
                band, parity = made.proof.parity.band, f"proven on this machine {made.proof.made_utc}: "
                parity += _in_words(made.proof.parity)
            elif bundle.hash == proven_bundle and known is not None:
                band, parity = known, "proven by an earlier inspector of this station"
            else:
                band = known or _band_of(station, bundle, open_engine, (classifier, segmenter))
                report = check_parity(bundle, classifier, segmenter, band)
                keep_proof(bundle, station.backend, cache, report)
                parity = _in_words(report)
        engines_hash = hashlib.sha256(made.classifier + made.segmenter + msgspec.json.encode(band)).hexdigest()
        equipment = Equipment(station, bundle, (classifier, segmenter), parity, recipes, band, engines_hash)
        with start.stage("warm-up"):
            equipment.classifier.warm_up()
            equipment.segmenter.warm_up()
            # Of an inspector whose proof is an earlier one's it is the only look at what these engines answer.
            equipment.probe()
        opened.pop_all()
    return equipment


def _band_of(station: Station, bundle: Bundle, open_engine: OpenEngine, engines: tuple[Engine, Engine]) -> GuardBand:
    """
    Measure the band on the reference frames: all that a first start has. ``edge-engine build`` takes a set of its own.

    Raises:
        ParityFailed: it is wider than the manifest allows.
    """
    settings = station.backend.model_copy(update={"precision": "fp32"})
    frames = [reference.image for reference in references_of(bundle)]
    with ExitStack() as opened:
        exact = tuple(
            opened.enter_context(open_engine(settings, network, TILES, engines[0].batches))
            for network in (bundle.classifier, bundle.segmenter)
        )
        report = measure_guard(
            bundle.manifest, default_recipe(bundle.manifest.classes), frames, (exact[0], exact[1]), engines
        )
    where = f"{bundle.path}: {engines[1].backend} {engines[1].precision}"
    refuse_wide_band(report, bundle.manifest.max_guard, where, least_regions=1)
    return report.band


def _batches(station: Station, manifest: Manifest) -> tuple[int, ...]:
    most = max(grid.count for grid in grids_of(station, manifest).values())
    return bucket_sizes(min(most, manifest.max_tiles))


def _in_words(report: ParityReport) -> str:
    iou = "no marks to compare" if report.iou is None else f"IoU {report.iou:.4f}"
    said = f"{len(report.frames)} frames, {iou}, score deviation {report.score_deviation:.1e}"
    if report.band == NO_BAND:
        return said
    band = report.band
    return (
        f"{said}, guard band {band.score:g} off gates, {band.area_share:.1%} off areas, {band.peak:g} off peaks, which "
        f"rejects {report.guarded_flips} of these frames more"
    )
