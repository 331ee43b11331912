"""Weights read back out of finished files: the grid's integers, and one changed byte is one difference.

test_families.py compares the files of every family in the same way, as it has them.
"""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from torch import nn

from edgewright.benchmarks import weights
from edgewright.benchmarks.weight_cells import EQUAL, Cell
from edgewright.compress.numerics import INT8, TARGETS, Numerics, Target
from edgewright.compress.quantize import QUANTIZED, QuantizedModel, quantize
from edgewright.errors import DamagedFileError
from edgewright.export import export, stored
from edgewright.export.artifact import SUFFIX, Metadata
from edgewright.models import checkpoint
from edgewright.runtimes.bundle import zoo
from tests.export.families import build, with_zeros

ZOO = zoo()["urgency"]
METADATA = Metadata("tiny", "", tuple("abcde"), "MIT", "1")


def layers_of(module: nn.Module) -> list[str]:
    return [f"{path}.weight" for path, layer in module.named_modules() if isinstance(layer, QUANTIZED)]


@pytest.mark.parametrize("family", ["text_cnn", "sequence_net"])
def test_sparse_integers_are_those_of_the_other_files(family: str, tmp_path: Path) -> None:
    module = with_zeros(build(family))
    cells: dict[Target, Numerics] = {"onnx": INT8["onnx"], "coreml": "sparse_wi8_afp16"}
    files: dict[str, tuple[Target, QuantizedModel, Path]] = {}
    for target, numerics in cells.items():
        path = tmp_path / f"{family}{SUFFIX[target]}"
        artifact = export(target, quantize(module, numerics), module.methods((6,)), path, [], METADATA)
        files[target] = target, quantize(module, numerics), path
        assert bool(artifact.sparse) == (target == "coreml")
    for layer in weights.compare_files(module, module.methods((6,)), files):
        for file, cell in layer.cells.items():
            assert (cell.state in EQUAL, cell.same, cell.differing) == (True, True, 0), (layer.name, file, cell)


def bytes_in(target: Target, integers: np.ndarray) -> bytes:
    """The integers of a weight as a file of the target has them one behind the other."""
    is_table = len(integers) > 1000
    if target == "onnx" and not is_table:
        integers = (integers.astype(np.int16) + 128).astype(np.uint8)  # docs/decisions/0010-onnx-integers.md
    if integers.ndim == 3:
        turns = {"onnx": (2, 1, 0), "coreml": (0, 1, 2)}
        return integers.transpose(turns.get(target, (0, 2, 1))).tobytes()
    return integers.T.tobytes() if target == "onnx" and not is_table else integers.tobytes()


def flipped(target: Target, path: Path, integers: np.ndarray, folder: Path) -> Path:
    """A copy of a file with another integer in the middle of that weight."""
    copy = folder / path.name
    shutil.copytree(path, copy) if path.is_dir() else shutil.copyfile(path, copy)
    file = next(copy.rglob("weight.bin")) if copy.is_dir() else copy
    content, weight = bytearray(file.read_bytes()), bytes_in(target, integers)
    assert content.count(weight) == 1
    place = content.find(weight) + len(weight) // 2
    content[place] ^= 1
    file.write_bytes(bytes(content))
    return copy


@pytest.mark.parametrize("layer", ["embedding.weight", "convolution_1.weight", "head.weight"])
@pytest.mark.parametrize("target", TARGETS)
def test_one_changed_integer_is_one_difference(target: Target, layer: str, tmp_path: Path) -> None:
    (path,) = ZOO.glob(f"artifacts/{target}-*")
    module = checkpoint.load_model(ZOO / "reference.safetensors")
    model = quantize(module, INT8[target])
    changed = flipped(target, path, model.weights[layer].integers, tmp_path)
    methods = module.methods((16,))  # type: ignore[operator]
    for name, cell in cells(weights.compare_files(module, methods, {"it": (target, model, changed)})).items():
        assert cell.differing == (1 if name == layer else 0)
        assert cell.state == ("integers" if name == layer else "equal"), name


def cells(layers: tuple[weights.Layer, ...]) -> dict[str, Cell]:
    return {layer.name: layer.cells["it"] for layer in layers}


def test_another_scale_is_a_difference_in_steps_of_float32(tmp_path: Path) -> None:
    proto = onnx.load(ZOO / "artifacts/onnx-dynamic_wi8_afp32.onnx")
    tensor = next(tensor for tensor in proto.graph.initializer if tensor.name == "head.weight.scales")
    scales = numpy_helper.to_array(tensor).copy()
    scales[2] = np.nextafter(scales[2], np.float32(1))
    tensor.CopyFrom(numpy_helper.from_array(scales, tensor.name))
    onnx.save(proto, tmp_path / "other.onnx")
    module = checkpoint.load_model(ZOO / "reference.safetensors")
    file: tuple[Target, QuantizedModel, Path] = ("onnx", quantize(module, INT8["onnx"]), tmp_path / "other.onnx")
    found = cells(weights.compare_files(module, module.methods((16,)), {"it": file}))  # type: ignore[operator]
    assert (found["head.weight"].state, found["head.weight"].scale_ulp) == ("scales", 1)
    assert found["bag.weight"].state == "equal"


@pytest.mark.parametrize("target", TARGETS)
def test_a_float_file_holds_floats(target: Target, tmp_path: Path) -> None:
    module = build("text_cnn")
    path = tmp_path / f"float{SUFFIX[target]}"
    model = quantize(module, "fp32")
    export(target, model, module.methods((6,)), path, [], METADATA)
    names = layers_of(module)
    contents = stored.read(target, path, model, names)
    assert {name: {held.kind for held in contents.weights[name]} for name in names} == {
        name: {"float32"} for name in names
    }
    for name in names:
        values = module.get_parameter(name).detach().numpy()
        assert all(np.array_equal(held.values, values) for held in contents.weights[name])


def test_a_file_of_another_kind_is_one_line(tmp_path: Path) -> None:
    module = build("text_cnn")
    path = tmp_path / "wrong"
    path.write_bytes(bytes(range(256)) * 8)
    for target in ("executorch", "litert", "onnx"):
        with pytest.raises(DamagedFileError, match="cannot be read") as caught:
            stored.read(target, path, quantize(module, INT8["onnx"]), layers_of(module))  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)
