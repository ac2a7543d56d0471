"""
Look a data set over before anything learns from it: what is there, what is wrong, and what it can prove.

The worst fault is the one that makes figures better: a picture in training that comes again, mirrored or from another
exposure, in the test split. So near pictures that the set takes for two things are fatal, whatever else is right.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from training.data.duplicates import Pair, find_pairs, joined_groups
from training.data.findings import Assignment, Check, ClassCount, Kind, NearPair, Problem, Range
from training.data.look import Fault, Look
from training.data.splits import SPLITS, Split, split_by_group
from training.data.windows import MIN_CORE_PX

CONFIDENCE = 0.95
FEW_GROUPS = 3
"""With fewer groups a class is missing from some split."""


def check(
    name: str,
    pixel_format: str,
    class_names: Sequence[str],
    looks: Sequence[Look | Fault],
    told: Iterable[Problem],
    *,
    has_splits: bool,
    seed: int,
    fixture: bool = False,
) -> Check:
    """
    Put together what was found.

    Args:
        name: of the data set.
        pixel_format: the pictures were read as this.
        class_names: name of class k at index k - 1.
        looks: at all samples, in their order.
        told: what the reader of the label file found wrong.
        has_splits: the splits are the data's own.
        seed: of a split that is proposed.
        fixture: all parts look alike, see duplicates.find_pairs().
    """
    usable = [look for look in looks if isinstance(look, Look)]
    faults = [look for look in looks if isinstance(look, Fault)]
    groups = [look.sample.group for look in usable]
    pairs = find_pairs([look.fingerprint for look in usable], groups, fixture=fixture)
    joined = joined_groups(groups, pairs)
    near = [_near_pair(pair, usable) for pair in pairs if pair.likeness != "alike"]
    classes = tuple(
        _class_count(class_id, each, usable, joined) for class_id, each in enumerate(["sound", *class_names])
    )
    alike = len(pairs) - len(near)
    problems = [
        *_leaks(near, joined),
        *(Problem("read", True, fault.line) for fault in faults),
        *told,
        *_straddling(usable),
        *_uneven_classes(classes),
        *_duplicates(near),
        *_lookalikes(alike),
    ]
    straddles = any(problem.kind == "group" and problem.fatal for problem in problems)
    needed = not has_splits or straddles or any(pair.leaks for pair in near)
    return Check(
        dataset=name,
        format=pixel_format,
        images=len(looks),
        unreadable=len(faults),
        has_splits=has_splits,
        sizes=dict(Counter(f"{look.height} x {look.width}" for look in usable).most_common()),
        height=range_of([look.height for look in usable]),
        width=range_of([look.width for look in usable]),
        empty_masks=sum(look.blank_mask for look in usable),
        classes=classes,
        problems=tuple(problems),
        near=tuple(near),
        alike=alike,
        proposal=tuple(_proposal(usable, joined, seed)) if needed else (),
    )


def range_of(numbers: Sequence[float]) -> Range | None:
    """Return smallest, median and largest; None of nothing."""
    if not numbers:
        return None
    return Range(float(min(numbers)), float(np.median(numbers)), float(max(numbers)))


def provable(groups: int) -> float | None:
    """
    Return the miss rate that cannot be excluded when none of *groups* was missed, at CONFIDENCE; None of nothing.

    Source: exact binomial interval for no event; the "rule of three", 3 / n, is its value for large n.
    """
    return None if groups == 0 else float(1.0 - (1.0 - CONFIDENCE) ** (1.0 / groups))


def _near_pair(pair: Pair, looks: Sequence[Look]) -> NearPair:
    first, second = looks[pair.first].sample, looks[pair.second].sample
    return NearPair(
        images=(first.name, second.name),
        groups=(first.group, second.group),
        splits=(first.split, second.split),
        likeness=pair.likeness,
        score=round(pair.score, 3),
    )


def _class_count(class_id: int, name: str, looks: Sequence[Look], joined: dict[str, str]) -> ClassCount:
    shown = [look for look in looks if class_id in (look.class_ids or (0,))]
    images: dict[Split, int] = dict.fromkeys(SPLITS, 0)
    groups: dict[Split, set[str]] = {split: set() for split in SPLITS}
    for look in shown:
        images[look.sample.split] += 1
        groups[look.sample.split].add(joined[look.sample.group])
    drawn = [(look.areas_px[class_id], look.height * look.width) for look in shown if class_id in look.areas_px]
    return ClassCount(
        class_id=class_id,
        name=name,
        images=images,
        groups={split: len(groups[split]) for split in SPLITS},
        independent=len(set().union(*groups.values())),
        provable=provable(len(groups["test"])),
        undrawn=sum(not look.sample.drawn for look in shown),
        area_px=range_of([area for area, _ in drawn]),
        share=range_of([area / whole for area, whole in drawn]),
        areas_px=tuple(sorted(area for area, _ in drawn)),
    )


def _leaks(near: Sequence[NearPair], joined: dict[str, str]) -> Iterator[Problem]:
    """One line for each set of groups that share pictures, those over two splits first."""
    by_joined: dict[str, list[NearPair]] = defaultdict(list)
    for pair in near:
        if pair.leaks:
            by_joined[joined[pair.groups[0]]].append(pair)
    lines: dict[bool, list[Problem]] = {True: [], False: []}
    for pairs in by_joined.values():
        splits = {split for pair in pairs for split in pair.splits}
        groups = sorted({group for pair in pairs for group in pair.groups})
        worst = max(pairs, key=lambda pair: (len(set(pair.splits)), pair.score))
        over = f"over the splits {', '.join(split for split in SPLITS if split in splits)}"
        line = (
            f"groups {_some(groups)} share {_counted(len(pairs), 'near-duplicate pair')}, "
            f"{over if len(splits) > 1 else 'one thing counted as several'}: {worst.images[0]} ({worst.groups[0]}, "
            f"{worst.splits[0]}) and {worst.images[1]} ({worst.groups[1]}, {worst.splits[1]}) score {worst.score:.2f}; "
            "give these groups one name, take the proposed split, or say --fixture if all parts look like this"
        )
        lines[len(splits) > 1].append(Problem("leak", True, line))
    yield from [*lines[True], *lines[False]]


def _straddling(looks: Sequence[Look]) -> Iterator[Problem]:
    splits: dict[str, set[Split]] = defaultdict(set)
    for look in looks:
        splits[look.sample.group].add(look.sample.split)
    for group, seen in splits.items():
        if len(seen) > 1:
            there = ", ".join(split for split in SPLITS if split in seen)
            line = (
                f"group '{group}' lies in the splits {there}; put the whole group into one, or take the proposed split"
            )
            yield Problem("group", True, line)


def _uneven_classes(classes: Sequence[ClassCount]) -> Iterator[Problem]:
    yield from _uneven_splits(classes)
    for each in classes:
        total = sum(each.images.values())
        if total == 0:
            yield _of_class(
                f"class '{each.name}': no image shows it; label some, or remove it", fatal=each.class_id > 0
            )
            continue
        if each.class_id and not each.images["train"]:
            yield _of_class(
                f"class '{each.name}' is not in the split train: nothing can learn it; move groups", fatal=True
            )
        specks = sum(area < MIN_CORE_PX for area in each.areas_px)
        if specks:
            yield _of_class(
                f"class '{each.name}': {_counted(specks, 'image')} mark fewer than {MIN_CORE_PX} px, too few to "
                "teach the classifier; a slip of the pen? correct the masks",
                fatal=False,
            )
        if each.independent < FEW_GROUPS:
            yield _of_class(
                f"class '{each.name}' has {_counted(each.independent, 'independent group')}, expected {FEW_GROUPS} or "
                "more: it is missing from some split; label more parts",
                fatal=False,
            )


def _uneven_splits(classes: Sequence[ClassCount]) -> Iterator[Problem]:
    for split in SPLITS:
        sound, bad = classes[0].images[split], sum(each.images[split] for each in classes[1:])
        if not sound + bad:
            yield _of_class(f"split '{split}' is empty; give it whole groups, or take the proposed split", fatal=True)
        elif not bad:
            yield _of_class(
                f"split '{split}' has only sound images: nothing is learned, chosen or proven by it; move groups with "
                "a defect there",
                fatal=split != "test",
            )
        elif not sound:
            yield _of_class(
                f"split '{split}' has no sound image: calibration needs some in val and test, and tiles of sound parts "
                "teach most about false alarms; move groups there",
                fatal=False,
            )


def _of_class(line: str, *, fatal: bool) -> Problem:
    return Problem("class", fatal, line)


def _duplicates(near: Sequence[NearPair]) -> Iterator[Problem]:
    same = [pair for pair in near if pair.likeness == "same" and not pair.leaks]
    for pair in same:
        kind: Kind = "duplicate"
        line = f"{pair.images[0]} and {pair.images[1]} (group {pair.groups[0]}) hold equal pixels; remove one of them"
        yield Problem(kind, False, line)


def _lookalikes(alike: int) -> Iterator[Problem]:
    if alike:
        yield Problem(
            "alike",
            False,
            f"{_counted(alike, 'pair')} of pictures in different groups look alike, but no more than all parts in this "
            "fixture do; if it is one part photographed often, the groups are wrong: look at the pictures",
        )


def _proposal(looks: Sequence[Look], joined: dict[str, str], seed: int) -> Iterator[Assignment]:
    groups = [joined[look.sample.group] for look in looks]
    common = Counter(class_id for look in looks for class_id in look.class_ids)
    strata = [min(look.class_ids, key=lambda class_id: common[class_id], default=0) for look in looks]
    for look, group, split in zip(looks, groups, split_by_group(groups, strata, seed), strict=True):
        yield Assignment(look.sample.name, group, split)


def _some(names: Sequence[str], most: int = 6) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
