"""The cost section, without a measurement."""

from __future__ import annotations

import pytest

from tests.qualify.cost import PEERS, ratios
from tests.qualify.segmenting import OURS


@pytest.mark.parametrize(("gflop", "within"), [(5.0, "yes"), (5.1, "no")])
def test_operations_are_a_part_of_each_peers(gflop: float, within: str) -> None:
    """Ours must not need more than half of the cheaper peer, either; a peer is not asked."""
    every = {OURS: gflop, "Unet resnet18": 10.0, "Unet resnet34": 16.0}
    assert PEERS == ["Unet resnet18", "Unet resnet34"]
    assert ratios(OURS, every) == (gflop / 10.0, gflop / 16.0, within)
    assert ratios("Unet resnet34", every) == (1.6, 1.0, "-")
