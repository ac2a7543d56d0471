"""Run-lengths and the three forms of the Severstal csv file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge.errors import DataError
from tests.support.shared_data import shared_data
from training.data.images import read_image
from training.data.runs import labels_from_runs, mask_from_runs, runs_from_mask
from training.data.severstal import read_runs

FORMS = ("train.csv", "train_with_empty_rows.csv", "train_combined_id.csv")


def test_pixels_are_counted_from_one_down_the_columns() -> None:
    """Run ``2 3`` of a 3 x 2 image covers the rest of the first column and the top of the second."""
    expected = [[False, True], [True, False], [True, False]]
    assert mask_from_runs("2 3", 3, 2).tolist() == expected


def test_an_empty_cell_is_an_empty_mask() -> None:
    """A cell without numbers marks nothing, and a mask without pixels is an empty cell."""
    assert not mask_from_runs("", 4, 5).any()
    assert runs_from_mask(np.zeros((4, 5), np.bool_)) == ""


@settings(deadline=None)
@given(arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_encoding_is_the_opposite_of_decoding(mask: np.ndarray) -> None:
    """Any mask survives encoding and decoding."""
    assert (mask_from_runs(runs_from_mask(mask), *mask.shape) == mask).all()


@pytest.mark.parametrize(
    ("encoded", "said"),
    [
        ("1 2 3", "3 numbers"),
        ("1 x", "'x'"),
        ("1 -2", "'-2'"),
        ("1 2.5", "'2.5'"),
        ("0 1", "leaves the image"),
        ("12 2", "leaves the image"),
        ("99 1", "leaves the image"),
        ("3 0", "leaves the image"),
        ("1 3 3 2", "overlaps"),
        ("5 2 1 5", "overlaps"),
        ("99999999999999999999 1", "leaves the image"),
    ],
)
def test_impossible_runs_are_refused(encoded: str, said: str) -> None:
    """Odd counts, words, runs outside the 3 x 4 image and overlaps are named."""
    with pytest.raises(DataError, match=said):
        mask_from_runs(encoded, 3, 4)


def test_two_classes_may_not_claim_one_pixel() -> None:
    """Labels hold one class a pixel, so contested pixels are an error that names both classes."""
    with pytest.raises(DataError, match="class 3 and class 1 both claim 1 px"):
        labels_from_runs({1: "1 2", 3: "2 2"}, 3, 4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ImageId,Encoded\na.jpg,1 2\n", "columns ImageId,Encoded"),
        ("", "columns"),
        ("ImageId,ClassId,EncodedPixels\na.jpg,1\n", ":2: 2 cells"),
        ("ImageId,ClassId,EncodedPixels\na.jpg,none,1 2\n", ":2: class id 'none'"),
        ("ImageId,ClassId,EncodedPixels\na.jpg,0,1 2\n", ":2: class id '0'"),
        ("ImageId,ClassId,EncodedPixels\na.jpg,1,1 2\na.jpg,1,5 2\n", ":3: a.jpg has class 1 twice"),
        ("ImageId_ClassId,EncodedPixels\na.jpg,1 2\n", "'a.jpg' is not"),
    ],
)
def test_a_malformed_csv_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """Wrong columns, cells and class ids are named with their line."""
    path = tmp_path / "train.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        read_runs(path)


@pytest.mark.shared_data
def test_the_three_forms_agree_and_encode_back() -> None:
    """The real csv in its three forms gives the same masks as its PNG files, and the same strings again."""
    folder = shared_data("severstal_sample")
    forms = [{image: runs for image, runs in read_runs(folder / name).items() if runs} for name in FORMS]
    assert forms[0] == forms[1] == forms[2]
    assert len(forms[0]) == 7
    for image, runs in forms[0].items():
        expected = read_image(folder / "masks" / f"{Path(image).stem}.png", "mono8")
        assert (labels_from_runs(runs, *expected.shape) == expected).all()
        for encoded in runs.values():
            assert runs_from_mask(mask_from_runs(encoded, *expected.shape)) == encoded
