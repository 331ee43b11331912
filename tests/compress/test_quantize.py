"""The grid: exact in float32, found again by the quantizers' own formulas, near to the weights."""

import re

import numpy as np
import pytest
import torch

from edgewright.compress.numerics import DENSE, INT8, NUMERICS, SUPPORT, TARGETS, Numerics, weight_bits
from edgewright.compress.quantize import BLOCK, LayerGrid, Precision, dequantize, layers, quantize, snap, snapped
from edgewright.errors import UsageError
from edgewright.models.encoder import Encoder, EncoderConfig
from edgewright.models.ngram_hybrid import NgramHybrid, NgramHybridConfig

WEIGHTS = {
    "normal": torch.randn(64, 96, generator=torch.Generator().manual_seed(0)),
    "small": torch.randn(64, 96, generator=torch.Generator().manual_seed(1)) * 1e-4,
    "wide": torch.logspace(-6, 3, 64).unsqueeze(1) * torch.randn(64, 96, generator=torch.Generator().manual_seed(2)),
}


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("block", [None, BLOCK])
def test_each_group_reaches_its_limit_and_is_near_to_the_weights(name: str, bits: int, block: int | None) -> None:
    limit = 2 ** (bits - 1) - 1
    weight = WEIGHTS[name]
    grid = snap(weight, bits, per_row=True, block=block)
    groups = grid.integers.reshape(-1, block or 96)
    assert (np.abs(groups.astype(int)).max(axis=1) == limit).all()
    step = np.repeat(grid.scales.reshape(-1), block or 96).reshape(weight.shape)
    # half a step of rounding, and what the largest magnitude loses to a scale of 8 significant bits
    assert (np.abs(dequantize(grid) - weight.numpy()) <= (0.5 + limit / 128) * step * 1.0001).all()


@pytest.mark.parametrize("name", WEIGHTS)
def test_other_quantizers_find_the_same_integers_and_scales(name: str) -> None:
    grid = snap(WEIGHTS[name], 8, per_row=True)
    values = dequantize(grid)
    largest = np.abs(values).max(axis=1)
    litert = (largest / np.float32(127)).astype(np.float32)  # max / 127 in float32
    ort = (2 * largest.astype(np.float64) / 254).astype(np.float32)  # (max - min) / 254 in float64
    assert np.array_equal(litert, grid.scales) and np.array_equal(ort, grid.scales)
    assert np.array_equal(np.rint(values / litert[:, None]), grid.integers)


def test_core_ml_finds_the_same_scales_in_float16() -> None:
    weight = torch.linspace(0.01, 1, 2000).unsqueeze(1) * torch.tensor([[1.0, -0.5, 0.25]])
    grid = snap(weight, 8, per_row=True)
    largest = np.abs(dequantize(grid)).max(axis=1).astype(np.float16)
    found = (np.float16(2) * largest / np.float16(254)).astype(np.float16)
    assert np.array_equal(found.astype(np.float32), grid.scales)


def test_a_row_of_zeros_stays_zero() -> None:
    grid = snap(torch.zeros(3, 8), 8, per_row=True)
    assert not grid.integers.any() and np.isfinite(grid.scales).all()


def test_snapping_twice_changes_nothing() -> None:
    once = snap(WEIGHTS["normal"], 8, per_row=True)
    twice = snap(torch.from_numpy(dequantize(once)), 8, per_row=True)
    assert np.array_equal(once.integers, twice.integers) and np.array_equal(once.scales, twice.scales)


def test_the_module_computes_with_the_grid_and_the_original_is_left_alone() -> None:
    model = NgramHybrid(NgramHybridConfig(vocab_size=200, classes=5, hidden=16, bag_hidden=32)).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    quantized = quantize(model, "dynamic_wi8_afp32")
    names = {"embedding", "convolution_1", "convolution_2", "bag", "head"}
    assert set(quantized.weights) == {f"{name}.weight" for name in names}
    for name, grid in quantized.weights.items():
        assert np.array_equal(quantized.module.get_parameter(name).detach().numpy(), dequantize(grid))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_four_bits_are_for_linear_layers_only() -> None:
    quantized = quantize(NgramHybrid(NgramHybridConfig(vocab_size=200, hidden=32)), "dynamic_wi4_afp32")
    assert {name: grid.bits for name, grid in quantized.weights.items()} == {
        "embedding.weight": 8,
        "convolution_1.weight": 8,
        "convolution_2.weight": 8,
        "bag.weight": 4,
        "head.weight": 4,
    }


FORMS = [
    LayerGrid(8, per_row=False),
    LayerGrid(8, per_row=True),
    LayerGrid(4, per_row=False),
    LayerGrid(4, per_row=True),
    LayerGrid(4, per_row=True, block=BLOCK),
]


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("name", WEIGHTS)
def test_training_can_have_the_very_weights_that_are_exported(name: str, form: LayerGrid) -> None:
    weight = torch.nn.Parameter(WEIGHTS[name].clone())
    exported = torch.from_numpy(dequantize(snap(weight, form.bits, form.per_row, form.block)))
    given = snapped(weight, form)
    assert torch.equal(given, exported) and not given.requires_grad
    (weight + (given - weight).detach()).sum().backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None and torch.equal(weight.grad, torch.ones_like(weight))


