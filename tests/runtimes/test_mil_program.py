"""Programs as a whole: compressed weights, states, float16, and packages that are damaged or unknown."""

import contextlib
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgewright.errors import DamagedFileError, EdgewrightError
from edgewright.runtimes import coreml
from edgewright.runtimes.mil.loading import MODEL_FOLDER, load_program, read_model
from edgewright.runtimes.mil.operators import OPERATORS
from tests.runtimes.quiet import quiet

pytest.importorskip("coremltools", reason="needs edgewright[coreml]")

with quiet():
    import coremltools
    from coremltools.optimize.coreml import (
        OpLinearQuantizerConfig,
        OpMagnitudePrunerConfig,
        OpPalettizerConfig,
        OptimizationConfig,
        decompress_weights,
        linear_quantize_weights,
        palettize_weights,
        prune_weights,
    )

IOS_17, IOS_18 = coremltools.target.iOS17, coremltools.target.iOS18


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def convert(module: nn.Module, x: Tensor, path: Path, target: Any = IOS_17, shape: Any = None, **options: Any) -> Any:
    """The package of a module with one float input `x`, also saved to `path`; float32 unless said otherwise."""
    precision = coremltools.precision.FLOAT16 if "states" in options else coremltools.precision.FLOAT32
    with quiet(), torch.no_grad():
        script = torch.jit.trace(module.eval(), (x,), check_trace=False)  # type: ignore[no-untyped-call]
        package = coremltools.convert(
            script,
            minimum_deployment_target=target,
            inputs=[coremltools.TensorType("x", shape or tuple(x.shape))],
            skip_model_load=True,
            **{"compute_precision": precision, **options},
        )
        package.save(str(path))
    return package


def interpret(path: Path, x: Tensor, mode: Any = "fp32") -> np.ndarray:
    (answer,) = load_program(path, mode).run({"x": x.numpy()}).values()
    return np.asarray(answer)


# ---------------------------------------------------------------- compressed constants

torch.manual_seed(0)
LAYERS = nn.Sequential(nn.Conv1d(32, 32, 3, padding=1), nn.ReLU(), nn.Conv1d(32, 32, 1))
LAYERS_INPUT = random(1, 32, 9)


def quantizer(**options: Any) -> Callable[[Any], Any]:
    config = OpLinearQuantizerConfig(weight_threshold=0, **options)
    return lambda package: linear_quantize_weights(package, OptimizationConfig(global_config=config))


def palettizer(**options: Any) -> Callable[[Any], Any]:
    config = OpPalettizerConfig(weight_threshold=0, **options)
    return lambda package: palettize_weights(package, OptimizationConfig(global_config=config))


def pruner(package: Any) -> Any:
    config = OpMagnitudePrunerConfig(target_sparsity=0.6, weight_threshold=0)
    return prune_weights(package, OptimizationConfig(global_config=config))


def after_pruning(compress: Any, config: Any) -> Callable[[Any], Any]:
    return lambda package: compress(pruner(package), OptimizationConfig(global_config=config), joint_compression=True)


COMPRESSED: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "affine": (IOS_17, quantizer(mode="linear", dtype="uint8")),
    "symmetric": (IOS_17, quantizer(mode="linear_symmetric", dtype="int8")),
    "palette, 6 bits": (IOS_17, palettizer(mode="uniform", nbits=6)),
    "sparse": (IOS_17, pruner),
    "blocks, int4": (IOS_18, quantizer(mode="linear_symmetric", dtype="int4", granularity="per_block", block_size=16)),
    "channels, uint4 with offset": (IOS_18, quantizer(mode="linear", dtype="uint4")),
    "palette, uint6": (IOS_18, palettizer(mode="uniform", nbits=6)),
    "palettes, 3 bits": (IOS_18, palettizer(mode="uniform", nbits=3, granularity="per_grouped_channel", group_size=8)),
    "palette of pairs": (
        IOS_18,
        palettizer(mode="kmeans", nbits=2, cluster_dim=2, granularity="per_grouped_channel", group_size=32),
    ),
    "sparse, 1-bit mask": (IOS_18, pruner),
    "sparse palette": (
        IOS_18,
        after_pruning(palettize_weights, OpPalettizerConfig(mode="uniform", nbits=4, weight_threshold=0)),
    ),
    "sparse int8": (
        IOS_18,
        after_pruning(linear_quantize_weights, OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=0)),
    ),
}


