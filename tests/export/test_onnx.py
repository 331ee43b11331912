"""export/onnx.py: what the .onnx holds, and that it computes what the module computes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from edgewright.compress.numerics import NUMERICS, SUPPORT, Numerics
from edgewright.compress.quantize import QuantizedModel, quantize
from edgewright.errors import ExportError
from edgewright.export import onnx as exporter
from edgewright.export import onnx_graph, onnx_integers
from edgewright.export.artifact import Artifact, Metadata
from edgewright.models.methods import Method
from edgewright.models.methods import Tensor as Described
from edgewright.runtimes.onnx import load
from tests.export.answers import assert_pytorchs_logits

# of the largest logit: float noise, 8-bit activations measured at each call, and fixed beforehand
TOLERANCE: dict[Numerics, float] = {
    "fp32": 1e-6,
    "dynamic_wi8_afp32": 0.03,
    "static_wi8_ai8": 0.05,
    "dynamic_wi4_afp32": 0.03,
}
Exported = tuple[Any, QuantizedModel, Artifact]


def test_tolerance_covers_every_supported_numerics() -> None:
    assert set(TOLERANCE) == {numerics for numerics in NUMERICS if SUPPORT[numerics, "onnx"].supported}


@pytest.fixture(
    scope="module",
    params=[("dynamic_wi8_afp32", "tiny_text_cnn"), *((numerics, "tiny_ngram_hybrid") for numerics in TOLERANCE)],
    ids=lambda pair: "-".join(pair),
)
def exported(request: pytest.FixtureRequest, metadata: Metadata, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A model, and the file that was made of it, once for all tests."""
    numerics, family = request.param
    tiny = request.getfixturevalue(family)
    model = quantize(tiny.module, numerics)
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    return tiny, model, exporter.export(model, [tiny.method], path, tiny.calibration, metadata)


def test_same_logits_as_pytorch(exported: Exported) -> None:
    tiny, model, artifact = exported
    assert_pytorchs_logits(load(artifact.path), model, tiny.inputs, TOLERANCE[model.numerics])


def test_batch_and_length_are_free(exported: Exported) -> None:
    tiny, model, artifact = exported
    text = tiny.inputs[0][0, :5]
    for batch, length in ((1, 1), (3, 5), (2, 23)):
        ids = np.zeros((batch, length, *text.shape[1:]), np.int32)
        ids[:, :5] = text[:length]
        (logits,) = load(artifact.path).run(ids)
        with torch.no_grad():
            wanted = model.module(torch.from_numpy(ids)).numpy()
        assert logits == pytest.approx(wanted, abs=0.2 * max(1.0, float(np.abs(wanted).max())))


def test_integers_in_the_file_are_those_of_the_grid(exported: Exported) -> None:
    """Looks for the bytes themselves, in each of the layouts that operators want, not through the exporter's reader."""
    _, model, artifact = exported
    stored = [numpy_helper.to_array(tensor) for tensor in onnx.load(artifact.path).graph.initializer]
    integers = {array.tobytes() for array in stored if array.dtype in (np.int8, np.uint8)}
    scales = {array.tobytes() for array in stored if array.dtype == np.float32}
    for name, grid in model.weights.items():
        q = grid.integers
        layouts = [q, q.T, q.transpose(2, 1, 0) if q.ndim == 3 else q]
        layouts += [(layout.astype(np.int16) + 128).astype(np.uint8) for layout in layouts]  # those of products
        if grid.bits == 4:
            shifted = (q + 8).astype(np.uint8)
            layouts = [shifted[:, 0::2] | shifted[:, 1::2] << 4]
        assert any(np.ascontiguousarray(layout).tobytes() in integers for layout in layouts), name
        assert grid.scales.tobytes() in scales, name
    large = [array for array in stored if array.dtype == np.float32 and array.ndim >= 2 and array.size > 512]
    assert bool(large) == (model.numerics == "fp32")


def test_integer_kernels_do_the_work(exported: Exported) -> None:
    _, model, artifact = exported
    kernels = artifact.delegated
    assert artifact.left_over == {}
    linear = 2 if "bag.weight" in dict(model.module.named_parameters()) else 1
    if model.numerics == "dynamic_wi8_afp32":
        assert (kernels["MatMulIntegerToFloat"], kernels["DynamicQuantizeMatMul"]) == (2, linear)
    elif model.numerics == "static_wi8_ai8":
        assert (kernels["QLinearConv"], kernels["QGemm"]) == (2, linear)
    elif model.numerics == "dynamic_wi4_afp32":
        assert (kernels["MatMulIntegerToFloat"], kernels["MatMulNBits"]) == (2, linear)
    sums_rows = "bag.weight" in dict(model.module.named_parameters()) and model.numerics.startswith("dynamic")
    assert kernels.get("MatMulInteger", 0) == int(sums_rows), "of the embedding's rows with ones; a layer's is fused"
    assert not {"Identity", "Shape", "Constant"} & set(kernels)


