"""The proof of a recipe: any frame that this machine judges otherwise than PyTorch's answers refuses it by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.bundle import read_bundle
from edge.errors import ConfigurationError
from edge.inspector.golden import golden_reject
from edge.inspector.proof import proof_from_frames, refusal_from_frames
from edge.inspector.report import FrameTrial
from edge.records import Outcome


def frame(name: str, expected: Outcome, found: Outcome) -> FrameTrial:
    return FrameTrial(name=name, expected=expected, found=found)


def test_flips_are_named_and_those_that_fail_open_apart() -> None:
    """REJECT by PyTorch and PASS here comes first; agreement is no refusal."""
    good = [frame("1", Outcome.PASS, Outcome.PASS), frame("2", Outcome.REJECT, Outcome.REJECT)]
    assert refusal_from_frames(tuple(good)) == ""
    strict = frame("3", Outcome.PASS, Outcome.REJECT)
    opened = frame("4", Outcome.REJECT, Outcome.PASS)
    assert refusal_from_frames((*good, strict)).startswith("PASS by PyTorch's answers and REJECT here: 3")
    assert refusal_from_frames((*good, strict, opened)).startswith("REJECT by PyTorch's answers and PASS here: 4; PASS")


def test_a_proof_names_the_golden_reject(tiny_bundle: Path) -> None:
    """It is the frame that was tried hardest."""
    bundle = read_bundle(tiny_bundle)
    golden = golden_reject(bundle)
    assert golden is not None
    told = proof_from_frames(bundle, [frame(golden.name, Outcome.REJECT, Outcome.REJECT)])
    assert told == f"1 outcomes as PyTorch's; golden reject '{golden.name}' is rejected"


@pytest.mark.parametrize("expected", [Outcome.REJECT, Outcome.PASS])
def test_a_golden_reject_that_passes_is_no_proof(tiny_bundle: Path, expected: Outcome) -> None:
    """However well the machine agrees with PyTorch; folder and frame are named."""
    bundle = read_bundle(tiny_bundle)
    golden = golden_reject(bundle)
    assert golden is not None
    with pytest.raises(ConfigurationError, match=f"would pass the reference reject '{golden.name}'") as refused:
        proof_from_frames(bundle, [frame(golden.name, expected, Outcome.PASS)])
    assert str(tiny_bundle) in str(refused.value)


def test_another_outcome_than_pytorchs_is_no_proof(tiny_bundle: Path) -> None:
    """The bundle's folder is told with it."""
    with pytest.raises(ConfigurationError, match="PASS by PyTorch's answers and REJECT here: x") as refused:
        proof_from_frames(read_bundle(tiny_bundle), [frame("x", Outcome.PASS, Outcome.REJECT)])
    assert str(tiny_bundle) in str(refused.value)


def test_a_sound_frame_that_a_guard_band_rejects_is_its_price() -> None:
    """It is no fault of the engine's; a reject that passes in spite of the band is."""
    price = FrameTrial(name="1", expected=Outcome.PASS, found=Outcome.REJECT, guarded=True)
    assert refusal_from_frames([price]) == ""
    opened = FrameTrial(name="2", expected=Outcome.REJECT, found=Outcome.PASS, guarded=True)
    assert "REJECT by PyTorch's answers and PASS here: 2" in refusal_from_frames([price, opened])
