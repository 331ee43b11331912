"""Each operator of the interpreter against torch or NumPy, through a package that coremltools wrote."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgewright.runtimes.mil.loading import load_program
from edgewright.runtimes.mil.operators import OPERATORS
from tests.runtimes.quiet import quiet

pytest.importorskip("coremltools", reason="needs edgewright[coreml]")

with quiet():
    import coremltools
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil.mil import types

Outputs = tuple[np.ndarray, ...]
IOS_17, IOS_18 = coremltools.target.iOS17, coremltools.target.iOS18


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Function(nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs)


def numeric(dtype: torch.dtype) -> Any:
    return np.int32 if dtype == torch.int32 else np.float32


def convert(module: nn.Module, inputs: tuple[Tensor, ...], path: Path, target: Any = IOS_17) -> Any:
    with quiet(), torch.no_grad():
        script = torch.jit.trace(module.eval(), inputs, check_trace=False)  # type: ignore[no-untyped-call]
        package = coremltools.convert(
            script,
            convert_to="mlprogram",
            minimum_deployment_target=target,
            compute_precision=coremltools.precision.FLOAT32,
            inputs=[
                coremltools.TensorType(f"in_{i}", tuple(x.shape), dtype=numeric(x.dtype)) for i, x in enumerate(inputs)
            ],
            skip_model_load=True,
        )
        package.save(str(path))
    return package


def interpret(path: Path, inputs: tuple[Any, ...]) -> Outputs:
    program = load_program(path, "fp32")
    names = [i.name for i in program.inputs]
    return tuple(program.run(dict(zip(names, map(np.asarray, inputs), strict=True))).values())


# ---------------------------------------------------------------- modules that torch traces

X = random(2, 3, 4, 5)
POSITIVE = X.abs() + 0.1
IMAGE = random(1, 4, 8, 8)
SIGNAL = random(2, 4, 11)
BATCH = random(3, 6)
IDS = torch.tensor([[1, 0, 4], [2, 2, 3]], dtype=torch.int32)
INDEX = torch.tensor([[0, 2, 1, 0], [1, 1, 0, 2], [2, 0, 0, 1]], dtype=torch.int32)


def module(function: Callable[..., Any], *inputs: Tensor) -> tuple[nn.Module, tuple[Tensor, ...]]:
    return (function if isinstance(function, nn.Module) else Function(function)), inputs


def loop(x: Tensor) -> Tensor:
    total = x
    while bool(total.sum() < 100):
        total = total * 2
    return total


class Branch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return loop(x) if bool(x.sum() > 0) else x - 1


def scripted(module: nn.Module) -> nn.Module:
    """With its branches and loops, which tracing would unroll."""
    with quiet():
        return torch.jit.script(module)  # type: ignore[no-any-return]


torch.manual_seed(0)
TRACED: dict[str, tuple[nn.Module, tuple[Tensor, ...]]] = {
    "arithmetic": module(lambda x, y: (x + y) * x - y / (x.abs() + 1), X, X.flip(0)),
    "powers": module(lambda x: (x**2, x**3, x.sqrt(), x.rsqrt(), x.log(), x.exp(), torch.exp2(x)), POSITIVE),
    "extremes": module(lambda x, y: (torch.maximum(x, y), torch.minimum(x, y), x.clamp(-0.5, 0.7)), X, X.flip(0)),
    "comparisons": module(
        lambda x, y: (x > y, x >= y, x < y, x <= y, x == x.round(), x != y, torch.logical_and(x > 0, y > 0)),
        X,
        X.flip(0),
    ),
    "logic": module(
        lambda x, y: (~(x > 0), torch.logical_or(x > 0, y > 0), torch.logical_xor(x > 0, y > 0)), X, X.flip(0)
    ),
    "rounding": module(lambda x: (x.floor(), x.ceil(), x.round(), x.sign(), x.abs()), X * 3),
    "integers": module(lambda i: (i // 2, i % 3, i * 2 + 1), INDEX),
    "trigonometry": module(
        lambda x: (x.sin(), x.cos(), x.tan(), x.asin(), x.acos(), x.atan(), x.sinh(), x.cosh(), x.atanh()),
        X.tanh() * 0.9,
    ),
    "activations": module(
        lambda x: (
            F.relu(x),
            F.relu6(x * 4),
            F.leaky_relu(x, 0.2),
            F.elu(x),
            F.silu(x),
            F.gelu(x),
            x.sigmoid(),
            x.tanh(),
            F.softplus(x),
            F.softsign(x),
            F.hardsigmoid(x),
            torch.erf(x),
            F.gelu(x, approximate="tanh"),
            F.hardswish(x),
        ),
        X,
    ),
    "prelu": module(nn.PReLU(3, 0.3), X),
    "thresholds": module(lambda x: (F.threshold(x, 0.2, 0.2), F.relu(x)), X),
    "select": module(lambda x, y: torch.where(x > y, x, y * 2), X, X.flip(0)),
    "sums": module(lambda x: (x.sum(1), x.mean((2, 3), keepdim=True), x.norm(dim=1), x.norm(1, 2)), X),
    "largest": module(lambda x: (x.amax(1), x.amin((1, 2)), x.argmax(2), x.argmin(3, keepdim=True)), X),
    "log_sum_exp": module(lambda x: (x.logsumexp(1), x.softmax(-1), x.log_softmax(1), x.sum(1).abs().log()), X),
    "cumulated": module(lambda x: x.cumsum(2), X),
    "sorted": module(lambda x: (*torch.topk(x, 3), torch.argsort(x, dim=-1, descending=True), x.sort(1)[0]), BATCH),
    "shapes": module(
        lambda x: (
            x.reshape(6, -1),
            x.transpose(1, 3),
            x.permute(3, 0, 2, 1),
            x.unsqueeze(1),
            x[:1].squeeze(0),
            x.flatten(2),
        ),
        X,
    ),
    "joined": module(lambda x, y: (torch.cat([x, y], 1), torch.stack([x, y], 2), x.repeat(1, 2, 1, 1)), X, X.flip(0)),
    "parts": module(lambda x: (*x.split(2, 3), *x.chunk(2, 2), x.flip(1, 3)), X),
    "padded": module(
        lambda x: (
            F.pad(x, (1, 2)),
            F.pad(x, (1, 2, 0, 1), value=3.0),
            F.pad(x, (2, 1), mode="reflect"),
            F.pad(x, (2, 1), mode="replicate"),
        ),
        SIGNAL,
    ),
    "triangles": module(lambda x: (x.tril(), x.triu(1)), BATCH),
    "slices": module(lambda x: (x[:, 1:, ::2, -2:], x[0], x[..., 1], x.narrow(2, 1, 2)), X),
    "written_slices": module(lambda x, y: torch.slice_scatter(x, y[:, :1], 1, 1, 2), X, X.flip(0)),
    "embedding": module(nn.Embedding(5, 7), IDS),
    "index_select": module(lambda x: x.index_select(2, torch.tensor([3, 0])), X),
    "gathered": module(lambda x, i: x.gather(1, i.long()), BATCH, INDEX),
    "indexed": module(lambda x: x[torch.tensor([0, 1]), torch.tensor([2, 0])], X),
    "scattered": module(lambda x, i: (x.scatter(1, i.long(), 9.0), x.scatter_add(1, i.long(), x[:, :4])), BATCH, INDEX),
    "linear": module(nn.Linear(5, 6), X),
    "products": module(
        lambda x, y: (
            x @ y.transpose(-1, -2),
            torch.einsum("bchw,bcvw->bchv", x, y),
            torch.bmm(x[0], y[0].transpose(1, 2)),
        ),
        X,
        X.flip(0),
    ),
    "norms": module(nn.Sequential(nn.LayerNorm([4, 5]), nn.BatchNorm2d(3), nn.InstanceNorm2d(3, affine=True)), X),
    "conv_1d": module(nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2), SIGNAL),
    "conv_2d": module(nn.Conv2d(4, 6, (3, 2), padding=(1, 0), stride=(1, 2)), IMAGE),
    "conv_groups": module(nn.Conv1d(4, 8, 3, groups=2, padding="same"), SIGNAL),
    "conv_depthwise": module(nn.Conv2d(4, 4, 3, groups=4, bias=False), IMAGE),
    "conv_3d": module(nn.Conv3d(1, 2, 2), random(1, 1, 3, 4, 5)),
    "conv_transpose": module(nn.ConvTranspose1d(4, 6, 3, stride=2, padding=1, output_padding=1), SIGNAL),
    "conv_transpose_groups": module(nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2, dilation=2), IMAGE),
    "max_pool": module(nn.Sequential(nn.MaxPool2d(3, 2, padding=1), nn.MaxPool2d(2, ceil_mode=True)), IMAGE),
    "avg_pool": module(
        nn.Sequential(nn.AvgPool2d(2, 1, padding=1), nn.AvgPool2d(3, 2, 1, count_include_pad=False)), IMAGE
    ),
    "upsampled": module(lambda x: F.interpolate(x, scale_factor=2, mode="nearest"), IMAGE),
    "pixel_shuffle": module(nn.PixelShuffle(2), IMAGE),
    "one_hot": module(lambda i: F.one_hot(i.long(), 5), IDS),
    "places": module(lambda x: (x > 0).nonzero(), BATCH),
    "made": module(lambda x: (torch.zeros_like(x) + 2, torch.arange(x.shape[1]) + x.shape[0]), BATCH),
    "rnn": module(nn.RNN(3, 4), random(5, 2, 3)),
    "lstm_two_ways": module(nn.LSTM(3, 4, num_layers=2, bidirectional=True), random(5, 2, 3)),
    "lstm_batch_first": module(nn.LSTM(3, 4, batch_first=True, bias=False), random(2, 5, 3)),
    "gru_as_a_loop": module(nn.GRU(3, 4), random(5, 2, 3)),
    "branch_taken": module(scripted(Branch()), torch.full((2, 3), 0.3)),
    "branch_not_taken": module(scripted(Branch()), torch.full((2, 3), -0.3)),
    "attention": module(
        lambda q, k, m: F.scaled_dot_product_attention(q, k, k * 2, attn_mask=m), X, X.flip(0), random(4, 4)
    ),
    "attention_mask": module(
        lambda q, k: F.scaled_dot_product_attention(q, k, k, attn_mask=torch.ones(4, 4, dtype=torch.bool).tril()),
        X,
        X.flip(0),
    ),
}
IOS_18_ONLY = ("attention", "attention_mask", "written_slices")


@pytest.fixture(scope="module")
def executed() -> set[str]:
    """The operators that the tests of this file ran."""
    return set()


@pytest.mark.parametrize("name", TRACED)
def test_same_as_torch(name: str, tmp_path: Path, executed: set[str]) -> None:
    traced, inputs = TRACED[name]
    path = tmp_path / "model.mlpackage"
    convert(traced, inputs, path, IOS_18 if name in IOS_18_ONLY else IOS_17)
    with torch.no_grad():
        wanted = flattened(traced(*inputs))
    got = interpret(path, inputs)
    executed.update(step.type for step in load_program(path, "fp32").steps())
    assert len(got) == len(wanted)
    for index, (one, other) in enumerate(zip(got, wanted, strict=True)):
        assert one.shape == tuple(other.shape), index
        np.testing.assert_allclose(one, other.numpy(), rtol=2e-5, atol=2e-5, err_msg=f"output {index}")


def flattened(outputs: Any) -> list[Tensor]:
    if isinstance(outputs, Tensor):
        return [outputs]
    return [tensor for output in outputs for tensor in flattened(output)]


# ---------------------------------------------------------------- operators that torch's converter does not emit


@dataclass(frozen=True)
class Built:
    """A program of one operator, built by hand: its inputs, and what NumPy or torch says it gives."""

    inputs: tuple[Tensor, ...]
    build: Callable[..., Any]
    wanted: Callable[..., Any]
    target: Any = IOS_17


def order(gates: Tensor, *places: int) -> np.ndarray:
    """torch's stacked gates in MIL's order."""
    parts = gates.detach().chunk(len(places))
    return torch.cat([parts[p] for p in places]).numpy()


def recurrent_weights(cell: Any, *places: int) -> dict[str, np.ndarray]:
    return {"weight_ih": order(cell.weight_ih_l0, *places), "weight_hh": order(cell.weight_hh_l0, *places)}


# Any: torch declares the weights of a recurrent layer as "Tensor | Module"
GRU: Any = nn.GRU(3, 4)
LSTM: Any = nn.LSTM(3, 4)
RNN: Any = nn.RNN(3, 4, nonlinearity="relu")
SEQUENCE, STATE = random(5, 2, 3), random(1, 2, 4, seed=1)
RESET_OUTPUT_UPDATE = (0, 2, 1)
INPUT_FORGET_OUTPUT_CELL = (0, 1, 3, 2)
POSITIONS = torch.tensor([[0, 2], [1, 1]], dtype=torch.int32)
UPDATES = random(2, seed=2)
TABLE = random(3, 4, seed=3)
ROWS = torch.tensor([2, 0, 2], dtype=torch.int32)


def lstm_backwards(x: Tensor, h: Tensor) -> Any:
    outputs, (last, cell) = LSTM(x.flip(0), (h[None], h[None]))
    return outputs, last[0], cell[0]


def lstm_with_peephole_and_clip(x: Tensor, h: Tensor) -> Any:
    """As coremltools' test_recurrent.py writes it down."""
    w, u = (torch.from_numpy(order(p, *INPUT_FORGET_OUTPUT_CELL)) for p in (LSTM.weight_ih_l0, LSTM.weight_hh_l0))
    peep_i, peep_f, peep_o = torch.full((4,), 0.3), torch.full((4,), -0.2), torch.full((4,), 0.1)
    c = h
    for step in x:
        i, f, o, z = (step @ w.T + h @ u.T).chunk(4, -1)
        c = (torch.sigmoid(f + c * peep_f) * c + torch.sigmoid(i + c * peep_i) * z.tanh()).clamp(-0.2, 0.2)
        h = torch.sigmoid(o + c * peep_o) * c.tanh()
    return h[None], h, c


