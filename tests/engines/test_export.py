"""engines.export: a bundle appears whole or not at all."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

import engines.export
from edge.bundle import read_bundle
from edge.errors import BundleError, ConfigurationError, DataError, EdgeError
from edge.reference import load_reference
from engines.contract import MANIFEST_NAME
from engines.export import export_bundle
from engines.options import Export
from tests.support.bundles import PAD, TILE, write_pictures


@pytest.fixture
def command(tiny_bundle: Path, tmp_path: Path) -> Export:
    """An export that would succeed, into an empty folder."""
    checkpoints = tiny_bundle.parent / "checkpoints"
    return Export(
        classifier=checkpoints / "classifier.safetensors",
        segmenter=checkpoints / "segmenter.safetensors",
        reference=tiny_bundle.parent / "pictures",
        out=tmp_path / "out" / "bundle",
        name="squares",
        frames=2,
    )


def with_spec(source: Path, folder: Path, **changes: object) -> Path:
    """Return a copy of a checkpoint whose description says something else."""
    folder.mkdir()
    (folder / source.name).write_bytes(source.read_bytes())
    spec = msgspec.json.decode(source.with_suffix(".json").read_bytes()) | changes
    (folder / source.name).with_suffix(".json").write_bytes(msgspec.json.encode(spec))
    return folder / source.name


def refused(command: Export, kind: type[EdgeError]) -> str:
    """Export, expect one line, and nothing on the disk."""
    with pytest.raises(kind) as error:
        export_bundle(command)
    assert not command.out.exists()
    assert not command.out.parent.exists() or not any(command.out.parent.iterdir())
    assert "\n" not in str(error.value)
    return str(error.value)


def test_manifest_says_what_was_asked(command: Export) -> None:
    """Name, release, limits and scale stand in the manifest; provenance names no path of the machine."""
    asked = command.model_copy(update={"gate": ["0.4", "dark=0.2"], "release": 7, "mm_per_px": 0.1, "label": "2.1"})
    manifest = export_bundle(asked)
    assert read_bundle(asked.out).manifest == manifest
    assert [c.gate.default for c in manifest.classes] == [0.4, 0.2]
    assert (manifest.name, manifest.release, manifest.version) == ("squares", 7, "2.1")
    assert manifest.scale is not None
    assert manifest.scale.mm_per_px == 0.1
    assert (manifest.tile, manifest.pad_value, manifest.format) == (TILE, PAD, "mono8")
    assert "/" not in "".join(manifest.provenance.made_with.values())


def test_reference_frames_are_half_defective(tiny_bundle: Path) -> None:
    """Of pictures nobody labelled, the classifier says which are defective; half of those taken are."""
    bundle = read_bundle(tiny_bundle)
    references = [load_reference(bundle, frame) for frame in bundle.manifest.reference]
    gates = [c.gate.default for c in bundle.manifest.classes]
    assert [bool((r.scores > gates).any()) for r in references] == [True, False, True, False]


def test_answers_are_steps_that_float16_holds(tiny_bundle: Path) -> None:
    """Stored probabilities are multiples of 1/2048, so that any thresholds give PyTorch's labels to 1/4096."""
    bundle = read_bundle(tiny_bundle)
    planes = load_reference(bundle, bundle.manifest.reference[0]).planes
    assert planes.max() > 0.9
    assert (planes * 2048 == (planes * 2048).round()).all()


def test_existing_folder_is_refused(command: Export) -> None:
    """An export never writes over anything."""
    command.out.mkdir(parents=True)
    (command.out / "precious.txt").write_text("keep me")
    with pytest.raises(ConfigurationError, match="exists already"):
        export_bundle(command)
    assert [path.name for path in command.out.iterdir()] == ["precious.txt"]


def test_folder_that_cannot_be_made_is_refused(command: Export, tmp_path: Path) -> None:
    """A path below a file is no folder."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="--out"):
        export_bundle(command.model_copy(update={"out": tmp_path / "file" / "bundle"}))


@pytest.mark.parametrize("key", ["class_names", "tile", "pad_value"])
def test_checkpoints_that_see_other_tiles_are_refused(command: Export, tmp_path: Path, key: str) -> None:
    """Format, tile, pad value and classes must agree; the line names both values."""
    other = {
        "class_names": ["dark", "bright"],
        "tile": {"core_height": 32, "core_width": 64, "halo": 16},
        "pad_value": 9,
    }
    path = with_spec(command.classifier, tmp_path / "other", **{key: other[key]})
    told = refused(command.model_copy(update={"classifier": path}), BundleError)
    assert f"has {key} " in told
    assert "both networks see the same tiles" in told


def test_swapped_checkpoints_are_refused(command: Export) -> None:
    """A segmenter given as classifier is told."""
    swapped = command.model_copy(update={"classifier": command.segmenter, "segmenter": command.classifier})
    assert "holds a segmenter; give the classifier's checkpoint" in refused(swapped, BundleError)


def test_missing_checkpoint_is_refused(command: Export, tmp_path: Path) -> None:
    """A path without a checkpoint is named."""
    missing = command.model_copy(update={"segmenter": tmp_path / "none.safetensors"})
    assert "none.json" in refused(missing, BundleError)


def test_missing_pictures_are_refused(command: Export, tmp_path: Path) -> None:
    """Neither a missing nor an empty folder gives reference frames."""
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "nowhere", tmp_path / "empty"):
        assert str(folder) in refused(command.model_copy(update={"reference": folder}), DataError)


def test_picture_that_cannot_be_decoded_is_refused(command: Export, tmp_path: Path) -> None:
    """A truncated picture is named, and no half of a bundle stays behind."""
    folder = write_pictures(tmp_path / "pictures")
    (folder / "0.png").write_bytes((folder / "0.png").read_bytes()[:40])
    assert "0.png" in refused(command.model_copy(update={"reference": folder}), DataError)


def test_full_disk_leaves_nothing(command: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the last file cannot be written, those before it go, too."""
    monkeypatch.setattr(engines.export, "_networks", lambda trained, max_tiles: {"classifier.onnx": b"network"})
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.name == MANIFEST_NAME:
            raise OSError(28, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert "No space left on device" in refused(command, ConfigurationError)


def test_wrong_limit_is_refused_before_anything_is_exported(command: Export) -> None:
    """A gate for a class that does not exist is one line."""
    assert "no such class" in refused(command.model_copy(update={"gate": ["rust=0.1"]}), ConfigurationError)
