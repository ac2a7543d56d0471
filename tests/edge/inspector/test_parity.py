"""edge.inspector.parity: an engine is believed after it has given PyTorch's answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edge.bundle import Bundle, read_bundle
from edge.errors import BundleError, ParityFailed
from edge.inspector.backend import BackendSettings, open_engine
from edge.inspector.golden import inspect_answers, references_of
from edge.inspector.guard import GuardBand
from edge.inspector.parity import TOLERANCES, ParityReport, check_parity, labels_of, measure_parity, problems_of
from edge.reference import load_reference
from edge.rules import default_recipe
from engines.contract import CLASSIFIER_NAME, SEGMENTER_NAME, TILES, Limit

MACHINES = [
    pytest.param(BackendSettings(name="openvino", precision="fp32"), id="openvino-fp32"),
    pytest.param(BackendSettings(name="openvino", precision="bf16"), id="openvino-bf16"),
    pytest.param(BackendSettings(name="onnxruntime", precision="fp32"), id="onnxruntime-fp32"),
]


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    """The tiny bundle, read."""
    return read_bundle(tiny_bundle)


def checked(
    bundle: Bundle,
    settings: BackendSettings,
    check: Callable[..., ParityReport] = check_parity,
    batches: tuple[int, ...] = (1, 4),
) -> ParityReport:
    """Open both engines and check them."""
    with (
        open_engine(settings, bundle.classifier, TILES, batches) as classifier,
        open_engine(settings, bundle.segmenter, TILES, batches) as segmenter,
    ):
        return check(bundle, classifier, segmenter)


def with_network(bundle: Bundle, name: str, change: Callable[[onnx.ModelProto], None]) -> Bundle:
    """Return the bundle with one network changed behind the manifest's back."""
    model = onnx.load_from_string(bundle.files[name])
    change(model)
    return dataclasses.replace(bundle, files=bundle.files | {name: model.SerializeToString()})


def filled(weight: str, value: float) -> Callable[[onnx.ModelProto], None]:
    """Return a change that sets the first number of *weight*."""

    def change(model: onnx.ModelProto) -> None:
        found = next(w for w in model.graph.initializer if w.name == weight)
        array = numpy_helper.to_array(found).copy()
        array.flat[0] = value
        found.CopyFrom(numpy_helper.from_array(array, weight))

    return change


def ignoring_thresholds(model: onnx.ModelProto) -> None:
    """Compare with a constant 0.5 in place of the input."""
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            if name == "thresholds":
                node.input[i] = "constant"
    model.graph.initializer.append(numpy_helper.from_array(np.full(2, 0.5, np.float32), "constant"))


@pytest.mark.parametrize("settings", MACHINES)
def test_good_engines_give_pytorchs_answers(bundle: Bundle, settings: BackendSettings) -> None:
    """Every figure is within tolerance on this machine, and the report says what was measured."""
    report = checked(bundle, settings)
    assert [frame.name for frame in report.frames] == ["00", "01", "02", "03"]
    assert report.score_deviation <= TOLERANCES[settings.precision].score
    assert sum(frame.iou is not None for frame in report.frames) == 2
    assert report.iou is not None
    assert report.iou > 0.98
    assert report.thresholds.pixels_changed > 10
    assert report.bundle_hash == bundle.hash
    assert report.precision == settings.precision


@pytest.mark.parametrize("settings", MACHINES)
@pytest.mark.parametrize(
    ("network", "weight", "value"),
    [
        (CLASSIFIER_NAME, "model.head.1.bias", np.nan),
        (CLASSIFIER_NAME, "model.head.1.bias", -np.inf),
        (CLASSIFIER_NAME, "model.head.1.bias", 3.4e38),
        (SEGMENTER_NAME, "model.head.bias", np.nan),
        (SEGMENTER_NAME, "model.head.bias", np.inf),
        (SEGMENTER_NAME, "model.head.bias", 3.4e38),
        (SEGMENTER_NAME, "model.encoder.stem.body.0.weight", np.nan),
    ],
)
def test_poisoned_weight_is_refused(
    bundle: Bundle, settings: BackendSettings, network: str, weight: str, value: float
) -> None:
    """NaN, infinity or overflow never becomes an answer, wherever the weight lies."""
    poisoned = with_network(bundle, network, filled(weight, value))
    with pytest.raises(BundleError) as refused:
        checked(poisoned, settings, batches=(4,))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("network", "weight", "value", "told"),
    [
        (CLASSIFIER_NAME, "model.head.1.bias", 2.0, "score deviation"),
        (SEGMENTER_NAME, "model.head.bias", -9.0, "IoU|pixels that differ"),
    ],
)
def test_other_weights_are_noticed(bundle: Bundle, network: str, weight: str, value: float, told: str) -> None:
    """A network that answers something else is refused; the line names frame, figure and bound."""
    changed = with_network(bundle, network, filled(weight, value))
    with pytest.raises(ParityFailed, match=told):
        checked(changed, BackendSettings())


