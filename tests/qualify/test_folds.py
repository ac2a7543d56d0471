"""The folds section, without a training."""

from __future__ import annotations

import pytest

from tests.qualify.folds import ranked


def judged(number: int, index: int, *, bad: bool, score: float) -> dict[str, object]:
    """Return what a network says of one picture, as a fit keeps it."""
    name = f"{number}-{index}"
    of_masks = {"dice": {}, "iou": {}, "false_share": None, "found_id": 0}
    return {"source": name, "group": name, "class_id": int(bad), "score": score, **of_masks}


def test_each_fold_is_ranked_by_itself() -> None:
    """Both networks rank without a mistake, each on a scale of its own: that the scales differ is no mistake."""
    fits = [
        {"judged": [judged(n, i, bad=i > 1, score=level + 0.1 * i) for i in range(4)]} for n, level in enumerate((0, 5))
    ]
    auroc, average_precision = ranked(fits)
    assert (auroc.value, average_precision.value) == (1.0, 1.0)
    assert (auroc.images, auroc.groups) == (8, 8)


def test_the_mean_is_of_the_folds() -> None:
    """One network ranks rightly, the other the wrong way round."""
    fits = [
        {"judged": [judged(n, i, bad=i > 1, score=sign * 0.1 * i) for i in range(3)]} for n, sign in enumerate((1, -1))
    ]
    auroc, average_precision = ranked(fits)
    assert auroc.value == 0.5
    assert average_precision.value == pytest.approx((1.0 + 1 / 3) / 2)
