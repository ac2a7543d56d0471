"""Builders of records with sensible values; a test names only what it is about."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.inspector.link import ViewResult
from edge.records import (
    Audit,
    AuditEvent,
    Defect,
    MaskHeader,
    MaskReference,
    Mode,
    Outcome,
    PictureHeader,
    Reason,
    Status,
    Verdict,
    View,
)
from edge.rules import ClassLimits, Recipe
from edge.wire import payload_from_labels, sha256
from engines.contract import DefectClass, Limit, Manifest, Provenance, Rule, Scale, TileShape

CLASS_NAMES = ("pits", "cracks")
TILE = TileShape(core_height=16, core_width=16, halo=4)


def manifest(**changes: Any) -> Manifest:
    """Return a manifest of two classes and small tiles; no files."""
    values: dict[str, Any] = {
        "schema": 1,
        "name": "test",
        "version": "1",
        "release": 1,
        "format": "mono8",
        "tile": TILE,
        "pad_value": 7,
        "classes": tuple(defect_class(name) for name in CLASS_NAMES),
        "max_tiles": 8,
        "opset": 19,
        "precision": "fp32",
        "provenance": Provenance(
            dataset="none",
            dataset_sha256="0" * 64,
            classifier_checkpoint_sha256="0" * 64,
            segmenter_checkpoint_sha256="0" * 64,
            made_with={},
        ),
        "reference": (),
        "files": {},
        "scale": None,
    }
    return Manifest(**{**values, **changes})


def defect_class(name: str) -> DefectClass:
    return DefectClass(
        name=name,
        gate=Limit(default=0.5, low=0.1, high=0.9),
        threshold=Limit(default=0.5, low=0.2, high=0.8),
        rule=Rule(
            min_area_px=Limit(default=4, low=1, high=1000),
            min_peak=Limit(default=0.5, low=0.1, high=1.0),
            max_count=Limit(default=0, low=0, high=3),
        ),
    )


def scale(mm_per_px: float, tolerance: float) -> Scale:
    return Scale(mm_per_px=mm_per_px, tolerance=tolerance)


def limits(name: str, **changes: Any) -> ClassLimits:
    values: dict[str, Any] = {"gate": 0.5, "threshold": 0.5, "min_area_px": 1.0, "min_peak": 0.0, "max_count": 0}
    return ClassLimits(name=name, **{**values, **changes})


def recipe(*classes: ClassLimits, mm_per_px: float | None = None) -> Recipe:
    """Return a recipe under which every pixel counts, unless *classes* say otherwise."""
    return Recipe(classes=classes or tuple(limits(name) for name in CLASS_NAMES), mm_per_px=mm_per_px)


def defect(**changes: Any) -> Defect:
    values: dict[str, Any] = {
        "class_id": 1,
        "name": CLASS_NAMES[0],
        "area_px": 12,
        "area_mm2": None,
        "box": (3, 4, 5, 6),
        "centroid": (5.0, 6.5),
        "peak": 0.8,
        "cut": False,
        "counts": True,
    }
    return Defect(**{**values, **changes})


def view(**changes: Any) -> View:
    values: dict[str, Any] = {
        "camera": "cam1",
        "frame": 1,
        "source": "1",
        "outcome": Outcome.PASS,
        "reason": None,
        "defects": (),
        "defects_total": len(changes.get("defects", ())),
        "scores": {"pits": 0.25, "cracks": 0.125},
        "tiles": 7,
        "segmented": 0,
        "timings_us": {"classify": 900},
        "brightness": None,
        "sharpness": None,
        "mask": None,
    }
    return View(**{**values, **changes})


def verdict(seq: int, **changes: Any) -> Verdict:
    values: dict[str, Any] = {
        "version": 1,
        "station": "line1",
        "epoch": 5,
        "seq": seq,
        "part": seq,
        "part_id": None,
        "tag": None,
        "mode": Mode.PRODUCTION,
        "outcome": Outcome.PASS,
        "reason": None,
        "detail": "",
        "stage": None,
        "views": (view(),),
        "recipe": None,
        "bundle_hash": "",
        "trigger_us": 1_000,
        "deadline_us": 101_000,
        "published_us": 9_000,
        "utc_us": 1_700_000_000_000_000,
        "timings_us": {"publish": 40},
        "journaled": False,
        "replayed": False,
        "complete": True,
    }
    return Verdict(**{**values, **changes})


def unknown(seq: int, reason: Reason, detail: str = "why") -> Verdict:
    views = (view(outcome=Outcome.UNKNOWN, reason=reason),)
    return verdict(seq, outcome=Outcome.UNKNOWN, reason=reason, detail=detail, views=views, complete=False)


def reject(seq: int, **changes: Any) -> Verdict:
    views = (view(outcome=Outcome.REJECT, defects=(defect(),)),)
    return verdict(seq, **{"outcome": Outcome.REJECT, "views": views, **changes})


def status(seq: int, **changes: Any) -> Status:
    values: dict[str, Any] = {
        "version": 1,
        "station": "line1",
        "epoch": 5,
        "seq": seq,
        "journaled_seq": seq,
        "state": "ready",
        "ready": True,
        "detail": "inspecting",
        "alarms": (),
        "recipe": None,
        "paused": None,
        "challenge": None,
        "inspector": 1,
        "triggers": seq,
        "counts": {"PASS": seq, "UNKNOWN": 0, "REJECT": 0},
        "unknown": {},
        "open": 0,
        "cameras": (),
        "start_ms": {},
        "sent_us": 1,
        "utc_us": 2,
    }
    return Status(**{**values, **changes})


def audit(**changes: Any) -> Audit:
    values: dict[str, Any] = {
        "version": 1,
        "station": "line1",
        "epoch": 5,
        "part": None,
        "event": AuditEvent.CAMERA_LOST,
        "detail": "unplugged",
        "outcome": None,
        "sent_us": 1,
    }
    return Audit(**{**values, **changes})


def mask(seq: int, labels: NDArray[np.uint8], **changes: Any) -> tuple[MaskHeader, bytes]:
    """Return the header and the payload that belong together."""
    encoding, payload = payload_from_labels(labels)
    values: dict[str, Any] = {
        "version": 1,
        "station": "line1",
        "camera": "cam1",
        "epoch": 5,
        "seq": seq,
        "part": seq,
        "source": f"{seq}.png",
        "height": labels.shape[0],
        "width": labels.shape[1],
        "encoding": encoding,
        "class_names": CLASS_NAMES,
        "sha256": sha256(payload),
        "complete": True,
    }
    return MaskHeader(**{**values, **changes}), payload


def picture_header(seq: int, height: int, width: int, **changes: Any) -> PictureHeader:
    values: dict[str, Any] = {
        "version": 1,
        "station": "line1",
        "camera": "cam1",
        "epoch": 5,
        "seq": seq,
        "part": seq,
        "outcome": Outcome.PASS,
        "source": f"{seq}.png",
        "height": height,
        "width": width,
        "encoding": "jpeg",
    }
    return PictureHeader(**{**values, **changes})


def result(**changes: Any) -> ViewResult:
    """Return what an inspector found in one view: a PASS without a mask, unless *changes* say otherwise."""
    values: dict[str, Any] = {
        "inspector": 1,
        "part": 1,
        "camera": "cam1",
        "outcome": Outcome.PASS,
        "reason": None,
        "detail": "",
        "defects": (),
        "defects_total": len(changes.get("defects", ())),
        "scores": {"pits": 0.5},
        "tiles": 7,
        "segmented": 2,
        "stage": None,
        "timings_us": {"tile": 3, "classify": 900},
        "brightness": 120.0,
        "sharpness": 55.5,
        "height": 40,
        "width": 50,
        "encoding": "runs",
        "mask": None,
        "payload": b"",
        "sent_us": 5,
    }
    return ViewResult(**{**values, **changes})


def mask_reference(**changes: Any) -> MaskReference:
    values: dict[str, Any] = {"bytes": 10, "sha256": "0" * 64, "complete": True, "sent": True}
    return MaskReference(**{**values, **changes})
