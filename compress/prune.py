"""Structured pruning: whole channels, units, heads and embedding columns are cut, and a smaller dense model is left.

It is of the same family, from a smaller config, with those weights of the old one that were kept: every exporter takes
it, and it is really faster. What matters least is cut: by the first-order Taylor expansion of the loss (Molchanov et
al. 2019, https://arxiv.org/abs/1906.10771), or by magnitude. Where only linear layers read the embedding, its columns
are first turned so that fewer of them say most (a low-rank embedding, multiplied into what reads it): then nothing that
a model needs need lie in a column that is cut.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from edgewright.compress.coupled import Group, groups
from edgewright.data.dataset import IGNORED, Dataset, batches
from edgewright.models import MODELS

MULTIPLE = 8  # sizes that runtimes compute without a remainder
SHARES = {  # of each family's fields: which share of PruneConfig cuts it
    "text_cnn": {"hidden": "channels", "width": "width"},
    "ngram_hybrid": {"hidden": "channels", "bag_hidden": "channels", "width": "width"},
    "lstm_attention": {"hidden": "channels", "width": "width"},
    "encoder": {"feedforward": "channels", "heads": "heads", "width": "width"},
    "tagger": {"hidden": "channels", "width": "width"},
}
Share = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, config={"extra": "forbid"})
class PruneConfig:
    """The [prune] table of a recipe. Shares are what is removed; what is not here is as in [distill], or in [train]."""

    channels: Share = 0.0  # convolution channels, hidden, bag and feed-forward units
    heads: Share = 0.0  # of attention; encoders only
    width: Share = 0.0  # columns of the embedding
    importance: Literal["taylor", "magnitude"] = "taylor"
    buckets: Annotated[int | None, Field(ge=1)] = None  # hashed_ngrams: fold the table to so many, a divisor
    min_uses: Annotated[int, Field(ge=0)] = 0  # other tokenizers: leave out pieces that training texts use less often
    sparsity: Share = 0.0  # of single weights, which become zero; see compress/sparsify.py
    ramp: Annotated[float, Field(gt=0, le=1)] = 0.5  # share of the steps in which the zeros grow to that many
    epochs: Annotated[int, Field(ge=1)] = 5
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.1

    def __post_init__(self) -> None:
        if not (self.structured or self.changes_words or self.sparsity):
            raise ValueError("it removes nothing; give channels, heads, width, buckets, min_uses or sparsity")

    @property
    def structured(self) -> bool:
        return bool(self.channels or self.heads or self.width)

    @property
    def changes_words(self) -> bool:
        """Whether the pruned model has a tokenizer of its own."""
        return self.buckets is not None or self.min_uses > 0


def smaller(config: Any, family: str, shares: PruneConfig) -> Any:
    """The config of the pruned model: sizes in multiples of 8 (and of the heads where attention splits them).

    Raises:
        ValueError: a share is asked for of what the family does not have, or is too small to remove anything.
    """
    changes: dict[str, Any] = {}
    fields = SHARES[family]
    for name in ("channels", "heads", "width"):
        share = getattr(shares, name)
        own = [field for field, of in fields.items() if of == name]
        if share and not own:
            raise ValueError(f"{name}: a model of the family {family} has none; remove it")
        sizes = {field: _size(config, family, field, share) for field in own}
        if share and all(size == getattr(config, field) for field, size in sizes.items()):
            raise ValueError(f"{name}: {share} of {', '.join(f'{f} {s}' for f, s in sizes.items())} removes nothing")
        changes |= sizes
    if family == "encoder" and (changes["heads"], changes["width"]) != (config.heads, config.width):
        changes["head_width"] = config.head_width or config.width // config.heads
    return dataclasses.replace(config, **changes)


def _size(config: Any, family: str, field: str, share: float) -> int:
    full: int = getattr(config, field)
    if field == "heads":
        return max(1, round(full * (1 - share)))
    step = math.lcm(MULTIPLE, config.heads) if (family, field) == ("lstm_attention", "hidden") else MULTIPLE
    return min(full, max(step, step * round(full * (1 - share) / step))) if share else full


def prune(model: nn.Module, family: str, shares: PruneConfig, training: Dataset, seed: int = 0) -> nn.Module:
    """The pruned model in evaluation mode, before any fine-tuning; `model` is left as it was.

    Args:
        training: what importance is measured on, for which 4,000 rows are enough.

    Raises:
        ValueError: see `smaller`.
        MissingExtraError: torch-pruning is not installed.
    """
    old: Any = model.eval()
    config = smaller(old.config, family, shares)
    found = [group for group in groups(model) if getattr(config, group.field) != getattr(old.config, group.field)]
    weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
    turned = [group for group in found if low_rank(group)]
    for group in turned:
        _turn(weights, group, getattr(config, group.field), _uses(training, old.config.vocab_size))
    rest = [group for group in found if group not in turned]
    scores = importance(model, rest, shares.importance, training, seed)
    kept = [
        *((group, torch.arange(getattr(config, group.field))) for group in turned),
        *((group, _best(score, group, config, old.config)) for group, score in zip(rest, scores, strict=True)),
    ]
    made: nn.Module = MODELS[family].module(config)
    made.load_state_dict(cut(weights, kept))
    return made.eval()


def _best(score: Tensor, group: Group, config: Any, old: Any) -> Tensor:
    """The units to keep, ascending. A group with fewer units than its field (a head) keeps the same share of them."""
    count = group.units * getattr(config, group.field) // getattr(old, group.field)
    return score.topk(count).indices.sort().values


def cut(weights: dict[str, Tensor], kept: Sequence[tuple[Group, Tensor]]) -> dict[str, Tensor]:
    """The weights without the units of each group that are not kept."""
    gone: dict[tuple[str, int], Tensor] = {}
    for group, units in kept:
        removed = torch.ones(group.units, dtype=torch.bool)
        removed[units] = False
        for one in group.slices:
            size = weights[one.parameter].shape[one.dim]
            lost = gone.setdefault((one.parameter, one.dim), torch.zeros(size, dtype=torch.bool))
            lost[one.places[removed].flatten()] = True
    made = dict(weights)
    for (name, dim), lost in gone.items():
        made[name] = made[name].index_select(dim, (~lost).nonzero().flatten())
    return made


def importance(
    model: nn.Module, of: Sequence[Group], kind: str, training: Dataset, seed: int, most_rows: int = 4_000
) -> list[Tensor]:
    """(units,) float32 for each group: what the loss would change by, or the sum of the squares of its weights."""
    parameters = dict(model.named_parameters())
    if kind == "magnitude":
        return [_sums(group, lambda name: parameters[name].detach().square()) for group in of]
    scores = [torch.zeros(group.units) for group in of]
    if not of:
        return scores
    for ids, labels in _some(training, seed, most_rows):
        model.zero_grad()
        outputs = model(torch.from_numpy(ids))
        # (B, C), or (B, T, C) with a tag for each word
        loss = F.cross_entropy(
            outputs.flatten(0, -2), torch.from_numpy(labels).flatten(), ignore_index=IGNORED, label_smoothing=0.1
        )
        loss.backward()  # type: ignore[no-untyped-call]
        changes = {name: (one * one.grad).detach() for name, one in parameters.items() if one.grad is not None}
        for group, score in zip(of, scores, strict=True):
            score += _sums(group, changes.__getitem__).square()
    model.zero_grad()
    return scores


def _some(training: Dataset, seed: int, most_rows: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    size = 32
    for number, batch in enumerate(batches(training, size, seed, 0)):
        if number * size >= most_rows:
            return
        yield batch


def _sums(group: Group, values: Callable[[str], Tensor]) -> Tensor:
    total = torch.zeros(group.units)
    for one in group.slices:
        along = values(one.parameter).transpose(0, one.dim).flatten(1) if one.dim else values(one.parameter)
        along = along.flatten(1).sum(dim=1) if along.dim() > 1 else along
        total += along[one.places].sum(dim=1)
    return total


def low_rank(group: Group) -> bool:
    """Whether the units are columns of the embedding that only linear layers read: no row and no norm has a part."""
    return group.slices[0].parameter == "embedding.weight" and all(
        one.dim == 1 and one.parameter != "position" for one in group.slices
    )


def _uses(training: Dataset, rows: int) -> Tensor:
    """(rows,) float64: how often the training texts use each row of the table, at least once in total."""
    flat = np.concatenate([ids.ravel() for ids in training.ids])
    return torch.from_numpy(np.bincount(flat[(flat > 0) & (flat < rows)], minlength=rows).astype(np.float64))


def _turn(weights: dict[str, Tensor], group: Group, rank: int, uses: Tensor) -> None:
    """Turn the columns, in place, so that the first `rank` of them give the readers the most of what they got.

    With E the embedding, R what reads it and n the uses, the product of the first columns is the best approximation of
    its rank, in squares, of diag(sqrt(n)) E R (Eckart and Young 1936).
    """
    embedding = weights["embedding.weight"].double()  # (V, D)
    readers = [one for one in group.slices if one.parameter != "embedding.weight"]
    columns = [weights[one.parameter].double().transpose(0, 1)[one.places[:, 0]] for one in readers]  # (D, ...)
    read = torch.cat([one.flatten(1) for one in columns], dim=1)  # (D, K)
    energy, axes = torch.linalg.eigh(embedding.T @ (uses.unsqueeze(1) * embedding))
    root = (energy.clamp(min=float(energy.max()) * 1e-9)).sqrt()
    left = torch.linalg.svd(torch.diag(root) @ axes.T @ read, full_matrices=True).U  # (D, D)
    there = axes @ torch.diag(1 / root) @ left  # E there: every column is used as much
    back = left.T @ torch.diag(root) @ axes.T
    scale = float((embedding.square().sum() / (embedding @ there[:, :rank]).square().sum()).sqrt())
    weights["embedding.weight"] = (embedding @ there * scale).float()
    for one, own in zip(readers, columns, strict=True):
        turned = torch.tensordot(back / scale, own, dims=1)  # (D, ...)
        whole = weights[one.parameter].clone()
        whole.transpose(0, 1)[one.places[:, 0]] = turned.float()
        weights[one.parameter] = whole