@pytest.mark.parametrize("name", COMPRESSED)
def test_compressed_weights_are_what_coremltools_decompresses(name: str, tmp_path: Path) -> None:
    target, compress = COMPRESSED[name]
    package = convert(LAYERS, LAYERS_INPUT, tmp_path / "float.mlpackage", target)
    with quiet():
        compressed = compress(package)
        compressed.save(str(tmp_path / "compressed.mlpackage"))
        decompress_weights(compressed).save(str(tmp_path / "dense.mlpackage"))
    plain = interpret(tmp_path / "float.mlpackage", LAYERS_INPUT)
    got = interpret(tmp_path / "compressed.mlpackage", LAYERS_INPUT)
    wanted = interpret(tmp_path / "dense.mlpackage", LAYERS_INPUT)
    assert not np.array_equal(got, plain)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


# ---------------------------------------------------------------- states, float16


class Counter(nn.Module):
    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(1, 3))

    def forward(self, x: Tensor) -> Tensor:
        self.total[:] = self.total + x
        return self.total * 2


class TimesThreeMinusOne(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x * 3) - x


def test_a_state_is_kept_between_calls_and_starts_anew_with_each_load(tmp_path: Path) -> None:
    x = torch.tensor([[1.0, 2.0, 3.0]])
    path = tmp_path / "model.mlpackage"
    state = coremltools.StateType(coremltools.TensorType(shape=(1, 3), dtype=np.float16), name="total")
    convert(Counter(), x, path, IOS_18, states=[state])
    program = load_program(path, "fp16")
    answers = [next(iter(program.run({"x": x.numpy()}).values())) for _ in range(3)]
    np.testing.assert_array_equal(np.concatenate(answers), np.outer([2, 4, 6], [1, 2, 3]))
    np.testing.assert_array_equal(interpret(path, x, "fp16"), [[2, 4, 6]])


def test_float16_results_are_rounded_only_in_that_mode(tmp_path: Path) -> None:
    path, x = tmp_path / "model.mlpackage", random(2, 50)
    convert(TimesThreeMinusOne(), x, path, compute_precision=coremltools.precision.FLOAT16)
    half = x.numpy().astype(np.float16).astype(np.float32)
    tripled = (half * 3).astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(interpret(path, x, "fp16"), (tripled - half).astype(np.float16))
    np.testing.assert_allclose(interpret(path, x, "fp32"), 2 * x.numpy(), rtol=1e-6)


def test_a_range_of_lengths_is_taken_and_nothing_beyond_it(tmp_path: Path) -> None:
    path = tmp_path / "model.mlpackage"
    convert(LAYERS, LAYERS_INPUT, path, shape=coremltools.Shape((1, 32, coremltools.RangeDim(4, 12, default=9))))
    runner = coreml.load(path)
    for length in (4, 9, 12):
        x = random(1, 32, length)
        with torch.no_grad():
            np.testing.assert_allclose(runner.run(x.numpy())[0], LAYERS(x).numpy(), atol=1e-5)
    with pytest.raises(ValueError, match=r"x has shape \(1, 32, 13\); this package takes \(1, 32, 4 to 12\)"):
        runner.run(random(1, 32, 13).numpy())


# ---------------------------------------------------------------- damaged and unknown packages


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("intact") / "model.mlpackage"
    convert(LAYERS, LAYERS_INPUT, path)
    return path


@pytest.fixture
def copied(intact: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(intact, tmp_path / "copy.mlpackage"))


def weight_file(package: Path) -> Path:
    return package / MODEL_FOLDER / "weights" / "weight.bin"


def records(content: bytes | bytearray) -> list[tuple[int, int]]:
    """(first byte, size) of each tensor in a weight.bin."""
    places = [i for i in range(64, len(content), 64) if content[i : i + 4] == struct.pack("<I", 0xDEADBEEF)]
    return [(struct.unpack_from("<Q", content, i + 16)[0], struct.unpack_from("<Q", content, i + 8)[0]) for i in places]


