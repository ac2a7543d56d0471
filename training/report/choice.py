"""Which pictures a report shows: the same for the same figures, each picture once, the most telling first."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from edge.records import Outcome
from training.figures.parts import SOUND, Part
from training.report.page import Picture, Section

Kind = Literal["missed", "rejected", "unanswered", "worst", "uncertain", "best"]
MOST = 9
"""Pictures of a kind."""
TONES: dict[Kind, str] = {
    "missed": "bad",
    "rejected": "unsure",
    "unanswered": "unsure",
    "worst": "unsure",
    "uncertain": "",
    "best": "good",
}

Draw = Callable[[Sequence[int]], Sequence[bytes]]
"""From the positions of parts to their drawings."""


@dataclass(frozen=True)
class Heading:
    """What a row of pictures is called, and what its order means."""

    title: str
    note: str


def picture_sections(
    parts: Sequence[Part],
    class_names: Sequence[str],
    gates: Sequence[float],
    headings: dict[Kind, Heading],
    draw: Draw,
) -> list[Section]:
    """Return a section for each kind of picture that occurs, in the order of *headings*."""
    chosen = choose(parts, gates)
    sections = []
    for kind, heading in headings.items():
        shown, of = chosen[kind]
        if shown:
            captions = [caption(parts[index], class_names) for index in shown]
            pictures = tuple(map(Picture, draw(shown), captions, [TONES[kind]] * len(shown)))
            count = f"{len(shown)} of {of}" if len(shown) < of else str(of)
            sections.append(Section(f"{heading.title} ({count})", pictures=pictures, notes=(heading.note,)))
    return sections


def choose(parts: Sequence[Part], gates: Sequence[float]) -> dict[Kind, tuple[list[int], int]]:
    """
    Choose up to MOST parts of each kind.

    Args:
        parts: what was judged.
        gates: of the classes, 0..1; a score is uncertain that is near to one.

    Returns:
        Positions, and how many there are of the kind. No part is shown twice: first come the errors. Of near-copies,
        the pictures of one group, a second one is shown only where there is room.
    """
    answered = [i for i, part in enumerate(parts) if part.outcome is not Outcome.UNKNOWN]
    passed = [i for i in answered if parts[i].outcome is Outcome.PASS]
    caught = [i for i in answered if parts[i].class_id != SOUND and parts[i].outcome is Outcome.REJECT]
    by_mask = sorted(caught, key=lambda i: _by(parts[i], _worth(parts[i])))
    drawn = [i for i in by_mask if parts[i].dice is not None]
    orders: dict[Kind, list[int]] = {
        "missed": sorted((i for i in passed if parts[i].class_id), key=lambda i: _by(parts[i], parts[i].score)),
        "rejected": sorted(
            (i for i in answered if not parts[i].class_id and parts[i].outcome is Outcome.REJECT),
            key=lambda i: _by(parts[i], -parts[i].score),
        ),
        "unanswered": sorted(set(range(len(parts))) - set(answered), key=lambda i: _by(parts[i], 0.0)),
        "worst": drawn[: len(drawn) // 2],
        "best": [i for i in by_mask[len(drawn) // 2 :][::-1] if _worth(parts[i]) > 0.0],
        "uncertain": sorted(answered, key=lambda i: _by(parts[i], min(_distance(parts[i].score, g) for g in gates))),
    }
    shown: set[int] = set()
    chosen: dict[Kind, tuple[list[int], int]] = {}
    for kind, order in orders.items():
        fresh = _spread([i for i in order if i not in shown], parts)
        shown |= set(fresh)
        chosen[kind] = fresh, len(order)
    return chosen


def caption(part: Part, class_names: Sequence[str]) -> str:
    """Return what one wants to know of a picture: file, truth, answer, Dice, score."""
    names = ("sound", *class_names)
    found = names[part.found_id] if part.found_id else "defect"
    said = {
        Outcome.PASS: "passed",
        Outcome.REJECT: f"rejected as {found}",
        Outcome.UNKNOWN: "no answer (UNKNOWN)",
    }[part.outcome]
    score = "" if part.outcome is Outcome.UNKNOWN else f", score {part.score:.2f}"
    dice = "" if part.dice is None else f", Dice {part.dice:.2f}"
    return f"{part.source}: {names[part.class_id]}, {said}{dice}{score}"


def _spread(order: Sequence[int], parts: Sequence[Part]) -> list[int]:
    """Return up to MOST of *order*, in that order: of as many groups as there are."""
    seen: Counter[str] = Counter()
    turns = []
    for rank, position in enumerate(order):
        turns.append((seen[parts[position].group], rank))
        seen[parts[position].group] += 1
    return [order[rank] for rank in sorted(rank for _, rank in sorted(turns)[:MOST])]


def _worth(part: Part) -> float:
    return part.score if part.dice is None else part.dice


def _by(part: Part, value: float) -> tuple[float, str]:
    return value, part.source


def _distance(score: float, gate: float) -> float:
    """Return how far a score is from a gate, in log odds: 0.01 is as far from 0.02 as 0.98 from 0.99."""
    return abs(_log_odds(score) - _log_odds(gate))


def _log_odds(probability: float) -> float:
    inside = min(max(probability, 1e-6), 1.0 - 1e-6)
    return math.log(inside / (1.0 - inside))
