"""Which parts are kept, decided from the verdict alone, so that the same verdict is always decided alike."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TypeAlias

from edge.archive.layout import KeepReason
from edge.records import Outcome, Verdict, View

Gates: TypeAlias = Mapping[str, Mapping[str, float]]
"""By camera, by class name: classifier probability above which a tile is segmented."""


def reason_to_keep(verdict: Verdict, gates: Gates, near_miss: float, pass_share: float) -> KeepReason | None:
    """
    Return why the part should be kept, None when it should not.

    Args:
        gates: of the recipe that decided; a camera or class that is not in it is never nearly missed.
        near_miss: a score above gate - near_miss is near.
        pass_share: random share of the other PASS parts, 0..1.
    """
    if verdict.outcome is Outcome.REJECT:
        return "reject"
    if verdict.outcome is Outcome.UNKNOWN:
        return "unknown"
    if any(_nearly_missed(view, gates.get(view.camera, {}), near_miss) for view in verdict.views):
        return "near_miss"
    return "sample" if _drawn(verdict) < pass_share else None


def _nearly_missed(view: View, gates: Mapping[str, float], near_miss: float) -> bool:
    """A defect that does not count, or a tile that was segmented or nearly."""
    return view.defects_total > 0 or any(
        score > gates[name] - near_miss for name, score in view.scores.items() if name in gates
    )


def _drawn(verdict: Verdict) -> float:
    """Return a number in 0..1 (1 excluded) that only the position decides: a test can know it, a part cannot."""
    digest = hashlib.sha256(f"{verdict.epoch}/{verdict.seq}".encode()).digest()
    # 53 bits: more would round up to 1.0, and pass_share = 1 must keep all.
    return (int.from_bytes(digest[:8], "big") >> 11) / (1 << 53)
