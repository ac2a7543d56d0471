"""tests.gpu.work: what is counted of a network."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.gpu.work import product_network, work_of


def test_matrix_product() -> None:
    """Two operations a product, every number once."""
    work = work_of(product_network(64), 16)
    assert work.operations == 2 * 16 * 64 * 64
    assert work.bytes_once == work.bytes_by_node == 4 * (16 * 64 + 64 * 64 + 16 * 64)


def test_convolution_and_activation() -> None:
    """Products over kernel and channels of a group; what lies between two nodes counts by node only."""
    weights = numpy_helper.from_array(np.zeros((8, 2, 3, 3), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], group=2, name="conv"), helper.make_node("Relu", ["y"], ["z"])],
        "two",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4, 10, 10])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 8, 8, 8])],
        [weights],
    )
    work = work_of(helper.make_model(graph).SerializeToString(), 3)
    made, given, held = 3 * 8 * 64, 3 * 4 * 100, 8 * 2 * 9
    assert [operations for operations, _ in work.nodes] == [2 * made * 2 * 9, made]
    assert work.bytes_once == 4 * (given + made + held)
    assert work.bytes_by_node == 4 * (given + made + held) + 4 * 2 * made


def test_the_longer_of_both_counts() -> None:
    """A node takes as long as its operations or its bytes, whichever takes longer."""
    work = work_of(product_network(64), 16)
    assert work.once_ms(work.operations, 1e12) == pytest.approx(1e3)
    assert work.by_node_ms(1e15, work.bytes_by_node / 2) == pytest.approx(2e3)