def test_a_changed_weight_byte_changes_the_answer(copied: Path, intact: Path) -> None:
    content = bytearray(weight_file(copied).read_bytes())
    start, size = records(content)[0]
    content[start + size // 2 // 4 * 4 + 3] ^= 0x40  # the highest bit of a float's exponent
    weight_file(copied).write_bytes(content)
    assert np.abs(interpret(copied, LAYERS_INPUT) - interpret(intact, LAYERS_INPUT)).max() > 0.01


def test_swapped_weights_change_the_answer(copied: Path, intact: Path) -> None:
    content = bytearray(weight_file(copied).read_bytes())
    (first, size), (second, other) = records(content)[:2]
    size = min(size, other)
    content[first : first + size], content[second : second + size] = (
        content[second : second + size],
        content[first : first + size],
    )
    weight_file(copied).write_bytes(content)
    assert np.abs(interpret(copied, LAYERS_INPUT) - interpret(intact, LAYERS_INPUT)).max() > 0.01


def test_a_zeroed_tail_is_refused(copied: Path) -> None:
    content = weight_file(copied).read_bytes()
    start, _ = records(content)[-1]
    weight_file(copied).write_bytes(content[: start - 64] + bytes(len(content) - start + 64))
    with pytest.raises(DamagedFileError, match="no record mark"):
        coreml.load(copied)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("part", ["weights/weight.bin", "model.mlmodel"])
def test_a_cut_file_is_refused_in_one_line(copied: Path, part: str, share: float) -> None:
    path = copied / MODEL_FOLDER / part
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DamagedFileError) as caught:
        coreml.load(copied)
    assert "\n" not in str(caught.value) and str(copied) in str(caught.value)


@pytest.mark.parametrize("part", ["weights/weight.bin", "model.mlmodel"])
def test_random_bytes_are_refused(copied: Path, part: str) -> None:
    path = copied / MODEL_FOLDER / part
    path.write_bytes(np.random.default_rng(0).bytes(path.stat().st_size))
    with pytest.raises(DamagedFileError):
        coreml.load(copied)


def test_flipped_bits_of_the_program_never_end_in_another_error(intact: Path, tmp_path: Path) -> None:
    """Each flip gives a refusal, an error that names the operator, or a program that runs."""
    content = (intact / MODEL_FOLDER / "model.mlmodel").read_bytes()
    copy = Path(shutil.copytree(intact, tmp_path / "flipped.mlpackage"))
    for place in np.random.default_rng(0).integers(0, len(content), 150):
        changed = bytearray(content)
        changed[place] ^= 1 << (place % 8)
        (copy / MODEL_FOLDER / "model.mlmodel").write_bytes(changed)
        with contextlib.suppress(EdgewrightError, KeyError):  # KeyError: the input's name was hit
            interpret(copy, LAYERS_INPUT)


@pytest.mark.parametrize("part", ["", str(MODEL_FOLDER / "model.mlmodel"), str(MODEL_FOLDER / "weights")])
def test_a_missing_part_is_refused(copied: Path, part: str) -> None:
    path = copied / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(DamagedFileError):
        coreml.load(copied)


def test_a_weight_file_outside_the_package_is_refused(copied: Path) -> None:
    path = copied / MODEL_FOLDER / "model.mlmodel"
    path.write_bytes(path.read_bytes().replace(b"@model_path/weights/weight.bin", b"@model_path/../../../weightbin"))
    with pytest.raises(DamagedFileError, match="lies outside"):
        coreml.load(copied)


def test_an_unknown_operator_is_named_with_its_output(copied: Path) -> None:
    path = copied / MODEL_FOLDER / "model.mlmodel"
    model = read_model(copied)
    function = model.mlProgram.functions["main"]
    relu = next(o for o in function.block_specializations[function.opset].operations if o.type == "relu")
    relu.type = "fold_space"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(EdgewrightError, match=f"operator 'fold_space' .output '{relu.outputs[0].name}'"):
        coreml.load(copied)


def test_a_result_that_is_computed_twice_is_refused(copied: Path) -> None:
    model = read_model(copied)
    function = model.mlProgram.functions["main"]
    operations = [o for o in function.block_specializations[function.opset].operations if o.type != "const"]
    operations[1].outputs[0].name = operations[0].outputs[0].name
    (copied / MODEL_FOLDER / "model.mlmodel").write_bytes(model.SerializeToString())
    with pytest.raises(DamagedFileError, match="is computed twice"):
        coreml.load(copied)


def test_an_unknown_parameter_is_not_ignored(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPERATORS, "relu", lambda y: y)
    with pytest.raises(EdgewrightError, match=r"operator 'relu' .*does not know this form"):
        coreml.load(copied)


def test_the_interpreter_loads_neither_torch_nor_coremltools(intact: Path) -> None:
    code = (
        "import sys, pathlib; from edgewright.runtimes import coreml;"
        f"coreml.load(pathlib.Path({str(intact)!r}));"
        "print([m for m in ('torch', 'coremltools', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
