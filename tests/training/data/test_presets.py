"""The pixel recipe."""

from __future__ import annotations

import numpy as np

from training.data.presets import Augmentation, evaluation_pixels, training_pixels
from training.data.windows import OUTSIDE, Window

PAD = 9


def window() -> Window:
    """Return a 32 x 48 window whose left quarter lies outside the picture and whose top left corner is a defect."""
    pixels = np.random.default_rng(1).integers(60, 200, (32, 48, 1), np.uint8)
    labels = np.zeros((32, 48), np.uint8)
    pixels[:, :12], labels[:, :12] = PAD, OUTSIDE
    pixels[:4, 12:16], labels[:4, 12:16] = 250, 1
    return Window(pixels, labels)


def test_evaluation_leaves_the_pixels_alone() -> None:
    """A network gets the raw grey levels, channels first."""
    pixels = evaluation_pixels(window())
    assert pixels.dtype == np.float32
    assert (pixels[0] == window().pixels[..., 0]).all()


def test_labels_follow_the_pixels_and_the_pad_value_stays() -> None:
    """However a tile is mirrored, its defect is where the labels say and outside lies exactly the pad value."""
    seen = set()
    for seed in range(16):
        pixels, labels = training_pixels(window(), Augmentation(), np.random.default_rng(seed))
        assert (pixels[0][labels == OUTSIDE] == PAD).all()
        assert pixels[0][labels == 1].min() > pixels[0][labels == 0].mean()
        assert 0.0 <= pixels.min() <= pixels.max() <= 255.0
        seen.add(tuple(np.argwhere(labels == 1)[0].tolist()))
    assert seen == {(0, 12), (28, 12), (0, 32), (28, 32)}


def test_nothing_is_varied_when_nothing_may_be() -> None:
    """With all ranges at zero training pixels are the raw ones."""
    still = Augmentation(flip_rows=False, flip_columns=False, brightness=0.0, contrast=0.0, gamma=0.0, noise=0.0)
    pixels, labels = training_pixels(window(), still, np.random.default_rng(3))
    np.testing.assert_allclose(pixels, evaluation_pixels(window()), atol=1e-3)
    assert (labels == window().labels).all()
