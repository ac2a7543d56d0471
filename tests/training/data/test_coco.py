"""COCO files as labelling tools write them, and what is refused about them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from edge.errors import DataError
from tests.support.labelled import square_picture
from training.data.datasets import is_dataset, read_dataset

HEIGHT, WIDTH = 60, 80
Json = dict[str, Any]
Spoil = Callable[[Json], None]


def drawn(seed: int) -> np.ndarray:
    """Return (h, w) labels with a blot of class 1 and a blot of class 2, apart from each other."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[:, : WIDTH // 2][rng.random((HEIGHT, WIDTH // 2)) < 0.3] = 1
    labels[5:20, WIDTH // 2 + 3 : -5] = 2
    return labels


def compressed(mask: np.ndarray) -> Json:
    runs = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(mask.shape), "counts": runs["counts"].decode()}


def uncompressed(mask: np.ndarray) -> Json:
    flat = np.concatenate([[False], mask.flatten(order="F"), [not mask[-1, -1]]])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    counts = np.diff(np.concatenate([[0], changes])).tolist()
    return {"size": list(mask.shape), "counts": counts}


def rectangle(top: float, left: float, height: float, width: float) -> list[list[float]]:
    return [[left, top, left + width, top, left + width, top + height, left, top + height]]


def annotation(image: int, category: int, segmentation: object, number: int = 1) -> Json:
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "segmentation": segmentation,
        "bbox": [1, 2, 3, 4],
    }


def content() -> Json:
    """Return a file of four images: two categories, a sound image, and a root category as one tool writes it."""
    return {
        "info": {"description": "any"},
        "images": [
            {"id": n, "file_name": f"{n}.png", "height": HEIGHT, "width": WIDTH, "group": f"part{n}", "split": split}
            for n, split in enumerate(("train", "train", "val", "test"), start=1)
        ],
        "categories": [{"id": 0, "name": "all"}, {"id": 7, "name": "pit"}, {"id": 9, "name": "scratch"}],
        "annotations": [
            annotation(1, 7, rectangle(10, 20, 8, 9)),
            annotation(2, 9, rectangle(1, 2, 30, 4), 2),
            annotation(3, 7, rectangle(40, 2, 8, 8), 3),
        ],
    }


def write(folder: Path, data: Json, name: str = "annotations.json") -> Path:
    """Write the file and an image for each entry whose name is plain."""
    (folder / "images").mkdir(parents=True)
    for number in range(1, 5):
        cv2.imwrite(str(folder / "images" / f"{number}.png"), square_picture(0, number, HEIGHT, WIDTH)[0])
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(data))
    return folder


def labels_of(folder: Path) -> dict[str, np.ndarray]:
    return {sample.source: sample.read("mono8")[1] for sample in read_dataset(folder).samples}


@pytest.mark.parametrize("encode", [compressed, uncompressed])
def test_run_lengths_come_back_as_they_went_in(tmp_path: Path, encode: Callable[[np.ndarray], Json]) -> None:
    """Masks of both classes on three images are read equal to the pixel, and the fourth image is sound."""
    data = content()
    expected = {f"{n}.png": drawn(n) for n in (1, 2, 3)}
    data["annotations"] = [
        annotation(n, category, encode(drawn(n) == class_id), 10 * n + class_id)
        for n in (1, 2, 3)
        for class_id, category in ((1, 7), (2, 9))
    ]
    found = labels_of(write(tmp_path / "d", data))
    for name, labels in expected.items():
        assert (found[name] == labels).all()
    assert not found["4.png"].any()


def test_a_file_brings_classes_groups_and_splits(tmp_path: Path) -> None:
    """Categories count from 1 in the order of their ids; what nobody used is left out, and that is said."""
    dataset = read_dataset(write(tmp_path / "d", content()))
    assert dataset.class_names == ("pit", "scratch")
    assert [sample.class_ids for sample in dataset.samples] == [(1,), (2,), (1,), ()]
    assert [sample.group for sample in dataset.samples] == ["part1", "part2", "part3", "part4"]
    assert [len(dataset.split(name)) for name in ("train", "val", "test")] == [2, 1, 1]
    assert "categories without an annotation are left out: all" in dataset.notes[0]
    assert "1 of 4 pictures have no annotation and count as sound" in dataset.notes[1]


