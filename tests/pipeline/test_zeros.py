"""What the files of a run do with zeros is said for each target: its bytes and times, and what leaving out gives."""

from dataclasses import replace
from pathlib import Path

import torch

from edgewright.benchmarks.record import Interval, StepResult
from edgewright.compress.numerics import Numerics, Target
from edgewright.compress.quantize import Precision
from edgewright.export.artifact import Artifact
from edgewright.models.encoder import Encoder, EncoderConfig
from edgewright.models.text_cnn import TextCNN, TextCNNConfig
from edgewright.pipeline import ablation
from edgewright.pipeline.zeros import Zeros, dense_bytes

SPARSE = {"weights": 1000, "zeros": 500, "saved_bytes": 375}


def file(
    target: Target, numerics: Numerics, size: int, constants: int, sparse: dict[str, int] | None = None
) -> Artifact:
    return Artifact(target, numerics, Path("file"), size, "", {}, {}, {"int8": constants}, sparse or {})


def step(name: str, p50: tuple[float, float, float], size: int, target: str = "litert") -> StepResult:
    return StepResult(name, target, "dynamic_wi8_afp32", size, size, 0.9, 1.0, Interval(*p50))


LITERT = file("litert", "dynamic_wi8_afp32", 1500, 1040)
DENSE = file("coreml", "weight_only_wi8_afp16", 1900, 1020)
OUT = file("coreml", "sparse_wi8_afp16", 1450, 645, SPARSE)
FOUND = Zeros(
    0.5,
    alone=True,
    artifacts=(LITERT, DENSE, OUT),
    dense_bytes={(one.target, one.numerics): 1000 for one in (LITERT, DENSE, OUT)},
)


def test_without_the_step_before_the_constants_of_each_file_are_told() -> None:
    lines = ablation.hurts([], (), (), FOUND)
    assert lines == (
        "litert stores the zeros (50.0% of the weights) like any other number: dynamic_wi8_afp32 holds 1,040 bytes of "
        "constants, and its weights with all zeros are 1,000.",
        "coreml stores the zeros (50.0% of the weights) like any other number: weight_only_wi8_afp16 holds 1,020 bytes "
        "of constants, and its weights with all zeros are 1,000.",
        "coreml sparse_wi8_afp16 leaves out 500 zeros of 1,000 values, which saves 375 bytes: 1,450 bytes, "
        "weight_only_wi8_afp16 1,900. Whether Apple's runtime is slower or faster with it was not measured.",
    )


def test_sizes_and_times_are_told_beside_those_of_the_step_before() -> None:
    made = [step("train", (0.030, 0.029, 0.031), 1500), step("prune", (0.030, 0.029, 0.032), 1500)]
    (line, *_) = ablation.hurts([], made, (), FOUND)
    assert line.endswith(
        "dynamic_wi8_afp32 has 1,500 bytes, before pruning 1,500, and is no faster: 0.0300 ms, before 0.0300 ms."
    )
    quick = [made[0], step("prune", (0.020, 0.019, 0.021), 1500)]
    assert "and takes 0.0200 ms, before 0.0300 ms" in ablation.hurts([], quick, (), FOUND)[0]


def test_where_more_was_pruned_the_step_before_proves_nothing_about_zeros() -> None:
    made = [step("train", (0.030, 0.029, 0.031), 3000), step("prune", (0.020, 0.019, 0.021), 1500)]
    (line, *_) = ablation.hurts([], made, (), replace(FOUND, alone=False))
    assert "before" not in line and "holds 1,040 bytes of constants" in line
    slow = [made[0], step("prune", (0.030, 0.029, 0.032), 3000)]
    lines = ablation.hurts([], slow, (), replace(FOUND, alone=False))
    assert any(line.startswith("Pruning did not make litert dynamic_wi8_afp32 faster") for line in lines)


def test_a_core_ml_run_without_a_sparse_cell_is_told_of_them() -> None:
    (line,) = ablation.hurts([], (), (), replace(FOUND, artifacts=(DENSE,)))
    assert line.endswith("; sparse_wfp16_afp16 and sparse_wi8_afp16 would leave them out.")


def test_a_sparse_cell_that_leaves_nothing_out_is_not_called_smaller() -> None:
    nothing = file("coreml", "sparse_wi8_afp16", 1905, 1020)
    (line,) = ablation.hurts([], (), (), Zeros(0.0, False, (DENSE, nothing), FOUND.dense_bytes))
    assert line == (
        "coreml sparse_wi8_afp16 leaves out no zeros, as no weight has so many that a bit for each of its values pays: "
        "1,905 bytes, weight_only_wi8_afp16 1,900."
    )


def test_dense_bytes_are_those_of_the_layers_forms() -> None:
    model = TextCNN(TextCNNConfig(50, classes=5, width=32, hidden=16))
    weights = sum(parameter.numel() for parameter in model.parameters() if parameter.ndim >= 2)
    assert dense_bytes(model, "fp32", Precision()) == 4 * weights
    assert dense_bytes(model, "palette_w6_afp16", Precision()) == weights * 6 // 8
    assert dense_bytes(model, "dynamic_wi8_afp32", Precision()) == weights
    wide = Encoder(EncoderConfig(50, classes=5, width=32, feedforward=64, positions=16))
    linear = sum(layer.weight.numel() for layer in wide.modules() if isinstance(layer, torch.nn.Linear))
    assert dense_bytes(wide, "dynamic_wi4_afp32", Precision()) == 50 * 32 + linear // 2
