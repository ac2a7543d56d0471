"""Pictures of targets whose scale is known exactly."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SQUARE_PX = 40


def chessboard(
    columns: int, rows: int, transform: NDArray[np.float64] | None = None, size: tuple[int, int] = (500, 700)
) -> NDArray[np.uint8]:
    """Return a slightly soft picture, (height, width) = *size*, of a board with so many inner corners."""
    board = np.full(((rows + 3) * SQUARE_PX, (columns + 3) * SQUARE_PX), 255, np.uint8)
    for row in range(1, rows + 2):
        for column in range(1 + row % 2, columns + 2, 2):
            top, left = row * SQUARE_PX, column * SQUARE_PX
            board[top : top + SQUARE_PX, left : left + SQUARE_PX] = 20
    matrix = np.eye(3) if transform is None else transform
    seen = cv2.warpPerspective(board, matrix, size[::-1], borderValue=255.0, flags=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(seen, (0, 0), 1.0), np.uint8)


def barrel(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the picture as a lens shows it that distorts."""
    height, width = image.shape
    camera = np.array([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1.0]])
    return np.asarray(cv2.undistort(image, camera, np.array([0.25, 0.0, 0.0, 0.0])), np.uint8)


def circles(columns: int, rows: int, pitch_px: int = 60) -> NDArray[np.uint8]:
    image = np.full(((rows + 2) * pitch_px, (columns + 2) * pitch_px), 255, np.uint8)
    for row in range(1, rows + 1):
        for column in range(1, columns + 1):
            cv2.circle(image, (column * pitch_px, row * pitch_px), 15, 20, -1, cv2.LINE_AA)
    return image
