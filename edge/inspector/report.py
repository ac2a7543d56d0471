"""What a trial is told and what it answers; all that the station knows of it."""

from __future__ import annotations

import msgspec

from edge.records import Outcome


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a trial is told on its standard input, as JSON."""

    station: str
    """The settings tree as JSON."""
    bundle: str
    """Folder of the bundle to try."""
    recipe: bytes
    """The RecipeFile of edge.recipe to try, as JSON."""
    releases: dict[str, int] = {}
    """By bundle name, the highest release number that was ever active at the station."""
    parent: int | None = None
    """Process id of the station: a trial whose parent is another one has been orphaned and ends; None = not known."""


class FrameTrial(msgspec.Struct, frozen=True, kw_only=True):
    """A reference frame under the recipe's values: this machine against PyTorch's answers."""

    name: str
    expected: Outcome
    """By PyTorch's answers."""
    found: Outcome
    guarded: bool = False
    """A guard band was taken off the limits here: that it rejects a sound frame is its price, and no fault."""

    @property
    def agrees(self) -> bool:
        return self.expected is self.found or (self.guarded and self.found is Outcome.REJECT)

    @property
    def fails_open(self) -> bool:
        """A part that must be rejected would pass here."""
        return self.expected is Outcome.REJECT and self.found is Outcome.PASS


class TrialReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a trial found, as one JSON on its standard output."""

    bundle_hash: str
    """Empty when the bundle could not be read."""
    recipe_hash: str
    """Empty when the recipe does not fit the bundle."""
    engines_hash: str = ""
    """As in link.Ready: of what it was tried with."""
    class_names: tuple[str, ...]
    accepted: bool
    text: str
    """One line: what was proven, or why the values are refused."""
    frames: tuple[FrameTrial, ...]
