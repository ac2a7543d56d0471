"""An archive judged again: what differs is told, what is damaged is named."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from edge.archive import ArchiveWriter, KeptPart, KeptView
from edge.bench.archived import ArchivedFrames, compare, print_comparison, read_frames
from edge.bench.main import Bench, Report, main, station_settings
from edge.errors import ArchiveError
from edge.inspector.camera import Frame, make_camera
from edge.records import Outcome
from edge.settings import CameraSettings
from tests.support.archived import kept_part, kept_view, verdict, view


def write(root: Path, *parts: KeptPart) -> list[str]:
    """Return the parts' folders below the root."""
    with ArchiveWriter(root) as writer:
        return [writer.write(part).folder.relative_to(root).as_posix() for part in parts]


def test_pictures_are_known_as_a_replay_names_them(tmp_path: Path) -> None:
    """Every view's outcome by its path, the canvas that takes all; a damaged one is a fault, none is no picture."""
    reject, _, spoilt = write(
        tmp_path, kept_part(1), kept_part(2, "unknown", with_pixels=False), kept_part(3, "sample")
    )
    (tmp_path / spoilt / "cam1.mask.png").write_bytes(b"")
    frames = read_frames(tmp_path)
    assert frames.outcomes == {f"{reject}/cam1.frame.png": Outcome.REJECT}
    assert (frames.height, frames.width, len(frames.faults)) == (40, 60, 1)


def test_an_archive_without_pictures_is_refused(tmp_path: Path) -> None:
    """Nothing to replay is one clear line."""
    write(tmp_path, kept_part(2, "unknown", with_pixels=False))
    with pytest.raises(ArchiveError, match="no picture"):
        read_frames(tmp_path)


def test_every_difference_is_told() -> None:
    """One of two changed; a picture of a damaged part is not compared; one that was not replayed is an error."""
    frames = ArchivedFrames({"a": Outcome.REJECT, "b": Outcome.PASS}, 40, 60, ("x: gone",))
    seen = [verdict(n, views=(view(source=source),)) for n, source in enumerate("abc")]
    comparison = compare(frames, seen)
    assert [(change.source, change.was, change.now) for change in comparison.changes] == [
        ("a", Outcome.REJECT, Outcome.PASS)
    ]
    assert (comparison.compared, comparison.not_compared) == (2, 1)
    console = Console(file=io.StringIO(), width=80)
    print_comparison(comparison, console)
    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    assert "1 of 2 outcomes differ" in said
    assert "REJECT -> PASS: 1" in said
    assert "damaged: x: gone" in said
    with pytest.raises(ArchiveError, match=r"b .* was not replayed"):
        compare(frames, seen[:1])


def test_masks_are_not_replayed(tmp_path: Path) -> None:
    """The station of a replay sees the frames of all cameras, and neither masks nor what is unfinished."""
    write(tmp_path, KeptPart("reject", kept_part(1).verdict, (kept_view(1), kept_view(2, "a.mask"))))
    half = tmp_path / ".unfinished" / "0000000009-000000000005-reject"
    half.mkdir(parents=True)
    (half / "cam1.frame.png").write_bytes(b"half")
    (settings,) = station_settings(Bench(archive=tmp_path), "mono8")["cameras"]
    camera = make_camera(CameraSettings.model_validate(settings), "mono8")
    assert "2 pictures of archive" in camera.open(1).description
    found = [camera.read() for _ in range(2)]
    assert {Path(each.source).name for each in found if isinstance(each, Frame)} == {
        "a.mask.frame.png",
        "cam1.frame.png",
    }


def test_two_sources_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder and an archive: one line, nothing is measured."""
    assert main(["--source", str(tmp_path), "--archive", str(tmp_path)]) == 2
    assert "keep one of them" in capsys.readouterr().err


def test_an_archive_is_replayed_through_the_station(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Archived as PASS: what the station now rejects is named, what it passes is not."""
    from tests.support.bundles import picture  # torch: see tests/conftest.py

    root, out = tmp_path / "archive", tmp_path / "bench.json"
    pictures = [picture(1000 + n, *((1,) if n < 2 else ())) for n in range(5)]
    views = [KeptView("cam1", image) for image in pictures]
    parts = write(root, *(KeptPart("sample", kept_part(n, "sample").verdict, (v,)) for n, v in enumerate(views)))
    flags = "--rounds 1 --threads 1 --budget-ms 20000"
    assert main(["--bundle", str(tiny_bundle), "--archive", str(root), "--json", str(out), *flags.split()]) == 0
    report = msgspec.json.decode(out.read_bytes(), type=Report)
    assert report.archive is not None
    assert (report.archive.compared, report.rounds[0].unknown) == (5, 0)
    assert [change.source for change in report.archive.changes] == [f"{part}/cam1.frame.png" for part in parts[:2]]
    assert "PASS -> REJECT: 2" in capsys.readouterr().out
