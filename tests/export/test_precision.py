"""4-bit embeddings, a scale a row, and bits chosen layer by layer: every target computes with them and stores them."""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx as onnx_files
import pytest
import torch
from torch import Tensor, nn

from edgewright.compress.numerics import INT8, TARGETS, Numerics, Target
from edgewright.compress.quantize import GridWeight, Precision, QuantizedModel, quantize
from edgewright.errors import ExportError
from edgewright.export import coreml_weights, executorch_weights, export, litert_file, litert_weights, onnx
from edgewright.export.artifact import SUFFIX, Artifact, Metadata
from edgewright.export.executorch_embedding import IntegerEmbedding
from edgewright.export.tracing import used_parameters
from edgewright.models.encoder import Encoder, EncoderConfig
from edgewright.models.hybrid import HybridRNNTransformer
from edgewright.models.methods import Method, classifier
from edgewright.models.tagger import Tagger, TaggerConfig
from edgewright.models.text_cnn import TextCNN, TextCNNConfig
from edgewright.runtimes import Runner, load
from edgewright.runtimes.pytorch import PyTorchRunner
from tests.export.families import HYBRID, INT4, VOCABULARY, build, inputs_of
from tests.export.test_families import TOLERANCE, difference, real_part

LENGTH = 8
EMBEDDINGS = {"tagger": ("embedding", "characters.embedding")}
EMBEDDINGS["hybrid"] = ("source_embedding", "decoder.embedding")


class Case(NamedTuple):
    family: str
    bits: int  # of numerics, and of embeddings
    precision: Precision

    def __str__(self) -> str:
        return f"{self.family}-{self.bits}-{self.precision.embedding_scales}-{len(self.precision.bits)}"


