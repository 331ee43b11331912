"""Every family in every format: each method of each file answers as PyTorch does, also from state to state."""

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from edgewright.benchmarks import weights
from edgewright.benchmarks.weight_cells import EQUAL
from edgewright.compress.numerics import INT8, SUPPORT, TARGETS, Numerics, Target
from edgewright.compress.quantize import QuantizedModel, quantize
from edgewright.export import export
from edgewright.export.artifact import SUFFIX, Metadata
from edgewright.models.methods import Method
from edgewright.runtimes import Runner, load
from edgewright.runtimes.pytorch import PyTorchRunner
from tests.export.families import FAMILIES, INT4, LENGTHS, VOCABULARY, build, inputs_of

# Largest difference of an output, relative to the largest output. int8: activations are quantized too, or rounded to
# float16 in Core ML; measured against the module whose weights lie on the same grid.
TOLERANCE = {"fp32": 1e-5, "int8": 0.05}
STEPS = 40
SEVERAL_LENGTHS = ("text_cnn", "lstm_attention")

# Methods in which ExecuTorch and LiteRT take means, variances and one position's attention with other operators: their
# float32 sums differ in the last bit, and a value on the border of two integers then becomes the other one.
OTHER_OPERATORS = {"encoder": ("forward",), "encoder_norm_after": ("forward",), "hybrid": ("step",)}
# Whose files of 4 bits are made each time: a convolution, an LSTM and a step. The others' exports take minutes, and
# test_precision.py has some of them.
FOUR_BITS = ("text_cnn", "sequence_net")
INTEGERS = [
    pytest.param(family, kind, marks=[pytest.mark.slow] if kind == "int4" and family not in FOUR_BITS else [])
    for family in FAMILIES
    for kind in ("int8", "int4")
]
SAME_BITS = [case for case in INTEGERS if OTHER_OPERATORS.get(str(case.values[0])) != ("forward",)]


class Exported(NamedTuple):
    target: Target
    numerics: Numerics
    kind: str  # fp32, int8 or int4
    quantized: QuantizedModel
    path: Path
    methods: tuple[Method, ...]
    runner: Runner


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Target, str], Exported]:
    """Makes a file, which takes seconds: once for all tests that look at it."""

    @functools.cache
    def make(family: str, target: Target, kind: str) -> Exported:
        numerics = {"int8": INT8, "int4": INT4}[kind][target] if kind != "fp32" else "fp32"
        assert SUPPORT[numerics, target].supported
        quantized = quantize(build(family), numerics)
        # a file of several lengths takes as many times as long to make, and other tests look at what is in it
        lengths = LENGTHS if kind == "fp32" and family in SEVERAL_LENGTHS else LENGTHS[-1:]
        methods = quantized.module.methods(lengths)  # type: ignore[operator]
        path = tmp_path_factory.mktemp("families") / f"{family}{SUFFIX[target]}"
        export(target, quantized, methods, path, [], Metadata(family, "", tuple("abcde"), "MIT", "1"))
        return Exported(target, numerics, kind, quantized, path, methods, load(target, path))

    return make


@pytest.fixture
def exported(request: pytest.FixtureRequest, made: Callable[[str, Target, str], Exported]) -> Exported:
    return made(*request.param)


CELLS = [
    pytest.param((family, target, kind), id=f"{family}-{target}-{kind}")
    for family in FAMILIES
    for target in TARGETS
    for kind in ("fp32", "int8", "int4")
    if kind != "int4" or family in FOUR_BITS
]
WITH_STATE = [cell for cell in CELLS if cell.values[0][0] in ("sequence_net", "hybrid")]  # type: ignore[index]


@pytest.mark.parametrize("exported", CELLS, indirect=True)
def test_each_method_answers_as_pytorch_does(exported: Exported) -> None:
    reference = PyTorchRunner(exported.quantized.module)
    for method in exported.methods:
        for _, length in method.functions():
            for seed in range(4):
                arrays = inputs_of(method, length, seed)
                given = exported.runner.run(*arrays, method=method.name)
                wanted = reference.run(*arrays, method=method.name)
                assert [array.shape for array in given] == [array.shape for array in wanted]
                for name, one, other in zip(method.outputs, given, wanted, strict=True):
                    one, other = real_part(method, arrays, one), real_part(method, arrays, other)
                    assert difference(one, other) <= TOLERANCE.get(exported.kind, TOLERANCE["int8"]), (
                        method.name,
                        length,
                        name.name,
                    )