def gru_reset_first(x: Tensor, h: Tensor) -> Any:
    (w_r, w_z, w_o), (u_r, u_z, u_o) = GRU.weight_ih_l0.chunk(3), GRU.weight_hh_l0.chunk(3)
    steps = []
    for step in x.flip(0):
        r, z = torch.sigmoid(step @ w_r.T + h @ u_r.T), torch.sigmoid(step @ w_z.T + h @ u_z.T)
        h = (1 - z) * torch.tanh(step @ w_o.T + (r * h) @ u_o.T) + z * h
        steps.append(h)
    return torch.stack(steps), h


BUILT: dict[str, Built] = {
    "gru, reset after": Built(
        (SEQUENCE, STATE[0]),
        lambda x, h: mb.gru(
            x=x,
            initial_h=h,
            output_sequence=True,
            reset_after=True,
            **recurrent_weights(GRU, *RESET_OUTPUT_UPDATE),
            input_bias=order(GRU.bias_ih_l0, *RESET_OUTPUT_UPDATE),
            bias=order(GRU.bias_hh_l0, *RESET_OUTPUT_UPDATE),
        ),
        lambda x, h: (GRU(x, h[None])[0], GRU(x, h[None])[1][0]),
        IOS_18,
    ),
    "gru, reset before, reverse": Built(
        (SEQUENCE, STATE[0]),
        lambda x, h: mb.gru(
            x=x, initial_h=h, output_sequence=True, direction="reverse", **recurrent_weights(GRU, *RESET_OUTPUT_UPDATE)
        ),
        gru_reset_first,
    ),
    "lstm, reverse": Built(
        (SEQUENCE, STATE[0]),
        lambda x, h: mb.lstm(
            x=x,
            initial_h=h,
            initial_c=h,
            output_sequence=True,
            direction="reverse",
            **recurrent_weights(LSTM, *INPUT_FORGET_OUTPUT_CELL),
            bias=order(LSTM.bias_ih_l0 + LSTM.bias_hh_l0, *INPUT_FORGET_OUTPUT_CELL),
        ),
        lstm_backwards,
    ),
    "lstm, peephole and clip": Built(
        (SEQUENCE, STATE[0]),
        lambda x, h: mb.lstm(
            x=x,
            initial_h=h,
            initial_c=h,
            **recurrent_weights(LSTM, *INPUT_FORGET_OUTPUT_CELL),
            clip=np.float32(0.2),
            peephole=np.repeat(np.array([0.3, -0.2, 0.1], np.float32), 4),
        ),
        lstm_with_peephole_and_clip,
    ),
    "rnn, reverse": Built(
        (SEQUENCE, STATE[0]),
        lambda x, h: mb.rnn(
            x=x,
            initial_h=h,
            output_sequence=True,
            direction="reverse",
            activation="relu",
            **recurrent_weights(RNN, 0),
            bias=order(RNN.bias_ih_l0 + RNN.bias_hh_l0, 0),
        ),
        lambda x, h: (RNN(x.flip(0), h[None])[0], RNN(x.flip(0), h[None])[1][0]),
    ),
    "inverse": Built((POSITIVE,), lambda x: mb.inverse(x=x, epsilon=np.float32(1e-4)), lambda x: 1 / (x + 1e-4)),
    "more activations": Built(
        (X,),
        lambda x: (
            mb.clamped_relu(x=x, alpha=0.2, beta=0.5),
            mb.thresholded_relu(x=x, alpha=0.3),
            mb.scaled_tanh(x=x, alpha=2.0, beta=0.5),
            mb.linear_activation(x=x, alpha=2.0, beta=1.0),
            mb.gelu(x=x, mode="SIGMOID_APPROXIMATION"),
            mb.threshold(x=x, alpha=0.1),
            mb.softplus_parametric(x=x, alpha=np.array([1, 2, 3], np.float32), beta=np.array([3, 2, 1], np.float32)),
            mb.sigmoid_hard(x=x, alpha=0.3, beta=0.4),
        ),
        lambda x: (
            torch.where(x >= 0, x, 0.2 * x).clamp(max=0.5),
            torch.where(x >= 0.3, x, 0),
            2 * (0.5 * x).tanh(),
            2 * x + 1,
            x * (1.702 * x).sigmoid(),
            x.clamp(min=0.1),
            torch.tensor([1, 2, 3]).view(3, 1, 1) * F.softplus(torch.tensor([3.0, 2, 1]).view(3, 1, 1) * x),
            (0.3 * x + 0.4).clamp(0, 1),
        ),
    ),
    "more arithmetic": Built(
        (X,),
        lambda x: (
            mb.mod(x=x, y=np.float32(0.7)),
            mb.square(x=x),
            mb.softsign(x=x),
            mb.prelu(x=x, alpha=np.array([0.1, 0.2, 0.3], np.float32)),
            mb.einsum(values=(x, mb.transpose(x=x, perm=[0, 3, 2, 1])), equation="nchw,nwhu->nchu"),
            mb.fill(shape=mb.shape(x=x), value=2.0),
            mb.fill_like(ref_tensor=x, value=3.0),
            mb.range_1d(start=np.int32(1), end=np.int32(8), step=np.int32(3)),
        ),
        lambda x: (
            x.remainder(0.7),
            x * x,
            x / (1 + x.abs()),
            F.prelu(x, torch.tensor([0.1, 0.2, 0.3])),
            torch.einsum("nchw,nwhu->nchu", x, x.permute(0, 3, 2, 1)),
            torch.full(x.shape, 2.0),
            torch.full(x.shape, 3.0),
            torch.tensor([1, 4, 7]),
        ),
    ),
    "more reductions": Built(
        (POSITIVE,),
        lambda x: (
            mb.reduce_prod(x=x, axes=[1], keep_dims=False),
            mb.reduce_sum_square(x=x, axes=[1, 2], keep_dims=True),
            mb.reduce_log_sum(x=x, axes=[3], keep_dims=False),
            mb.reduce_l1_norm(x=x, axes=[0], keep_dims=False),
            mb.cumsum(x=x, axis=1, exclusive=True, reverse=True),
        ),
        lambda x: (
            x.prod(1),
            (x * x).sum((1, 2), keepdim=True),
            x.sum(3).log(),
            x.abs().sum(0),
            x.flip(1).cumsum(1).flip(1) - x,
        ),
    ),
    "more shapes": Built(
        (X,),
        lambda x: (
            mb.flatten2d(x=x, axis=2),
            mb.band_part(x=x, lower=1, upper=0),
            mb.reshape(x=x, shape=[0, 0, -1]),
            mb.reverse_sequence(x=x, lengths=np.array([2, 3], np.int32), seq_axis=2, batch_axis=0),
            mb.concat(values=(x, x), axis=1, interleave=True),
            *mb.split(x=x, split_sizes=[1, 2], axis=1),
            mb.slice_by_size(x=x, begin=[0, 1, 0, 2], size=[2, 1, -1, 2]),
        ),
        lambda x: (
            x.reshape(6, 20),
            x.tril() - x.tril(-2),
            x.reshape(3, 4, -1),  # a 0 counts from the right
            torch.stack(
                [torch.cat([x[0, :, :2].flip(1), x[0, :, 2:]], 1), torch.cat([x[1, :, :3].flip(1), x[1, :, 3:]], 1)]
            ),
            x.repeat_interleave(2, 1),
            *x.split([1, 2], 1),
            x[:, 1:2, :, 2:4],
        ),
    ),
    "padding of windows": Built(
        (IMAGE,),
        lambda x: (
            mb.l2_pool(x=x, kernel_sizes=[2, 2], strides=[2, 2], pad_type="valid"),
            mb.l2_norm(x=x, epsilon=np.float32(1e-6)),
            mb.max_pool(x=x, kernel_sizes=[3, 3], strides=[2, 2], pad_type="same"),
            mb.max_pool(x=x, kernel_sizes=[3, 3], strides=[2, 2], pad_type="same_lower"),
        ),
        lambda x: (
            F.lp_pool2d(x, 2, 2),
            x / (x * x).sum().add(1e-6).sqrt(),
            F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=-9), 3, 2),
            F.max_pool2d(F.pad(x, (1, 0, 1, 0), value=-9), 3, 2),
        ),
    ),
    "places": Built(
        (TABLE, POSITIONS, UPDATES),
        lambda x, i, u: (
            mb.gather_nd(x=x, indices=i, batch_dims=0),
            mb.scatter_nd(data=x, indices=i, updates=u, mode="add"),
            mb.one_hot(indices=i, one_hot_vector_size=3, on_value=2.0, off_value=-1.0, axis=1),
            mb.non_zero(x=i),
            mb.shape(x=x),
        ),
        lambda x, i, u: (
            x[i[:, 0], i[:, 1]],
            x.index_put((i[:, 0], i[:, 1]), u, accumulate=True),
            F.one_hot(i.long(), 3).transpose(1, 2) * 3.0 - 1,
            i.nonzero(),
            torch.tensor(x.shape),
        ),
    ),
    "places in batches": Built(
        (X, IDS),
        lambda x, i: (
            mb.gather(x=x, indices=i, axis=3, batch_dims=1),
            mb.gather(x=x, indices=np.int32(1), axis=3),
        ),
        lambda x, i: (torch.stack([x[b].index_select(2, i[b]) for b in range(2)]), x[..., 1]),
    ),
    "scattered rows": Built(
        (TABLE, ROWS, random(3, 4, seed=4)),
        lambda x, i, u: tuple(
            mb.scatter(data=x, indices=i, updates=u, axis=0, mode=mode) for mode in ("add", "mul", "max", "min", "sub")
        ),
        lambda x, i, u: tuple(
            (x.index_reduce if how != "sum" else x.index_add)(0, i.long(), sign * u, *([how] if how != "sum" else []))
            for how, sign in (("sum", 1), ("prod", 1), ("amax", 1), ("amin", 1), ("sum", -1))
        ),
    ),
    "integers and back": Built(
        (X,),
        lambda x: mb.dequantize(
            input=mb.quantize(
                input=x,
                scale=np.array([0.1, 0.02, 0.03], np.float32),
                zero_point=np.array([0, 5, -7], np.int8),
                axis=1,
                output_dtype="int8",
            ),
            scale=np.array([0.1, 0.02, 0.03], np.float32),
            zero_point=np.array([0, 5, -7], np.int8),
            axis=1,
        ),
        lambda x: torch.fake_quantize_per_channel_affine(
            x, torch.tensor([0.1, 0.02, 0.03]), torch.tensor([0, 5, -7], dtype=torch.int32), 1, -128, 127
        ),
    ),
}


