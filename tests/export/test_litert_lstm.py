"""export/litert_lstm.py: LSTM layers in .tflite files compute what PyTorch computes, and are small."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from torch import Tensor, nn

from edgewright.compress.numerics import Numerics
from edgewright.compress.quantize import QuantizedModel, quantize
from edgewright.errors import ExportError
from edgewright.export import litert, litert_file, litert_lstm, litert_weights
from edgewright.export.artifact import Metadata
from edgewright.models.lstm import LSTM
from edgewright.models.methods import Method
from edgewright.models.methods import Tensor as Described
from edgewright.runtimes.litert import LitertRunner, load

LENGTHS = (1, 6, 9)
SEEDS = range(4)
# of the largest output; static: states and sums of 8 bits, inputs within the calibrated range
TOLERANCE: dict[Numerics, float] = {"fp32": 1e-6, "fp16": 2e-3, "dynamic_wi8_afp32": 0.02, "static_wi8_ai8": 0.05}
NAMES = frozenset(f"lstm.{part}{suffix}.weight" for part in ("input", "recurrent") for suffix in ("", "_reverse"))


class Reader(nn.Module):
    """Both directions start with the same weights, which a file stores once."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.lstm = LSTM(8, 16, bidirectional=True)
        forwards = {name: value for name, value in self.lstm.state_dict().items() if "_reverse" not in name}
        backwards = {name.replace(".", "_reverse."): value for name, value in forwards.items()}
        self.lstm.load_state_dict(forwards | backwards)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        return self.lstm(x, real)


METHOD = Method(
    "forward",
    (Described("x", "float32", ("batch", "length", 8)), Described("real", "float32", ("batch", "length"))),
    (Described("y", "float32", ("batch", "length", 32)),),
    LENGTHS,
    batch=2,
)


class Exported(NamedTuple):
    model: QuantizedModel
    path: Path
    runner: LitertRunner


@pytest.fixture(scope="module", params=list(TOLERANCE))
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    model = quantize(Reader(), request.param)
    path = tmp_path_factory.mktemp("litert") / "model.tflite"
    calibration = [inputs(length, seed) for seed in SEEDS for length in LENGTHS]
    litert.export(model, [METHOD], path, calibration, Metadata("reader", "", (), "MIT", "1"))
    return Exported(model, path, load(path))


def inputs(length: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    counts = np.array([[length], [random.integers(0, length + 1)]])
    real = (np.arange(length) < counts).astype(np.float32)
    return random.normal(size=(2, length, 8)).astype(np.float32), real


@pytest.mark.parametrize("length", LENGTHS)
def test_same_outputs_as_pytorch_and_zeros_at_padding(exported: Exported, length: int) -> None:
    for seed in SEEDS:
        x, real = inputs(length, seed)
        with torch.no_grad():
            wanted = exported.model.module(torch.from_numpy(x), torch.from_numpy(real)).numpy()
        (given,) = exported.runner.run(x, real)
        assert np.abs(given - wanted).max() <= TOLERANCE[exported.model.numerics] * np.abs(wanted).max()
        assert not given[real == 0].any()


def test_weights_and_their_scales_are_stored_once(exported: Exported) -> None:
    file = litert_file.read(exported.path)
    heavy = [constant for constant in litert_file.constants(file) if constant.values.shape in ((64, 8), (64, 16))]
    assert len(heavy) == 2  # input and recurrent: both directions have the same
    if exported.model.numerics == "dynamic_wi8_afp32":
        for graph in file.subgraphs:
            assert sum(tensor.type == schema.TensorType.INT8 for tensor in graph.tensors) <= 4


def test_nothing_of_a_stand_in_is_left(exported: Exported) -> None:
    file = litert_file.read(exported.path)
    for index, length in enumerate(LENGTHS):
        operators = litert_file.operators(file, index)
        assert not {"REDUCE_MAX", "REDUCE_MIN"} & set(operators)
        assert operators.count("FULLY_CONNECTED") == 2 * length - 1  # the input's product is that of both directions


def test_what_is_no_stand_in_is_refused(exported: Exported) -> None:
    file = litert_file.read(exported.path)  # its products read the state of the position before
    layers = litert_weights.layers(file, exported.model, NAMES)
    with pytest.raises(ExportError, match=r"wrote lstm\.recurrent\w*\.weight in a way that is not known here"):
        litert_lstm.unroll(file, layers, exported.model.module)
