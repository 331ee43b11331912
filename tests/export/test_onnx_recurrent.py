"""export/onnx_recurrent.py and folders of methods: LSTM operators with the grid's integers, padding, and state."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgewright.compress.numerics import Numerics
from edgewright.compress.quantize import QuantizedModel, quantize
from edgewright.errors import ExportError
from edgewright.export import export, onnx_recurrent
from edgewright.export import onnx as exporter
from edgewright.export.artifact import Artifact, Metadata
from edgewright.runtimes.onnx import load
from edgewright.runtimes.pytorch import PyTorchRunner
from tests.export.families import LENGTHS, VOCABULARY, build

GATES_OF_ONNX = (0, 2, 1, 3)  # input, output, forget, cell among input, forget, output, cell
TOLERANCE: dict[Numerics, float] = {"fp32": 1e-6, "dynamic_wi8_afp32": 0.03, "dynamic_wi4_afp32": 0.03}


def written(family: str, numerics: Numerics, folder: Path) -> tuple[QuantizedModel, Artifact]:
    model = quantize(build(family), numerics)
    methods = model.module.methods(LENGTHS)  # type: ignore[operator]
    metadata = Metadata(family, "", ("a",), "MIT", "1")
    return model, export("onnx", model, methods, folder / "model.onnx", [], metadata)


@pytest.fixture(scope="module", params=sorted(TOLERANCE))
def tagger(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[QuantizedModel, Artifact]:
    return written("tagger_bilstm", request.param, tmp_path_factory.mktemp("onnx"))


@pytest.fixture(scope="module")
def sequence_net(tmp_path_factory: pytest.TempPathFactory) -> tuple[QuantizedModel, Artifact]:
    return written("sequence_net", "dynamic_wi8_afp32", tmp_path_factory.mktemp("onnx"))


def test_each_text_of_a_batch_is_read_backwards_from_its_own_last_word(tagger: tuple[QuantizedModel, Artifact]) -> None:
    model, artifact = tagger
    ids = np.random.default_rng(3).integers(1, VOCABULARY, (4, 11, 4)).astype(np.int32)
    lengths = (11, 0, 3, 7)
    for row, length in enumerate(lengths):
        ids[row, length:] = 0
    (given,) = load(artifact.path).run(ids)
    (wanted,) = PyTorchRunner(model.module).run(ids)
    for row, length in enumerate(lengths):
        difference = np.abs(given[row, :length] - wanted[row, :length]).max(initial=0)
        assert difference <= TOLERANCE[model.numerics] * np.abs(wanted).max()
    assert np.isfinite(given).all()


def test_padding_does_not_change_the_scores(tagger: tuple[QuantizedModel, Artifact]) -> None:
    model, artifact = tagger
    runner = load(artifact.path)
    ids = np.random.default_rng(4).integers(1, VOCABULARY, (1, 4, 4)).astype(np.int32)
    padded = np.pad(ids, ((0, 0), (0, 5), (0, 0)))
    short, long = runner.run(ids)[0], runner.run(padded)[0][:, :4]
    # int8: zeros behind the text do not widen the range of an activation, which holds 0 in any case
    assert long == pytest.approx(short, abs=1e-5 if model.numerics != "dynamic_wi4_afp32" else 0.02)


def test_the_operator_of_each_numerics_does_the_work(tagger: tuple[QuantizedModel, Artifact]) -> None:
    model, artifact = tagger
    operator = "DynamicQuantizeLSTM" if model.numerics == "dynamic_wi8_afp32" else "LSTM"
    assert artifact.delegated[operator] == 1
    assert not {"BitShift", "Loop", "Scan", "Shape"} & set(artifact.delegated)
    domains = {"fp32": {""}}.get(model.numerics, {"", "com.microsoft"})
    file = onnx.load(artifact.path)
    assert {entry.domain for entry in file.opset_import} == domains
    assert artifact.weight_bytes.get("int4", 0) == (
        sum(grid.integers.size // 2 for grid in model.weights.values() if grid.bits == 4)
    )


def test_integers_and_scales_of_the_operator_are_those_of_the_grid(tagger: tuple[QuantizedModel, Artifact]) -> None:
    """Looks at the inputs of the operator, not through the exporter's reader."""
    model, artifact = tagger
    if model.numerics != "dynamic_wi8_afp32":
        return
    file = onnx.load(artifact.path)
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in file.graph.initializer}
    node = next(node for node in file.graph.node if node.op_type == "DynamicQuantizeLSTM")
    for part, place, scale_place in (("input", 1, 8), ("recurrent", 2, 10)):
        for direction, suffix in enumerate(("", "_reverse")):
            grid = model.weights[f"lstm.{part}{suffix}.weight"]
            rows = np.concatenate([np.split(grid.integers, 4)[gate] for gate in GATES_OF_ONNX])
            scales = np.concatenate([np.split(grid.scales, 4)[gate] for gate in GATES_OF_ONNX])
            zeros = values[node.input[scale_place + 1]]
            assert (values[node.input[place]].dtype, zeros.dtype) == (np.uint8, np.uint8)
            assert np.array_equal(values[node.input[place]][direction].T.astype(np.int16) - 128, rows)
            assert np.array_equal(values[node.input[scale_place]][direction], scales)
            assert (zeros == 128).all()


