"""Masters against what the station said of them: were they shown, just now, and judged as they must be? Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge.records import Outcome, Verdict
from edge.requests import Judged, Shown
from edge.settings import Master

SEPARATOR = "@"
"""Between a master's name and what makes its part id unique: a part is called a master before it is judged."""

FRESH_US = 30 * 60 * 1_000_000
"""Parts that were triggered longer ago prove nothing of the station as it is now."""


def name_of(verdict: Verdict) -> str:
    """Return which master a part was said to be before it was judged; empty = none."""
    name, separator, _ = (verdict.part_id or "").partition(SEPARATOR)
    return name if separator else ""


def fault_of_shown(
    shown: Sequence[Shown],
    masters: Sequence[Master],
    seats: Sequence[Sequence[str]],
    verdicts: Mapping[int, Verdict],
    now_us: int,
    recipe_hash: str,
    bundle_hash: str,
) -> str:
    """
    Return why these parts are no challenge, empty when they are one, passed or not.

    Args:
        seats: the station's cameras, by those that see a part together: each of them must have seen each master.
        verdicts: the station's own, of parts of mode challenge that no challenge has named yet, by part number.
        now_us: monotonic.
        recipe_hash, bundle_hash: what parts are judged by now.
    """
    names = sorted(part.name for part in shown)
    expected = sorted(master.name for master in masters for _ in seats)
    if names != expected:
        once = "once" if len(seats) == 1 else f"once before each of {_words(seats)}"
        return f"parts are {', '.join(names)}: expected each master of the settings {once}: {', '.join(expected)}"
    if len({part.part for part in shown}) != len(shown):
        return "one part was named as two masters: show each of them"
    faults = [_fault_of_part(part, verdicts.get(part.part), now_us, recipe_hash, bundle_hash) for part in shown]
    faults += [_fault_of_seats(master.name, shown, seats, verdicts) for master in masters if not any(faults)]
    return next((fault for fault in faults if fault), "")


def _fault_of_seats(
    name: str, shown: Sequence[Shown], seats: Sequence[Sequence[str]], verdicts: Mapping[int, Verdict]
) -> str:
    """Return which cameras have not seen a master; a lamp or lens that was not looked through may be dead."""
    seen = [{view.camera for view in verdicts[part.part].views} for part in shown if part.name == name]
    missing = [seat for seat in seats if set(seat) not in seen]
    if not missing:
        return ""
    by = ", ".join(sorted(set().union(*seen))) or "none"
    return f"'{name}' was seen by camera {by}, not by {_words(missing)}: show it there too"


def _words(seats: Sequence[Sequence[str]]) -> str:
    return ", ".join(" and ".join(seat) for seat in seats)


def _fault_of_part(shown: Shown, verdict: Verdict | None, now_us: int, recipe_hash: str, bundle_hash: str) -> str:
    where = f"part {shown.part} as '{shown.name}'"
    if verdict is None:
        return (
            f"{where}: no such part of mode challenge was judged since the last challenge, and since inspector and "
            "cameras were opened; show it"
        )
    if name_of(verdict) != shown.name:
        return (
            f"{where}: its part_id was '{verdict.part_id}': expected {shown.name}{SEPARATOR}... when it was triggered"
        )
    if now_us - verdict.trigger_us > FRESH_US:
        return f"{where}: it was shown more than {FRESH_US // 60_000_000} min ago; show all of them again"
    recipe = "" if verdict.recipe is None else verdict.recipe.hash
    if (recipe, verdict.bundle_hash) != (recipe_hash, bundle_hash):
        return f"{where}: it was judged by another recipe or bundle than is active now; show all of them again"
    return ""


def judged(master: Master, verdict: Verdict) -> Judged:
    """Return what the station said of a master, and whether that is right."""
    counting = {defect.name for view in verdict.views for defect in view.defects if defect.counts}
    right = verdict.outcome.value == master.expect and (master.defect is None or master.defect in counting)
    return Judged(
        name=master.name,
        part=verdict.part,
        expected=Outcome(master.expect),
        defect=master.defect,
        outcome=verdict.outcome,
        reason=verdict.reason,
        found=tuple(sorted(counting)),
        right=right,
    )
