"""Training of models that write replies: each next token is learnt with the right ones before it.

Perplexity on validation chooses the epoch.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass as plain_dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from edgewright.data.pair_batches import Batch, EncodedPairs, batch_count, batches, in_order
from edgewright.data.sampling import PADDING
from edgewright.train import loop
from edgewright.train.loop import Forward, LoopConfig, Progress, Trained
from edgewright.train.processes import Processes


@dataclass(frozen=True, config={"extra": "forbid"})
class PairsConfig(LoopConfig):
    """The [train] table of a recipe that trains on pairs."""

    epochs: Annotated[int, Field(ge=1)] = 12
    rows: Annotated[int | None, Field(ge=1)] = None  # at most so many training pairs; whoever loads them keeps to it
    batch_size: Annotated[int, Field(ge=1)] = 64
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0


def train(
    model: nn.Module,
    training: EncodedPairs,
    validation: EncodedPairs,
    config: PairsConfig,
    folder: Path,
    progress: Progress = lambda done, total, text: None,
) -> Trained:
    """Train `model` in place, a `forward(source, target)` as in hybrid.py; see loop.train.

    The score of an epoch is less its perplexity on validation.
    """
    return loop.train(model, _Lesson(training, validation, config), config, folder, progress, alone=True)


def perplexity(model: nn.Module, pairs: EncodedPairs, batch_size: int = 128) -> float:
    """e to the mean cross-entropy a token of the replies, end tokens included: among so many tokens the model wavers.

    Infinite where it is too large for a float.
    """
    model.eval()
    device = next(model.parameters()).device
    total, tokens = 0.0, 0

    def forward(*arrays: np.ndarray) -> Tensor:
        outputs: Tensor = model(*(torch.from_numpy(array).to(device) for array in arrays))
        return outputs.float()

    with torch.inference_mode():
        for batch in in_order(pairs, batch_size):
            total += float(_loss(forward, batch, 0.0, "sum"))
            tokens += int((batch.wanted != PADDING).sum())
    mean = total / tokens
    return math.exp(mean) if mean < 700 else math.inf


@plain_dataclass(frozen=True)
class _Lesson:
    training: EncodedPairs
    validation: EncodedPairs
    config: PairsConfig

    def steps(self) -> int:
        return batch_count(len(self.training), self.config.batch_size)

    def batches(self, epoch: int, processes: Processes) -> Iterator[Batch]:
        return batches(self.training, self.config.batch_size, self.config.seed, epoch)

    def loss(self, forward: Forward, batch: Batch) -> Tensor:
        return _loss(forward, batch, self.config.label_smoothing)

    def score(self, model: nn.Module) -> float:
        return -perplexity(model, self.validation)

    def say(self, score: float) -> str:
        return f"perplexity {-score:.2f}"

    def enough(self, score: float) -> bool:
        return False


def _loss(forward: Forward, batch: Batch, smoothing: float, reduction: str = "mean") -> Tensor:
    """Cross-entropy over the tokens of the replies; padding does not count."""
    logits = forward(batch.source, batch.given)
    return F.cross_entropy(
        logits.flatten(0, 1),
        torch.from_numpy(batch.wanted).to(logits.device).flatten(),
        ignore_index=PADDING,
        label_smoothing=smoothing,
        reduction=reduction,
    )