def test_onnx_runtime_computes_with_the_stored_integers(
    sequence_net: tuple[QuantizedModel, Artifact], tmp_path: Path
) -> None:
    """Integers that are changed in the file change the output as they change PyTorch's."""
    model, artifact = sequence_net
    file = onnx.load(artifact.path / "forward.onnx")
    hidden = 32
    for tensor in file.graph.initializer:
        if tensor.name == "lstm.input.weight.gates":
            integers = numpy_helper.to_array(tensor).copy()
            gate = integers[0, :, hidden : 2 * hidden]  # the output gate is the second of ONNX
            gate[:] = 256 - gate.astype(np.int16)  # 128 is 0
            tensor.CopyFrom(numpy_helper.from_array(integers, tensor.name))
    del file.metadata_props[:]
    onnx.save(file, tmp_path / "changed.onnx")
    x = np.random.default_rng(5).normal(size=(1, 6, 10)).astype(np.float32)
    (before,), (after,) = load(artifact.path).run(x), load(tmp_path / "changed.onnx").run(x)

    changed: Any = quantize(model.module, "fp32").module
    changed.lstm.get_submodule("input").weight.data[2 * hidden : 3 * hidden] *= -1  # and the third of ours
    (wanted,) = PyTorchRunner(changed).run(x)
    assert np.abs(wanted - before).max() > 0.05
    assert after == pytest.approx(wanted, abs=0.01)


def test_a_model_with_several_methods_is_a_folder(sequence_net: tuple[QuantizedModel, Artifact]) -> None:
    _, artifact = sequence_net
    assert sorted(file.name for file in artifact.path.iterdir()) == ["forward.onnx", "step.onnx"]
    assert artifact.size_bytes == sum(file.stat().st_size for file in artifact.path.iterdir())
    for file in artifact.path.iterdir():
        properties = {entry.key: entry.value for entry in onnx.load(file).metadata_props}
        assert json.loads(properties["methods"]) == ["forward", "step"]
    names = {
        method: [tensor.name for tensor in onnx.load(artifact.path / f"{method}.onnx").graph.input]
        for method in ("forward", "step")
    }
    assert names == {"forward": ["x"], "step": ["x", "h", "c"]}


def test_a_batch_of_steps_gives_what_the_sequence_gives(sequence_net: tuple[QuantizedModel, Artifact]) -> None:
    _, artifact = sequence_net
    runner = load(artifact.path)
    x = np.random.default_rng(6).normal(size=(3, 13, 10)).astype(np.float32)
    (whole,) = runner.run(x)
    h = c = np.zeros((3, 32), np.float32)
    for position in range(13):
        y, h, c = runner.run(x[:, position], h, c, method="step")
        assert y == pytest.approx(whole[:, position], abs=0.05)  # int8 activations: other ranges


def test_damaged_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rewrite = onnx_recurrent.integer_layer
    name = "lstm.recurrent_reverse.weight"

    def damaged(graph: Any, node: onnx.NodeProto, weights: Any) -> None:
        integers = weights[name].integers.copy()
        integers[9, 1] ^= 1
        rewrite(graph, node, weights | {name: replace(weights[name], integers=integers)})

    monkeypatch.setattr(onnx_recurrent, "integer_layer", damaged)
    with pytest.raises(ExportError, match=r"lstm\.recurrent_reverse\.weight is stored with other integers"):
        written("tagger_bilstm", "dynamic_wi8_afp32", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_lstm_that_runs_in_float_is_refused(tagger: tuple[QuantizedModel, Artifact]) -> None:
    model, artifact = tagger
    if model.numerics == "fp32":
        with pytest.raises(ExportError, match=r"computes 'lstm/.+' \(LSTM\) without an integer kernel"):
            exporter._kernels(artifact.path, quantize(build("tagger_bilstm"), "dynamic_wi8_afp32"))


@pytest.mark.parametrize(
    ("family", "message"),
    [("tagger_bilstm", "the LSTM 'lstm' has no static_wi8_ai8 form"), ("encoder", "the linear layer over positions '")],
)
def test_ranges_fixed_beforehand_are_refused_with_the_layer(family: str, message: str, tmp_path: Path) -> None:
    model = quantize(build(family), "static_wi8_ai8")
    methods = model.module.methods(LENGTHS)  # type: ignore[operator]
    calibration = [(np.ones((1, 8, 4) if family == "tagger_bilstm" else (1, 8), np.int32),)]
    with pytest.raises(ExportError, match=message):
        export("onnx", model, methods, tmp_path / "m.onnx", calibration, Metadata(family, "", (), "MIT", "1"))
