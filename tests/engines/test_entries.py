"""engines.entries: what lies in the cache, and what may go."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge.bundle import read_bundle
from edge.inspector.backend import BackendSettings
from edge.inspector.cache import CLASSIFIER, SEGMENTER, EngineCache, target_of
from edge.inspector.engines import entry_of
from engines.main import main
from tests.edge.inspector.test_cache import report

FILES = {CLASSIFIER: b"c", SEGMENTER: b"s"}


@pytest.fixture
def cache(tiny_bundle: Path, tmp_path: Path) -> EngineCache:
    """Four entries: one that can be used, one of another version, one of another device, one that was altered."""
    bundle = read_bundle(tiny_bundle)
    made = EngineCache(tmp_path / "engines")
    good = target_of(bundle, BackendSettings())
    targets = {
        "good": good,
        "version": msgspec.structs.replace(good, backend="openvino 1999.1"),
        "device": msgspec.structs.replace(good, device="another CPU"),
        "altered": msgspec.structs.replace(good, precision="bf16"),
    }
    for target in targets.values():
        made.write(entry_of(bundle, target, report(), "test"), FILES)
    (made.folder / targets["altered"].name / CLASSIFIER).write_bytes(b"x")
    return made


def test_list_says_what_can_be_used(
    cache: EngineCache, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And of the others, why not."""
    monkeypatch.setenv("COLUMNS", "400")
    assert main(["list", "--cache", str(cache.folder)]) == 0
    said = capsys.readouterr().out
    assert said.count("can be used") == 1
    assert "for openvino 1999.1, this machine has openvino" in said
    assert "for another CPU, this machine has" in said
    assert "was altered" in said


def test_prune_takes_what_was_altered(cache: EngineCache, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run deletes nothing; both say the same. What another driver might use tomorrow stays."""
    assert main(["prune", "--dry-run", "--cache", str(cache.folder)]) == 0
    assert len(cache.entries()) == 4
    dry = capsys.readouterr().out
    assert main(["prune", "--cache", str(cache.folder)]) == 0
    assert capsys.readouterr().out == dry.replace("would be removed", "removed")
    assert len(cache.entries()) == 3
    assert main(["prune", "--unusable", "--cache", str(cache.folder)]) == 0
    assert len(cache.entries()) == 1


def test_prune_deletes_nothing_where_the_key_is_at_fault(
    cache: EngineCache, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every entry would look altered."""
    (cache.folder / "machine.key").chmod(0o644)
    assert main(["prune", "--unusable", "--cache", str(cache.folder)]) == 2
    assert "chmod 600" in capsys.readouterr().err
    (cache.folder / "machine.key").chmod(0o600)
    assert len(cache.entries()) == 4


def test_prune_can_keep_some_bundles_only(
    cache: EngineCache, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The engines of a bundle that is not named go, too."""
    other = msgspec.structs.replace(target_of(read_bundle(tiny_bundle), BackendSettings()), bundle_hash="0" * 64)
    cache.write(entry_of(read_bundle(tiny_bundle), other, report(), "test"), FILES)
    assert main(["prune", "--bundles", str(tiny_bundle), "--cache", str(cache.folder)]) == 0
    assert f"{other.name}: removed: is of squares 1, release 1" in capsys.readouterr().out
    assert len(cache.entries()) == 3


def test_an_empty_cache_is_no_error(tmp_path: Path) -> None:
    """Nothing was made yet."""
    assert main(["list", "--cache", str(tmp_path / "none")]) == 0
    assert main(["prune", "--cache", str(tmp_path / "none")]) == 0
