"""Core ML packages of both model families: answers, stored integers, metadata, repeatable bytes, refusals."""

import json
import shutil
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgewright.compress.numerics import DENSE, SUPPORT, Numerics, weight_bits
from edgewright.compress.quantize import QuantizedModel, quantize
from edgewright.data.files import sha256
from edgewright.errors import DamagedFileError, EdgewrightError, ExportError
from edgewright.export import stored
from edgewright.export.artifact import Artifact, Metadata
from edgewright.models.methods import Method
from edgewright.runtimes import coreml as runtime
from edgewright.runtimes.mil.loading import (
    MODEL_FOLDER,
    dense,
    load_program,
    mask_of,
    read_model,
    scaled_integers,
    stored_constants,
)
from tests.export.families import with_zeros

pytest.importorskip("coremltools", reason="needs edgewright[coreml]")

from edgewright.export import coreml  # takes seconds, and logs when the library is missing
from edgewright.export.coreml_palette import palette
from edgewright.export.coreml_tools import coremltools
from edgewright.export.coreml_weights import check_weights, stored_name

NUMERICS: list[Numerics] = [n for n, target in SUPPORT if target == "coreml" and SUPPORT[n, target].supported]
# Largest difference of logits between package and module, relative to the largest logit. fp16: 11 significant bits,
# a dozen operators in a row.
TOLERANCE = {"fp32": 2e-6} | dict.fromkeys((n for n in NUMERICS if n != "fp32" and not n.startswith("palette_")), 4e-3)


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
    """Each family in each numerics, exported once; three quarters of the weights of a sparse one are 0."""
    module = with_zeros(tiny.module) if request.param in DENSE else tiny.module
    model = quantize(module, request.param)
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
    found = {name: (kind, tensors) for name, kind, tensors in stored_constants(exported.artifact.path)}
    for name, grid in exported.model.weights.items():
        kind, tensors = found[stored_name(name)]
        bits, integers = scaled_integers(kind, tensors) or (0, np.empty(0))
        assert bits == grid.bits
        np.testing.assert_array_equal(integers, grid.integers)
        np.testing.assert_array_equal(tensors["scale"].values.ravel(), grid.scales.ravel())  # 8 bits fit into float16


def test_no_weight_is_left_in_another_type(exported: Exported) -> None:
    """What stays float beside the weights are biases, scales and tables."""
    share = {k: v / sum(exported.artifact.weight_bytes.values()) for k, v in exported.artifact.weight_bytes.items()}
    main = {
        "fp32": ("float32",),
        "fp16": ("float16",),
        "weight_only_wi8_afp16": ("int8",),
        "palette_w6_afp16": ("uint6",),
        "palette_w4_afp16": ("uint4",),
        "sparse_wfp16_afp16": ("float16", "mask"),
        "sparse_wi8_afp16": ("int8", "mask"),
        "weight_only_wi4_afp16": ("int8", "int4"),
    }[exported.model.numerics]
    # a table of 64 values takes 128 bytes, the integers of a head of 5 labels fewer
    assert sum(share[t] for t in main) > (0.85 if exported.model.numerics == "palette_w6_afp16" else 0.9)
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


def test_the_deployment_target_is_ios_17_or_where_few_bits_or_sparse_integers_are_stored_18(exported: Exported) -> None:
    wants_18 = weight_bits(exported.model.numerics) < 8 or exported.model.numerics == "sparse_wi8_afp16"
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


# ---------------------------------------------------------------- palettes


def least_distance(values: np.ndarray, counts: np.ndarray, most: int, fixed_zero: bool) -> float:
    """The squared distance of the best palette, by the plain recursion over every pair of a run's begin and end."""
    count, total, squares = (np.concatenate([[0.0], np.cumsum(counts * values**p)]) for p in (0, 1, 2))
    spread = np.full((len(count), len(count)), np.inf)
    zero = int(np.searchsorted(values, 0.0))
    for begin in range(len(values)):
        for end in range(begin + 1, len(count)):
            spread[begin, end] = squares[end] - squares[begin]
            if not fixed_zero or not begin <= zero < end:
                spread[begin, end] -= (total[end] - total[begin]) ** 2 / (count[end] - count[begin])
    least = np.where(np.arange(len(count)) == 0, 0.0, np.inf)
    for _ in range(most):
        least = np.minimum(least, (least[:, None] + spread).min(axis=0))
    return float(least[-1])


