"""What tells one picture file from another."""

from __future__ import annotations

from pathlib import Path

from training.data.datasets import Sample
from training.data.digests import picture_digests
from training.data.labels import MaskFile


def test_a_digest_is_of_the_bytes(tmp_path: Path) -> None:
    """Neither name nor place counts: a picture that was moved is known again, in the order that was asked for."""
    samples = []
    for name, content in (("a.png", b"one"), ("b.png", b"two"), ("c.png", b"one")):
        (tmp_path / name).write_bytes(content)
        samples.append(Sample(tmp_path / name, MaskFile(None, (), 1), name, "train", ()))
    first, second, third = picture_digests(samples)
    assert first == third == "7692c3ad3540bb80"
    assert second != first