def test_a_polygon_is_filled_as_pycocotools_fills_it(tmp_path: Path) -> None:
    """A rectangle of 8 x 9 px marks those pixels and no rim around them; several polygons are one region."""
    data = content()
    data["annotations"][0]["segmentation"] = rectangle(10, 20, 8, 9) + rectangle(30, 40, 2, 3)
    labels = labels_of(write(tmp_path / "d", data))["1.png"]
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[10:18, 20:29] = expected[30:32, 40:43] = 1
    assert (labels == expected).all()


def test_of_two_classes_the_smaller_region_is_seen(tmp_path: Path) -> None:
    """A pit on a scratch stays a pit, in whichever order the tool wrote them."""
    big, small = annotation(1, 9, rectangle(5, 5, 40, 40), 4), annotation(1, 7, rectangle(10, 10, 5, 5), 5)
    found = []
    for number, pair in enumerate(([big, small], [small, big])):
        data = content()
        data["annotations"] = [*data["annotations"][1:], *pair]
        found.append(labels_of(write(tmp_path / str(number), data))["1.png"])
    assert (found[0] == found[1]).all()
    assert (found[0][10:15, 10:15] == 1).all()
    assert (found[0] == 2).sum() == 40 * 40 - 5 * 5


def test_what_leaves_the_picture_is_cut_and_told(tmp_path: Path) -> None:
    """A polygon that a hand drew over the edge marks what is inside."""
    data = content()
    data["annotations"][0]["segmentation"] = rectangle(-5, -6, 10, 12)
    folder = write(tmp_path / "d", data)
    assert any("1 annotations reach beyond their picture" in note for note in read_dataset(folder).notes)
    labels = labels_of(folder)["1.png"]
    assert (labels[:5, :6] == 1).all()
    assert (labels > 0).sum() == 30


@pytest.mark.parametrize("name", ["annotations/instances_default.json", "result.json", "_annotations.coco.json"])
def test_the_file_may_have_its_tools_name(tmp_path: Path, name: str) -> None:
    """One json file in the folder, or in annotations/, needs no flag."""
    folder = write(tmp_path / "d", content(), name)
    assert is_dataset(folder)
    assert len(read_dataset(folder).samples) == 4


def test_a_folder_for_each_split_is_one_set(tmp_path: Path) -> None:
    """train/, valid/ and test/ with a json file each, ids counted anew in each, become the splits of one set."""
    number = 0
    for name in ("train", "valid", "test"):
        data = content()
        data["images"] = [{**image, "split": None, "group": None} for image in data["images"]]
        (tmp_path / name).mkdir()
        for image in data["images"]:
            number += 1
            picture = square_picture(0, number, HEIGHT, WIDTH)[0]
            cv2.imwrite(str(tmp_path / name / image["file_name"]), picture)
        (tmp_path / name / "_annotations.coco.json").write_text(json.dumps(data))
    assert is_dataset(tmp_path)
    dataset = read_dataset(tmp_path)
    assert [len(dataset.split(split)) for split in ("train", "val", "test")] == [4, 4, 4]
    assert [sample.class_ids for sample in dataset.split("val")] == [(1,), (2,), (1,), ()]
    assert dataset.split("val")[0].image == tmp_path / "valid" / "1.png"
    assert (dataset.split("test")[0].read("mono8")[1][10:18, 20:29] == 1).all()
    data["categories"][1]["name"] = "other"
    (tmp_path / "test" / "_annotations.coco.json").write_text(json.dumps(data))
    with pytest.raises(DataError, match="other categories than"):
        read_dataset(tmp_path)


