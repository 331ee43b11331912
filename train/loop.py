"""The training loop: one function that a reader can follow from the first batch to the best weights.

What is learnt comes as a Lesson: texts with labels (labels.py), prompts with replies (pairs.py), sequences
(sequences.py). The loop is deterministic from the seed, saves its whole state after every epoch, and goes on from there
bit for bit. Started by `torchrun`, the same code trains on several processes: each takes its share of every batch.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass as plain_dataclass
from pathlib import Path
from typing import Annotated, Literal, Protocol, TypeVar

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from edgewright.train import parameters, state
from edgewright.train.bfloat16 import autocast
from edgewright.train.processes import Processes, join
from edgewright.train.schedule import rate

Progress = Callable[[int, int, str], None]  # (epochs done, epochs in all, what there is to say)
Forward = Callable[..., Tensor]  # the model on NumPy arrays: float32 outputs on its device, with their gradient
Batch = TypeVar("Batch")


@dataclass(frozen=True, config={"extra": "forbid"})
class LoopConfig:
    """What every [train] table may say; each kind of task has its own defaults and adds its own keys."""

    epochs: Annotated[int, Field(ge=1)] = 20
    batch_size: Annotated[int, Field(ge=1)] = 128
    optimizer: Literal["adam", "adamw"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0)] = 3e-3
    head_learning_rate: Annotated[float | None, Field(gt=0)] = None  # of the part `head`; None: as all others
    freeze: tuple[str, ...] = ()  # parts that keep their weights: "embedding", "layers.0"
    weight_decay: Annotated[float, Field(ge=0)] = 0.02
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.1  # share of the steps; see schedule.py
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    patience: Annotated[int | None, Field(ge=1)] = None  # stop after so many epochs without a better one
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0  # decay of the mean of weights that is evaluated; 0 is off
    seed: int = 0
    bfloat16: bool = False  # compute so on a CPU too, as a GPU always does, if it has the instructions: half the time
    threads: Annotated[int, Field(ge=1)] = 1  # of the CPU; another number sums in another order: other last bits


@plain_dataclass(frozen=True)
class Epoch:
    """What one epoch gave: mean training loss of a batch, and the figure on validation, higher is better."""

    epoch: int
    loss: float
    score: float


@plain_dataclass(frozen=True)
class Trained:
    """best: the epoch whose weights the model now has."""

    best: Epoch
    history: list[Epoch]


class Lesson(Protocol[Batch]):
    """What is learnt, and how well."""

    def steps(self) -> int:
        """How many batches an epoch has."""

    def batches(self, epoch: int, processes: Processes) -> Iterator[Batch]:
        """The batches of an epoch, always the same for the same number; of each the share of this process."""

    def loss(self, forward: Forward, batch: Batch) -> Tensor:
        """A scalar: what a batch costs."""

    def score(self, model: nn.Module) -> float:
        """The figure on validation, higher is better; it chooses the epoch."""

    def say(self, score: float) -> str:
        """The figure as a user reads it: "accuracy 0.9415"."""

    def enough(self, score: float) -> bool:
        """Whether there is nothing to gain from more epochs."""


def train(
    model: nn.Module, lesson: Lesson[Batch], config: LoopConfig, folder: Path, progress: Progress, alone: bool = False
) -> Trained:
    """Train `model` in place and leave the weights of the best validation epoch in it.

    Args:
        folder: holds the state of an interrupted run (`state.safetensors`); a finished run leaves none.
        alone: the lesson cannot be shared among processes.

    Raises:
        UsageError: torchrun started several processes for a lesson that takes one, or parts to freeze are wrong.
        DamagedFileError: the state of an interrupted run cannot be read.
    """
    with join(alone) as processes:
        return _train(model, lesson, config, folder, progress, processes)


def _train(
    model: nn.Module,
    lesson: Lesson[Batch],
    config: LoopConfig,
    folder: Path,
    progress: Progress,
    processes: Processes,
) -> Trained:
    torch.set_num_threads(config.threads)
    device = processes.device
    model.to(device)
    parameters.freeze(model, config.freeze)
    optimizer = _optimizer(model, config)
    steps = config.epochs * lesson.steps()
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps, config.warmup))
    run = state.Run(model, optimizer, schedule, _weights(model) if config.average else {})
    history = [Epoch(int(number), loss, score) for number, loss, score in state.load(run, folder)]
    best = max(history, key=lambda epoch: epoch.score, default=None)  # the first of equals, as below
    wrapped = processes.wrap(model)

    def forward(*arrays: np.ndarray) -> Tensor:
        inputs = [torch.from_numpy(array).to(device) for array in arrays]
        with autocast(device, config.bfloat16):
            outputs: Tensor = wrapped(*inputs)
        return outputs.float()

    while len(history) < config.epochs and not _finished(history, best, lesson, config.patience):
        epoch = len(history)
        # every epoch has its own random numbers (dropout), so that a resumed run needs no saved generator
        torch.manual_seed((config.seed * 10_000 + epoch) * 1_000 + processes.rank)
        model.train()
        losses = []
        for batch in lesson.batches(epoch, processes):
            loss = lesson.loss(forward, batch)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            optimizer.step()
            schedule.step()
            _follow(run.averaged, model, config.average)
            losses.append(loss.detach())
        score, evaluated = _evaluate(lesson, run)
        history.append(Epoch(epoch, float(torch.stack(losses).mean()), score))
        if best is None or score > best.score:
            best = history[-1]
            run.best = evaluated
        if processes.rank == 0:
            state.save(run, [[one.epoch, one.loss, one.score] for one in history], folder)
            progress(len(history), config.epochs, f"loss {history[-1].loss:.3f}, validation {lesson.say(score)}")

    assert best is not None, "at least one epoch"
    model.load_state_dict(run.best)
    model.to("cpu").eval()
    if processes.rank == 0:
        state.remove(folder)
    return Trained(best, history)


def _finished(history: list[Epoch], best: Epoch | None, lesson: Lesson[Batch], patience: int | None) -> bool:
    if best is None:
        return False
    return lesson.enough(best.score) or (patience is not None and len(history) - 1 - best.epoch >= patience)


def _optimizer(model: nn.Module, config: LoopConfig) -> torch.optim.Optimizer:
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
    groups = parameters.groups(model, config.learning_rate, config.head_learning_rate)
    return kind(groups, weight_decay=config.weight_decay)


def _follow(averaged: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    """Move the averaged weights towards those of the model; there are none where averaging is off."""
    values = model.state_dict()
    for name, mean in averaged.items():
        if mean.is_floating_point():
            mean.lerp_(values[name], 1 - decay)
        else:
            mean.copy_(values[name])


def _evaluate(lesson: Lesson[Batch], run: state.Run) -> tuple[float, dict[str, Tensor]]:
    """The score of the averaged weights, or without them of the model's, and a copy of the weights that have it."""
    if not run.averaged:
        return lesson.score(run.model), _weights(run.model)
    current = _weights(run.model)
    run.model.load_state_dict(run.averaged)
    score = lesson.score(run.model)
    run.model.load_state_dict(current)
    return score, {name: value.clone() for name, value in run.averaged.items()}


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
