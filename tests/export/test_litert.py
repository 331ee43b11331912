"""export/litert.py: what the .tflite holds, and that it computes what the module computes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from torch import Tensor, nn

from edgewright.compress.numerics import NUMERICS, SUPPORT, Numerics, weight_bits
from edgewright.compress.quantize import QuantizedModel, quantize
from edgewright.errors import ExportError
from edgewright.export import litert, litert_file
from edgewright.export.artifact import Artifact, Metadata
from edgewright.models.methods import Method
from edgewright.models.methods import Tensor as Described
from edgewright.runtimes.litert import load
from tests.export.answers import assert_pytorchs_logits

# of the largest logit: float noise, 11-bit weights, 8-bit activations measured at each call, and fixed beforehand
TOLERANCE: dict[Numerics, float] = {
    "fp32": 1e-6,
    "fp16": 2e-3,
    "dynamic_wi8_afp32": 0.03,
    "static_wi8_ai8": 0.05,
    "dynamic_wi4_afp32": 0.03,
}


def test_tolerance_covers_every_supported_numerics() -> None:
    assert list(TOLERANCE) == [numerics for numerics in NUMERICS if SUPPORT[numerics, "litert"].supported]


# a conversion takes seconds: each numerics once
@pytest.fixture(
    scope="module",
    params=[
        ("fp32", "tiny_ngram_hybrid"),
        ("fp16", "tiny_text_cnn"),
        ("dynamic_wi8_afp32", "tiny_ngram_hybrid"),
        ("static_wi8_ai8", "tiny_ngram_hybrid"),
        ("dynamic_wi4_afp32", "tiny_ngram_hybrid"),
    ],
    ids=lambda pair: "-".join(pair),
)
def exported(
    request: pytest.FixtureRequest, metadata: Metadata, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, QuantizedModel, Artifact]:
    """A model, and the file that was made of it, once for all tests."""
    numerics, family = request.param
    tiny = request.getfixturevalue(family)
    model = quantize(tiny.module, numerics)
    path = tmp_path_factory.mktemp("litert") / "model.tflite"
    return tiny, model, litert.export(model, [tiny.method], path, tiny.calibration, metadata)


def test_same_logits_as_pytorch(exported: tuple[Any, QuantizedModel, Artifact]) -> None:
    tiny, model, artifact = exported
    assert_pytorchs_logits(load(artifact.path), model, tiny.inputs, TOLERANCE[model.numerics])


def test_integers_in_the_file_are_those_of_the_grid_and_stored_once(
    exported: tuple[Any, QuantizedModel, Artifact],
) -> None:
    _, model, artifact = exported
    stored = litert_file.constants(litert_file.read(artifact.path))
    by_bytes = {(c.kind, c.values.tobytes()) for c in stored}
    for name, grid in model.weights.items():
        array = grid.integers
        layout = array.transpose(0, 2, 1) if array.ndim == 3 else array  # Conv1d weights are stored channels last
        assert (f"int{grid.bits}", layout.tobytes()) in by_bytes, name
    for bits in (4, 8):
        wanted = sum(grid.integers.size * bits // 8 for grid in model.weights.values() if grid.bits == bits)
        assert sum(c.size_bytes for c in stored if c.kind == f"int{bits}") == wanted
        assert artifact.weight_bytes.get(f"int{bits}", 0) == wanted


def test_convolutions_and_linear_layers_run_in_xnnpack(exported: tuple[Any, QuantizedModel, Artifact]) -> None:
    _, model, artifact = exported
    linear = sum(isinstance(layer, nn.Linear) for layer in model.module.modules())
    convolutions = sum(isinstance(layer, nn.Conv1d) for layer in model.module.modules())
    as_products = convolutions if model.numerics.startswith("dynamic") else 0
    assert artifact.delegated.get("CONV_2D", 0) == convolutions - as_products
    assert artifact.delegated["FULLY_CONNECTED"] == linear + as_products
    assert set(artifact.left_over) <= {"NOT_EQUAL", "CAST", "RESHAPE", "GATHER", "EMBEDDING_LOOKUP", "DEQUANTIZE"}


def test_an_int8_embedding_is_not_looked_up_value_by_value(exported: tuple[Any, QuantizedModel, Artifact]) -> None:
    _, model, artifact = exported
    assert ("EMBEDDING_LOOKUP" in artifact.left_over) == (not model.weights)


def test_a_runtime_that_knows_one_scale_a_tensor_only_must_refuse_the_file(
    exported: tuple[Any, QuantizedModel, Artifact],
) -> None:
    """TensorFlow Lite 2.14 answered with the head's bias alone where the version did not tell it what is needed."""
    _, quantized, artifact = exported
    file = litert_file.read(artifact.path)
    code = next(c for c in file.operatorCodes if c.builtinCode == schema.BuiltinOperator.FULLY_CONNECTED)
    assert (code.version >= 12) is (weight_bits(quantized.numerics) <= 8)