DRAWN = np.random.default_rng(0).normal(size=150)
SAMPLES = {
    "normal": DRAWN,
    "long tails": np.random.default_rng(1).standard_t(2, size=150),
    "two humps": np.concatenate([DRAWN[:50] - 5, 0.3 * DRAWN[50:] + 3]),
    "pruned": np.where(np.abs(DRAWN) > 1, DRAWN, 0),  # more than half are 0
    "pruned, all positive": np.where(DRAWN > 0.2, DRAWN, 0),
}


@pytest.mark.parametrize("bits", [4, 6])
@pytest.mark.parametrize("sample", SAMPLES)
def test_a_palette_is_the_best_one_and_keeps_zeros(sample: str, bits: int) -> None:
    weight = SAMPLES[sample].astype(np.float16).astype(np.float32).reshape(-1, 10)
    table, indices = palette(weight, bits)
    assert table.dtype == np.float16 and table.shape == (2**bits,) and (np.diff(table.astype(float)) >= 0).all()
    assert indices.shape == weight.shape and indices.max() < 2**bits
    given = table.astype(np.float64)[indices]
    assert (given[weight == 0] == 0).all()
    values, counts = np.unique(weight.astype(np.float64), return_counts=True)
    best = least_distance(values, counts, 2**bits, fixed_zero=bool((weight == 0).any()))
    # the table is rounded to float16
    assert np.square(given - weight).sum() <= best * 1.002 + weight.size * (2**-11 * 4) ** 2


def test_a_palette_of_16_values_is_near_to_what_is_possible_for_a_normal_distribution() -> None:
    weight = np.random.default_rng(0).normal(size=(300, 32)).astype(np.float32)
    table, indices = palette(weight, bits=4)
    assert np.square(table[indices] - weight).mean() < 0.0096  # Max 1960: 0.0095


@pytest.mark.parametrize(
    "few", [np.zeros((2, 2)), np.array([[1.0, -1.0]]), np.array([[-2.0, 0.0]]), np.full((3, 1), 7.0)]
)
def test_fewer_values_than_a_palette_has_room_for_are_stored_as_they_are(few: np.ndarray) -> None:
    table, indices = palette(few, bits=4)
    assert len(table) == 16
    np.testing.assert_array_equal(table[indices], few)


