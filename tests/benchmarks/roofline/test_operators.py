"""Multiply-adds and bytes are those of the model, whatever the format says them in."""

from pathlib import Path

import numpy as np
import pytest

from edgewright.benchmarks.roofline.operators import operators_of
from edgewright.benchmarks.roofline.work import Operand, Work, numbered, working_set_bytes
from edgewright.compress.numerics import Numerics
from edgewright.models.checkpoint import load_model
from edgewright.models.ngram_hybrid import NgramHybrid
from edgewright.runtimes import Runtime
from edgewright.runtimes.bundle import Bundle
from tests.benchmarks.roofline.conftest import CONFIG, LENGTH, Written

RUNTIMES: tuple[Runtime, ...] = ("litert", "executorch", "onnx")
pytest.importorskip("ai_edge_litert", reason="needs edgewright[litert]")
pytest.importorskip("executorch", reason="needs edgewright[executorch]")
pytest.importorskip("onnxruntime", reason="needs edgewright[onnx]")

TOKENS = np.arange(1, LENGTH + 1, dtype=np.int32).reshape(1, LENGTH)


@pytest.mark.parametrize(
    "numerics",
    [
        "dynamic_wi8_afp32",
        pytest.param("fp32", marks=pytest.mark.slow),
        pytest.param("static_wi8_ai8", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_multiply_adds_of_a_text_cnn_are_those_of_the_formula(
    runtime: Runtime, numerics: Numerics, text_cnn: Written
) -> None:
    operators = operators_of(runtime, text_cnn(runtime, numerics), [TOKENS])
    convolution = LENGTH * CONFIG.width * CONFIG.hidden * CONFIG.kernel  # the second one has the sizes exchanged
    assert sum(operator.macs for operator in operators) == 2 * convolution + CONFIG.width * CONFIG.classes
    products = [operator for operator in operators if operator.macs]
    assert [operator.macs for operator in products[:2]] == [convolution, convolution]
    assert {operator.kind for operator in products} <= {"conv", "linear"}
    assert {operator.integer for operator in products} == {numerics != "fp32"}
    for product in products[:2]:
        weight_bytes = CONFIG.width * CONFIG.hidden * CONFIG.kernel * (4 if numerics == "fp32" else 1)
        assert weight_bytes in [operand.size_bytes for operand in product.operands]


@pytest.mark.parametrize("length", [16, 128])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_multiply_adds_of_an_ngram_hybrid_are_those_of_the_formula(
    runtime: Runtime, length: int, urgency: Bundle
) -> None:
    reference = urgency.reference()
    assert reference is not None
    model = load_model(reference)
    assert isinstance(model, NgramHybrid)
    c = model.config
    ids = np.ones((1, length, c.features), np.int32)
    operators = operators_of(runtime, urgency.artifact(runtime).path, [ids])
    convolutions = length * 3 * (c.width * c.hidden + c.hidden * c.hidden)
    linear = c.width * c.bag_hidden + (2 * c.hidden + c.bag_hidden) * c.classes
    # the .onnx file sums the rows of a token in a product with ones, whose integers are exact on any processor
    summed = length * c.features * c.width if runtime == "onnx" else 0
    assert sum(operator.macs for operator in operators) == convolutions + linear + summed
    (look_up,) = [operator for operator in operators if operator.kind == "gather"]
    # int8 rows read and written, and the ids: not the whole table
    assert look_up.bytes_moved == 2 * ids.size * c.width + ids.nbytes
    names = [operator.name for operator in operators]
    assert len(set(names)) == len(names)
    assert "other" not in {operator.kind for operator in operators}


@pytest.mark.parametrize("runtime", ["litert", "executorch"])
def test_a_length_without_a_bucket_is_refused(runtime: Runtime, urgency: Bundle) -> None:
    with pytest.raises(ValueError, match=r"takes forward of \(1, 9, 16\)"):
        operators_of(runtime, urgency.artifact(runtime).path, [np.zeros((1, 9, 16), np.int32)])


def test_core_ml_has_no_reader() -> None:
    with pytest.raises(ValueError, match="operators of coreml cannot be read"):
        operators_of("coreml", Path("any.mlpackage"), [])


def test_a_tensor_counts_once_in_the_working_set() -> None:
    first = Work("first", "elementwise", operands=(Operand("a", 100), Operand("b", 50)))
    second = Work("second", "elementwise", operands=(Operand("b", 50), Operand("c", 7)))
    assert working_set_bytes([first, second]) == 157
    assert first.bytes_moved + second.bytes_moved == 207


def test_operators_of_the_same_name_are_numbered() -> None:
    works = [Work("a", "other"), Work("b", "other"), Work("a", "other")]
    assert [work.name for work in numbered(works)] == ["a", "b", "a #2"]
