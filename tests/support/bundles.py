"""A bundle small enough to be trained and exported within a test session, on pictures a child could sort."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engines.contract import TileShape
from engines.export import export_bundle
from engines.options import Export
from training.networks.checkpoint import CheckpointSpec, network_from_spec, save

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]

CLASS_NAMES = ("bright", "dark")
TILE = TileShape(core_height=64, core_width=64, halo=16)
HEIGHT, WIDTH = 100, 170
"""Of the reference pictures: two rows and three columns of tiles, the last ones overhanging."""
GREY, BRIGHT, DARK, PAD = 128, 220, 40, 128


def write_squares(folder: Path, counts: dict[str, int]) -> Path:
    """
    Write a labelled folder: sound, bright and dark pictures by turns, each a group of its own.

    Args:
        folder: made here.
        counts: pictures of each split.
    """
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    rows = ["image,class,class_id,group,split"]
    for split, count in counts.items():
        for index in range(count):
            class_id, name = index % 3, f"{split}{index}"
            seed = 5000 + 1000 * list(counts).index(split) + index
            image, labels = _picture_and_labels(seed, (class_id,) if class_id else (), HEIGHT, WIDTH)
            cv2.imwrite(str(folder / "images" / f"{name}.png"), image)
            cv2.imwrite(str(folder / "masks" / f"{name}.png"), labels)
            rows.append(f"{name}.png,{('sound', *CLASS_NAMES)[class_id]},{class_id},{name},{split}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


def picture(seed: int, *class_ids: int, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    """Return a (height, width) grey picture with a square for each class id: 1 = bright, 2 = dark."""
    return _picture_and_labels(seed, class_ids, height, width)[0]


def make_checkpoints(folder: Path) -> tuple[Path, Path]:
    """Train both networks for a few seconds; return the classifier's and the segmenter's checkpoint."""
    torch.manual_seed(5)
    shared = {
        "format": "mono8",
        "tile": TILE,
        "pad_value": PAD,
        "class_names": CLASS_NAMES,
        "dataset": "squares",
        "dataset_sha256": "0" * 64,
        "made_with": {"seed": "5"},
        "seen": ("0" * 16,),
    }
    classifier = CheckpointSpec(kind="classifier", backbone="test_efficientnet", reduce=2, **shared)
    segmenter = CheckpointSpec(kind="segmenter", width=4, depth=2, **shared)
    return (
        save(folder, _trained(network_from_spec(classifier), _tile_loss, 120, 16, TILE.height), classifier),
        save(folder, _trained(network_from_spec(segmenter), _pixel_loss, 100, 8, 48), segmenter),
    )


def write_pictures(folder: Path, count: int = 4) -> Path:
    """Write pictures, every other one with a square, as reference frames are chosen from."""
    folder.mkdir()
    for number in range(count):
        class_ids = () if number % 2 else (1 + number // 2 % 2,)
        cv2.imwrite(str(folder / f"{number}.png"), picture(1000 + number, *class_ids))
    return folder


def make_bundle(folder: Path) -> Path:
    """Train, export and return the bundle's folder."""
    classifier, segmenter = make_checkpoints(folder / "checkpoints")
    pictures = write_pictures(folder / "pictures")
    out = folder / "bundle"
    export_bundle(
        Export(
            classifier=classifier,
            segmenter=segmenter,
            reference=pictures,
            out=out,
            name="squares",
            frames=4,
            max_tiles=8,
        )
    )
    return out


def _picture_and_labels(
    seed: int, class_ids: tuple[int, ...], height: int, width: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    image = np.full((height, width), GREY, np.float32)
    labels = np.zeros((height, width), np.uint8)
    for class_id in class_ids:
        side = int(rng.integers(10, 25))
        top, left = int(rng.integers(0, height - side)), int(rng.integers(0, width - side))
        image[top : top + side, left : left + side] = BRIGHT if class_id == 1 else DARK
        labels[top : top + side, left : left + side] = class_id
    # Soft edges leave some pixels in doubt, so that thresholds decide about them.
    image = cv2.GaussianBlur(image, (0, 0), 2.0) + rng.normal(0, 6, (height, width))
    return image.clip(0, 255).astype(np.uint8), labels


def _trained(network: nn.Module, loss_of: Loss, steps: int, batch: int, side: int) -> nn.Module:
    # One thread: on a busy machine two threads that wait for each other are thirty times slower on nets this small.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    network.train()
    for step in range(steps):
        loss = loss_of(network, *_batch(step, batch, side))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.set_num_threads(threads)
    return network.eval()


def _batch(step: int, count: int, side: int) -> tuple[Tensor, Tensor]:
    """(count, 1, side, side) pixels and (count, side, side) labels, with none, one or two squares."""
    kinds = ((), (1,), (2,), (1, 2))
    drawn = [_picture_and_labels(count * step + i, kinds[i % 4], side, side) for i in range(count)]
    images, labels = (np.stack(part) for part in zip(*drawn, strict=True))
    return torch.from_numpy(images).float()[:, None], torch.from_numpy(labels).long()


def _tile_loss(network: nn.Module, pixels: Tensor, labels: Tensor) -> Tensor:
    present = torch.stack([(labels == k + 1).flatten(1).any(1) for k in range(len(CLASS_NAMES))], dim=1)
    return nn.functional.binary_cross_entropy_with_logits(network(pixels), present.float())


def _pixel_loss(network: nn.Module, pixels: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(network(pixels), labels)
