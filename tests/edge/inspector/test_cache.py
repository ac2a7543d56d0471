"""edge.inspector.cache: an entry is this machine's, for this bundle, or it is not believed."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge.errors import BundleError, ConfigurationError
from edge.inspector.cache import CLASSIFIER, PARITY_PAGE, SEGMENTER, EngineCache, Entry, Target
from edge.inspector.parity import FrameParity, ParityReport, ThresholdParity
from edge.records import Outcome

TARGET = Target(bundle_hash="b" * 64, backend="openvino 1", device="cpu", precision="fp32")
FILES = {CLASSIFIER: b"classifier" * 9, SEGMENTER: b"segmenter" * 9, PARITY_PAGE: b"<html>"}


def report() -> ParityReport:
    frame = FrameParity(
        name="00",
        score_deviation=0.0,
        gate_flips=0,
        pixels_marked=9,
        pixels_agreeing=9,
        pixels_united=9,
        pixels_differing=0,
        pixels=100,
        confidence_deviation=0.0,
        expected=Outcome.PASS,
        found=Outcome.PASS,
        guarded=Outcome.PASS,
    )
    moved = ThresholdParity(name="00", pixels_changed=0, followed=1.0)
    return ParityReport(backend="openvino 1", precision="fp32", bundle_hash="b" * 64, frames=(frame,), thresholds=moved)


def entry(target: Target = TARGET) -> Entry:
    return Entry(
        target=target, bundle="strip 1", made_utc="2026-01-01T00:00:00Z", made_with="test", parity=report(), files={}
    )


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    """A cache with one entry."""
    made = EngineCache(tmp_path / "engines")
    made.write(entry(), FILES)
    return made


@pytest.fixture
def path(cache: EngineCache) -> Path:
    """The folder of that entry."""
    return cache.folder / TARGET.name


def test_what_was_kept_is_read(cache: EngineCache) -> None:
    """Files, proof and target come back as they were; another target has nothing."""
    found = cache.read(TARGET)
    assert found is not None
    assert (found.files, found.entry.parity, found.entry.target) == (FILES, report(), TARGET)
    assert (found.classifier, found.segmenter) == (FILES[CLASSIFIER], FILES[SEGMENTER])
    for change in ({"bundle_hash": "c" * 64}, {"backend": "openvino 2"}, {"device": "gpu"}, {"precision": "bf16"}):
        assert cache.read(msgspec.structs.replace(TARGET, **change)) is None


def test_the_key_is_secret_and_stays(cache: EngineCache) -> None:
    """Made once, readable by its owner alone."""
    key = cache.folder / "machine.key"
    before = key.read_bytes()
    cache.write(entry(), FILES)
    assert key.read_bytes() == before
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_an_entry_is_replaced_whole(cache: EngineCache, path: Path) -> None:
    """A file that the new entry does not have is gone, and nothing half made lies about."""
    cache.write(entry(), {CLASSIFIER: b"1", SEGMENTER: b"2"})
    assert sorted(p.name for p in path.iterdir()) == [CLASSIFIER, "entry.json", "entry.mac", SEGMENTER]
    assert sorted(p.name for p in cache.folder.iterdir()) == sorted([TARGET.name, "machine.key"])


@pytest.mark.parametrize("name", [CLASSIFIER, SEGMENTER, PARITY_PAGE, "entry.json", "entry.mac"])
def test_any_changed_byte_refuses_the_entry(cache: EngineCache, path: Path, name: str) -> None:
    """Network, proof, page or signature: wherever a bit flips, the entry says so and how to mend it."""
    data = bytearray((path / name).read_bytes())
    rng = np.random.default_rng(5)
    for _ in range(20):
        at = int(rng.integers(len(data)))
        altered = bytes(data[:at]) + bytes([data[at] ^ 1 << int(rng.integers(8))]) + bytes(data[at + 1 :])
        (path / name).write_bytes(altered)
        with pytest.raises(BundleError, match="edge-engine build"):
            cache.read(TARGET)


def _cut(path: Path) -> None:
    (path / CLASSIFIER).write_bytes(b"")


def _extra(path: Path) -> None:
    (path / "more").write_bytes(b"x")


def _link(path: Path) -> None:
    (path / CLASSIFIER).rename(path.parent / "elsewhere")
    (path / CLASSIFIER).symlink_to(path.parent / "elsewhere")


def _missing(path: Path) -> None:
    (path / SEGMENTER).unlink()


def _unsigned(path: Path) -> None:
    (path / "entry.mac").unlink()


def _swapped(path: Path) -> None:
    (path / CLASSIFIER).write_bytes(FILES[SEGMENTER])


@pytest.mark.parametrize("change", [_cut, _extra, _link, _missing, _unsigned, _swapped])
def test_an_entry_that_was_tampered_with_is_refused(
    cache: EngineCache, path: Path, change: Callable[[Path], None]
) -> None:
    """By whatever means."""
    change(path)
    with pytest.raises(BundleError, match="edge-engine build"):
        cache.read(TARGET)
    assert isinstance(cache.entries()[0][1], BundleError)


def test_an_entry_of_another_machine_is_refused(cache: EngineCache, tmp_path: Path) -> None:
    """Copied with all its files, but signed by another key."""
    other = EngineCache(tmp_path / "other")
    other.write(entry(), FILES)
    shutil.rmtree(cache.folder / TARGET.name)
    shutil.copytree(other.folder / TARGET.name, cache.folder / TARGET.name)
    with pytest.raises(BundleError, match="this machine's key"):
        cache.read(TARGET)


def test_an_entry_under_another_name_is_refused(cache: EngineCache, path: Path) -> None:
    """A genuine entry in the place of another: an engine of an older bundle, for instance."""
    other = msgspec.structs.replace(TARGET, bundle_hash="c" * 64)
    path.rename(cache.folder / other.name)
    with pytest.raises(BundleError, match="is for"):
        cache.read(other)


def test_a_key_that_others_may_read_is_refused(cache: EngineCache) -> None:
    """Whoever can read it can sign."""
    (cache.folder / "machine.key").chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        cache.read(TARGET)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        cache.entries()


def test_a_lost_key_refuses_what_it_signed(cache: EngineCache) -> None:
    """Reading makes no new key: the entry would be refused for a reason that nobody understands."""
    (cache.folder / "machine.key").unlink()
    with pytest.raises(ConfigurationError, match=r"machine\.key: cannot be read"):
        cache.read(TARGET)
    assert not (cache.folder / "machine.key").exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """With what to do; nothing half written stays."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="set engine_cache"):
        EngineCache(tmp_path / "file").write(entry(), FILES)


