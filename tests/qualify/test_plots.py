"""Pictures of figures with their intervals."""

from __future__ import annotations

from pathlib import Path

import cv2

from tests.qualify.plots import compared
from training.figures.intervals import Estimate, Interval


def estimate(value: float | None, interval: Interval | None = None) -> Estimate:
    return Estimate(value=value, interval=interval, images=20, groups=9, confidence=0.95)


def test_a_picture_is_1000_px_wide(tmp_path: Path) -> None:
    """Whatever is known of the series: figures without an interval are drawn, places without a figure are left out."""
    known = [estimate(0.7, Interval(0.6, 0.8)), estimate(0.8), estimate(None)]
    series = {"one": known, "other": known[::-1]}
    compared(tmp_path / "new" / "p.png", series, ["10 %", "50 %", "100 %"], x="share", y="image AUROC", lines=True)
    picture = cv2.imread(str(tmp_path / "new" / "p.png"))
    assert picture is not None
    assert picture.shape[1] == 1000
