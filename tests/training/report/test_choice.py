"""Which pictures are shown: errors first, none twice, the same for the same figures."""

from __future__ import annotations

import random
from collections.abc import Sequence

from edge.records import Outcome
from training.figures.parts import Part
from training.report.choice import MOST, Heading, caption, choose, picture_sections

NAMES = ("pits", "crack")
HEADINGS = {"missed": Heading("Escapes", "why"), "best": Heading("Best", "why")}


def part(source: str, class_id: int, outcome: str, score: float, dice: float | None = None, found_id: int = 0) -> Part:
    return Part(
        source=source,
        group=source,
        class_id=class_id,
        outcome=Outcome[outcome],
        found_id=found_id,
        score=score,
        dice=dice,
    )


PARTS = [
    part("escape-near", 1, "PASS", 0.4, 0.0),
    part("escape-far", 2, "PASS", 0.01, 0.0),
    part("overkill", 0, "REJECT", 0.9, None, 1),
    part("unknown", 1, "UNKNOWN", 0.0),
    part("good", 1, "REJECT", 0.99, 0.95, 1),
    part("poor", 1, "REJECT", 0.95, 0.05, 2),
    part("sound-near", 0, "PASS", 0.45),
    part("sound-far", 0, "PASS", 0.001),
]


def names(parts: Sequence[Part], positions: Sequence[int]) -> list[str]:
    return [parts[position].source for position in positions]


def test_each_kind_begins_with_the_most_telling() -> None:
    """Escapes begin with the surest, masks with the worst, doubts with the score nearest to a gate."""
    chosen = choose(PARTS, [0.5])
    assert names(PARTS, chosen["missed"][0]) == ["escape-far", "escape-near"]
    assert names(PARTS, chosen["rejected"][0]) == ["overkill"]
    assert names(PARTS, chosen["unanswered"][0]) == ["unknown"]
    assert names(PARTS, chosen["worst"][0]) == ["poor"]
    assert names(PARTS, chosen["best"][0]) == ["good"]
    assert names(PARTS, chosen["uncertain"][0])[0] == "sound-near"


def test_no_picture_is_shown_twice() -> None:
    """An escape with a score near the gate stands among the escapes alone."""
    shown = [position for positions, _ in choose(PARTS, [0.4]).values() for position in positions]
    assert len(shown) == len(set(shown))


def test_the_order_of_the_parts_changes_nothing() -> None:
    """Whatever the order, and however many scores are equal, the same pictures are shown, at most MOST of a kind."""
    many = [part(f"{number:03}", number % 2, "PASS", 0.25) for number in range(60)]
    shuffled = random.Random(1).sample(many, len(many))
    assert [names(many, positions) for positions, _ in choose(many, [0.5]).values()] == [
        names(shuffled, positions) for positions, _ in choose(shuffled, [0.5]).values()
    ]
    assert (len(choose(many, [0.5])["missed"][0]), choose(many, [0.5])["missed"][1]) == (MOST, 30)


def test_a_kind_without_pictures_has_no_section() -> None:
    """Only sound parts that pass: neither escapes nor best ones are shown, and nothing is drawn for them."""
    sound = [part("a", 0, "PASS", 0.1)]
    assert picture_sections(sound, NAMES, [0.5], HEADINGS, lambda positions: [b""] * len(positions)) == []
    titles = [s.title for s in picture_sections(PARTS, NAMES, [0.5], HEADINGS, lambda p: [b""] * len(p))]
    assert titles == ["Escapes (2)", "Best (1)"]


def test_captions_say_truth_answer_dice_and_score() -> None:
    """What is unknown is not stated."""
    assert caption(PARTS[0], NAMES) == "escape-near: pits, passed, Dice 0.00, score 0.40"
    assert caption(PARTS[2], NAMES) == "overkill: sound, rejected as pits, score 0.90"
    assert caption(PARTS[3], NAMES) == "unknown: pits, no answer (UNKNOWN)"