def test_of_several_files_one_must_be_named(tmp_path: Path) -> None:
    """Two json files are not guessed between; --labels-file says which."""
    folder = write(tmp_path / "d", content(), "a.json")
    (folder / "b.json").write_text("{}")
    assert not is_dataset(folder)
    with pytest.raises(DataError, match=r"2 json files, a\.json first; name one with --labels-file"):
        read_dataset(folder)
    assert len(read_dataset(folder, labels_file="a.json").samples) == 4


@pytest.mark.parametrize(
    "name", ["images/{}", "upload/12/{}", "..\\..\\media\\upload\\3\\{}", "/data/local-files/{}", "{}"]
)
def test_folders_in_a_file_name_are_seen_through(tmp_path: Path, name: str) -> None:
    """Tools put folders of their own in front of a name; the file is found by what comes last."""
    data = content()
    for image in data["images"]:
        image["file_name"] = name.format(image["file_name"])
    assert [sample.source for sample in read_dataset(write(tmp_path / "d", data)).samples] == [
        "1.png",
        "2.png",
        "3.png",
        "4.png",
    ]


def test_ids_may_be_written_in_any_way(tmp_path: Path) -> None:
    """7, 7.0 and "7" are one id."""
    data = content()
    data["annotations"][0]["category_id"] = 7.0
    data["annotations"][2]["category_id"] = "7"
    data["images"][0]["id"] = 1.0
    data["annotations"][0]["image_id"] = "1"
    assert [s.class_ids for s in read_dataset(write(tmp_path / "d", data)).samples] == [(1,), (2,), (1,), ()]


def test_groups_may_stand_in_a_table(tmp_path: Path) -> None:
    """groups.csv gives group and split where a tool has no field for them, and is part of the digest."""
    data = content()
    for image in data["images"]:
        del image["group"], image["split"]
    folder = write(tmp_path / "d", data)
    bare = read_dataset(folder)
    assert any("no groups; each picture is its own" in note for note in bare.notes)
    rows = ["image,group,split", "1.png,a,train", "2.png,a,train", "3.png,b,val", "4.png,c,test"]
    (folder / "groups.csv").write_text("\n".join(rows))
    dataset = read_dataset(folder)
    assert [(s.group, s.split) for s in dataset.samples] == [("a", "train")] * 2 + [("b", "val"), ("c", "test")]
    assert dataset.sha256 != bare.sha256
    (folder / "groups.csv").write_text("\n".join(rows[:-1]))
    with pytest.raises(DataError, match=r"groups\.csv: no row for 4\.png \(1 such\)"):
        read_dataset(folder)
    (folder / "groups.csv").write_text("\n".join([*rows, "4.png,c,train"]))
    with pytest.raises(DataError, match=r"groups\.csv:6: 4\.png stands above with another group"):
        read_dataset(folder)


def test_a_box_is_no_mask_but_may_be_a_class(tmp_path: Path) -> None:
    """An annotation without an outline is refused; with --class-only its picture keeps its classes and no label."""
    data = content()
    data["annotations"].append(annotation(1, 9, [], 8))
    folder = write(tmp_path / "d", data)
    with pytest.raises(DataError, match=r"annotation 8 of 1\.png: no segmentation; a box is no mask"):
        read_dataset(folder)
    dataset = read_dataset(folder, class_only=True)
    assert [(s.class_ids, s.drawn) for s in dataset.samples[:2]] == [((1, 2), False), ((2,), True)]
    assert (dataset.samples[0].read("mono8")[1] == 255).all()
    assert "1 of 4 pictures carry a class and no mask" in dataset.notes[-1]


def test_pictures_that_the_file_does_not_name_are_told(tmp_path: Path) -> None:
    """They may be sound, or not labelled yet: nobody knows, so they are left out."""
    folder = write(tmp_path / "d", content())
    cv2.imwrite(str(folder / "images" / "new.png"), square_picture(0, 1)[0])
    assert "1 pictures that the file does not name are left out, new.png first" in read_dataset(folder).notes[-1]


