"""The two engines alone, with the very calls that the station made: what no pipeline can be faster than."""

from __future__ import annotations

import time
from types import TracebackType

from typing_extensions import Self

from edge.bundle import Bundle
from edge.inspector.backend import BackendSettings, Engine, open_engine
from edge.inspector.buckets import bucket_sizes
from edge.inspector.cache import EngineCache
from edge.inspector.engines import engines_for
from edge.records import Verdict
from edge.reference import load_reference
from edge.settings import default_engine_cache
from edge.tiles import Canvas, Grid
from engines.contract import TILES


class BareEngines:
    """
    Both networks of a bundle, fed with one reference frame; nothing is captured, assembled or sent.

    Args:
        tiles: most tiles of one frame.
    """

    def __init__(self, bundle: Bundle, settings: BackendSettings, tiles: int) -> None:
        batches = bucket_sizes(min(tiles, bundle.manifest.max_tiles))
        made = engines_for(bundle, settings, EngineCache(default_engine_cache()))
        self.classifier = open_engine(settings, made.classifier, TILES, batches)
        self.segmenter = open_engine(settings, made.segmenter, TILES, batches)
        for engine in (self.classifier, self.segmenter):
            _fill(engine, bundle)
            for size in batches:
                engine.run(size)

    def replay(self, verdicts: list[Verdict]) -> float:
        """Make the calls these verdicts needed; return how long they took [s]."""
        started = time.perf_counter()
        for verdict in verdicts:
            for view in verdict.views:
                _run(self.classifier, view.tiles)
                _run(self.segmenter, view.segmented)
        return time.perf_counter() - started

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.classifier.close()
        self.segmenter.close()


def _run(engine: Engine, tiles: int) -> None:
    largest = engine.batches[-1]
    for start in range(0, tiles, largest):
        engine.run(min(largest, tiles - start))


def _fill(engine: Engine, bundle: Bundle) -> None:
    """Put real tiles into the buffers: zeros would let some kernels skip work."""
    image = load_reference(bundle, bundle.manifest.reference[0]).image
    grid = Grid(image.shape[0], image.shape[1], bundle.manifest.tile)
    canvas = Canvas(grid, bundle.manifest.channels, bundle.manifest.pad_value)
    canvas.write(image)
    rows = engine.batches[-1]
    canvas.cut([row % grid.count for row in range(rows)], engine.inputs[TILES])
