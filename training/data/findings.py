"""What ``edge-train data check`` finds, as it stands in check.json."""

from __future__ import annotations

from typing import Literal

import msgspec

from training.data.splits import Split

Kind = Literal["list", "read", "class", "group", "leak", "duplicate", "alike", "note"]


class Problem(msgspec.Struct, frozen=True):
    """
    One line: what is wrong, where, and what to do.

    Attributes:
        kind: list = the label file; read = a picture or its labels; class, group = of the set as a whole; leak = near
            pictures in two splits or two groups; duplicate, alike = near pictures that are to be looked at; note.
        fatal: training would refuse, or figures would be false.
    """

    kind: Kind
    fatal: bool
    line: str


class Range(msgspec.Struct, frozen=True):
    """Smallest, middle and largest of some numbers."""

    least: float
    median: float
    most: float


class ClassCount(msgspec.Struct, frozen=True):
    """
    How much there is of one class; class_id 0 is sound.

    Attributes:
        images, groups: that show it, by split. A picture that shows two classes counts for both.
        independent: groups over all splits, those that share a near picture counted as one.
        provable: upper end of the 95 % interval of the miss rate (of the false rejects, for sound) if all of the test
            split's independent groups are judged right; about 3 / n. None where the test split has none.
        undrawn: images with a class and no mask.
        area_px, share: of the class in one image that shows it [px; of the image].
        areas_px: all of them, ascending.
    """

    class_id: int
    name: str
    images: dict[Split, int]
    groups: dict[Split, int]
    independent: int
    provable: float | None
    undrawn: int
    area_px: Range | None
    share: Range | None
    areas_px: tuple[int, ...]


class NearPair(msgspec.Struct, frozen=True):
    """Two pictures that look the same; *likeness* and *score* as in duplicates.Pair."""

    images: tuple[str, str]
    groups: tuple[str, str]
    splits: tuple[Split, Split]
    likeness: Literal["same", "near", "alike"]
    score: float

    @property
    def leaks(self) -> bool:
        """The set takes one thing for two."""
        return self.likeness != "alike" and self.groups[0] != self.groups[1]


class Assignment(msgspec.Struct, frozen=True):
    """Group and split that are proposed for one image."""

    image: str
    group: str
    split: Split


class Check(msgspec.Struct, frozen=True):
    """
    All that was found.

    Attributes:
        images, unreadable: listed; of these, those that cannot be used.
        sizes: "height x width" by how many images have it, most frequent first.
        height, width: of all readable images [px].
        empty_masks: sound images with a mask file in which nothing is marked.
        near: pairs that look the same, "alike" ones left out.
        alike: pairs that only look like all the others.
        proposal: a split without leaks; empty where the data's own has none.
    """

    dataset: str
    format: str
    images: int
    unreadable: int
    has_splits: bool
    sizes: dict[str, int]
    height: Range | None
    width: Range | None
    empty_masks: int
    classes: tuple[ClassCount, ...]
    problems: tuple[Problem, ...]
    near: tuple[NearPair, ...]
    alike: int
    proposal: tuple[Assignment, ...]

    @property
    def usable(self) -> bool:
        """Nothing found makes training refuse or figures false."""
        return not any(problem.fatal for problem in self.problems)
