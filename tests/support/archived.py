"""Parts to be kept, small and unlike each other."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.archive import KeepReason, KeptPart, KeptView
from edge.records import VERSION, Defect, Mode, Outcome, Reason, Verdict, View
from edge.wire import payload_from_labels

CLASS_NAMES = ("bright", "dark")
GATES = {"cam1": {"bright": 0.5, "dark": 0.4}}
HOUR_US = 3_600_000_000
NOON_US = 1_795_348_800_000_000
"""2026-11-22 12:00 UTC."""


def view(**changes: Any) -> View:
    values: dict[str, Any] = {
        "camera": "cam1",
        "frame": 1,
        "source": "1",
        "outcome": Outcome.PASS,
        "reason": None,
        "defects": (),
        "defects_total": len(changes.get("defects", ())),
        "scores": dict.fromkeys(CLASS_NAMES, 0.125),
        "tiles": 7,
        "segmented": 0,
        "timings_us": {},
        "brightness": 120.0,
        "sharpness": 40.0,
        "mask": None,
    }
    return View(**{**values, **changes})


def verdict(seq: int, outcome: Outcome = Outcome.PASS, **changes: Any) -> Verdict:
    reason = Reason.LATE if outcome is Outcome.UNKNOWN else None
    values: dict[str, Any] = {
        "version": VERSION,
        "station": "line1",
        "epoch": 5,
        "seq": seq,
        "part": seq,
        "part_id": None,
        "tag": None,
        "mode": Mode.PRODUCTION,
        "outcome": outcome,
        "reason": reason,
        "detail": "",
        "stage": None,
        "views": (view(outcome=outcome, reason=reason),),
        "recipe": None,
        "bundle_hash": "",
        "trigger_us": 1_000,
        "deadline_us": 101_000,
        "published_us": 9_000,
        "utc_us": NOON_US + seq,
        "timings_us": {},
        "journaled": True,
        "replayed": False,
        "complete": True,
    }
    return Verdict(**{**values, **changes})


def defect(*, counts: bool) -> Defect:
    return Defect(
        class_id=1,
        name="bright",
        area_px=12,
        area_mm2=None,
        box=(3, 4, 5, 6),
        centroid=(5.0, 6.5),
        peak=0.8,
        cut=False,
        counts=counts,
    )


def pixels(seq: int, height: int = 40, width: int = 60) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return (image, labels), both (height, width): noise with a bright square, labelled 1, that moves with *seq*."""
    image = np.random.default_rng(seq).integers(90, 110, (height, width), np.uint8)
    labels = np.zeros((height, width), np.uint8)
    place = (slice(seq % 20, seq % 20 + 10), slice(8, 20))
    image[place], labels[place] = 220, 1
    return image, labels


def kept_view(seq: int, camera: str = "cam1") -> KeptView:
    image, labels = pixels(seq)
    encoding, payload = payload_from_labels(labels)
    return KeptView(camera, image, encoding, payload)


def kept_part(seq: int, reason: KeepReason = "reject", *, with_pixels: bool = True, **changes: Any) -> KeptPart:
    outcomes: dict[KeepReason, Outcome] = {"reject": Outcome.REJECT, "unknown": Outcome.UNKNOWN}
    record = msgspec.json.encode(verdict(seq, outcomes.get(reason, Outcome.PASS), **changes))
    return KeptPart(reason, record, (kept_view(seq),) if with_pixels else ())
