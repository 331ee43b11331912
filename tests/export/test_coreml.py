"""Core ML packages of both model families: answers, stored integers, metadata, repeatable bytes, refusals."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgewright.compress.numerics import SUPPORT, Numerics
from edgewright.compress.quantize import QuantizedModel, quantize
from edgewright.data.files import sha256
from edgewright.errors import ExportError
from edgewright.export.artifact import Artifact, Metadata
from edgewright.models.methods import Method
from edgewright.runtimes import coreml as runtime
from edgewright.runtimes.mil.loading import MODEL_FOLDER, load_program, read_model, stored_constants

pytest.importorskip("coremltools", reason="needs edgewright[coreml]")

from edgewright.export import coreml  # takes seconds, and logs when the library is missing
from edgewright.export.coreml_palette import palette
from edgewright.export.coreml_weights import check_weights, stored_name

NUMERICS: list[Numerics] = [n for n, target in SUPPORT if target == "coreml" and SUPPORT[n, target].supported]
# Largest difference of logits between package and module, relative to the largest logit. fp16: 11 significant bits,
# a dozen operators in a row.
TOLERANCE = {"fp32": 2e-6, "fp16": 4e-3, "weight_only_wi8_afp16": 4e-3, "weight_only_wi4_afp16": 4e-3}


@dataclass(frozen=True)
class Exported:
    tiny: Any
    model: QuantizedModel
    artifact: Artifact
    runner: runtime.CoreMLRunner


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("coreml")


@pytest.fixture(scope="module", params=["tiny_text_cnn", "tiny_ngram_hybrid"])
def tiny(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module", params=NUMERICS)
def exported(request: pytest.FixtureRequest, tiny: Any, metadata: Metadata, folder: Path) -> Exported:
    """Each family in each numerics, exported once."""
    model = quantize(tiny.module, request.param)
    path = folder / f"{type(tiny.module).__name__}-{request.param}.mlpackage"
    artifact = coreml.export(model, [tiny.method], path, tiny.calibration, metadata)
    return Exported(tiny, model, artifact, runtime.load(path))


def answers(module: nn.Module, ids: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(module(torch.from_numpy(ids)))


def test_the_package_answers_as_the_module_does(exported: Exported) -> None:
    errors, largest, agreed = [], [], []
    for ids in exported.tiny.inputs:
        (logits,) = exported.runner.run(ids)
        wanted = answers(exported.model.module, ids)
        assert logits.dtype == np.float32 and logits.shape == wanted.shape
        errors.append(np.abs(logits - wanted).max())
        largest.append(np.abs(wanted).max())
        agreed.append(logits.argmax() == wanted.argmax())
    if exported.model.numerics in TOLERANCE:
        assert max(errors) <= TOLERANCE[exported.model.numerics] * max(largest)
        assert all(agreed)
    else:  # a palette changes the weights
        assert np.mean(agreed) >= 0.9


def test_the_stored_integers_are_the_grid(exported: Exported) -> None:
    stored = {name: tensors for name, _, tensors in stored_constants(exported.artifact.path)}
    for name, grid in exported.model.weights.items():
        tensors = stored[stored_name(name)]
        integers = tensors["quantized_data"] if "quantized_data" in tensors else tensors["data"]
        assert integers.element.name == f"int{grid.bits}"
        np.testing.assert_array_equal(integers.values, grid.integers)
        np.testing.assert_array_equal(tensors["scale"].values.ravel(), grid.scales.ravel())  # 8 bits fit into float16


def test_no_weight_is_left_in_another_type(exported: Exported) -> None:
    """What stays float beside the weights are biases, scales and tables."""
    share = {k: v / sum(exported.artifact.weight_bytes.values()) for k, v in exported.artifact.weight_bytes.items()}
    main = {
        "fp32": ("float32",),
        "fp16": ("float16",),
        "weight_only_wi8_afp16": ("int8",),
        "palette_w4_afp16": ("uint4",),
        "weight_only_wi4_afp16": ("int8", "int4"),
    }[exported.model.numerics]
    assert sum(share[t] for t in main) > 0.9
    if exported.model.numerics != "fp32":
        assert "float32" not in share


def test_padding_is_neutral(exported: Exported) -> None:
    short, long = exported.tiny.method.lengths
    ids = exported.tiny.inputs[0][:, :short]
    padded = np.zeros((1, long, *ids.shape[2:]), np.int32)
    padded[:, :short] = ids
    (a,), (b,) = exported.runner.run(ids), exported.runner.run(padded)
    # sums over more zeros are the same sums; in fp32 they may be added up in another order
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 if exported.runner.mode == "fp32" else 4e-3 * np.abs(a).max())


def test_the_computing_type_follows_the_numerics(exported: Exported) -> None:
    assert exported.runner.mode == ("fp32" if exported.model.numerics == "fp32" else "fp16")


def test_the_deployment_target_is_ios_17_or_where_4_bits_are_stored_18(exported: Exported) -> None:
    wants_18 = exported.model.numerics in ("palette_w4_afp16", "weight_only_wi4_afp16")
    assert read_model(exported.artifact.path).specificationVersion == (9 if wants_18 else 8)


def test_a_classifier_also_answers_label_and_probabilities(exported: Exported, metadata: Metadata) -> None:
    program = load_program(exported.artifact.path, exported.runner.mode)
    results = program.run({"ids": exported.tiny.inputs[0]})
    assert list(results) == ["label", "label_probs", "logits"]
    logits = results["logits"][0]
    assert results["label"] == metadata.labels[logits.argmax()]
    assert tuple(results["label_probs"]) == metadata.labels
    wanted = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    np.testing.assert_allclose(list(results["label_probs"].values()), wanted, atol=2e-3)


def test_the_package_says_what_it_is(exported: Exported, metadata: Metadata) -> None:
    described = read_model(exported.artifact.path).description
    assert described.metadata.author == metadata.author
    assert described.metadata.license == metadata.license
    assert described.metadata.versionString == metadata.version
    assert described.metadata.shortDescription == metadata.description
    assert described.metadata.userDefined["name"] == metadata.name
    assert described.predictedFeatureName == "label"
    assert described.predictedProbabilitiesName == "label_probs"
    assert [i.name for i in described.input] == ["ids"]
    shapes = described.input[0].type.multiArrayType.enumeratedShapes.shapes
    assert [s.shape[1] for s in shapes] == list(exported.tiny.method.lengths)
    assert all(f.shortDescription for f in [*described.input, *described.output])
    text = (exported.artifact.path / MODEL_FOLDER / "model.mlmodel").read_bytes()
    assert b"conversion_date" not in text


def test_every_operator_of_the_program_is_counted(exported: Exported) -> None:
    assert exported.artifact.delegated["conv"] == 2
    assert exported.artifact.delegated["classify"] == 1
    assert exported.artifact.left_over == {}


def test_other_shapes_and_types_are_refused(exported: Exported) -> None:
    ids = exported.tiny.inputs[0]
    with pytest.raises(ValueError, match=r"ids has shape \(1, 3.*this package takes"):
        exported.runner.run(ids[:, :3])
    with pytest.raises(ValueError, match="ids is float32"):
        exported.runner.run(ids.astype(np.float32))
    with pytest.raises(ValueError, match="2 inputs given; this package takes 1: ids"):
        exported.runner.run(ids, ids)
    with pytest.raises(ValueError, match="no method 'encode'"):
        exported.runner.run(ids, method="encode")


def test_the_same_model_gives_the_same_bytes(exported: Exported, metadata: Metadata, tmp_path: Path) -> None:
    again = coreml.export(exported.model, [exported.tiny.method], tmp_path / "again.mlpackage", [], metadata)
    assert again.sha256 == exported.artifact.sha256 == sha256(exported.artifact.path)
    manifest = json.loads((again.path / "Manifest.json").read_text())
    assert manifest["rootModelIdentifier"] in manifest["itemInfoEntries"]
    for entry in manifest["itemInfoEntries"].values():
        assert (again.path / "Data" / entry["path"]).exists()


def test_export_says_nothing(tiny_text_cnn: Any, metadata: Metadata, tmp_path: Path, capfd: Any) -> None:
    model = quantize(tiny_text_cnn.module, "fp16")
    coreml.export(model, [tiny_text_cnn.method], tmp_path / "model.mlpackage", [], metadata)
    assert capfd.readouterr() == ("", "")


def with_other_integers(model: QuantizedModel, name: str) -> QuantizedModel:
    grid = model.weights[name]
    return replace(model, weights={**model.weights, name: replace(grid, integers=np.roll(grid.integers, 1))})


def test_a_weight_off_its_grid_is_refused_by_name(tiny_text_cnn: Any, metadata: Metadata, tmp_path: Path) -> None:
    """The grid and the module disagree: the package would not answer as the module."""
    model = with_other_integers(quantize(tiny_text_cnn.module, "weight_only_wi8_afp16"), "convolution_1.weight")
    with pytest.raises(ExportError, match=r"differs from the module"):
        coreml.export(model, [tiny_text_cnn.method], tmp_path / "model.mlpackage", [], metadata)
    assert list(tmp_path.iterdir()) == []


def test_stored_integers_that_are_not_the_grid_are_refused_by_name(
    tiny_text_cnn: Any, metadata: Metadata, tmp_path: Path
) -> None:
    model = quantize(tiny_text_cnn.module, "weight_only_wi8_afp16")
    coreml.export(model, [tiny_text_cnn.method], tmp_path / "model.mlpackage", [], metadata)
    with pytest.raises(ExportError, match=r"integers of the weight 'head.weight' differ from its grid"):
        check_weights(tmp_path / "model.mlpackage", with_other_integers(model, "head.weight"), list(model.weights))


class NoConversion(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 4), Prod())

    def forward(self, ids: Tensor) -> Tensor:
        return self.inner(ids.to(torch.float32))


class Prod(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x.prod(1, keepdim=True)


def test_an_operator_without_conversion_is_named_with_its_layer(
    tiny_text_cnn: Any, metadata: Metadata, tmp_path: Path
) -> None:
    method: Method = replace(tiny_text_cnn.method, lengths=(4,))
    with pytest.raises(ExportError, match=r"operator 'prod' in layer 'inner.1.*not implemented") as caught:
        coreml.export(quantize(NoConversion(), "fp32"), [method], tmp_path / "m.mlpackage", [], metadata)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_dead_channel_keeps_its_integers_and_the_package_its_answers(
    tiny_text_cnn: Any, metadata: Metadata, tmp_path: Path
) -> None:
    """Weights of 1e-6, whose scale float16 cannot hold, and weights of 0."""
    module: Any = quantize(tiny_text_cnn.module, "fp32").module
    with torch.no_grad():
        module.convolution_1.weight[0] *= 1e-6
        module.convolution_1.weight[1] = 0
    model = quantize(module, "weight_only_wi8_afp16")
    coreml.export(model, [tiny_text_cnn.method], tmp_path / "model.mlpackage", [], metadata)
    (logits,) = runtime.load(tmp_path / "model.mlpackage").run(tiny_text_cnn.inputs[0])
    wanted = answers(model.module, tiny_text_cnn.inputs[0])
    np.testing.assert_allclose(logits, wanted, atol=4e-3 * np.abs(wanted).max())


def test_a_palette_has_a_zero_and_is_near_its_weights() -> None:
    weight = np.random.default_rng(0).normal(size=(300, 32)).astype(np.float32)
    weight[0] = 0
    table, indices = palette(weight, bits=4)
    assert table.shape == (16,) and indices.shape == weight.shape and indices.max() == 15
    assert (np.diff(table) > 0).all()
    assert (table[indices][0] == 0).all()
    # 16 levels for a normal distribution: Max 1960 gives a mean squared error of 0.0095; the 0 costs a little
    assert np.square(table[indices] - weight).mean() < 0.0105
    for few in (np.zeros((2, 2)), np.array([[1.0, -1.0]])):
        table, indices = palette(few, bits=4)
        assert len(table) == 16
