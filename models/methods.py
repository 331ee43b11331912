"""What a model offers to the outside: named functions with named inputs and outputs, and which of them are state."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tensor:
    """A named input or output. `shape` holds "batch" and "length" where a size is free or comes in buckets."""

    name: str
    dtype: str  # "int32" or "float32"
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Method:
    """A function of the model that a file offers under its name.

    lengths: the buckets of "length", ascending. Targets with fixed shapes store one function per bucket. Empty where
    no tensor has a length (a step of one token).
    state: (input, output) pairs: what a call gives as `output`, the next call takes as `input`; a first call takes
    zeros there. An input that another method gives under the same name comes from there (`crossed` of a step).
    batch: rows of a call, fixed where the target has fixed shapes (LiteRT, ExecuTorch). ONNX takes any number; Core ML
    files are made for one row.
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    lengths: tuple[int, ...] = ()
    state: tuple[tuple[str, str], ...] = ()
    batch: int = 1

    def __post_init__(self) -> None:
        sized = any("length" in tensor.shape for tensor in (*self.inputs, *self.outputs))
        assert sized == bool(self.lengths), f"{self.name}: lengths go with tensors that have a length"
        inputs = {tensor.name: tensor for tensor in self.inputs}
        outputs = {tensor.name: tensor for tensor in self.outputs}
        for before, after in self.state:
            assert outputs[after].shape == inputs[before].shape, f"{self.name}: {after} does not fit {before}"

    def functions(self) -> list[tuple[str, int | None]]:
        """Name and length of each function of a target with fixed shapes: ("forward_16", 16), or ("step", None)."""
        return [(f"{self.name}_{length}", length) for length in self.lengths] or [(self.name, None)]

    def sizes(self, tensor: Tensor, length: int | None, batch: int | None = None) -> tuple[int, ...]:
        """The shape of one of the method's tensors in a function of that length."""
        assert length is not None or "length" not in tensor.shape, f"{tensor.name} of {self.name} has a length"
        named = {"batch": self.batch if batch is None else batch, "length": length or 0}
        return tuple(named[size] if isinstance(size, str) else size for size in tensor.shape)


def classifier(features: int | None, classes: int, lengths: tuple[int, ...]) -> tuple[Method, ...]:
    """The one method of a classifier: `forward` from token ids, with K features a token or one, to logits."""
    shape: tuple[int | str, ...] = ("batch", "length") + (() if features is None else (features,))
    ids, logits = Tensor("ids", "int32", shape), Tensor("logits", "float32", ("batch", classes))
    return (Method("forward", (ids,), (logits,), lengths),)