def test_a_hot_operator_outside_of_xnnpack_is_refused(
    exported: tuple[Any, QuantizedModel, Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, artifact = exported
    monkeypatch.setattr(litert, "HOT", frozenset({"NOT_EQUAL"}))  # which XNNPACK never takes
    with pytest.raises(ExportError, match=r"NOT_EQUAL of '.+' in forward_8 stays outside of XNNPACK"):
        litert._delegation(litert_file.read(artifact.path))


def test_logits_are_never_rounded_to_8_bits(exported: tuple[Any, QuantizedModel, Artifact]) -> None:
    _, _, artifact = exported
    assert litert_file.operators(litert_file.read(artifact.path))[-1] == "FULLY_CONNECTED"  # not DEQUANTIZE


def test_file_names_its_signatures_and_describes_itself(exported: tuple[Any, QuantizedModel, Artifact]) -> None:
    _, _, artifact = exported
    file = litert_file.read(artifact.path)
    assert [definition.signatureKey for definition in file.signatureDefs] == [b"forward_8", b"forward_16"]
    for definition in file.signatureDefs:
        assert [entry.name for entry in definition.inputs] == [b"ids"]
        assert [entry.name for entry in definition.outputs] == [b"logits"]
    described = json.loads(litert_file.metadata(file, litert.METADATA_NAME) or b"null")
    assert described["labels"] == ["one", "two", "three", "four", "fünf"]
    assert (described["name"], described["license"], described["version"]) == ("tiny", "MIT", "0.1.0")


def test_other_integers_than_the_grid_are_refused(tiny_text_cnn: Any, metadata: Metadata, tmp_path: Path) -> None:
    model = quantize(tiny_text_cnn.module, "dynamic_wi8_afp32")
    integers = model.weights["convolution_2.weight"].integers.copy()
    integers[3, 1, 2] ^= 1
    wrong = {"convolution_2.weight": replace(model.weights["convolution_2.weight"], integers=integers)}
    method = replace(tiny_text_cnn.method, lengths=(8,))
    with pytest.raises(ExportError, match=r"convolution_2\.weight is not stored as the int8 values"):
        litert.export(replace(model, weights=model.weights | wrong), [method], tmp_path / "model.tflite", [], metadata)
    assert list(tmp_path.iterdir()) == []


def test_static_ranges_of_one_length_serve_the_others(
    tiny_text_cnn: Any, metadata: Metadata, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = quantize(tiny_text_cnn.module, "static_wi8_ai8")
    calibration = [arrays for arrays in tiny_text_cnn.calibration if arrays[0].shape[1] == 8]
    artifact = litert.export(model, [tiny_text_cnn.method], tmp_path / "model.tflite", calibration, metadata)
    assert capfd.readouterr() == ("", "")  # the calibration has a progress bar of its own
    runner = load(artifact.path)
    short = np.ones((1, 8), np.int32)
    long = np.concatenate([short, np.zeros((1, 8), np.int32)], axis=1)
    assert np.array_equal(runner.run(short)[0], runner.run(long)[0])


def test_static_without_calibration_is_refused(tiny_text_cnn: Any, metadata: Metadata, tmp_path: Path) -> None:
    model = quantize(tiny_text_cnn.module, "static_wi8_ai8")
    method = replace(tiny_text_cnn.method, lengths=(8,))
    with pytest.raises(ExportError, match="needs calibration inputs of batch 1 and a length of 8; none fits"):
        litert.export(model, [method], tmp_path / "model.tflite", [], metadata)


class Pooled(nn.Module):
    """A layer that litert-torch cannot lower."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 4)
        self.pool = nn.AdaptiveMaxPool1d(1)

    def forward(self, ids: Tensor) -> Tensor:
        return self.pool(self.embedding(ids).transpose(1, 2)).squeeze(2)


def test_an_operator_without_kernel_is_named_with_its_layer(metadata: Metadata, tmp_path: Path) -> None:
    method = Method(
        "forward",
        (Described("ids", "int32", ("batch", "length")),),
        (Described("logits", "float32", ("batch", 4)),),
        lengths=(8,),
    )
    with pytest.raises(ExportError, match=r"no kernel for aten\.adaptive_max_pool\dd in layer 'pool'") as raised:
        litert.export(quantize(Pooled(), "fp32"), [method], tmp_path / "model.tflite", [], metadata)
    assert "\n" not in str(raised.value)


def test_another_method_with_several_inputs_keeps_their_order(
    metadata: Metadata, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = nn.Parameter(torch.tensor(2.0))

        def step(self, state: Tensor, added: Tensor) -> tuple[Tensor, Tensor]:
            return state - added, state * self.factor

    method = Method(
        "step",
        (Described("state", "float32", ("batch", 4)), Described("added", "float32", ("batch", 4))),
        (Described("next", "float32", ("batch", 4)), Described("double", "float32", ("batch", 4))),
    )
    artifact = litert.export(QuantizedModel(Steps(), "fp32"), [method], tmp_path / "model.tflite", [], metadata)
    assert capfd.readouterr() == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == ["model.tflite"]
    state, added = np.full((1, 4), 5, np.float32), np.full((1, 4), 2, np.float32)
    following, double = load(artifact.path).run(state, added, method="step")
    assert (following[0, 0], double[0, 0]) == (3, 10)
