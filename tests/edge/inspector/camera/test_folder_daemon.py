"""A whole station on a folder that is written to, and on an archive: one verdict for each file, and no file is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2

from edge.archive import ArchiveWriter, KeptPart, KeptView
from edge.client import Event
from edge.records import Outcome, Reason, Status, Verdict
from edge.rig import Rig, bundle_table
from tests.support.archived import kept_part
from tests.support.bundles import picture

PATIENCE_S = 60.0


def settings(bundle: Path, source: dict[str, Any], **camera: Any) -> dict[str, Any]:
    return {
        "station": "line1",
        "budget_ms": 20_000,
        "hang_s": 30.0,
        "retry_s": 0.1,
        "bundle": bundle_table(bundle),
        "backend": {"threads": 1},
        "cameras": [{"name": "cam1", "height": 100, "width": 170, "source": source, **camera}],
    }


def put(folder: Path, number: int, *class_ids: int) -> None:
    """Write a part as a vendor's software should: under a hidden name, then renamed."""
    cv2.imwrite(str(folder / ".part.png"), picture(2000 + number, *class_ids))
    (folder / ".part.png").rename(folder / f"{number:03}.png")


class Line:
    """What a station says, one event after the other."""

    def __init__(self, rig: Rig) -> None:
        self._events = rig.events(PATIENCE_S)
        self.verdicts: list[Verdict] = []

    def until(self, holds: Callable[[Event], bool]) -> None:
        for event in self._events:
            if isinstance(event, Verdict):
                self.verdicts.append(event)
            if holds(event):
                return
        raise AssertionError("the station has stopped")

    def answered(self, count: int) -> None:
        self.until(lambda _: len(self.verdicts) >= count)

    def outcomes(self) -> dict[str, list[Outcome]]:
        by_source: dict[str, list[Outcome]] = {}
        for verdict in self.verdicts:
            by_source.setdefault(verdict.views[0].source, []).append(verdict.outcome)
        return by_source


def ready(event: Event) -> bool:
    return isinstance(event, Status) and event.ready


def not_ready(event: Event) -> bool:
    return isinstance(event, Status) and not event.ready


def child_of(station: int) -> int:
    return int(Path(f"/proc/{station}/task/{station}/children").read_text().split()[0])


def test_files_are_parts_also_while_the_inspector_is_killed(tiny_bundle: Path, tmp_path: Path) -> None:
    """Sound and bad ones are told apart; what comes while there is no inspector is UNKNOWN(camera); each is moved."""
    folder = tmp_path / "in"
    folder.mkdir()
    source = {"kind": "folder", "path": folder, "afterwards": "move", "settle_ms": 10}
    with Rig(settings(tiny_bundle, source, slots=8), flags=()) as rig:
        line = Line(rig)
        line.until(ready)
        for number in range(10):
            put(folder, number, *((1,) if number % 2 else ()))
            line.answered(number + 1)
        os.kill(child_of(rig.process.pid), signal.SIGSTOP)
        for number in range(10, 15):
            put(folder, number)
        os.kill(child_of(rig.process.pid), signal.SIGKILL)
        line.until(not_ready)
        line.answered(15)
        line.until(ready)
        for number in range(15, 20):
            put(folder, number)
        line.answered(20)
    outcomes = line.outcomes()
    assert [outcomes[f"{n:03}.png"] for n in range(10)] == [[Outcome.PASS], [Outcome.REJECT]] * 5
    assert [outcomes[f"{n:03}.png"] for n in range(10, 15)] == [[Outcome.UNKNOWN]] * 5
    unknown = [v for v in line.verdicts if v.outcome is Outcome.UNKNOWN]
    assert {v.reason for v in unknown} == {Reason.CAMERA}, [(v.reason, v.detail) for v in unknown]
    assert [outcomes[f"{n:03}.png"] for n in range(15, 20)] == [[Outcome.PASS]] * 5
    assert len(line.verdicts) == 20
    left = {path.name for path in folder.iterdir() if path.is_file()}
    # The last one's picture may be in hand when the station is stopped.
    assert left <= {"019.png"}
    assert {path.name for path in (folder / "done").iterdir()} | left == {f"{n:03}.png" for n in range(20)}


def test_an_inspector_that_dies_before_the_first_part_loses_none(tiny_bundle: Path, tmp_path: Path) -> None:
    """What lay there before the run stays no part; what comes while there is no inspector is UNKNOWN(camera)."""
    folder = tmp_path / "in"
    folder.mkdir()
    put(folder, 0)
    with Rig(settings(tiny_bundle, {"kind": "folder", "path": folder, "settle_ms": 10}), flags=()) as rig:
        line = Line(rig)
        line.until(ready)
        os.kill(child_of(rig.process.pid), signal.SIGSTOP)
        put(folder, 1)
        os.kill(child_of(rig.process.pid), signal.SIGKILL)
        line.until(not_ready)
        line.answered(1)
        line.until(ready)
        put(folder, 2)
        line.answered(2)
    assert line.outcomes() == {"001.png": [Outcome.UNKNOWN], "002.png": [Outcome.PASS]}
    assert "came while nobody watched the folder" in line.verdicts[0].detail


def test_a_batch_is_inspected_each_in_its_turn(tiny_bundle: Path, tmp_path: Path) -> None:
    """More files at once than there are slots, under every: none is an overload, all are deleted."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(30):
        put(folder, number, *((2,) if number == 7 else ()))
    source = {"kind": "folder", "path": folder, "afterwards": "delete", "existing": "inspect", "settle_ms": 10}
    with Rig(settings(tiny_bundle, source, overload="every", slots=2), flags=()) as rig:
        line = Line(rig)
        line.answered(30)
        put(folder, 30)
        line.answered(31)
    assert [verdict.views[0].source for verdict in line.verdicts] == [f"{n:03}.png" for n in range(31)]
    outcomes = [verdict.outcome for verdict in line.verdicts]
    assert (outcomes[7], outcomes.count(Outcome.PASS)) == (Outcome.REJECT, 30)


def test_an_archive_goes_through_the_daemon(tiny_bundle: Path, tmp_path: Path) -> None:
    """Each kept picture is a part, whose verdict names the part that it was; then the station ends."""
    with ArchiveWriter(tmp_path / "archive") as writer:
        parts = [
            writer.write(KeptPart("sample", kept_part(n, "sample").verdict, (KeptView("cam1", picture(n, *ids)),)))
            for n, ids in ((1, ()), (2, (1,)), (3, ()))
        ]
    source = {"kind": "archive", "path": tmp_path / "archive", "camera": "cam1"}
    with Rig(settings(tiny_bundle, source)) as rig:
        verdicts = [event for event in rig.events(PATIENCE_S) if isinstance(event, Verdict)]
    names = [f"{part.folder.relative_to(tmp_path / 'archive').as_posix()}/cam1.frame.png" for part in parts]
    assert [verdict.views[0].source for verdict in verdicts] == names
    assert [verdict.outcome for verdict in verdicts] == [Outcome.PASS, Outcome.REJECT, Outcome.PASS]
