"""
What a picture of a known target tells: millimetres per pixel, and whether one number can tell it. Pure.

A flat target, square to the camera, maps onto the picture by one scale and a turn. What that leaves unexplained has two
causes that are told apart: a tilt is explained by a homography, the distortion of a lens is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import DataError

Kind = Literal["chessboard", "circles"]

_FEWEST_PX = 50.0
"""Two points that are nearer give a scale worse than 2 %, each being off by half a pixel."""


@dataclass(frozen=True)
class Scale:
    """
    What was measured.

    Attributes:
        mm_per_px: the scale that areas and lengths go by: the root of what a pixel covers.
        x, y: along the rows and the columns of the picture; None where the target lies along one line.
        residual_px: root mean square of what one scale for each direction, a turn and a shear leave unexplained [px].
        flat_px: the same, of what a homography leaves: only a lens that distorts, or a target that is not flat.
        share: how much of the picture's width and height the target covers, the smaller of the two.
        target: what it was, for people.
    """

    mm_per_px: float
    x: float | None
    y: float | None
    residual_px: float | None
    flat_px: float | None
    share: tuple[float, float]
    target: str


def scale_from_grid(image: NDArray[np.uint8], kind: Kind, columns: int, rows: int, pitch_mm: float) -> Scale:
    """
    Measure the scale from a regular grid that fills a part of the picture.

    Args:
        image: (h, w) or (h, w, 3) uint8.
        kind: ``chessboard``: its inner corners are counted; ``circles``: dark ones on white, in rows and columns.
        columns, rows: of the grid, 3 or more each.
        pitch_mm: distance of two neighbours [mm].

    Raises:
        DataError: the grid is not found; says what to look at.

    Source: corners to a fraction of a pixel by localised Radon transforms (Duda, Frese: Accurate detection and
    localization of checkerboard corners for calibration, BMVC 2018), as OpenCV's findChessboardCornersSB has it.
    """
    grey = image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    points = _found(grey, kind, columns, rows)
    if points is None:
        what = f"{columns} x {rows} inner corners" if kind == "chessboard" else f"{columns} x {rows} dark circles"
        raise DataError(
            f"no {kind} of {what} in the picture ({grey.shape[1]}x{grey.shape[0]}): is all of it in view with a white "
            "rim, sharp, evenly lit, and counted right (a chessboard's inner corners, not its squares)?"
        )
    on_target = pitch_mm * np.array([(i % columns, i // columns) for i in range(columns * rows)], np.float64)
    return _fitted(points, on_target, grey.shape, f"{kind} {columns}x{rows}, {pitch_mm:g} mm")


def scale_from_points(
    one: tuple[float, float], other: tuple[float, float], distance_mm: float, shape: tuple[int, int]
) -> Scale:
    """
    Measure the scale from two points of the picture whose distance is known. It cannot tell a tilt or a distortion.

    Args:
        one, other: x, y [px].
        distance_mm: between them, in the plane of the parts.
        shape: height, width of the picture [px].

    Raises:
        DataError: they lie outside of the picture, or too close to each other.
    """
    height, width = shape
    for x, y in (one, other):
        if not (0 <= x <= width - 1 and 0 <= y <= height - 1):
            raise DataError(f"point {x:g}, {y:g} lies outside of the picture ({width}x{height})")
    across, down = abs(one[0] - other[0]), abs(one[1] - other[1])
    px = float(np.hypot(across, down))
    if px < _FEWEST_PX:
        raise DataError(f"the points are {px:.1f} px apart, expected {_FEWEST_PX:g} px or more: choose distant ones")
    return Scale(
        mm_per_px=distance_mm / px,
        x=None,
        y=None,
        residual_px=None,
        flat_px=None,
        share=(across / width, down / height),
        target=f"two points {px:.1f} px apart, {distance_mm:g} mm",
    )


def fault_of_scale(scale: Scale, tolerance: float, most_residual_px: float) -> str:
    """
    Return why one scale does not describe the picture, empty when it does.

    Args:
        tolerance: by which share of it the scales along rows and columns may differ.
        most_residual_px: root mean square that may be left unexplained [px].
    """
    if scale.x is None or scale.y is None or scale.residual_px is None or scale.flat_px is None:
        return ""
    apart = abs(scale.x / scale.y - 1)
    if apart > tolerance:
        return (
            f"{scale.x:.5g} mm/px along the rows and {scale.y:.5g} along the columns differ by {apart:.1%}, expected "
            f"{tolerance:.1%} or less: the camera or the target is tilted (set them square to each other), or, of a "
            "line camera, its rate does not fit the belt"
        )
    if scale.residual_px > most_residual_px:
        left = f"{scale.residual_px:.2f} px are left unexplained, expected {most_residual_px:g} px or less"
        if scale.flat_px <= most_residual_px:
            return f"{left}: a tilt would explain them: set the camera square to the target"
        return f"{left}: the lens distorts, or the target is not flat; use another lens, or the middle of its picture"
    return ""


def _found(grey: NDArray[np.uint8], kind: Kind, columns: int, rows: int) -> NDArray[np.float64] | None:
    """Return the grid's points, row by row; (columns * rows, 2) x, y [px]."""
    if kind == "chessboard":
        flags = cv2.CALIB_CB_EXHAUSTIVE | cv2.CALIB_CB_ACCURACY | cv2.CALIB_CB_NORMALIZE_IMAGE
        found, points = cv2.findChessboardCornersSB(grey, (columns, rows), flags=flags)
    else:
        found, points = cv2.findCirclesGrid(grey, (columns, rows), flags=cv2.CALIB_CB_SYMMETRIC_GRID)
    return np.asarray(points, np.float64).reshape(-1, 2) if found else None


def _fitted(points: NDArray[np.float64], on_target: NDArray[np.float64], shape: tuple[int, ...], target: str) -> Scale:
    known = np.column_stack([on_target, np.ones(len(on_target))])
    affine, *_ = np.linalg.lstsq(known, points, rcond=None)
    # How far one goes on the target, in x and y, for a step of a pixel along a row and along a column.
    mm = np.linalg.inv(affine[:2])
    homography, _ = cv2.findHomography(on_target, points)
    flat = cv2.perspectiveTransform(on_target.reshape(-1, 1, 2), homography).reshape(-1, 2)
    low, high = points.min(axis=0), points.max(axis=0)
    return Scale(
        mm_per_px=float(np.sqrt(abs(np.linalg.det(mm)))),
        x=float(np.linalg.norm(mm[0])),
        y=float(np.linalg.norm(mm[1])),
        residual_px=_rms(points - known @ affine),
        flat_px=_rms(points - flat),
        share=(float(high[0] - low[0]) / shape[1], float(high[1] - low[1]) / shape[0]),
        target=target,
    )


def _rms(offsets: NDArray[np.float64]) -> float:
    """Return the root mean square length of (n, 2) offsets."""
    return float(np.sqrt((offsets**2).sum(axis=1).mean()))