def build(built: Built, path: Path) -> None:
    specs = [mb.TensorSpec(x.shape, types.int32 if x.dtype == torch.int32 else types.fp32) for x in built.inputs]
    with quiet():
        package = coremltools.convert(
            mb.program(input_specs=specs, opset_version=built.target)(built.build),
            source="milinternal",
            convert_to="mlprogram",
            minimum_deployment_target=built.target,
            pass_pipeline=coremltools.PassPipeline.EMPTY,
            compute_precision=coremltools.precision.FLOAT32,
            skip_model_load=True,
        )
        package.save(str(path))


@pytest.mark.filterwarnings("ignore:index_reduce")  # beta, says torch; it is only compared with
@pytest.mark.parametrize("name", BUILT)
def test_same_as_its_definition(name: str, tmp_path: Path, executed: set[str]) -> None:
    built = BUILT[name]
    path = tmp_path / "model.mlpackage"
    build(built, path)
    with torch.no_grad():
        wanted = flattened(built.wanted(*built.inputs))
    got = interpret(path, built.inputs)
    executed.update(step.type for step in load_program(path, "fp32").steps())
    assert len(got) == len(wanted)
    for index, (one, other) in enumerate(zip(got, wanted, strict=True)):
        assert one.shape == tuple(other.shape), index
        np.testing.assert_allclose(one, other.numpy(), rtol=2e-5, atol=2e-5, err_msg=f"output {index}")


def test_every_operator_is_tested(executed: set[str]) -> None:
    compressed = {name for name in OPERATORS if name.startswith("constexpr_")}  # tests/runtimes/test_mil_program.py
    if len(executed) < 50:
        pytest.skip("only some of this file's tests were run")
    assert set(OPERATORS) - executed - compressed == {"classify"}  # tests/export/test_coreml.py
