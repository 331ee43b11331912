"""export/executorch.py: what the .pte holds, and that it computes what the module computes."""

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgewright.compress.numerics import NUMERICS, SUPPORT, Numerics
from edgewright.compress.quantize import QuantizedModel, quantize
from edgewright.errors import ExportError
from edgewright.export import executorch, executorch_weights
from edgewright.export.artifact import Artifact, Metadata
from edgewright.export.convolutions import ConvolutionAsLinear, as_stored
from edgewright.export.executorch_embedding import IntegerEmbedding
from edgewright.export.executorch_graph import lowerable, rewrite
from edgewright.models.methods import Method
from edgewright.models.methods import Tensor as Described
from edgewright.runtimes.executorch import load
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
    assert set(TOLERANCE) == {numerics for numerics in NUMERICS if SUPPORT[numerics, "executorch"].supported}


# a conversion takes 3 to 4 seconds a length: each numerics once, with one length
@pytest.fixture(
    scope="module",
    params=[
        ("fp32", "tiny_text_cnn"),
        ("dynamic_wi8_afp32", "tiny_ngram_hybrid"),
        ("static_wi8_ai8", "tiny_ngram_hybrid"),
        ("dynamic_wi4_afp32", "tiny_text_cnn"),
    ],
    ids=lambda pair: "-".join(pair),
)
def exported(request: pytest.FixtureRequest, metadata: Metadata, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A model, and the file that was made of it, once for all tests."""
    numerics, family = request.param
    tiny = request.getfixturevalue(family)
    length = 8
    tiny = replace(
        tiny,
        method=replace(tiny.method, lengths=(length,)),
        inputs=[ids for ids in tiny.inputs if ids.shape[1] == length],
    )
    model = quantize(tiny.module, numerics)
    path = tmp_path_factory.mktemp("executorch") / "model.pte"
    return tiny, model, executorch.export(model, [tiny.method], path, tiny.calibration, metadata)


def test_same_logits_as_pytorch(exported: Exported) -> None:
    tiny, model, artifact = exported
    assert_pytorchs_logits(load(artifact.path), model, tiny.inputs, TOLERANCE[model.numerics])


def test_integers_and_scales_in_the_file_are_those_of_the_grid(exported: Exported) -> None:
    _, model, artifact = exported
    stored = executorch_weights.read(artifact.path)
    for name, grid in model.weights.items():
        found = [
            weight
            for weight in stored.weights
            if weight.type == f"int{grid.bits}" and np.array_equal(weight.values, as_stored(grid.integers))
        ]
        assert found, name
        for weight in found:
            assert weight.scales is not None and np.array_equal(weight.scales.ravel(), grid.scales.ravel()), name


def test_no_weight_of_the_grid_is_stored_twice_or_in_float(exported: Exported) -> None:
    _, model, artifact = exported
    wanted = {8: 0, 4: 0}
    for grid in model.weights.values():
        wanted[grid.bits] += grid.integers.size * grid.bits // 8
    assert artifact.weight_bytes.get("int8", 0) == wanted[8]
    assert artifact.weight_bytes.get("int4", 0) == wanted[4]
    if model.weights:
        assert artifact.float_share < 0.1  # scales and biases


def test_xnnpack_takes_everything_but_the_lookup_and_the_sums(exported: Exported) -> None:
    _, _, artifact = exported
    assert artifact.delegated["linear"] >= 3
    assert set(artifact.left_over) <= {"ne", "embedding", "sum", "_to_dim_order_copy"}


def test_a_changed_integer_in_the_file_is_noticed(exported: Exported, tmp_path: Path) -> None:
    _, model, artifact = exported
    content = artifact.path.read_bytes()
    for name, grid in model.weights.items():
        if grid.bits == 8:
            place = content.find(as_stored(grid.integers).tobytes())
            changed = tmp_path / "changed.pte"
            changed.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            message = f"layer {name.removesuffix('.weight')}: .* with other integers \\(1 of {grid.integers.size}\\)"
            with pytest.raises(ExportError, match=message):
                executorch_weights.check(model, executorch_weights.read(changed))


def test_a_changed_scale_in_the_file_is_noticed(exported: Exported, tmp_path: Path) -> None:
    _, model, artifact = exported
    content = artifact.path.read_bytes()
    for name, grid in model.weights.items():
        if grid.bits == 8:
            scales = grid.scales.astype("<f4").tobytes()
            changed = tmp_path / "changed.pte"
            changed.write_bytes(content.replace(scales, (grid.scales * np.float32(1.0000001)).astype("<f4").tobytes()))
            with pytest.raises(
                ExportError, match=f"layer {name.removesuffix('.weight')}: .* as int8 with other scales"
            ):
                executorch_weights.check(model, executorch_weights.read(changed))


def test_file_describes_itself(exported: Exported) -> None:
    _, _, artifact = exported
    program = load(artifact.path)._program
    described = json.loads(program.load_method(executorch.METADATA)(())[0])
    assert described["labels"] == ["one", "two", "three", "four", "fünf"]
    assert (described["name"], described["license"], described["version"]) == ("tiny", "MIT", "0.1.0")


def test_two_lengths_share_their_weights_and_give_the_same(metadata: Metadata, tmp_path: Path) -> None:
    model = quantize(Rows(), "dynamic_wi8_afp32")
    artifact = executorch.export(model, [method_of(4, 8)], tmp_path / "two.pte", [], metadata)
    assert artifact.weight_bytes == {"int8": 50 * 32 + 3 * 32, "float32": 4 * (3 + 3)}
    runner = load(artifact.path)
    ids = np.array([[7, 9, 2, 3]], np.int32)
    padded = np.array([[7, 9, 2, 3, 0, 0, 0, 0]], np.int32)  # row 0 is zero
    assert np.array_equal(runner.run(ids)[0], runner.run(padded)[0])


def test_passes_that_are_left_out_would_change_nothing(
    tiny_text_cnn: Any, metadata: Metadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = replace(tiny_text_cnn.method, lengths=(8,))
    model = quantize(tiny_text_cnn.module, "dynamic_wi8_afp32")
    executorch.export(model, [method], tmp_path / "without.pte", [], metadata)
    monkeypatch.setattr(executorch, "without_idle_passes", nullcontext)
    executorch.export(model, [method], tmp_path / "with.pte", [], metadata)
    assert (tmp_path / "without.pte").read_bytes() == (tmp_path / "with.pte").read_bytes()


def test_same_model_gives_the_same_bytes_and_says_nothing(
    metadata: Metadata, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = quantize(Rows(), "dynamic_wi8_afp32")
    artifacts = [executorch.export(model, [method_of(4)], tmp_path / f"{n}.pte", [], metadata) for n in range(2)]
    assert artifacts[0].sha256 == artifacts[1].sha256
    assert capfd.readouterr() == ("", "")


def test_rows_of_small_weights_keep_their_integers_in_static_form(metadata: Metadata, tmp_path: Path) -> None:
    module = Rows()
    with torch.no_grad():
        module.head.weight[0] *= 1e-3  # XNNPACK's quantizer would raise the scale of this row to 2**-12
        module.head.weight[1] = 0
    model = quantize(module, "static_wi8_ai8")
    calibration = [(np.arange(1, 5, dtype=np.int32)[None],)]
    executorch.export(model, [method_of(4)], tmp_path / "small.pte", calibration, metadata)  # compares them itself


def test_static_form_without_calibration_is_refused(metadata: Metadata, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"needs calibration inputs of one of the shapes \[\[\(1, 4\)\]\]"):
        executorch.export(quantize(Rows(), "static_wi8_ai8"), [method_of(4)], tmp_path / "a.pte", [], metadata)


@pytest.mark.parametrize(
    ("layer", "numerics", "message"),
    [
        (
            nn.AdaptiveMaxPool1d(4),
            "fp32",
            "ExecuTorch has no kernel for aten.adaptive_max_pool2d.out in layer middle; write that layer another way",
        ),
        (
            nn.Sequential(nn.Unflatten(1, (32, 1, 1)), nn.Conv3d(32, 32, 1), nn.Flatten(1, 3)),
            "fp32",
            "XNNPACK does not take convolution in layer middle.1, and ExecuTorch has no fast kernel for it; write that",
        ),
        (
            nn.Conv1d(32, 32, 3, padding=1, groups=2),
            "dynamic_wi8_afp32",
            "layer middle: dynamic_wi8_afp32 wants its weight as int8 with the integers that quantize chose, and the "
            ".pte file has it as float32; write that layer another way",
        ),
    ],
    ids=["no_kernel", "slow_kernel", "float_weight"],
)
def test_what_cannot_be_lowered_is_named_with_its_layer_and_no_file_is_left(
    layer: nn.Module, numerics: Numerics, message: str, metadata: Metadata, tmp_path: Path
) -> None:
    with pytest.raises(ExportError) as caught:
        executorch.export(quantize(Rows(layer), numerics), [method_of(4)], tmp_path / "a.pte", [], metadata)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_module_that_torch_cannot_export_is_refused_in_one_line(metadata: Metadata, tmp_path: Path) -> None:
    class Branching(Rows):
        def forward(self, ids: Tensor) -> Tensor:
            return super().forward(ids if ids.sum() > 3 else ids * 0)

    with pytest.raises(ExportError, match=r"torch.export cannot convert Branching: [^\n]+$"):
        executorch.export(quantize(Branching(), "fp32"), [method_of(4)], tmp_path / "a.pte", [], metadata)


@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": 5, "padding": "same", "dilation": 2},
        {"kernel_size": 4, "padding": "valid"},
        {"kernel_size": 1},
        {"kernel_size": 2, "padding": 2, "bias": False},
    ],
    ids=str,
)
def test_a_convolution_as_linear_is_the_convolution(arguments: dict[str, Any]) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv1d(6, 4, **arguments)
    assert ConvolutionAsLinear.takes(convolution)
    x = torch.randn(1, 6, 11)
    with torch.no_grad():
        torch.testing.assert_close(ConvolutionAsLinear(convolution)(x), convolution(x), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("other", [{"stride": 2}, {"groups": 2}, {"padding": 1, "padding_mode": "circular"}], ids=str)
def test_other_convolutions_stay_what_they_are(other: dict[str, Any]) -> None:
    module = nn.Sequential(nn.Conv1d(4, 4, 3, **other))
    assert isinstance(lowerable(module, {}).get_submodule("0"), nn.Conv1d)


def test_an_integer_embedding_is_bit_for_bit_the_grids() -> None:
    model = quantize(Rows(), "dynamic_wi8_afp32")
    ids = torch.arange(50, dtype=torch.int32)
    embedding = IntegerEmbedding(model.weights["embedding.weight"])
    assert torch.equal(embedding(ids), model.module.get_submodule("embedding")(ids))


def test_the_rewritten_graph_computes_the_same_without_transposes(tiny_model: Any) -> None:
    ids = torch.from_numpy(tiny_model.inputs[0])
    with torch.no_grad():
        graph = torch.export.export(lowerable(tiny_model.module, {}), (ids,)).module()
        rewrite(graph)
        torch.testing.assert_close(graph(ids), tiny_model.module(ids), atol=1e-5, rtol=1e-5)
    targets = [node.target for node in graph.graph.nodes]
    assert targets.count(torch.ops.aten.transpose.int) == 1  # of the pool, which wants (B, C, T, 1)
    assert torch.ops.aten.amax.default not in targets
    assert torch.ops.aten.dropout.default not in targets


class Rows(nn.Module):
    """Rows of an embedding, a layer over them, their sum, and three logits; lowers in a second."""

    def __init__(self, middle: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(50, 32, padding_idx=0)
        self.middle = middle or nn.Identity()
        self.head = nn.Linear(32, 3)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.middle(self.embedding(ids).transpose(1, 2))  # (B, D, T)
        return self.head(x.sum(dim=2))


def method_of(*lengths: int) -> Method:
    ids, logits = Described("ids", "int32", ("batch", "length")), Described("logits", "float32", ("batch", 3))
    return Method("forward", (ids,), (logits,), lengths)
