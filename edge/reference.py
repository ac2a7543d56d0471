"""Reference frames of a bundle, decoded: a picture each, and PyTorch's answers."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.bundle import Bundle
from edge.errors import BundleError
from edge.tiles import Grid
from engines.contract import ReferenceFrame


@dataclass(frozen=True)
class Reference:
    """
    A reference frame with PyTorch's answers.

    Attributes:
        name: as in the manifest.
        image: (h, w, C) uint8.
        scores: (T, K) float32, for all T tiles of the frame's own grid.
        planes: (K, h, w) float32, the probability of each defect class.
    """

    name: str
    image: NDArray[np.uint8]
    scores: NDArray[np.float32]
    planes: NDArray[np.float32]


def load_reference(bundle: Bundle, frame: ReferenceFrame) -> Reference:
    """
    Decode a reference frame from the verified bytes.

    Args:
        bundle: whose manifest lists the frame.
        frame: an entry of ``bundle.manifest.reference``.

    Raises:
        BundleError: the picture or the answers cannot be decoded, or do not fit the manifest.
    """
    image = _decoded_image(bundle, frame)
    scores, planes = _decoded_answers(bundle, frame)
    manifest = bundle.manifest
    height, width, channels = image.shape
    count = len(manifest.classes)
    expected = {
        f"{frame.image} channels": (channels, manifest.channels),
        f"{frame.answers} scores": (scores.shape, (Grid(height, width, manifest.tile).count, count)),
        f"{frame.answers} planes": (planes.shape, (count, height, width)),
    }
    for what, (found, wanted) in expected.items():
        if found != wanted:
            raise BundleError(f"{bundle.path}: {what}: {found}, expected {wanted}; export the bundle again")
    if not (np.isfinite(scores).all() and np.isfinite(planes).all()):
        raise BundleError(f"{bundle.path}: {frame.answers}: answers are not finite; export the bundle again")
    return Reference(frame.name, image, scores, planes)


def _decoded_image(bundle: Bundle, frame: ReferenceFrame) -> NDArray[np.uint8]:
    data = np.frombuffer(bundle.files[frame.image], np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if image is None or image.dtype != np.uint8:
        raise BundleError(f"{bundle.path}: {frame.image} is no picture of 8 bits a channel; export the bundle again")
    return np.asarray(image, np.uint8).reshape(*image.shape[:2], -1)


def _decoded_answers(bundle: Bundle, frame: ReferenceFrame) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    try:
        with np.load(io.BytesIO(bundle.files[frame.answers]), allow_pickle=False) as answers:
            return answers["scores"].astype(np.float32), answers["planes"].astype(np.float32)
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError) as error:
        raise BundleError(
            f"{bundle.path}: {frame.answers} cannot be decoded ({error}): expected arrays 'scores' and 'planes'; "
            "export the bundle again"
        ) from error
