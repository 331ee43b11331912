"""export/onnx_shapes.py: constant shapes, where a graph of free sizes has them."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from edgewright.compress.numerics import Numerics
from edgewright.compress.quantize import quantize
from edgewright.export import export, onnx_shapes
from edgewright.export.artifact import Metadata
from edgewright.export.onnx_graph import Shape
from edgewright.models.tagger import Tagger, TaggerConfig
from edgewright.runtimes.onnx import load


@pytest.mark.parametrize(
    ("source", "result", "wanted"),
    [
        (("batch", "length", 13, 16), ("batch", "13*length", 16), [0, -1, 16]),
        (("batch", "13*length", 32), ("batch*length", 13, 32), [-1, 13, 32]),
        (("batch", 6), ("batch", 2, 3), [0, 2, 3]),
        ((4, 6), (24,), [24]),
        (("batch*length", 32), ("batch", "length", 32), None),  # nothing says where one ends
        (("batch", "length"), ("length", "batch"), None),  # a size that stays, in another place
        ((), ("batch", 3), None),
        (("batch", 0, 3), ("batch", "length"), None),  # not named
    ],
)
def test_constant_shape(source: Shape, result: Shape, wanted: list[int] | None) -> None:
    assert onnx_shapes.constant(source, result) == wanted


def test_a_settled_reshape_gives_what_it_gave() -> None:
    """With sizes that were not those of any trace, and `allowzero`, which the tracer sets, taken away."""
    nodes = [
        helper.make_node("Shape", ["x"], ["rows"], start=0, end=1),
        helper.make_node("Concat", ["rows", "left", "three"], ["shape"], axis=0),
        helper.make_node("Reshape", ["x", "shape"], ["y"], allowzero=1),
    ]
    constants = [numpy_helper.from_array(np.array([n], np.int64), name) for name, n in (("left", -1), ("three", 3))]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", ["batch", "length", 6]), ("y", ["batch", "2*length", 3]))
    ]
    model = helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:], constants))
    x = np.arange(60, dtype=np.float32).reshape(2, 5, 6)
    before = onnx.reference.ReferenceEvaluator(model).run(None, {"x": x})[0]
    onnx_shapes.settle(model)
    reshape = model.graph.node[-1]
    assert reshape.input[1] in {tensor.name for tensor in model.graph.initializer}
    after = onnx.reference.ReferenceEvaluator(model).run(None, {"x": x})[0]
    assert np.array_equal(after, before)
    assert after.shape == (2, 10, 3)


@pytest.mark.parametrize("numerics", ["fp32", "dynamic_wi8_afp32"])
def test_a_tagger_with_characters_finds_its_sizes_without_computing_most_of_them(
    numerics: Numerics, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    config = TaggerConfig(vocab_size=50, features=4, classes=3, width=8, hidden=8, encoder="dilated_cnn", characters=5)
    model = quantize(Tagger(config).eval(), numerics)
    methods = model.module.methods((8,))  # type: ignore[operator]
    artifact = export("onnx", model, methods, tmp_path / "model.onnx", [], Metadata("t", "", (), "MIT", "1"))
    nodes = onnx.load(artifact.path).graph.node
    constants = {tensor.name for tensor in onnx.load(artifact.path).graph.initializer}
    computed = [node.name for node in nodes if node.op_type == "Reshape" and node.input[1] not in constants]
    assert len(computed) == 1, "words and texts come apart at the end, which has two free sizes"
    random = np.random.default_rng(0)
    for batch, length in ((1, 1), (3, 7)):
        ids = random.integers(1, 50, (batch, length, 9)).astype(np.int32)
        (scores,) = load(artifact.path).run(ids)
        with torch.inference_mode():
            wanted = model.module(torch.from_numpy(ids)).numpy()
        assert np.abs(scores - wanted).max() <= (1e-5 if numerics == "fp32" else 0.05) * np.abs(wanted).max()