def test_six_bits_lie_packed_in_the_file(tiny_text_cnn: Any, metadata: Metadata, tmp_path: Path) -> None:
    """Four indices in three bytes, the first one in the lowest bits."""
    model = quantize(tiny_text_cnn.module, "palette_w6_afp16")
    path = tmp_path / "model.mlpackage"
    artifact = coreml.export(model, [tiny_text_cnn.method], path, [], metadata)
    weight = model.module.get_parameter("embedding.weight").detach().numpy()
    table, indices = palette(weight, 6)
    a, b, c, d = indices.reshape(-1, 4).astype(np.uint32).T
    whole = a | b << 6 | c << 12 | d << 18
    packed = np.stack([whole & 255, whole >> 8 & 255, whole >> 16], axis=1).astype(np.uint8).tobytes()
    content = (path / MODEL_FOLDER / "weights" / "weight.bin").read_bytes()
    assert len(packed) == weight.size * 6 // 8
    assert content.count(packed) == 1 and content.count(table.tobytes()) == 1
    matrices = [p.numel() for p in model.module.parameters() if p.ndim >= 2]
    assert artifact.weight_bytes["uint6"] == sum(-(-count * 6 // 8) for count in matrices)


def test_indices_of_other_values_are_refused_by_name(tiny_text_cnn: Any, metadata: Metadata, tmp_path: Path) -> None:
    model = quantize(tiny_text_cnn.module, "palette_w6_afp16")
    path = tmp_path / "model.mlpackage"
    coreml.export(model, [tiny_text_cnn.method], path, [], metadata)
    with torch.no_grad():
        model.module.get_parameter("head.weight").mul_(-1)
    with pytest.raises(
        ExportError, match=r"\d+ values of the weight 'head.weight' are not the nearest ones of its pal"
    ):
        check_weights(path, model, ["head.weight"])


# ---------------------------------------------------------------- sparse weights

SPARSE = tuple(DENSE)


@pytest.mark.parametrize("exported", SPARSE, indirect=True)
def test_the_zeros_of_a_sparse_package_are_those_of_the_module(exported: Exported) -> None:
    found = {name: (kind, tensors) for name, kind, tensors in stored_constants(exported.artifact.path)}
    zeros = weights = 0
    for name, parameter in exported.model.module.named_parameters():
        kind, tensors = found.get(stored_name(name), ("const", {}))
        if not kind.startswith("constexpr_sparse_"):
            assert parameter.numel() < 500  # too few to pay for a mask
            continue
        weight = parameter.detach().numpy()
        np.testing.assert_array_equal(dense(tensors) != 0, weight != 0)
        assert tensors["nonzero_data"].values.all()
        assert mask_of(tensors).size_bytes == -(-weight.size // 8)
        if exported.model.numerics == "sparse_wfp16_afp16":
            np.testing.assert_array_equal(dense(tensors), weight.astype(np.float16))
        zeros, weights = zeros + int((weight == 0).sum()), weights + weight.size
    value_bytes = weight_bits(exported.model.numerics) // 8
    saved = zeros * value_bytes - exported.artifact.weight_bytes["mask"]
    assert exported.artifact.sparse == {"weights": weights, "zeros": zeros, "saved_bytes": saved}
    assert weights > 8000 and zeros >= 0.74 * weights


@pytest.mark.parametrize("exported", SPARSE, indirect=True)
def test_a_sparse_package_is_smaller_by_what_it_says(exported: Exported, metadata: Metadata, tmp_path: Path) -> None:
    full = quantize(exported.model.module, DENSE[exported.model.numerics])
    other = coreml.export(full, [exported.tiny.method], tmp_path / "dense.mlpackage", [], metadata)
    saved = exported.artifact.sparse["saved_bytes"]
    assert other.sparse == {} and "mask" not in other.weight_bytes
    constants = sum(other.weight_bytes.values()) - sum(exported.artifact.weight_bytes.values())
    assert constants == pytest.approx(saved, abs=100)  # integers of iOS 17 have a zero point a row beside them
    assert other.size_bytes - exported.artifact.size_bytes == pytest.approx(saved, abs=2500)  # records and operators
    assert exported.artifact.size_bytes < 0.85 * other.size_bytes  # 15 kB of a package so small are its program
    for ids in exported.tiny.inputs[:4]:  # the same numbers are computed with
        (one,), (two,) = exported.runner.run(ids), runtime.load(other.path).run(ids)
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("exported", SPARSE, indirect=True)
def test_coremltools_reads_the_same_weights_out_of_a_sparse_package(exported: Exported) -> None:
    from coremltools.converters.mil.frontend.milproto.load import load

    model = read_model(exported.artifact.path)
    weights = str(exported.artifact.path / MODEL_FOLDER / "weights")
    program = load(coremltools.utils.load_spec(str(exported.artifact.path)), model.specificationVersion, weights)
    given = {
        operation.name: operation.materialized_val_inference()
        for operation in program.functions["main"].operations
        if operation.op_type == "constexpr_sparse_to_dense"
    }
    assert len(given) >= 2
    for name, parameter in exported.model.module.named_parameters():
        if stored_name(name) in given:
            wanted = parameter.detach().numpy().astype(np.float16)
            np.testing.assert_array_equal(given.pop(stored_name(name)), wanted)
    assert not given


@pytest.mark.parametrize("numerics", SPARSE)
def test_a_model_without_zeros_is_stored_dense_and_no_byte_is_said_to_be_saved(
    numerics: Numerics, tiny_text_cnn: Any, metadata: Metadata, tmp_path: Path
) -> None:
    sizes = {}
    for name in (numerics, DENSE[numerics]):
        model = quantize(tiny_text_cnn.module, name)
        artifact = coreml.export(model, [tiny_text_cnn.method], tmp_path / f"{name}.mlpackage", [], metadata)
        assert artifact.sparse == {} and "mask" not in artifact.weight_bytes
        sizes[name] = sum(artifact.weight_bytes.values())
    assert sizes[numerics] == pytest.approx(sizes[DENSE[numerics]], abs=100)  # zero points of iOS 17, as above


@pytest.mark.parametrize("numerics", SPARSE)
def test_other_zeros_than_the_module_has_are_refused_by_name(
    numerics: Numerics, tiny_text_cnn: Any, metadata: Metadata, tmp_path: Path
) -> None:
    model = quantize(with_zeros(tiny_text_cnn.module), numerics)
    path, names = tmp_path / "model.mlpackage", ["convolution_1.weight"]
    coreml.export(model, [tiny_text_cnn.method], path, [], metadata)
    check_weights(path, model, names)
    with torch.no_grad():
        rolled: Any = quantize(model.module, "fp32").module
        rolled.convolution_1.weight.copy_(rolled.convolution_1.weight.roll(1))
    with pytest.raises(ExportError, match=r"\d+ (integers|values) of the weight 'convolution_1.weight' differ from"):
        check_weights(path, quantize(rolled, numerics), names)
    with pytest.raises(
        ExportError, match=r"'convolution_1.weight' is stored as constexpr_sparse_\w+, not with its zeros"
    ):
        check_weights(path, quantize(tiny_text_cnn.module, numerics), names)


@pytest.mark.parametrize("exported", SPARSE, indirect=True)
def test_a_mask_with_another_bit_is_refused_in_one_line(exported: Exported, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(exported.artifact.path, tmp_path / "copy.mlpackage"))
    tensors = next(t for name, _, t in stored_constants(copy) if name == "embedding_weight")
    file = copy / MODEL_FOLDER / "weights" / "weight.bin"
    content = bytearray(file.read_bytes())
    (start,) = struct.unpack_from("<Q", content, (mask_of(tensors).offset or 0) + 16)
    content[start + 100] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"the compressed constant '\w+' cannot be read .*get it anew") as caught:
        runtime.load(copy)
    assert "\n" not in str(caught.value)
    with pytest.raises(DamagedFileError, match="its weights cannot be read"):
        stored.read("coreml", copy, exported.model, ["embedding.weight"])


@pytest.mark.parametrize("exported", SPARSE, indirect=True)
def test_a_missing_mask_is_refused_in_one_line(exported: Exported, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(exported.artifact.path, tmp_path / "copy.mlpackage"))
    model = read_model(copy)
    function = model.mlProgram.functions["main"]
    for operation in function.block_specializations[function.opset].operations:
        for argument in ("mask", "data_mask"):
            if operation.type.startswith("constexpr_sparse_") and argument in operation.inputs:
                del operation.inputs[argument]
            elif operation.type.startswith("constexpr_sparse_") and argument in operation.attributes:
                del operation.attributes[argument]
    (copy / MODEL_FOLDER / "model.mlmodel").write_bytes(model.SerializeToString())
    with pytest.raises(EdgewrightError, match=r"missing a required argument: '(data_)?mask'") as caught:
        runtime.load(copy)
    assert "\n" not in str(caught.value)
    with pytest.raises(DamagedFileError, match="its weights cannot be read"):
        stored.read("coreml", copy, exported.model, ["embedding.weight"])