class SummedRows(nn.Module):
    """The look-up of ngram_hybrid with nothing but a layer behind it; its embedding is 48 wide."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 48, padding_idx=0)
        self.head = nn.Linear(48, 5)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.embedding(ids).sum(dim=2).sum(dim=1))

    def methods(self, lengths: tuple[int, ...]) -> tuple[Method, ...]:
        return classifier(4, 5, lengths)


def four_bits(family: str, **others: int) -> dict[str, int]:
    return {**dict.fromkeys(EMBEDDINGS.get(family, ("embedding",)), 4), **others}


CASES = (
    Case("ngram_hybrid", 4, Precision(four_bits("ngram_hybrid"), "row")),  # rows are summed as they are looked up
    Case("summed_rows", 4, Precision(four_bits("summed_rows"))),
    Case("summed_rows", 8, Precision(embedding_scales="row")),
    Case("text_cnn_24_wide", 4, Precision(four_bits("text_cnn_24_wide"))),
    Case("tagger", 4, Precision(four_bits("tagger", **{"lstm.input": 8, "lstm.recurrent_reverse": 8}), "row")),
    Case("encoder", 4, Precision(four_bits("encoder", **{"head": 8, "layers.0.attention.key": 8}))),
    Case("hybrid", 4, Precision(four_bits("hybrid", **{"decoder.layers.0.up": 8}))),
)


class Exported(NamedTuple):
    target: Target
    model: QuantizedModel
    methods: tuple[Method, ...]
    artifact: Artifact
    runner: Runner


def model_of(family: str) -> Any:
    """As tests/export/families.py has them, where that is not larger than needed here."""
    torch.manual_seed(7)
    if family == "summed_rows":
        return SummedRows().eval()
    if family == "text_cnn_24_wide":
        return TextCNN(TextCNNConfig(VOCABULARY, classes=5, width=24, hidden=16)).eval()
    if family == "encoder":
        return Encoder(EncoderConfig(VOCABULARY, classes=5, width=32, layers=1, feedforward=64, positions=16)).eval()
    if family == "hybrid":
        return HybridRNNTransformer(replace(HYBRID, lstm_layers=1, layers=1)).eval()
    if family == "tagger":
        return Tagger(TaggerConfig(VOCABULARY, features=4, classes=5, width=32, hidden=32, characters=5)).eval()
    return build(family)


def numerics_of(target: Target, bits: int) -> Numerics:
    return INT8[target] if bits == 8 else INT4[target]


LONG = ("encoder",)  # half a minute in ExecuTorch, where test_families.py has it at 8 bits
CELLS = [
    pytest.param(
        (target, case),
        id=f"{target}-{case}",
        marks=[pytest.mark.slow] if target == "executorch" and case.family in LONG else [],
    )
    for target in TARGETS
    for case in CASES
]


@pytest.fixture(scope="module", params=CELLS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    target, case = request.param
    model = quantize(model_of(case.family), numerics_of(target, case.bits), case.precision)
    methods = model.module.methods((LENGTH,))  # type: ignore[operator]
    path = tmp_path_factory.mktemp("precision") / f"model{SUFFIX[target]}"
    artifact = export(target, model, methods, path, [], Metadata("tiny", "", tuple("abcde"), "MIT", "1"))
    return Exported(target, model, methods, artifact, load(target, path))


def test_each_method_answers_as_pytorch_does(exported: Exported) -> None:
    reference = PyTorchRunner(exported.model.module)
    for method in exported.methods:
        for seed in range(4):
            arrays = inputs_of(method, LENGTH, seed)
            given, wanted = exported.runner.run(*arrays, method=method.name), reference.run(*arrays, method=method.name)
            for one, other in zip(given, wanted, strict=True):
                one, other = real_part(method, arrays, one), real_part(method, arrays, other)
                assert difference(one, other) <= TOLERANCE["int8"], (method.name, seed)


def test_the_file_is_as_small_as_its_bits_promise(exported: Exported) -> None:
    used = used_parameters(exported.model.module, exported.methods)
    for bits in (4, 8):
        grids = [grid for name, grid in exported.model.weights.items() if grid.bits == bits and name in used]
        integers = sum(grid.integers.size for grid in grids) * bits // 8
        held = exported.artifact.weight_bytes.get(f"int{bits}", 0)
        methods = len(exported.methods) if exported.target == "onnx" else 1  # a file each
        # zero points, biases and what XNNPACK pads are integers too, but not as many as a table
        assert integers <= held <= methods * integers + (256 if bits == 8 else 0)


@pytest.mark.parametrize("change", ["integer", "scale"])
def test_a_file_with_another_integer_or_scale_than_the_grids_is_refused(exported: Exported, change: str) -> None:
    name = next(name for name, grid in exported.model.weights.items() if name.endswith("embedding.weight"))
    changed = altered(exported.model.weights[name], change)
    check(exported, exported.model)
    with pytest.raises(ExportError, match=name.removesuffix(".weight")):
        check(exported, replace(exported.model, weights={**exported.model.weights, name: changed}))


def altered(grid: GridWeight, change: str) -> GridWeight:
    integers, scales = grid.integers.copy(), grid.scales.copy()
    if change == "integer":
        integers[5, 3] ^= 1
    elif scales.ndim:
        scales[5] *= 2
    else:
        scales = scales * np.float32(2)
    return replace(grid, integers=integers, scales=np.asarray(scales))


def check(exported: Exported, model: QuantizedModel) -> None:
    """What the exporter does with a file that it has written."""
    path, used = exported.artifact.path, used_parameters(model.module, exported.methods)
    model = replace(model, weights={name: grid for name, grid in model.weights.items() if name in used})
    if exported.target == "executorch":
        executorch_weights.check(model, executorch_weights.read(path))
    elif exported.target == "litert":
        litert_weights.layers(litert_file.read(path), model, used)
    elif exported.target == "coreml":
        coreml_weights.check_weights(path, model, coreml_weights.compressed(model, used))
    else:
        files: list[Path] = sorted(path.glob("*.onnx")) if path.is_dir() else [path]
        onnx._check_weights([onnx_files.load(file) for file in files], model)


@pytest.mark.parametrize("width", [16, 24, 32, 48, 64, 96])
@pytest.mark.parametrize("scales", ["table", "row"])
def test_executorch_unpacks_rows_of_any_even_width_bit_for_bit(width: int, scales: Any) -> None:
    torch.manual_seed(width)
    model = quantize(
        nn.Sequential(nn.Embedding(50, width, padding_idx=0)), "dynamic_wi4_afp32", Precision({"0": 4}, scales)
    )
    ids = torch.arange(50, dtype=torch.int32)
    assert torch.equal(IntegerEmbedding(model.weights["0.weight"])(ids), model.module(ids))


def test_rows_are_made_floats_by_the_fast_kernels(exported: Exported) -> None:
    slow = {"floor", "dequantize_per_tensor", "EMBEDDING_LOOKUP", "DEQUANTIZE", "FLOOR"}
    assert not slow & set(exported.artifact.left_over)
    assert "GatherBlockQuantized" not in exported.artifact.delegated


def test_no_float_table_is_left_in_a_file(exported: Exported) -> None:
    name = next(name for name in exported.model.weights if name.endswith("embedding.weight"))
    row = exported.model.module.get_parameter(name).detach().numpy()[1]
    content = b"".join(part.read_bytes() for part in parts(exported.artifact.path))
    assert row.tobytes() not in content and row.astype(np.float16).tobytes() not in content


def parts(path: Path) -> list[Path]:
    return [part for part in path.rglob("*") if part.is_file()] if path.is_dir() else [path]
