"""The story in docs/protocol.md, section 8.2, is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge.requests import Missing
from edge.subscription.sequence import Position, Sequence

DOCUMENT = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text(encoding="utf-8")
EPOCHS = {"A": 20, "B": 10}
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in DOCUMENT.partition("| comes | deliver | position | may be acknowledged |\n")[2].splitlines()
    if line.startswith("|") or not line
]
ROWS = ROWS[1 : ROWS.index([""])]


def places(text: str) -> list[Position]:
    return [Position(EPOCHS[letter], int(seq)) for letter, seq in re.findall(r"\b([AB])(\d+)", text)]


def shown(position: Position | None) -> str:
    letters = {epoch: letter for letter, epoch in EPOCHS.items()}
    return "" if position is None else f"{letters[position.epoch]}{position.seq}"


class Reader:
    """Does by Sequence what the table says that comes."""

    def __init__(self) -> None:
        self.sequence = Sequence(Position(EPOCHS["A"], 4))
        self.present = EPOCHS["A"]

    def take(self, comes: str) -> str:
        """Return what is delivered, as the table has it."""
        kind, _, rest = comes.partition(" ")
        rest = rest.partition("(")[0]
        if "present" in comes:
            self.present = EPOCHS[comes[-1]]
            return ""
        if kind == "live":
            return self._live(places(rest)[0], "*" in rest)
        if kind == "status":
            (at,) = places(rest)
            self.sequence.prove(at.epoch, int(rest.split()[-1]))
            return ""
        assert kind == "replay:", comes
        return self._page(rest)

    def _live(self, at: Position, journaled: bool) -> str:
        wanted = at.epoch == self.present and not self.sequence.had(at.epoch, at.seq)
        if not wanted or not self.sequence.follows(at.epoch, at.seq):
            return ""
        self.sequence.deliver_live(at.epoch, at.seq, journaled)
        return shown(at)

    def _page(self, text: str) -> str:
        given, _, end = text.partition("at ")
        told = []
        if (hole := re.search(r"missing (\d+)-(\d+)", given)) is not None:
            asked = self.sequence.position.epoch
            missing = Missing(epoch=asked, first=int(hole[1]), last=int(hole[2]), why="retention")
            assert self.sequence.deliver_missing(missing) is not None
            told.append(hole[0])
        for at in places(given):
            if self.sequence.deliver_replayed(at.epoch, at.seq) is not None:
                told.append(shown(at))
        (position,) = places(end)
        self.sequence.stand(position)
        return " ".join(told)


def test_the_story_is_told_to_its_end() -> None:
    """Row for row: what is delivered, where the position is, what may be acknowledged when all is dealt with."""
    reader = Reader()
    for comes, deliver, position, acknowledge in ROWS:
        found = reader.take(comes)
        reader.sequence.acknowledge(reader.sequence.delivered)
        at = shown(reader.sequence.position)
        assert [found, at, shown(reader.sequence.acknowledgeable())] == [deliver, position, acknowledge], comes


@pytest.mark.parametrize("word", ["missing", "live", "status", "replay", "attached"])
def test_the_story_has_everything_in_it(word: str) -> None:
    """Each kind of message comes."""
    assert any(word in row[0] for row in ROWS)