def test_entries_are_listed_and_removed(cache: EngineCache, path: Path) -> None:
    """Those that are whole with what they say."""
    cache.write(entry(msgspec.structs.replace(TARGET, precision="bf16")), FILES)
    listed = dict(cache.entries())
    assert {said.target.precision for said in listed.values() if isinstance(said, Entry)} == {"fp32", "bf16"}
    cache.remove(path)
    assert path not in dict(cache.entries())
    assert EngineCache(cache.folder / "nowhere").entries() == []


def test_what_a_killed_writer_left_goes_with_the_next_entry(cache: EngineCache) -> None:
    """Half an entry is none, and does not stay for ever."""
    (cache.folder / ".new-abc").mkdir()
    (cache.folder / ".new-abc" / CLASSIFIER).write_bytes(b"half")
    assert len(cache.entries()) == 1
    cache.write(entry(), FILES)
    assert sorted(p.name for p in cache.folder.iterdir()) == sorted([TARGET.name, "machine.key"])


def test_a_folder_is_tried_before_something_is_built(tmp_path: Path) -> None:
    """Engines that take minutes to build must not be lost to a mistyped path."""
    EngineCache(tmp_path / "new").require_writable()
    assert (tmp_path / "new" / "machine.key").exists()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="set engine_cache"):
        EngineCache(tmp_path / "file").require_writable()