def put(*keys: str | int, value: object) -> Spoil:
    """Return what writes *value* at a place of the file."""

    def spoil(data: Json) -> None:
        at: Any = data
        for key in keys[:-1]:
            at = at[key]
        at[keys[-1]] = value

    return spoil


SEGMENTATION = ("annotations", 0, "segmentation")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (put("annotations", 0, "image_id", value=99), "annotation 1 is of image 99, which the file does not list"),
        (put("annotations", 0, "category_id", value=99), "of category 99, which the file does not list"),
        (put("annotations", value=[]), "holds no annotation"),
        (put("annotations", 0, "image_id", value=[1]), r"`\$\.annotations\[0\]\.image_id`; expected a COCO file"),
        (put("images", value=3), "expected a COCO file: images, annotations, categories"),
        (put("images", 1, "id", value=1), r"image id 1 twice: 1\.png, 2\.png"),
        (put("images", 1, "file_name", value="1.png"), r"two images are the file .*1\.png"),
        (put("images", 1, "file_name", value="gone.png"), r"image gone\.png is neither in"),
        (put("images", 1, "group", value=None), "group is empty, other rows have one"),
        (put("images", 1, "split", value=None), "split is empty, other rows have one"),
        (put("images", 1, "split", value="valid"), r"2\.png: split 'valid': expected train, val, test"),
        (put("images", 2, "group", value="part1"), "group 'part1' is in split 'train' and in 'val'"),
        (put("images", 0, "height", value=61), "61x80 px, the picture file has 60x80"),
        (put("categories", 2, "id", value=7), "category id 7 twice"),
        (put("categories", 2, "name", value="pit"), "2 classes are called 'pit'"),
        (put("categories", 1, "name", value="Kratzer, tief"), "call it 'Kratzer_tief' in the labelling tool"),
        (put("categories", 1, "name", value="Öl"), "class 'Öl': .*call it 'Ol'"),
        (put(*SEGMENTATION, value=[[1, 1, 9, 9]]), "annotation 1 of 1.png: a polygon of 4 numbers"),
        (put(*SEGMENTATION, value=[[1, 1, 9, 9, 5]]), "a polygon of 5 numbers"),
        (put(*SEGMENTATION, value=rectangle(70, 90, 5, 5)), "marks no pixel of its picture of 60x80 px"),
        (put(*SEGMENTATION, value=rectangle(0.1, 0.2, 0.1, 0.1)), "marks no pixel"),
        (put(*SEGMENTATION, value=rectangle(1e9, 1e9, 5, 5)), "a point lies far outside its picture"),
        (
            put(*SEGMENTATION, value={"size": [80, 60], "counts": [4800]}),
            "run-lengths of 80x60 px, the picture has 60x80",
        ),
        (put(*SEGMENTATION, value={"size": [60, 80], "counts": [9, 9]}), "run-lengths add up to 18, expected 4800 px"),
        (put(*SEGMENTATION, value={"size": [60, 80], "counts": [-1, 4801]}), "run-lengths add up to"),
        (put(*SEGMENTATION, value={"size": [60, 80], "counts": [4800]}), "marks no pixel"),
        (put(*SEGMENTATION, value={"size": [60, 80], "counts": ""}), "run-lengths add up to 0, expected 4800 px"),
        (put(*SEGMENTATION, value={"size": [60, 80], "counts": "zz"}), "'z' in the compressed run-lengths"),
        (put(*SEGMENTATION, value={"size": [60, 80], "counts": "P"}), "end within a number"),
    ],
)
def test_unusable_files_are_named(tmp_path: Path, spoil: Spoil, said: str) -> None:
    """Each fault of a file ends in one line that names the entry and the value."""
    data = content()
    spoil(data)
    folder = write(tmp_path / "d", data)
    with pytest.raises(DataError, match=said):  # noqa: PT012  # reading and decoding are two steps; either may refuse
        for sample in read_dataset(folder).samples:
            sample.read("mono8")
