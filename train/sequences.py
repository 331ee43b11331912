"""The training loop of models that say what comes next: characters of a text, lines of a log.

As the loop of classifiers (trainer.py) it is deterministic from the seed, saves its whole state after every epoch and
goes on from there bit for bit; a figure on validation chooses the epoch.
"""

from collections.abc import Callable
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
from edgewright.errors import UsageError
from edgewright.train import state
from edgewright.train.processes import join
from edgewright.train.schedule import rate

Progress = Callable[[int, int, str], None]  # (epochs done, epochs in all, what there is to say)
Loss = Callable[[Tensor, Tensor], Tensor]  # outputs (B, T, O) and targets → (B, T), 0 where nothing is counted
EVALUATED = 64  # rows of one batch


@dataclass(frozen=True, config={"extra": "forbid"})
class SequencesConfig:
    """The [train] table of a recipe of kind "sequence"."""

    epochs: Annotated[int, Field(ge=1)] = 10
    length: Annotated[int, Field(ge=2)] = 128  # positions of a row: how far back the gradient goes
    rows: Annotated[int | None, Field(ge=1)] = None  # of an epoch; None: all that there are
    batch_size: Annotated[int, Field(ge=1)] = 32
    learning_rate: Annotated[float, Field(gt=0)] = 4e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.05  # share of the steps; see schedule.py
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    patience: Annotated[int | None, Field(ge=1)] = None  # stop after so many epochs without a better one
    seed: int = 0
    threads: Annotated[int, Field(ge=1)] = 1  # of the CPU; another number sums in another order: other last bits


@plain_dataclass(frozen=True)
class Epoch:
    """What one epoch gave: mean training loss of a position in nats, and the figure on validation, higher is better."""

    epoch: int
    loss: float
    score: float


@plain_dataclass(frozen=True)
class Trained:
    """best: the epoch whose weights the model now has."""

    best: Epoch
    history: list[Epoch]


def train(
    model: nn.Module,
    training: Callable[[int], Rows],
    loss: Loss,
    score: Callable[[nn.Module], float],
    config: SequencesConfig,
    folder: Path,
    progress: Progress = lambda done, total, text: None,
) -> Trained:
    """Train `model` in place, a `forward(x)` as in sequence_net.py, and leave its best epoch's weights in it.

    Args:
        training: the rows of an epoch, by its number from 0; always the same for the same number.
        score: of the model on validation, higher is better.
        folder: holds the state of an interrupted run (`state.safetensors`); a finished run leaves none.

    Raises:
        UsageError: torchrun started several processes: this loop takes one.
    """
    with join() as processes:
        if processes.count > 1:
            raise UsageError(f"sequences are trained by one process, not {processes.count}; start it without torchrun")
        return _train(model, training, loss, score, config, folder, progress, processes.device)


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


def _train(
    model: nn.Module,
    training: Callable[[int], Rows],
    loss: Loss,
    score: Callable[[nn.Module], float],
    config: SequencesConfig,
    folder: Path,
    progress: Progress,
    device: torch.device,
) -> Trained:
    torch.set_num_threads(config.threads)
    model.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    steps = config.epochs * len(_batches(len(training(0)), config, 0))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps, config.warmup))
    run = state.Run(model, optimizer, schedule, averaged={})
    history = [Epoch(int(number), mean, figure) for number, mean, figure in state.load(run, folder)]
    best = _best(history)

    while len(history) < config.epochs and not _finished(history, config.patience):
        epoch = len(history)
        rows = training(epoch)
        model.train()
        total, positions = torch.zeros((), device=device), 0
        for chosen in _batches(len(rows), config, epoch):
            x, targets = (torch.from_numpy(part).to(device) for part in (rows.inputs(chosen), rows.targets(chosen)))
            count = int(rows.counted(chosen).sum())
            summed = loss(model(x), targets).sum()
            optimizer.zero_grad()
            (summed / count).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            optimizer.step()
            schedule.step()
            total += summed.detach()
            positions += count
        history.append(Epoch(epoch, float(total) / positions, score(model)))
        if best is None or history[-1].score > best.score:
            best = history[-1]
            run.best = {name: value.detach().clone() for name, value in model.state_dict().items()}
        state.save(run, [[one.epoch, one.loss, one.score] for one in history], folder)
        said = f"loss {history[-1].loss:.3f}, validation {abs(history[-1].score):.4f}"
        progress(len(history), config.epochs, said)

    assert best is not None, "at least one epoch"
    model.load_state_dict(run.best)
    model.to("cpu").eval()
    state.remove(folder)
    return Trained(best, history)


def _batches(rows: int, config: SequencesConfig, epoch: int) -> list[NDArray[np.int64]]:
    """The row numbers of each batch, in an order that the seed and the epoch decide."""
    order = np.random.default_rng([config.seed, epoch]).permutation(rows)[: config.rows]
    return [order[start : start + config.batch_size] for start in range(0, len(order), config.batch_size)]


def _best(history: list[Epoch]) -> Epoch | None:
    return max(history, key=lambda one: one.score, default=None)  # the first of equals, as in the loop


def _finished(history: list[Epoch], patience: int | None) -> bool:
    best = _best(history)
    return best is not None and patience is not None and len(history) - 1 - best.epoch >= patience
