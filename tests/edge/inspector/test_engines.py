"""edge.inspector.engines: what a station opens, and when it must have been built before."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import pytest

from edge.bundle import Bundle, read_bundle
from edge.errors import BundleError
from edge.inspector.backend import BackendSettings, open_engine
from edge.inspector.cache import CLASSIFIER, SEGMENTER, EngineCache, target_of
from edge.inspector.engines import engines_for, entry_of, keep_proof
from edge.inspector.equipment import Start, open_equipment
from edge.inspector.parity import ParityReport
from edge.recipe import station_recipe
from tests.edge.inspector.test_cache import report
from tests.support.inspector import station

FP32 = BackendSettings()
INT8 = BackendSettings(precision="int8")


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    """The tiny bundle, read."""
    return read_bundle(tiny_bundle)


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines")


def proof(bundle: Bundle, **changes: object) -> ParityReport:
    return msgspec.structs.replace(report(), bundle_hash=bundle.hash, **changes)  # type: ignore[arg-type]


def test_own_networks_are_proven_once(bundle: Bundle, cache: EngineCache) -> None:
    """The first start has no proof, the next has that of the first; the networks are the bundle's."""
    first = engines_for(bundle, FP32, cache)
    assert (first.classifier, first.segmenter, first.proof) == (bundle.classifier, bundle.segmenter, None)
    keep_proof(bundle, FP32, cache, proof(bundle))
    again = engines_for(bundle, FP32, cache)
    assert again.proof is not None
    assert again.proof.parity == proof(bundle)


def test_a_proof_that_was_altered_is_made_anew(
    bundle: Bundle, cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    """The networks are the bundle's own, so that nothing is lost but the time; and it is said."""
    keep_proof(bundle, FP32, cache, proof(bundle))
    (cache.folder / target_of(bundle, FP32).name / SEGMENTER).write_bytes(b"other")
    with caplog.at_level(logging.WARNING):
        assert engines_for(bundle, FP32, cache).proof is None
    assert "proven anew" in caplog.text


def test_a_proof_of_a_lower_precision_that_was_altered_is_not_made_anew(bundle: Bundle, cache: EngineCache) -> None:
    """Its guard band may have been measured on hundreds of pictures; a start has only the reference frames."""
    bf16 = BackendSettings(precision="bf16")
    keep_proof(bundle, bf16, cache, proof(bundle, precision="bf16"))
    (cache.folder / target_of(bundle, bf16).name / SEGMENTER).write_bytes(b"other")
    with pytest.raises(BundleError, match="was altered"):
        engines_for(bundle, bf16, cache)


def test_a_signed_proof_of_bad_figures_proves_nothing(bundle: Bundle, cache: EngineCache) -> None:
    """What is judged are the figures, not that somebody once wrote them down."""
    bad = proof(bundle, frames=(msgspec.structs.replace(report().frames[0], score_deviation=0.5),))
    keep_proof(bundle, FP32, cache, bad)
    assert engines_for(bundle, FP32, cache).proof is None
    cache.write(entry_of(bundle, target_of(bundle, INT8), bad, "test"), {CLASSIFIER: b"c", SEGMENTER: b"s"})
    with pytest.raises(BundleError, match="score deviation"):
        engines_for(bundle, INT8, cache)


def test_what_must_be_built_names_the_command(bundle: Bundle, cache: EngineCache) -> None:
    """With what there is instead: another version, device or precision."""
    with pytest.raises(BundleError, match=r"found none; build it here: edge-engine build .* --precision int8"):
        engines_for(bundle, INT8, cache)
    other = msgspec.structs.replace(target_of(bundle, INT8), backend="openvino 1999.1")
    cache.write(entry_of(bundle, other, proof(bundle), "test"), {CLASSIFIER: b"c", SEGMENTER: b"s"})
    with pytest.raises(BundleError, match=r"found only for openvino 1999\.1 int8"):
        engines_for(bundle, INT8, cache)


def test_what_was_built_is_opened(bundle: Bundle, cache: EngineCache) -> None:
    """The cache's bytes, not the bundle's."""
    entry = entry_of(bundle, target_of(bundle, INT8), proof(bundle), "test")
    cache.write(entry, {CLASSIFIER: b"c", SEGMENTER: b"s"})
    made = engines_for(bundle, INT8, cache)
    assert (made.classifier, made.segmenter) == (b"c", b"s")


def test_a_cache_that_cannot_be_written_stops_nothing(
    bundle: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The line inspects; each start takes the time of the proof."""
    (tmp_path / "file").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        keep_proof(bundle, FP32, EngineCache(tmp_path / "file"), proof(bundle))
    assert "each start proves the engines anew" in caplog.text


def test_a_second_start_finds_the_proof_of_the_first(bundle: Bundle, tiny_bundle: Path, tmp_path: Path) -> None:
    """Through the whole of the equipment: parity is told with its date and not measured again."""
    settings = station(tiny_bundle, height=100, width=170).model_copy(update={"engine_cache": tmp_path / "engines"})
    told = station_recipe(settings).model_dump_json().encode()
    said = []
    for _ in range(2):
        opened = open_equipment(settings, bundle, told, open_engine, Start())
        opened.close()
        said.append(opened.parity)
    assert said[0].startswith("4 frames")
    assert said[1].startswith("proven on this machine 20")
