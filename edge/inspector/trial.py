"""
The trial of a bundle and a recipe, in a short-lived child beside the line: without cameras, without sockets.

Told a Task on standard input; answers with one TrialReport on standard output. A refusal is an answer: exit code 0.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import cv2
import msgspec

from edge.cores import cores_from_text, pin
from edge.errors import EdgeError
from edge.inspector.backend import open_engine
from edge.inspector.equipment import OpenEngine, Start, open_untried, recipes_from_json
from edge.inspector.parent import die_with_parent, end_if_orphaned
from edge.inspector.proof import proof_from_frames
from edge.inspector.report import FrameTrial, Task, TrialReport
from edge.settings import Station
from edge.trust import read_bundle_of

LIMIT_S = 240.0
"""A trial that lasts longer ends itself: the station has given it up long before, or is not there any more."""
_NICE = 10


def main() -> int:
    die_with_parent()
    # The default of this signal ends the process, also inside a call of a vendor's library.
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    os.nice(_NICE)  # The line beside it comes first.
    cv2.setNumThreads(1)
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    end_if_orphaned(task.parent)
    process = Station.model_validate_json(task.station).process
    if process.inspector_cpus is not None:
        # Not on the station's, from which it was started; beside the inspector it gives way.
        pin(cores_from_text(process.inspector_cpus), "process.inspector_cpus")
    sys.stdout.buffer.write(msgspec.json.encode(report_from_task(task)))
    sys.stdout.buffer.flush()
    return 0


def report_from_task(task: Task, open_engine: OpenEngine = open_engine) -> TrialReport:
    """
    Try what *task* names. The engines take one thread: the line needs the others.

    Args:
        open_engine: opens both networks; a stand-in in tests.
    """
    station = Station.model_validate_json(task.station)
    station = station.model_copy(update={"backend": station.backend.model_copy(update={"threads": 1})})
    bundle_hash = recipe_hash = engines_hash = refusal = text = ""
    class_names: tuple[str, ...] = ()
    frames: tuple[FrameTrial, ...] = ()
    try:
        bundle = read_bundle_of(station, Path(task.bundle), task.releases)
        bundle_hash, class_names = bundle.hash, bundle.manifest.class_names
        recipe_hash = recipes_from_json(bundle.manifest, station, task.recipe).hash
        equipment = open_untried(station, bundle, task.recipe, open_engine, Start())
        recipe_hash, engines_hash = equipment.active.hash, equipment.engines_hash
        try:
            frames = equipment.judged_frames()
        finally:
            equipment.close()
        text = f"{equipment.parity}; {proof_from_frames(bundle, frames)}"
    except EdgeError as error:
        refusal = str(error)
    return TrialReport(
        bundle_hash=bundle_hash,
        recipe_hash=recipe_hash,
        engines_hash=engines_hash,
        class_names=class_names,
        accepted=not refusal,
        text=refusal or text,
        frames=frames,
    )


if __name__ == "__main__":
    sys.exit(main())
