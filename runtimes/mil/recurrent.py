"""Recurrent operators. S steps, B batch, I input width, H hidden width; gates are stacked along the weights' rows.

Where the documentation leaves a question open, coremltools' own tests, which ran on Apple's runtime, answer it
(converters/mil/mil/ops/tests/iOS14 and iOS18, test_recurrent.py):
- direction "reverse": the outputs come in the order of processing, the last input's first; the backward half of a
  bidirectional lstm is in the order of the inputs;
- gru: gates are reset, output, update; `bias` belongs to the recurrent product, `input_bias` to the other;
- lstm: `clip` bounds the cell state.

The steps are computed in float32 also where the program is float16: MIL does not say where a device rounds inside.
Only the operator's results are rounded.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from edgewright.runtimes.mil.elementwise import sigmoid, sigmoid_hard

Array = np.ndarray

_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "hard_sigmoid": sigmoid_hard,
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "scaled_tanh": lambda x: np.tanh(x),  # its scales are 1 where MIL gives no place for others
    "sigmoid": sigmoid,
    "tanh": lambda x: np.tanh(x),
}


def _lstm_steps(
    x: Array,
    h: Array,
    c: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias: Array | None,
    peephole: Array | None,
    activations: tuple[str, str, str],
    clip: Any,
) -> tuple[Array, Array, Array]:
    """(S, B, H) of all steps, and h and c after the last one. Gates: input, forget, output, cell."""
    gate, cell, output = (_ACTIVATIONS[name] for name in activations)
    from_input = x @ weight_ih.T
    if bias is not None:
        from_input = from_input + bias
    peep_i, peep_f, peep_o = np.split(np.zeros(3 * h.shape[-1], np.float32) if peephole is None else peephole, 3)
    outputs = []
    for step in from_input:
        i, f, o, z = np.split(step + h @ weight_hh.T, 4, axis=-1)
        c = gate(f + c * peep_f) * c + gate(i + c * peep_i) * cell(z)
        if clip is not None:
            c = np.clip(c, -clip, clip)
        h = gate(o + c * peep_o) * output(c)
        outputs.append(h)
    return np.stack(outputs), h, c


def lstm(
    x: Array,
    initial_h: Array,
    initial_c: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias: Array | None = None,
    peephole: Array | None = None,
    weight_ih_back: Array | None = None,
    weight_hh_back: Array | None = None,
    bias_back: Array | None = None,
    peephole_back: Array | None = None,
    direction: str = "forward",
    output_sequence: Any = False,
    recurrent_activation: str = "sigmoid",
    cell_activation: str = "tanh",
    activation: str = "tanh",
    clip: Any = None,
) -> tuple[Array, Array, Array]:
    """x: (S, B, I); states (B, H), for both directions (B, 2 H); weights (4 H, I) and (4 H, H)."""
    activations = (recurrent_activation, cell_activation, activation)
    if direction != "bidirectional":
        ordered = x[::-1] if direction == "reverse" else x
        steps, h, c = _lstm_steps(
            ordered, initial_h, initial_c, weight_ih, weight_hh, bias, peephole, activations, clip
        )
    else:
        if weight_ih_back is None or weight_hh_back is None:
            raise ValueError("a bidirectional lstm needs weights for both directions")
        (h, h_back), (c, c_back) = np.split(initial_h, 2, axis=-1), np.split(initial_c, 2, axis=-1)
        forward = _lstm_steps(x, h, c, weight_ih, weight_hh, bias, peephole, activations, clip)
        steps_back, h_back, c_back = _lstm_steps(
            x[::-1], h_back, c_back, weight_ih_back, weight_hh_back, bias_back, peephole_back, activations, clip
        )
        backward = (steps_back[::-1], h_back, c_back)
        steps, h, c = (np.concatenate(pair, axis=-1) for pair in zip(forward, backward, strict=True))
    return (steps if output_sequence else h[None]), h, c


def gru(
    x: Array,
    initial_h: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias: Array | None = None,
    direction: str = "forward",
    output_sequence: Any = False,
    recurrent_activation: str = "sigmoid",
    activation: str = "tanh",
    reset_after: Any = False,
    input_bias: Array | None = None,
) -> tuple[Array, Array]:
    """x: (S, B, I); initial_h: (B, H); weights (3 H, I) and (3 H, H); biases (3 H,)."""
    gate, output = _ACTIVATIONS[recurrent_activation], _ACTIVATIONS[activation]
    no_bias = np.zeros(weight_hh.shape[0], np.float32)
    from_input = (x[::-1] if direction == "reverse" else x) @ weight_ih.T + (
        no_bias if input_bias is None else input_bias
    )
    recurrent_r, recurrent_o, recurrent_z = np.split(weight_hh, 3)
    bias_r, bias_o, bias_z = np.split(no_bias if bias is None else bias, 3)
    h, outputs = initial_h, []
    for step in from_input:
        in_r, in_o, in_z = np.split(step, 3, axis=-1)
        r = gate(in_r + h @ recurrent_r.T + bias_r)
        z = gate(in_z + h @ recurrent_z.T + bias_z)
        if reset_after:
            candidate = output(in_o + r * (h @ recurrent_o.T + bias_o))
        else:
            candidate = output(in_o + (r * h) @ recurrent_o.T + bias_o)
        h = (1 - z) * candidate + z * h
        outputs.append(h)
    return (np.stack(outputs) if output_sequence else h[None]), h


def rnn(
    x: Array,
    initial_h: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias: Array | None = None,
    direction: str = "forward",
    output_sequence: Any = False,
    activation: str = "tanh",
) -> tuple[Array, Array]:
    """x: (S, B, I); initial_h: (B, H); weights (H, I) and (H, H)."""
    from_input = (x[::-1] if direction == "reverse" else x) @ weight_ih.T
    if bias is not None:
        from_input = from_input + bias
    h, outputs = initial_h, []
    for step in from_input:
        h = _ACTIVATIONS[activation](step + h @ weight_hh.T)
        outputs.append(h)
    return (np.stack(outputs) if output_sequence else h[None]), h


OPERATORS: dict[str, Callable[..., Any]] = {"gru": gru, "lstm": lstm, "rnn": rnn}