def test_a_quantized_layer_that_runs_in_float_is_refused(exported: Exported) -> None:
    tiny, model, artifact = exported
    if model.numerics == "fp32":
        with pytest.raises(ExportError, match=r"computes '.+' \(Fused\w+\) without an integer kernel"):
            exporter._kernels(artifact.path, quantize(tiny.module, "dynamic_wi8_afp32"))


def test_file_has_standard_operators_and_tells_nothing_of_this_machine(exported: Exported) -> None:
    _, model, artifact = exported
    file = onnx.load(artifact.path)
    domains = {node.domain for node in file.graph.node}
    assert domains == ({"", "com.microsoft"} if model.numerics == "dynamic_wi4_afp32" else {""})
    assert {entry.version for entry in file.opset_import if entry.domain == ""} == {onnx_graph.OPSET}
    assert str(Path.cwd()).encode() not in artifact.path.read_bytes()
    assert b"site-packages" not in artifact.path.read_bytes()
    assert [tensor.name for tensor in file.graph.input] == ["ids"]
    assert [tensor.name for tensor in file.graph.output] == ["logits"]


def test_file_describes_itself(exported: Exported) -> None:
    _, _, artifact = exported
    properties = {entry.key: entry.value for entry in onnx.load(artifact.path).metadata_props}
    assert json.loads(properties["labels"]) == ["one", "two", "three", "four", "fünf"]
    assert (properties["name"], properties["license"], properties["version"]) == ("tiny", "MIT", "0.1.0")


def test_weights_that_differ_from_the_grid_are_refused(
    tiny_text_cnn: Any, metadata: Metadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = quantize(tiny_text_cnn.module, "dynamic_wi8_afp32")
    rewrite = onnx_integers.to_dynamic

    def damaged(proto: onnx.ModelProto, weights: Any) -> None:
        integers = weights["convolution_2.weight"].integers.copy()
        integers[3, 1, 2] ^= 1
        rewrite(proto, weights | {"convolution_2.weight": replace(weights["convolution_2.weight"], integers=integers)})

    def forgetful(proto: onnx.ModelProto, weights: Any) -> None:
        rewrite(proto, {name: grid for name, grid in weights.items() if name != "head.weight"})

    for wrong, message in (
        (damaged, r"convolution_2\.weight is stored with other integers"),
        (forgetful, r"head\.weight is stored as float"),
    ):
        monkeypatch.setattr(onnx_integers, "to_dynamic", wrong)
        with pytest.raises(ExportError, match=message):
            exporter.export(model, [tiny_text_cnn.method], tmp_path / "model.onnx", [], metadata)
    assert list(tmp_path.iterdir()) == []


def test_static_without_calibration_is_refused(tiny_text_cnn: Any, metadata: Metadata, tmp_path: Path) -> None:
    model = quantize(tiny_text_cnn.module, "static_wi8_ai8")
    with pytest.raises(ExportError, match="static_wi8_ai8 needs calibration inputs"):
        exporter.export(model, [tiny_text_cnn.method], tmp_path / "model.onnx", [], metadata)


class OneLayer(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 4)
        self.layer = layer

    def forward(self, ids: Tensor) -> Tensor:
        return self.layer(self.embedding(ids).transpose(1, 2)).amax(dim=2)


class Bessel(nn.Module):
    """A layer that ONNX has no operator for."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.special.bessel_j0(x)


METHOD = Method(
    "forward",
    (Described("ids", "int32", ("batch", "length")),),
    (Described("logits", "float32", ("batch", 4)),),
    lengths=(8,),
)


def test_an_operator_without_translation_is_named_with_its_layer(metadata: Metadata, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"no kernel for prims\.bessel_j0 in layer 'layer'") as raised:
        exporter.export(quantize(OneLayer(Bessel()).eval(), "fp32"), [METHOD], tmp_path / "model.onnx", [], metadata)
    assert "\n" not in str(raised.value)


def test_a_convolution_with_strides_is_refused_in_int8_with_its_layer(metadata: Metadata, tmp_path: Path) -> None:
    model = quantize(OneLayer(nn.Conv1d(4, 4, 3, padding=1, stride=2)).eval(), "dynamic_wi8_afp32")
    with pytest.raises(ExportError, match="Conv in layer 'layer' with strides has no int8 form"):
        exporter.export(model, [METHOD], tmp_path / "model.onnx", [], metadata)


def test_export_prints_nothing_and_leaves_only_the_file(
    tiny_text_cnn: Any, metadata: Metadata, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = quantize(tiny_text_cnn.module, "static_wi8_ai8")
    exporter.export(model, [tiny_text_cnn.method], tmp_path / "model.onnx", tiny_text_cnn.calibration, metadata)
    assert capfd.readouterr() == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
