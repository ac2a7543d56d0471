"""engines.page: a parity report that a person can look at."""

from __future__ import annotations

import re
from base64 import b64decode
from pathlib import Path

import cv2
import numpy as np

from edge.bundle import read_bundle
from edge.inspector.backend import BackendSettings, open_engine
from edge.inspector.parity import measure_parity
from engines.contract import TILES
from engines.page import WORST, page_from_report, worst_frames


def test_page_stands_alone_and_shows_what_is_wrong(tiny_bundle: Path) -> None:
    """Problems, facts, layers and the worst frames are in it as text and pictures; nothing is fetched or runs."""
    bundle = read_bundle(tiny_bundle)
    with (
        open_engine(BackendSettings(), bundle.classifier, TILES, (1, 4)) as classifier,
        open_engine(BackendSettings(), bundle.segmenter, TILES, (1, 4)) as segmenter,
    ):
        report = measure_parity(bundle, classifier, segmenter)
        pictures = worst_frames(bundle, report, segmenter)
    page = page_from_report(
        report, ["IoU 0.5 <expected> more"], {"machine": "a & b"}, pictures, [("deep", 0.5)], [("node_conv2d_3", 0.25)]
    )
    assert "IoU 0.5 &lt;expected&gt; more" in page
    assert "a &amp; b" in page
    assert "--keep node_conv2d_3" in page
    assert 'src="http' not in page
    assert "<script" not in page
    shown = [b64decode(data) for data in re.findall(r"base64,([A-Za-z0-9+/=]+)", page)]
    assert len(shown) == min(WORST, len(report.frames))
    assert all(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR) is not None for png in shown)
    assert all(frame.name in page for frame in report.frames)
