"""
The trial of a bundle and a recipe, in a short-lived child beside the line: without cameras, without sockets.

Told a Task on standard input; answers with one TrialReport on standard output. A refusal is an answer: exit code 0.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import cv2
import msgspec

from edge.bundle import Bundle
from edge.errors import EdgeError
from edge.inspector.backend import open_engine
from edge.inspector.equipment import Equipment, OpenEngine, Start, open_equipment, read_bundle_of, recipes_from_json
from edge.inspector.golden import golden_reject, inspect_answers, inspect_reference, references_of
from edge.inspector.report import FrameTrial, Task, TrialReport
from edge.records import Outcome
from edge.settings import Station

_NICE = 10


def main() -> int:
    os.nice(_NICE)  # The line beside it comes first.
    cv2.setNumThreads(1)
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
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
    bundle_hash = recipe_hash = text = ""
    class_names: tuple[str, ...] = ()
    frames: tuple[FrameTrial, ...] = ()
    try:
        bundle = read_bundle_of(station, Path(task.bundle))
        bundle_hash, class_names = bundle.hash, bundle.manifest.class_names
        recipe_hash = recipes_from_json(bundle.manifest, station, task.recipe).hash
        equipment = open_equipment(station, bundle, task.recipe, open_engine, Start())
        try:
            frames = _frames(equipment)
        finally:
            equipment.close()
        refusal, text = _judged(bundle, frames, equipment.parity)
    except EdgeError as error:
        refusal = str(error)
    return TrialReport(
        bundle_hash=bundle_hash,
        recipe_hash=recipe_hash,
        class_names=class_names,
        accepted=not refusal,
        text=refusal or text,
        frames=frames,
    )


def _frames(equipment: Equipment) -> tuple[FrameTrial, ...]:
    """Return each reference frame under each camera's values."""
    manifest = equipment.manifest
    return tuple(
        FrameTrial(
            name=reference.name,
            expected=inspect_answers(manifest, reference, recipe).outcome,
            found=inspect_reference(manifest, reference, recipe, equipment.classifier, equipment.segmenter).outcome,
        )
        for reference in references_of(equipment.bundle)
        for recipe in equipment.active_recipes
    )


def _judged(bundle: Bundle, frames: tuple[FrameTrial, ...], parity: str) -> tuple[str, str]:
    """Return why the values are refused, if they are, and what was proven."""
    refusal = refusal_from_frames(frames)
    golden = golden_reject(bundle)
    if golden is None:
        return refusal, f"{len(frames)} outcomes as PyTorch's; {parity}; no reference frame is a reject: none was tried"
    passes = any(frame.name == golden.name and frame.found is not Outcome.REJECT for frame in frames)
    if passes:
        return f"this recipe would pass the reference reject '{golden.name}'; tighten its values", ""
    return refusal, f"{len(frames)} outcomes as PyTorch's; {parity}; golden reject '{golden.name}' is rejected"


def refusal_from_frames(frames: tuple[FrameTrial, ...]) -> str:
    """Return which frames are judged otherwise than by PyTorch's answers, those that fail open first; else empty."""
    opened = sorted({frame.name for frame in frames if frame.fails_open})
    others = sorted({frame.name for frame in frames if not frame.agrees} - set(opened))
    lines = []
    if opened:
        lines.append(f"REJECT by PyTorch's answers and PASS here: {', '.join(opened)}")
    if others:
        lines.append(f"PASS by PyTorch's answers and REJECT here: {', '.join(others)}")
    return "" if not lines else f"{'; '.join(lines)}: these values lie too close to a limit for this machine"


if __name__ == "__main__":
    sys.exit(main())