def test_a_convolution_is_snapped_by_its_rows() -> None:
    weight = WEIGHTS["wide"].reshape(64, 32, 3)
    assert torch.equal(
        snapped(weight, LayerGrid(8, per_row=True)), torch.from_numpy(dequantize(snap(weight, 8, per_row=True)))
    )


def encoder() -> Encoder:
    return Encoder(EncoderConfig(60, classes=5, width=32, feedforward=64, positions=16))


def test_layers_are_named_with_their_grids() -> None:
    forms = layers(encoder(), "dynamic_wi4_afp32", Precision({"embedding": 4, "head": 8, "layers.1.up": 8}, "row"))
    assert forms["embedding"] == LayerGrid(4, per_row=True)
    assert forms["head"] == forms["layers.1.up"] == LayerGrid(8, per_row=True)
    assert forms["layers.0.attention.query"] == LayerGrid(4, per_row=True, block=BLOCK)
    assert next(iter(forms)) == "embedding" and len(forms) == 2 + 2 * 6
    for no_grid in ("fp32", "fp16", "palette_w6_afp16", "palette_w4_afp16", "sparse_wfp16_afp16"):
        assert not layers(encoder(), no_grid)  # type: ignore[arg-type]  # names of Numerics
    assert layers(encoder(), "sparse_wi8_afp16") == layers(encoder(), "weight_only_wi8_afp16")


def test_a_precision_changes_what_it_names_and_nothing_else() -> None:
    model = encoder()
    plain = quantize(model, "dynamic_wi4_afp32").weights
    mixed = quantize(model, "dynamic_wi4_afp32", Precision({"embedding": 4, "layers.0.attention.query": 8})).weights
    assert {name for name, grid in mixed.items() if grid.bits != plain[name].bits} == {
        "embedding.weight",
        "layers.0.attention.query.weight",
    }
    assert mixed["embedding.weight"].scales.shape == () and np.abs(mixed["embedding.weight"].integers).max() == 7
    for name in set(plain) - {"embedding.weight", "layers.0.attention.query.weight"}:
        assert np.array_equal(plain[name].integers, mixed[name].integers)


def test_numerics_of_eight_bits_take_the_scales_of_a_precision_but_not_its_bits() -> None:
    grid = quantize(encoder(), "dynamic_wi8_afp32", Precision({"embedding": 4}, "row")).weights["embedding.weight"]
    assert grid.bits == 8 and grid.scales.shape == (60,)
    assert (np.abs(grid.integers[1:].astype(int)).max(axis=1) == 127).all() and not grid.integers[0].any()


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        ({"layers.0.attention.qery": 4}, "did you mean 'layers.0.attention.query'?"),
        ({"norm": 8}, "the model has no layer 'norm' with a weight to quantize"),
        ({"head": 3}, "layer 'head' cannot have 3 bits"),
        ({"convolution_1": 4}, "layer 'convolution_1' is a convolution, which executorch, litert and onnx"),
        ({"head": 4}, "layer 'head' has 40 inputs; 4 bits come in blocks of 32"),
        ({"embedding": 4}, "layer 'embedding' has the odd width 33"),
    ],
)
@pytest.mark.parametrize("numerics", ["fp32", "dynamic_wi4_afp32"])
def test_bits_that_cannot_be_are_refused_in_every_numerics(
    bits: dict[str, int], message: str, numerics: Numerics
) -> None:
    model: torch.nn.Module = encoder()
    if not message.startswith(("did", "the model")):
        model = NgramHybrid(NgramHybridConfig(vocab_size=50, width=33, hidden=4, bag_hidden=32))
    with pytest.raises(UsageError, match=re.escape(message)):
        quantize(model, numerics, Precision(bits))


def test_the_table_says_something_about_every_cell_and_why_not() -> None:
    assert set(SUPPORT) == {(numerics, target) for numerics in NUMERICS for target in TARGETS}
    assert all(support.note for support in SUPPORT.values() if not support.supported)
    assert all(SUPPORT[numerics, target].supported for target, numerics in INT8.items())


def test_sparse_numerics_have_the_integers_of_the_dense_ones() -> None:
    """Bit for bit, whatever zeros the model has."""
    model = encoder()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(parameter.abs() > parameter.abs().median())
    for sparse, dense in DENSE.items():
        assert weight_bits(sparse) == weight_bits(dense)
        given, wanted = quantize(model, sparse), quantize(model, dense)
        assert given.weights.keys() == wanted.weights.keys()
        for name, grid in given.weights.items():
            assert np.array_equal(grid.integers, wanted.weights[name].integers)
            assert np.array_equal(grid.scales, wanted.weights[name].scales)


def test_the_bits_of_a_numerics_are_in_its_name() -> None:
    bits = {numerics: weight_bits(numerics) for numerics in NUMERICS}
    assert bits == {
        "fp32": 32,
        "fp16": 16,
        "dynamic_wi8_afp32": 8,
        "static_wi8_ai8": 8,
        "weight_only_wi8_afp16": 8,
        "palette_w6_afp16": 6,
        "palette_w4_afp16": 4,
        "sparse_wfp16_afp16": 16,
        "sparse_wi8_afp16": 8,
        "weight_only_wi4_afp16": 4,
        "dynamic_wi4_afp32": 4,
    }
