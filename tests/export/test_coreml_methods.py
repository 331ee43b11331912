"""Core ML packages of several methods and of recurrent layers: functions, shared weights, padding, greedy decoding."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgewright.compress.numerics import DENSE, Numerics
from edgewright.compress.quantize import QuantizedModel, quantize
from edgewright.errors import ExportError
from edgewright.export.artifact import Artifact, Metadata
from edgewright.models import methods
from edgewright.models.hybrid import HybridRNNTransformer
from edgewright.models.lstm import LSTM
from edgewright.models.methods import Method
from edgewright.runtimes import Runner
from edgewright.runtimes import coreml as runtime
from edgewright.runtimes.mil.loading import dense, mask_of, read_model, stored_constants
from edgewright.runtimes.pytorch import PyTorchRunner
from tests.export.families import HYBRID, VOCABULARY, build, inputs_of, with_zeros

pytest.importorskip("coremltools", reason="needs edgewright[coreml]")

from edgewright.export import coreml  # takes seconds, and logs when the library is missing
from edgewright.export.coreml_weights import check_weights, stored_name


class Exported(NamedTuple):
    model: QuantizedModel
    methods: tuple[Method, ...]
    artifact: Artifact


@pytest.fixture(scope="module")
def exported(metadata: Metadata, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """SequenceNet with `forward` and `step`, which share all weights."""
    model = quantize(build("sequence_net"), "weight_only_wi8_afp16")
    two: tuple[Method, ...] = model.module.methods((5, 8))  # type: ignore[operator]
    path = tmp_path_factory.mktemp("methods") / "model.mlpackage"
    return Exported(model, two, coreml.export(model, two, path, [], metadata))


def test_each_method_is_a_function_and_the_first_one_the_default(exported: Exported) -> None:
    model = read_model(exported.artifact.path)
    assert [function.name for function in model.description.functions] == ["forward", "step"]
    assert sorted(model.mlProgram.functions) == ["forward", "step"]
    assert model.description.defaultFunctionName == "forward"
    assert model.specificationVersion == 9  # iOS 18
    forward, step = model.description.functions
    shapes = forward.input[0].type.multiArrayType.enumeratedShapes.shapes
    assert [list(shape.shape) for shape in shapes] == [[1, 5, 10], [1, 8, 10]]
    assert [feature.name for feature in step.input] == ["x", "h", "c"]
    assert [feature.name for feature in step.output] == ["y", "h_next", "c_next"]
    assert step.input[1].shortDescription.endswith("zeros at first, then what the call before gave as h_next")


def test_weights_of_two_methods_are_stored_once(exported: Exported) -> None:
    constants = list(stored_constants(exported.artifact.path))
    for name, grid in exported.model.weights.items():
        stored = [tensors["data"] for constant, _, tensors in constants if constant == stored_name(name)]
        assert len(stored) == 2  # one a function
        assert len({tensor.offset for tensor in stored}) == 1
        for tensor in stored:
            np.testing.assert_array_equal(tensor.values, grid.integers)
    assert exported.artifact.weight_bytes["int8"] == sum(w.integers.size for w in exported.model.weights.values())


def test_the_recurrent_layer_is_one_operator(exported: Exported) -> None:
    assert exported.artifact.delegated["lstm"] == 1
    steps = runtime.load(exported.artifact.path).programs["step"].steps()
    assert "lstm" not in {step.type for step in steps}  # one position needs no loop


def test_the_same_model_gives_the_same_bytes(exported: Exported, metadata: Metadata, tmp_path: Path) -> None:
    again = coreml.export(exported.model, exported.methods, tmp_path / "again.mlpackage", [], metadata)
    assert again.sha256 == exported.artifact.sha256


def test_recurrent_integers_off_the_grid_are_refused_by_name(exported: Exported) -> None:
    name = "lstm.recurrent.weight"
    grid = exported.model.weights[name]
    rolled = replace(grid, integers=np.roll(grid.integers, 1))
    other = replace(exported.model, weights={name: rolled, "lstm.input_reverse.weight": grid})
    with pytest.raises(ExportError, match=r"integers of the weight 'lstm.recurrent.weight' differ from its grid"):
        check_weights(exported.artifact.path, other, [name])
    with pytest.raises(ExportError, match=r"the weight 'lstm.input_reverse.weight' is stored as const"):
        check_weights(exported.artifact.path, other, ["lstm.input_reverse.weight"])


def test_inputs_are_checked_by_method(exported: Exported) -> None:
    runner = runtime.load(exported.artifact.path)
    x, state = np.zeros((1, 10), np.float32), np.zeros((1, 32), np.float32)
    assert [array.shape for array in runner.run(x, state, state, method="step")] == [(1, 50), (1, 32), (1, 32)]
    with pytest.raises(ValueError, match=r"x has shape \(1, 10\); this package takes \(1, 5, 10\) or \(1, 8, 10\)"):
        runner.run(x)
    with pytest.raises(ValueError, match="no method 'encode'; this package has forward, step"):
        runner.run(x, method="encode")


def test_any_amount_of_padding_leaves_both_directions_right(metadata: Metadata, tmp_path: Path) -> None:
    model = quantize(build("tagger_bilstm"), "fp32")
    forward: Method = model.module.methods((8,))[0]  # type: ignore[operator]
    path = tmp_path / "model.mlpackage"
    assert coreml.export(model, [forward], path, [], metadata).delegated["lstm"] == 2
    runner, reference = runtime.load(path), PyTorchRunner(model.module)
    for count in range(9):
        ids = np.random.default_rng(count).integers(1, VOCABULARY, (1, 8, 4)).astype(np.int32)
        ids[:, count:] = 0
        (given,), (wanted,) = runner.run(ids), reference.run(ids)
        np.testing.assert_allclose(given, wanted, atol=1e-5)


class Unpadded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = LSTM(6, 5, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x)


def test_two_directions_without_padding(metadata: Metadata, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = quantize(Unpadded(), "fp32")
    x, y = (methods.Tensor(name, "float32", ("batch", "length", width)) for name, width in (("x", 6), ("y", 10)))
    path = tmp_path / "model.mlpackage"
    coreml.export(model, [Method("forward", (x,), (y,), (4, 7))], path, [], metadata)
    for length in (4, 7):
        values = np.random.default_rng(0).normal(size=(1, length, 6)).astype(np.float32)
        (given,), (wanted,) = runtime.load(path).run(values), PyTorchRunner(model.module).run(values)
        np.testing.assert_allclose(given, wanted, atol=1e-6)


def greedy(runner: Runner, source: np.ndarray, step: Method, count: int) -> list[int]:
    """`count` tokens after token 1, each the most probable one."""
    (crossed,) = runner.run(source, method="encode")
    caches = [np.zeros(step.sizes(tensor, None), np.float32) for tensor in step.inputs[3:]]
    tokens = [1]
    for position in range(count):
        given = np.array([[tokens[-1]]], np.int32), np.array([position], np.int32)
        logits, *caches = runner.run(*given, crossed, *caches, method="step")
        tokens.append(int(logits.argmax()))
    return tokens


def test_greedy_tokens_are_those_of_pytorch(metadata: Metadata, tmp_path: Path) -> None:
    """20 prompts, 20 tokens each."""
    torch.manual_seed(0)
    model = quantize(HybridRNNTransformer(replace(HYBRID, max_target=20)), "fp32")
    with torch.no_grad():  # untrained, all prompts would give the same answer
        model.module.source_embedding.weight.mul_(10)  # type: ignore[operator, union-attr]
        model.module.encoder.output.weight.mul_(30)  # type: ignore[operator, union-attr]
    encode, step = model.module.methods((8,))  # type: ignore[operator]
    path = tmp_path / "model.mlpackage"
    coreml.export(model, [encode, step], path, [], metadata)
    runner, reference = runtime.load(path), PyTorchRunner(model.module)
    answers = set()
    for seed in range(20):
        source = np.random.default_rng(seed).integers(1, VOCABULARY, (1, 8)).astype(np.int32)
        source[:, 3 + seed % 6 :] = 0
        wanted = greedy(reference, source, step, 20)
        assert greedy(runner, source, step, 20) == wanted
        answers.add(tuple(wanted))
    assert len(answers) > 10  # the prompts matter


def test_no_unused_weight_is_looked_for(metadata: Metadata, tmp_path: Path) -> None:
    """The queries and keys over a context of one position are parameters that no method needs."""
    model = quantize(build("hybrid"), "palette_w4_afp16")
    step: Method = model.module.methods((8,))[1]  # type: ignore[operator]
    path = tmp_path / "model.mlpackage"
    artifact = coreml.export(model, [step], path, [], metadata)
    names = {name for name, kind, _ in stored_constants(path) if kind == "constexpr_lut_to_dense"}
    assert "decoder_layers_0_attention_query_weight" in names
    assert not {name for name in names if "cross" in name or "encoder" in name or "source" in name}
    assert artifact.weight_bytes["uint4"] > 0.7 * sum(artifact.weight_bytes.values())
    assert list(runtime.load(path).programs) == ["step"]


def test_a_thousand_steps_are_the_whole_sequence(metadata: Metadata, tmp_path: Path) -> None:
    model = quantize(build("sequence_net"), "fp32")
    path = tmp_path / "model.mlpackage"
    coreml.export(model, model.module.methods((128,)), path, [], metadata)  # type: ignore[operator]
    runner = runtime.load(path)
    x = np.random.default_rng(0).normal(size=(1, 1000, 10)).astype(np.float32)
    h, c = np.zeros((1, 32), np.float32), np.zeros((1, 32), np.float32)
    stepped = []
    for position in range(1000):
        y, h, c = runner.run(x[:, position], h, c, method="step")
        stepped.append(y)
    given = np.stack(stepped, axis=1)
    np.testing.assert_allclose(given, PyTorchRunner(model.module).run(x)[0], rtol=0, atol=1e-5)
    np.testing.assert_allclose(runner.run(x[:, :128])[0], given[:, :128], rtol=0, atol=1e-6)


@pytest.mark.parametrize("numerics", DENSE)
@pytest.mark.parametrize("family", ["sequence_net", "hybrid"])
def test_functions_share_sparse_weights_and_answer_as_pytorch_does(
    family: str, numerics: Numerics, metadata: Metadata, tmp_path: Path
) -> None:
    module = with_zeros(build(family))
    sizes = {}
    for name in (numerics, DENSE[numerics]):
        model = quantize(module, name)
        two: tuple[Method, ...] = model.module.methods((8,))  # type: ignore[operator]
        path = tmp_path / f"{name}.mlpackage"
        artifact = coreml.export(model, two, path, [], metadata)
        sizes[name] = artifact.size_bytes
        runner, reference = runtime.load(path), PyTorchRunner(model.module)
        for method in two:
            arrays = inputs_of(method, method.functions()[0][1], seed=0)
            given, wanted = runner.run(*arrays, method=method.name), reference.run(*arrays, method=method.name)
            for one, other in zip(given, wanted, strict=True):
                assert np.abs(one - other).max() <= 0.01 * np.abs(other).max()
        if name == numerics:
            check_sparse(path, model, artifact)
    assert sizes[numerics] < sizes[DENSE[numerics]]


def check_sparse(path: Path, model: QuantizedModel, artifact: Artifact) -> None:
    """Each sparse weight has the module's zeros and lies in the file once, its mask too."""
    found: dict[str, list[tuple[np.ndarray, int | None, int | None]]] = {}
    for name, kind, tensors in stored_constants(path):
        if kind.startswith("constexpr_sparse_"):
            places = dense(tensors) != 0, mask_of(tensors).offset, tensors["nonzero_data"].offset
            found.setdefault(name, []).append(places)
    parameters = {stored_name(name): parameter for name, parameter in model.module.named_parameters()}
    for name, functions in found.items():
        assert len({one[1:] for one in functions}) == 1
        for kept, *_ in functions:
            np.testing.assert_array_equal(kept, parameters[name].detach().numpy() != 0)
    assert artifact.sparse["weights"] == sum(parameters[name].numel() for name in found)
