"""What lies inside a teacher and a student: the vector before the head, and how the tokens of an encoder attend.

Attention is compared as relations between tokens (Wang et al. 2021, MiniLMv2, https://arxiv.org/abs/2012.15828): the
softmax of the products of queries with queries, keys with keys and values with values, cut into as many relation heads
on either side, so that teacher and student need neither the same width nor the same number of heads.
Shapes: N texts, T tokens, D width, R relation heads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgewright.data.tokenizer import batch
from edgewright.errors import UsageError

RELATION_HEADS = 4
PARTS = ("query", "key", "value")


@dataclass(frozen=True)
class Hidden:
    """Of each text, as a teacher has it inside.

    pooled: (N, D) float16, what its head reads. relations: one (3, R, T, T) float16 a text, or none.
    """

    pooled: np.ndarray
    relations: Sequence[np.ndarray] = ()


class Recorder(nn.Module):
    """A model whose insides are recorded while it runs: `seen` holds those of the last call.

    teacher: what a student is compared with; the layer that maps its last vector to the teacher's is trained with it.
    """

    def __init__(self, student: nn.Module, teacher: Hidden | None, pooled: bool, attention: bool) -> None:
        super().__init__()
        self.student = student
        self._teacher = teacher
        self.seen: dict[str, Tensor] = {}
        self._handles: list[Any] = []
        self.projection: nn.Linear | None = None
        if pooled:
            head = head_of(student)
            if teacher is not None:
                self.projection = nn.Linear(head.in_features, teacher.pooled.shape[1])
                # what all vectors have in common says nothing about a text, and would outweigh what differs
                self._middle = teacher.pooled.astype(np.float32).mean(axis=0)
            self._handles.append(head.register_forward_pre_hook(self._keep_input("pooled")))
        if attention:
            self._handles += watch_attention(student, self.seen)

    def forward(self, ids: Tensor) -> Tensor:
        return self.student(ids)

    def hidden_loss(self, rows: np.ndarray) -> Tensor:
        """1 - cosine between the mapped vector of each row and the teacher's less the mean of all, on average. Call it
        after `forward`."""
        assert self.projection is not None and self._teacher is not None
        mapped = self.projection(self.seen["pooled"].float())
        wanted = torch.from_numpy(self._teacher.pooled[rows].astype(np.float32) - self._middle).to(mapped.device)
        return (1 - F.cosine_similarity(mapped, wanted, dim=1)).mean()

    def attention_loss(self, rows: np.ndarray, ids: np.ndarray) -> Tensor:
        """Cross-entropy of the relations of each row with the teacher's, on average over the texts that both read
        as equally many tokens; 0 where there is none. Call it after `forward`."""
        assert self._teacher is not None
        count = (ids != 0).sum(axis=1)
        alike = [place for place, row in enumerate(rows) if self._teacher.relations[row].shape[-1] == count[place]]
        found = relations(self.seen, torch.from_numpy(ids != 0)).log()  # (B, 3, R, T, T)
        if not alike:
            return found.sum() * 0
        wanted = torch.zeros(len(alike), *found.shape[1:])
        for place, one in zip(wanted, alike, strict=True):
            length = int(count[one])
            place[:, :, :length, :length] = torch.from_numpy(self._teacher.relations[rows[one]].astype(np.float32))
        each = -(wanted.to(found.device) * found[alike]).sum(dim=(1, 2, 3, 4))
        return (each / torch.from_numpy(count[alike]).to(each)).mean() / (wanted.shape[1] * wanted.shape[2])

    def remove(self) -> None:
        """Take the hooks off the student."""
        for handle in self._handles:
            handle.remove()

    def _keep_input(self, name: str) -> Any:
        def keep(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self.seen[name] = inputs[0]

        return keep


def insides(model: nn.Module, rows: Sequence[np.ndarray], pooled: bool, attention: bool) -> dict[str, list[np.ndarray]]:
    """What a teacher answers to a batch of texts, one array a text: "logits" (C,) float32, and where they are asked for
    "pooled" (D,) float32 and "relations" (3, R, T, T) float32.

    Args:
        rows: the ids of each text, (T,) or (T, K) int32.
    """
    recorder = Recorder(model, None, pooled, attention)
    ids = batch(list(rows), max(1, max(len(row) for row in rows)))
    try:
        with torch.inference_mode():
            found = {"logits": list(recorder(torch.from_numpy(ids)).float().numpy())}
            if pooled:
                found["pooled"] = list(recorder.seen["pooled"].float().numpy())
            if attention:
                every = relations(recorder.seen, torch.from_numpy(ids != 0)).numpy()
                found["relations"] = [one[:, :, : len(row), : len(row)] for one, row in zip(every, rows, strict=True)]
    finally:
        recorder.remove()
    return found


def head_of(model: nn.Module) -> nn.Linear:
    """The linear layer that gives the logits."""
    head = getattr(model, "head", None)
    assert isinstance(head, nn.Linear), "every family of classifiers has a head"
    return head


def watch_attention(model: nn.Module, seen: dict[str, Tensor]) -> list[Any]:
    """Hooks that put the queries, keys and values of the last attention layer, (B, T, D) each, into `seen`.

    Raises:
        UsageError: the model has no attention.
    """
    layers = getattr(model, "layers", None)
    attention = getattr(layers[-1], "attention", None) if layers else None
    if attention is None:
        raise UsageError("[distill]: attention: only a model of the family 'encoder' attends; remove it")

    def keep(name: str) -> Any:
        return lambda layer, inputs, output: seen.__setitem__(name, output)

    return [getattr(attention, name).register_forward_hook(keep(name)) for name in PARTS]


def relations(seen: dict[str, Tensor], real: Tensor, heads: int = RELATION_HEADS) -> Tensor:
    """(B, 3, R, T, T): how much each real token's query, key and value is like those of the others; rows sum to 1.

    Args:
        seen: (B, T, D) each, as watch_attention leaves them; D is a multiple of R.
        real: (B, T) bool.
    """
    parts = []
    for name in PARTS:
        values = seen[name].float()
        batch, length, width = values.shape
        split = values.reshape(batch, length, heads, width // heads).transpose(1, 2)
        if name == "query":  # our query's weights hold the division by the root of a head's width
            split = split * (width // heads) ** 0.25
        products = split @ split.transpose(2, 3) * (width // heads) ** -0.5
        parts.append(products.masked_fill(~real[:, None, None].to(products.device), -1e4).softmax(dim=3))
    return torch.stack(parts, dim=1).clamp(min=1e-6)