def test_thresholds_must_be_an_input(bundle: Bundle) -> None:
    """A network that is right at the default thresholds, but deaf to others, is refused."""
    deaf = with_network(bundle, SEGMENTER_NAME, ignoring_thresholds)
    report = checked(deaf, BackendSettings(name="onnxruntime"), measure_parity)
    assert [p for p in problems_of(report) if "does not take its thresholds from the input" not in p] == []
    assert len(problems_of(report)) == 1


def test_bundle_without_reference_proves_nothing(bundle: Bundle) -> None:
    """Without reference frames there is no parity, hence no engine."""
    empty = dataclasses.replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, reference=()))
    with pytest.raises(ParityFailed, match="no reference frames"):
        checked(empty, BackendSettings())


def test_labels_can_be_shown_beside_pytorchs(bundle: Bundle) -> None:
    """For whoever draws them: both are of the picture's size, and agree where the report says so."""
    reference = load_reference(bundle, bundle.manifest.reference[0])
    with open_engine(BackendSettings(), bundle.segmenter, TILES, (4,)) as segmenter:
        expected, found = labels_of(bundle, reference, segmenter)
    assert expected.shape == found.shape == reference.image.shape[:2]
    assert (expected != found).mean() <= TOLERANCES["fp32"].differing


def at_the_limit(bundle: Bundle) -> Bundle:
    """Return the bundle with limits that PyTorch's largest region of each class just reaches."""
    manifest = bundle.manifest
    recipe = default_recipe(manifest.classes)
    largest: dict[str, int] = {}
    for reference in references_of(bundle):
        for defect in inspect_answers(manifest, reference, recipe).findings.defects:
            largest[defect.name] = max(defect.area_px, largest.get(defect.name, 0))
    classes = tuple(
        msgspec.structs.replace(
            c, rule=msgspec.structs.replace(c.rule, min_area_px=Limit(default=largest[c.name], low=1.0, high=1e6))
        )
        for c in manifest.classes
    )
    return dataclasses.replace(bundle, manifest=msgspec.structs.replace(manifest, classes=classes))


def test_verdicts_are_compared_with_and_without_the_band(bundle: Bundle) -> None:
    """A network that sees less lets rejects pass; a guard band may make up for it, and only with it is it allowed."""
    # More of plane 0, which is sound.
    shrunk = with_network(at_the_limit(bundle), SEGMENTER_NAME, filled("model.head.bias", 2.0))
    plain = checked(shrunk, BackendSettings(), measure_parity)
    assert plain.verdict_flips == plain.fails_open == plain.guarded_flips == plain.guarded_fails_open == 2
    assert [p for p in problems_of(plain) if "PASS here, expected REJECT as by PyTorch's answers" in p]
    banded = checked(shrunk, BackendSettings(), partial(measure_parity, band=GuardBand(area_share=0.9)))
    assert (banded.verdict_flips, banded.fails_open, banded.guarded_fails_open) == (2, 2, 0)
    assert not [p for p in problems_of(banded) if "PASS here" in p]
    assert banded.band.area_share == 0.9


def test_good_engine_judges_as_pytorch(bundle: Bundle) -> None:
    """On the tiny bundle half of the frames are rejects, and no verdict flips."""
    report = checked(bundle, BackendSettings())
    assert [frame.expected.value for frame in report.frames].count("REJECT") == 2
    assert (report.verdict_flips, report.fails_open, report.guarded_flips, report.guarded_fails_open) == (0, 0, 0, 0)
