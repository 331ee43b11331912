"""Training of models that read a sequence and say at each position what comes next: characters of a text, lines of a
log."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass as plain_dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from edgewright.data.log_features import NUMBERS
from edgewright.data.log_lines import LEVELS
from edgewright.data.plain_text import PADDING
from edgewright.data.sequence_rows import LEAST_SPREAD, MOST_SPREAD, Rows
from edgewright.train import loop
from edgewright.train.loop import Forward, LoopConfig, Progress, Trained
from edgewright.train.processes import Processes

Loss = Callable[[Tensor, Tensor], Tensor]  # outputs (B, T, O) and targets → (B, T), 0 where nothing is counted
EVALUATED = 64  # rows of one batch


@dataclass(frozen=True, config={"extra": "forbid"})
class SequencesConfig(LoopConfig):
    """The [train] table of a recipe of kind "sequence"."""

    epochs: Annotated[int, Field(ge=1)] = 10
    length: Annotated[int, Field(ge=2)] = 128  # positions of a row: how far back the gradient goes
    rows: Annotated[int | None, Field(ge=1)] = None  # of an epoch; None: all that there are
    batch_size: Annotated[int, Field(ge=1)] = 32
    learning_rate: Annotated[float, Field(gt=0)] = 4e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.05  # share of the steps; see schedule.py


def train(
    model: nn.Module,
    training: Callable[[int], Rows],
    loss: Loss,
    score: Callable[[nn.Module], float],
    config: SequencesConfig,
    folder: Path,
    progress: Progress = lambda done, total, text: None,
) -> Trained:
    """Train `model` in place, a `forward(x)` as in sequence_net.py; see loop.train.

    Args:
        training: the rows of an epoch, by its number from 0; always the same for the same number.
        score: of the model on validation, higher is better.
    """
    return loop.train(model, _Lesson(training, loss, score, config), config, folder, progress, alone=True)


def next_character(outputs: Tensor, targets: Tensor) -> Tensor:
    """(B, T) cross-entropy in nats of scores (B, T, V) and ids (B, T); 0 at padding."""
    return F.cross_entropy(outputs.transpose(1, 2), targets.long(), ignore_index=PADDING, reduction="none")


def next_line(buckets: int) -> Loss:
    """The loss of log lines: what data/sequence_rows.line_surprise computes, for PyTorch.

    A target without a template is none: a row is filled up with zeros.
    """
    levels, numbers = buckets + len(LEVELS), len(NUMBERS)

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        template = -(F.log_softmax(outputs[..., :buckets], -1) * targets[..., :buckets]).sum(-1)
        level = -(F.log_softmax(outputs[..., buckets:levels], -1) * targets[..., buckets:levels]).sum(-1)
        spread = outputs[..., levels + numbers :].clamp(LEAST_SPREAD, MOST_SPREAD)
        off = (targets[..., levels:] - outputs[..., levels : levels + numbers]) / spread.exp()
        return (template + level + (spread + off.square() / 2).sum(-1)) * targets[..., :buckets].sum(-1)

    return loss


def outputs_of(model: nn.Module, rows: Rows, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    """(B, T, O): what the model says of the chosen rows."""
    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        parts = [
            model(torch.from_numpy(rows.inputs(chosen[start : start + EVALUATED])).to(device)).float().cpu().numpy()
            for start in range(0, len(chosen), EVALUATED)
        ]
    return np.concatenate(parts)


def surprises_of(model: nn.Module, rows: Rows) -> NDArray[np.float64]:
    """(N, T) nats of all rows, a batch at a time."""
    parts = []
    for start in range(0, len(rows), EVALUATED):
        chosen = np.arange(start, min(start + EVALUATED, len(rows)))
        parts.append(rows.surprises(outputs_of(model, rows, chosen), chosen))
    return np.concatenate(parts)


@plain_dataclass(frozen=True)
class _Batch:
    inputs: np.ndarray
    targets: np.ndarray
    positions: int  # that are counted


@plain_dataclass(frozen=True)
class _Lesson:
    training: Callable[[int], Rows]
    nats: Loss
    on_validation: Callable[[nn.Module], float]
    config: SequencesConfig

    def steps(self) -> int:
        return len(self._chosen(len(self.training(0)), 0))

    def batches(self, epoch: int, processes: Processes) -> Iterator[_Batch]:
        rows = self.training(epoch)
        for chosen in self._chosen(len(rows), epoch):
            yield _Batch(rows.inputs(chosen), rows.targets(chosen), int(rows.counted(chosen).sum()))

    def loss(self, forward: Forward, batch: _Batch) -> Tensor:
        """Nats of a position."""
        outputs = forward(batch.inputs)
        return self.nats(outputs, torch.from_numpy(batch.targets).to(outputs.device)).sum() / batch.positions

    def score(self, model: nn.Module) -> float:
        return self.on_validation(model)

    def say(self, score: float) -> str:
        return f"{abs(score):.4f}"

    def enough(self, score: float) -> bool:
        return False

    def _chosen(self, rows: int, epoch: int) -> list[NDArray[np.int64]]:
        """The row numbers of each batch, in an order that the seed and the epoch decide."""
        config = self.config
        order = np.random.default_rng([config.seed, epoch]).permutation(rows)[: config.rows]
        return [order[start : start + config.batch_size] for start in range(0, len(order), config.batch_size)]
