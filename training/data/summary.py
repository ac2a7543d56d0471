"""The tables of ``edge-train data check``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from training.data.findings import Check, ClassCount, Range
from training.data.splits import SPLITS

MOST_SIZES = 5


def show_check(check: Check, console: Console) -> None:
    """Print what is there, what it can prove, and every problem on a line of its own, the worst first."""
    console.print(_overview(check))
    console.print(_counts(check.classes))
    console.print(_areas(check.classes))
    console.print(_claims(check.classes))
    if check.proposal:
        console.print(_proposed(check))
    for problem in check.problems:
        style, word = ("bold red", "WRONG") if problem.fatal else ("yellow", "look at")
        word = "LEAK" if problem.kind == "leak" else "note" if problem.kind == "note" else word
        console.print(Text(f"{word}: ", style) + Text(problem.line, "default"), soft_wrap=True)
    fatal = sum(problem.fatal for problem in check.problems)
    verdict = Text("usable", "bold green") if check.usable else Text(f"not usable: {fatal} faults", "bold red")
    console.print(Text(f"{check.dataset}: ") + verdict)


def _overview(check: Check) -> Table:
    table = Table("what", "how much", title=f"{check.dataset}, read as {check.format}", title_justify="left")
    near = Counter(pair.likeness for pair in check.near)
    leaking = [pair for pair in check.near if pair.leaks]
    sizes = ", ".join(f"{count} of {size}" for size, count in list(check.sizes.items())[:MOST_SIZES])
    more = f", {len(check.sizes) - MOST_SIZES} further sizes" if len(check.sizes) > MOST_SIZES else ""
    table.add_row("images listed / not usable", f"{check.images} / {check.unreadable}")
    table.add_row("height, width (px): least / median / most", f"{_range(check.height)}, {_range(check.width)}")
    table.add_row("sizes (height x width)", sizes + more)
    table.add_row("split", "the data's own" if check.has_splits else "none in the data; dealt by --seed")
    table.add_row("sound images with an empty mask", str(check.empty_masks))
    table.add_row("pairs with equal pixels / nearly the same", f"{near['same']} / {near['near']}")
    table.add_row(
        "of them in two groups / in two splits",
        f"{len(leaking)} / {sum(len(set(pair.splits)) > 1 for pair in leaking)}",
    )
    table.add_row("pairs that look alike as all parts do", str(check.alike))
    return table


def _counts(classes: Sequence[ClassCount]) -> Table:
    table = Table("class", title="images (independent groups)", title_justify="left")
    for column in (*SPLITS, "all"):
        table.add_column(column, justify="right")
    for each in classes:
        cells = [f"{each.images[split]} ({each.groups[split]})" for split in SPLITS]
        table.add_row(f"{each.class_id} {each.name}", *cells, f"{sum(each.images.values())} ({each.independent})")
    return table


def _areas(classes: Sequence[ClassCount]) -> Table:
    table = Table("class", title="marked area in an image: least / median / most", title_justify="left")
    for column in ("px", "% of the image", "no mask"):
        table.add_column(column, justify="right")
    for each in classes:
        if each.class_id:
            percent = None if each.share is None else [100 * share for share in _three(each.share)]
            shares = "-" if percent is None else " / ".join(f"{share:.2g}" for share in percent)
            table.add_row(each.name, _range(each.area_px), shares, str(each.undrawn))
    return table


def _claims(classes: Sequence[ClassCount]) -> Table:
    title = "what the test split can prove if nothing in it goes wrong (95 %; about 3 / independent groups)"
    table = Table("class", title=title, title_justify="left")
    table.add_column("groups", justify="right")
    table.add_column("at best")
    for each in classes:
        what = "false rejects" if each.class_id == 0 else "escapes"
        claim = "nothing" if each.provable is None else f"fewer than {100 * each.provable:.2g} % {what}"
        table.add_row(each.name, str(each.groups["test"]), claim)
    return table


def _proposed(check: Check) -> Table:
    title = "proposed split: whole groups, those that share a picture joined (--write-split FILE)"
    table = Table("split", title=title, title_justify="left")
    for column in ("images", "groups"):
        table.add_column(column, justify="right")
    for split in SPLITS:
        dealt = [each for each in check.proposal if each.split == split]
        table.add_row(split, str(len(dealt)), str(len({each.group for each in dealt})))
    return table


def _three(numbers: Range) -> tuple[float, float, float]:
    return numbers.least, numbers.median, numbers.most


def _range(numbers: Range | None) -> str:
    return "-" if numbers is None else " / ".join(f"{number:.0f}" for number in _three(numbers))
