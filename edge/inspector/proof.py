"""The proof of a recipe: the reference frames under its values, this machine against PyTorch's answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from edge.bundle import Bundle
from edge.errors import ConfigurationError
from edge.inspector.golden import golden_reject, inspect_answers, inspect_reference, references_of
from edge.inspector.pace import PacedEngine
from edge.inspector.report import FrameTrial
from edge.records import Outcome
from edge.rules import Recipe


class Values(NamedTuple):
    """A camera's recipe."""

    asked: Recipe
    """As the engineer wrote it: by it PyTorch's answers are judged."""
    working: Recipe
    """As these engines judge by it: *asked* less their guard band."""


def frames_under(
    bundle: Bundle, recipes: Sequence[Values], classifier: PacedEngine, segmenter: PacedEngine
) -> tuple[FrameTrial, ...]:
    """
    Judge each reference frame under each camera's values.

    Raises:
        InferenceFailed: an engine refused, or its answers cannot be believed.
    """
    manifest = bundle.manifest
    return tuple(
        FrameTrial(
            name=reference.name,
            expected=inspect_answers(manifest, reference, asked).outcome,
            found=inspect_reference(manifest, reference, working, classifier, segmenter).outcome,
            guarded=asked != working,
        )
        for reference in references_of(bundle)
        for asked, working in recipes
    )


def proof_from_frames(bundle: Bundle, frames: Sequence[FrameTrial]) -> str:
    """
    Return in one line what the judged frames prove.

    Raises:
        ConfigurationError: the golden reject would pass, or a frame is judged otherwise than by PyTorch's answers.
    """
    golden = golden_reject(bundle)
    if golden is not None and any(f.name == golden.name and f.found is not Outcome.REJECT for f in frames):
        raise ConfigurationError(
            f"this recipe would pass the reference reject '{golden.name}' of {bundle.path}; tighten its values"
        )
    refusal = refusal_from_frames(frames)
    if refusal:
        raise ConfigurationError(f"{bundle.path}: {refusal}")
    banded = sum(frame.expected is not frame.found for frame in frames)
    price = f" but for {banded} that the guard band rejects" if banded else ""
    outcomes = f"{len(frames)} outcomes as PyTorch's{price}"
    if golden is None:
        return f"{outcomes}; no reference frame is a reject: none was tried"
    return f"{outcomes}; golden reject '{golden.name}' is rejected"


def refusal_from_frames(frames: Sequence[FrameTrial]) -> str:
    """Return which frames are judged otherwise than by PyTorch's answers, those that fail open first; else empty."""
    opened = sorted({frame.name for frame in frames if frame.fails_open})
    others = sorted({frame.name for frame in frames if not frame.agrees} - set(opened))
    lines = []
    if opened:
        lines.append(f"REJECT by PyTorch's answers and PASS here: {', '.join(opened)}")
    if others:
        lines.append(f"PASS by PyTorch's answers and REJECT here: {', '.join(others)}")
    return "" if not lines else f"{'; '.join(lines)}: these values lie too close to a limit for this machine"
