"""The endless strip: frame *number* of *seed*, the same whatever was asked before."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigurationError
from edge.synthetic.defects import Span, draw_defects
from edge.synthetic.marks import draw_marks
from edge.synthetic.texture import MEAN, make_sheets

GROUP_FRAMES = 10
"""So many frames in a row share surface, light and edge; data sets are split between groups, never within one."""
EDGE_SHARE = 0.3
"""Share of the groups that show the strip's edge and the black void beside it."""

# One stream of random numbers a purpose, so that drawing more of one thing never moves another.
_SHEETS, _GROUP, _MARKS, _DEFECTS = range(4)


@dataclass(frozen=True)
class SyntheticFrame:
    """
    Attributes:
        image: (h, w) uint8 grey levels.
        labels: (h, w) uint8, 0 = sound, k = CLASS_NAMES[k - 1].
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]


class Strip:
    """
    A steel strip seen by a line-scan camera.

    A frame is a pure function of (seed, defect_share, height, width, number): equal to the bit on one machine and
    version of OpenCV. Where the vector unit rounds otherwise, about two pixels in 100,000 differ by one or two grey
    levels.
    """

    def __init__(self, seed: int = 7, defect_share: float = 0.1, height: int = 256, width: int = 1600) -> None:
        """
        Make the texture sheets (under a second for 256 x 1600).

        Args:
            seed: 0..2**63-1; another seed is another strip.
            defect_share: share of the frames with at least one defect, 0..1.
            height, width: size of a frame [px], at least 64 each.

        Raises:
            ConfigurationError: an argument is out of its bounds.
        """
        if not 0 <= seed < 2**63:
            raise ConfigurationError(f"synthetic strip: seed {seed} is outside 0..2**63-1; choose another")
        if not 0.0 <= defect_share <= 1.0:
            raise ConfigurationError(f"synthetic strip: defect_share {defect_share} is outside 0..1; choose another")
        if min(height, width) < 64:
            raise ConfigurationError(
                f"synthetic strip: {height}x{width} px (height x width) is below 64x64; enlarge it"
            )
        self.seed, self.defect_share, self.height, self.width = seed, defect_share, height, width
        sheet = (height + min(4 * height, 1024), width + min(width // 2, 800))
        self._sheets = make_sheets(self._stream(_SHEETS, 0), *sheet)

    def frame(self, number: int) -> SyntheticFrame:
        """Return frame *number* >= 0 in fresh arrays."""
        image, span = self._sound(number)
        rng = self._stream(_DEFECTS, number)
        if rng.random() < self.defect_share:
            return SyntheticFrame(image, draw_defects(image, span, self._sheets.relief, rng))
        return SyntheticFrame(image, np.zeros_like(image))

    def sound_image(self, number: int) -> NDArray[np.uint8]:
        """Return (h, w) uint8: frame *number* as it would be without its defects, in a fresh array."""
        return self._sound(number)[0]

    def _stream(self, purpose: int, number: int) -> np.random.Generator:
        # The purpose is the highest word of Philox' 256-bit counter: the streams of one key never meet.
        key = np.array([self.seed, number], np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=np.array([0, 0, 0, purpose], np.uint64)))

    def _sound(self, number: int) -> tuple[NDArray[np.uint8], Span]:
        group, step = divmod(number, GROUP_FRAMES)
        shared, own = self._stream(_GROUP, group), self._stream(_MARKS, number)
        image = self._surface(shared, own, step)
        draw_marks(image, own)
        return image, self._cut_edge(image, shared, step)

    def _surface(self, shared: np.random.Generator, own: np.random.Generator, step: int) -> NDArray[np.uint8]:
        """Crop the group's surface at this step, add grain and light it."""
        sheets, weight = self._sheets, float(shared.uniform(0.15, 0.5))
        surface = sheets.surfaces[int(shared.integers(len(sheets.surfaces)))]
        free_y, free_x = sheets.height - self.height, sheets.width - self.width
        top = int(shared.integers(free_y + 1)) + step * self.height
        base = self._crop(surface, top % (free_y + 1), int(shared.integers(free_x + 1)))
        if shared.random() < 0.5:
            base = np.asarray(cv2.flip(base, 1), np.uint8)
        grain = self._crop(sheets.grain, int(own.integers(free_y + 1)), int(own.integers(free_x + 1)))
        image = cv2.addWeighted(base, 1.0, grain, weight, -MEAN * weight)
        return np.asarray(cv2.multiply(image, self._light(shared, own), scale=1.0 / MEAN), np.uint8)

    def _light(self, shared: np.random.Generator, own: np.random.Generator) -> NDArray[np.uint8]:
        """(h, w) uint8 factors, 128 = 1: uneven across the width, nearly even along the strip."""
        level = float(np.exp(shared.uniform(np.log(50), np.log(130))))
        across = np.cumsum(shared.normal(0, 0.19, 9)) + shared.uniform(-0.5, 0.5) * np.linspace(-1, 1, 9)
        along = own.normal(0, 0.03, (3, 1))
        factors = level * np.clip(np.exp(across - across.mean() + along), 0.55, 1.7)
        coarse = np.clip(factors, 32, 190).astype(np.uint8)
        return np.asarray(cv2.resize(coarse, (self.width, self.height), interpolation=cv2.INTER_LINEAR), np.uint8)

    def _crop(self, sheet: NDArray[np.uint8], top: int, left: int) -> NDArray[np.uint8]:
        return sheet[top : top + self.height, left : left + self.width]

    def _cut_edge(self, image: NDArray[np.uint8], shared: np.random.Generator, step: int) -> Span:
        """Blacken what lies beside the strip, if this group shows its edge; return where the strip lies."""
        left, right = np.zeros(self.height, np.int32), np.full(self.height, self.width, np.int32)
        seen, on_left, void, slant = (
            shared.random(),
            shared.random() < 0.5,
            shared.uniform(0.04, 0.6),
            shared.normal(0, 3),
        )
        if seen < EDGE_SHARE:
            # The edge runs on from frame to frame: the slant is in px a frame.
            rows = np.arange(self.height) / self.height + step
            edge = np.clip(np.rint(void * self.width + slant * rows), 8, 0.7 * self.width).astype(np.int32)
            left, right = (edge, right) if on_left else (left, self.width - edge)
            _blacken(image, edge, on_left)
        return left, right


def _blacken(image: NDArray[np.uint8], edge: NDArray[np.int32], on_left: bool) -> None:
    """Fill the first edge[y] px of row y with black (the last, unless on_left), with a dark rim inside the strip."""
    view = image if on_left else image[:, ::-1]
    start, stop = max(0, int(edge.min()) - 1), min(view.shape[1], int(edge.max()) + 28)
    view[:, :start] = view[:, :start] >> 6
    zone = view[:, start:stop]
    depth = np.arange(start, stop) - edge[:, np.newaxis]
    rim = np.clip(0.45 + 0.55 * depth / 22.0, 0.0, 1.0) + 0.5 * np.exp(-(((depth - 5) / 2.0) ** 2))
    zone[:] = np.where(depth < 0, zone >> 6, np.clip(zone * rim, 0, 255)).astype(np.uint8)
