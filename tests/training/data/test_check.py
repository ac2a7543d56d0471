from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.surfaces import surface
from training.data.check import check, provable, range_of
from training.data.findings import Check, Problem
from training.data.hashes import fingerprint
from training.data.labels import MaskFile
from training.data.look import Fault, Look
from training.data.samples import Sample
from training.data.splits import SPLITS, Split

NAMES = ("scratch", "dent")


def look(name: str, image: NDArray[np.uint8], group: str, split: Split, areas: dict[int, int]) -> Look:
    class_ids = tuple(areas)
    sample = Sample(Path(name), MaskFile(None, class_ids, 2), group, split, class_ids, name=name)
    return Look(sample, image.shape[0], image.shape[1], areas, False, fingerprint(image))


def sound_set() -> list[Look]:
    """Return three groups of each class, one in each split, no two pictures alike."""
    return [
        look(f"p{k}", surface(k), f"g{k}", SPLITS[k // 3], {1: 40} if k % 3 == 1 else {2: 400} if k % 3 else {})
        for k in range(9)
    ]


def checked(looks: Sequence[Look | Fault], told: Sequence[Problem] = (), *, has_splits: bool = True) -> Check:
    return check("parts", "mono8", NAMES, looks, told, has_splits=has_splits, seed=3)


def lines(found: Check, kind: str) -> list[str]:
    return [problem.line for problem in found.problems if problem.kind == kind]


def test_a_set_without_fault_is_usable() -> None:
    """Nothing is wrong, nothing is proposed, and every class is counted by split."""
    found = checked(sound_set())
    assert found.usable
    assert found.problems == ()
    assert found.proposal == ()
    assert [each.images for each in found.classes] == [{"train": 1, "val": 1, "test": 1}] * 3
    assert [each.independent for each in found.classes] == [3, 3, 3]
    scratch = found.classes[1]
    assert scratch.area_px == range_of([40, 40, 40])
    assert scratch.share is not None
    assert scratch.share.most == pytest.approx(40 / (96 * 128))


def test_a_mirrored_training_picture_in_the_test_split_is_the_first_line() -> None:
    """A leak stands before any other fault, names pictures, groups and splits, and makes the set unusable."""
    mirrored = look("late", surface(0)[:, ::-1], "another", "test", {})
    broken = Fault(mirrored.sample, "broken.png: cut")
    found = checked([broken, *sound_set(), mirrored], [Problem("list", True, "line 7")])
    assert not found.usable
    assert found.problems[0].kind == "leak"
    for word in ("p0 (g0, train)", "late (another, test)", "over the splits train, test", "proposed split"):
        assert word in found.problems[0].line
    assert found.classes[0].independent == 3


def test_the_proposal_keeps_what_is_one_together() -> None:
    """Groups that share a picture get one name and one split."""
    found = checked([*sound_set(), look("late", surface(0)[::-1], "another", "test", {})])
    dealt = {each.image: each for each in found.proposal}
    assert len(dealt) == 10
    assert dealt["p0"].group == dealt["late"].group == "another"
    assert dealt["p0"].split == dealt["late"].split


def test_near_pictures_of_two_groups_in_one_split_count_as_one_thing() -> None:
    """They are a leak too: intervals by group would be too narrow."""
    found = checked([*sound_set(), look("late", surface(0)[::-1], "another", "train", {})])
    assert not found.usable
    assert "one thing counted as several" in lines(found, "leak")[0]


def test_near_pictures_of_one_group_are_as_they_should_be() -> None:
    """Exposures of one part in one group are no fault; equal pixels are worth a look."""
    again = replace(sound_set()[0].sample, name="again")
    same = replace(sound_set()[0], sample=again)
    found = checked([*sound_set(), same])
    assert found.usable
    assert [pair.likeness for pair in found.near] == ["same"]
    assert "p0 and again" in lines(found, "duplicate")[0]


def test_a_group_in_two_splits_is_named_and_a_split_proposed() -> None:
    """Each straddling group is a line of its own."""
    looks = sound_set()
    moved = [replace(each, sample=replace(each.sample, group=f"g{k % 6}")) for k, each in enumerate(looks)]
    found = checked(moved)
    assert len(lines(found, "group")) == 3
    assert found.proposal


def test_every_fault_is_a_line() -> None:
    """All faults are listed, whatever their number, with what the reader of the list found."""
    faults = [Fault(sound_set()[0].sample, f"p{k}.png: cut") for k in range(30)]
    found = checked([*sound_set(), *faults], [Problem("list", True, "line 7"), Problem("note", False, "3 left out")])
    assert lines(found, "read") == [f"p{k}.png: cut" for k in range(30)]
    assert found.unreadable == 30
    assert found.images == 39
    assert not found.usable


def test_a_set_without_a_split_gets_one() -> None:
    """Where the data bring no split, one is proposed, by whole groups."""
    found = checked(sound_set(), has_splits=False)
    assert {each.split for each in found.proposal} == set(SPLITS)


@pytest.mark.parametrize(
    ("keep", "line"),
    [
        (lambda look: look.sample.split != "val", "split 'val' is empty"),
        (lambda look: 2 not in look.areas_px, "class 'dent': no image shows it"),
        (lambda look: 2 not in look.areas_px or look.sample.split != "train", "'dent' is not in the split train"),
        (lambda look: 1 not in look.areas_px or look.sample.split == "train", "'scratch' has 1 independent group,"),
    ],
)
def test_what_is_missing_is_said(keep: object, line: str) -> None:
    """An empty split, a class without a picture or in training, and too few groups are lines of their own."""
    assert callable(keep)
    found = checked([each for each in sound_set() if keep(each)])
    assert any(line in each for each in lines(found, "class"))


@pytest.mark.parametrize(
    ("split", "sound", "line", "usable"),
    [
        ("val", True, "split 'val' has only sound images", False),
        ("test", True, "split 'test' has only sound images", True),
        ("val", False, "split 'val' has no sound image", True),
    ],
)
def test_a_split_of_one_kind_is_said(split: Split, sound: bool, line: str, usable: bool) -> None:
    """By sound pictures alone no epoch can be chosen; without them nothing is known of false alarms."""
    found = checked([each for each in sound_set() if each.sample.split != split or (each.areas_px == {}) == sound])
    assert any(line in each for each in lines(found, "class"))
    assert found.usable == usable


def test_a_mask_of_a_few_pixels_is_to_be_looked_at() -> None:
    """Too few pixels to teach the classifier are told, and do not make the set unusable."""
    found = checked([*sound_set(), look("speck", surface(20), "g20", "train", {1: 2})])
    assert found.usable
    assert "1 image mark fewer than 8 px" in lines(found, "class")[0]


def test_the_claim_is_the_rule_of_three() -> None:
    """No miss in n groups leaves about 3 / n open; in none, everything."""
    assert provable(0) is None
    assert provable(1) == pytest.approx(0.95)
    assert provable(300) == pytest.approx(3 / 300, rel=0.01)


def test_an_empty_set_is_checked_too() -> None:
    """With every picture broken, the check still says so."""
    found = checked([Fault(each.sample, "cut") for each in sound_set()])
    assert not found.usable
    assert found.height is None
    assert found.unreadable == 9