@pytest.mark.parametrize(("family", "kind"), SAME_BITS)
def test_executorch_and_litert_answer_with_the_same_bits(
    family: str, kind: str, made: Callable[[str, Target, str], Exported]
) -> None:
    """Both quantize the rows that a product reads at each call, by XNNPACK; docs/decisions/0012-bit-identity.md."""
    executorch, litert = made(family, "executorch", kind), made(family, "litert", kind)
    for method in executorch.methods:
        if method.name in OTHER_OPERATORS.get(family, ()):
            continue
        for function, length in method.functions():
            for seed in range(20):
                arrays = inputs_of(method, length, seed)
                given, wanted = (side.runner.run(*arrays, method=method.name) for side in (litert, executorch))
                for tensor, one, other in zip(method.outputs, given, wanted, strict=True):
                    assert np.array_equal(one, other), (function, tensor.name, seed, np.abs(one - other).max())


@pytest.mark.parametrize(("family", "kind"), INTEGERS)
def test_every_file_stores_the_same_integers_and_scales(
    family: str, kind: str, made: Callable[[str, Target, str], Exported]
) -> None:
    files = {target: made(family, target, kind) for target in TARGETS}
    module = build(family)
    found = weights.compare_files(
        module, files["onnx"].methods, {target: (target, one.quantized, one.path) for target, one in files.items()}
    )
    assert len(found) >= 3
    for layer in found:
        assert layer.cells.keys() == files.keys()
        for file, cell in layer.cells.items():
            assert (cell.state in EQUAL, cell.same, cell.differing) == (True, True, 0), (layer.name, file, cell)


@pytest.mark.parametrize("target", TARGETS)
def test_one_changed_integer_of_four_bits_is_one_difference(
    target: Target, made: Callable[[str, Target, str], Exported], tmp_path: Path
) -> None:
    one = made("sequence_net", target, "int4")
    path = tmp_path / one.path.name
    shutil.copytree(one.path, path) if one.path.is_dir() else shutil.copyfile(one.path, path)
    head = one.quantized.weights["head.weight"]
    assert head.bits == 4
    added = 8 if target in ("executorch", "onnx") else 16  # so that none is negative; else two's complement
    pairs = (head.integers.reshape(-1, 2) + added).astype(np.uint8) & 15
    packed = (pairs[:, 0] | pairs[:, 1] << 4).tobytes()
    for file in [file for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]:
        content = bytearray(file.read_bytes())
        start = 0
        while (place := content.find(packed, start)) >= 0:  # a method each, where they do not share it
            content[place + 100] ^= 1
            start = place + len(packed)
        file.write_bytes(bytes(content))
    layers = weights.compare_files(build("sequence_net"), one.methods, {"it": (target, one.quantized, path)})
    differing = {layer.name: layer.cells["it"].differing for layer in layers}
    assert differing.pop("head.weight") == 1
    assert set(differing.values()) == {0}


@pytest.mark.parametrize("exported", WITH_STATE, indirect=True)
def test_steps_follow_pytorch_from_state_to_state(exported: Exported) -> None:
    reference = PyTorchRunner(exported.quantized.module)
    step = next(method for method in exported.methods if method.name == "step")
    outputs = [tensor.name for tensor in step.outputs]
    random = np.random.default_rng(1)
    states: list[dict[str, np.ndarray]] = [{}, {}]
    crossed = np.empty(0)
    if "crossed" in [tensor.name for tensor in step.inputs]:
        encode = exported.methods[0]
        crossed = reference.run(*inputs_of(encode, encode.lengths[0], 0), method="encode")[0]
    room = min((sizes[2] for tensor in step.inputs if len(sizes := step.sizes(tensor, None)) == 4), default=STEPS)
    worst = 0.0
    for number in range(min(STEPS, room)):
        fresh: dict[str, np.ndarray] = {
            "x": random.normal(size=(1, 10)).astype(np.float32),
            "token": random.integers(1, VOCABULARY, (1, 1)).astype(np.int32),
            "position": np.array([number], np.int32),
            "crossed": crossed,
        }
        answers = []
        for runner, state in zip((exported.runner, reference), states, strict=True):
            zeros = {t.name: np.zeros(step.sizes(t, None), np.float32) for t in step.inputs}
            given_now: dict[str, np.ndarray] = {**zeros, **fresh, **state}
            arrays = [given_now[tensor.name] for tensor in step.inputs]
            given = dict(zip(outputs, runner.run(*arrays, method="step"), strict=True))
            state.update({before: given[after] for before, after in step.state})
            answers.append(given[outputs[0]])
        worst = max(worst, difference(*answers))
    assert worst <= (1e-5 if exported.kind == "fp32" else 0.1)


def real_part(method: Method, arrays: tuple[np.ndarray, ...], output: np.ndarray) -> np.ndarray:
    """Without what a tagger says of padding, which means nothing."""
    if output.ndim == 3 and method.outputs[0].name == "scores":
        return output[:, arrays[0][0, :, 0] != 0]
    return output


def difference(one: np.ndarray, other: np.ndarray) -> float:
    assert np.isfinite(one).all()
    return float(np.abs(one - other).max() / max(1e-6, np.abs(other).max()))
