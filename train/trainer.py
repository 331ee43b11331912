"""The training loop: one function that a reader can follow from the first batch to the best weights.

It is deterministic from the seed, saves its whole state after every epoch, and goes on from there bit for bit.
Started by `torchrun`, the same code trains on several processes: each takes its share of every batch.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from edgewright.data.dataset import Dataset, batch_count, batches, in_order
from edgewright.train import parameters, state
from edgewright.train.objectives import Objective, labels_objective
from edgewright.train.processes import Processes, join
from edgewright.train.schedule import rate

Progress = Callable[[int, int, str], None]  # (epochs done, epochs in all, what there is to say)


@dataclass(frozen=True, config={"extra": "forbid"})
class TrainConfig:
    """The [train] table of a recipe."""

    epochs: Annotated[int, Field(ge=1)] = 20
    batch_size: Annotated[int, Field(ge=1)] = 128
    optimizer: Literal["adam", "adamw"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0)] = 3e-3
    head_learning_rate: Annotated[float | None, Field(gt=0)] = None  # of the part `head`; None: as all others
    freeze: tuple[str, ...] = ()  # parts that keep their weights: "embedding", "layers.0"
    weight_decay: Annotated[float, Field(ge=0)] = 0.02
    warmup: Annotated[float, Field(ge=0, le=1)] = (
        0.1  # share of the steps over which the learning rate rises; then cosine to 0
    )
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    class_weights: Literal["none", "balanced"] = "none"
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    metric: Literal["accuracy", "macro_f1", "span_f1"] = "accuracy"  # on validation; chooses the epoch
    patience: Annotated[int | None, Field(ge=1)] = None  # stop after so many epochs without a better one
    target: Annotated[float | None, Field(gt=0, le=1)] = None  # stop when the metric reaches it
    average: Annotated[float, Field(ge=0, lt=1)] = (
        0.0  # decay of the running average of weights that is evaluated; 0 is off
    )
    seed: int = 0
    bfloat16: bool = False  # compute so on a CPU too, as a GPU always does: half the time where it has the instructions
    threads: Annotated[int, Field(ge=1)] = 1  # of the CPU; another number sums in another order: other last bits


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave: mean training loss, and the metric on validation."""

    epoch: int
    loss: float
    score: float


@dataclass(frozen=True)
class Trained:
    """best: the epoch whose weights the model now has."""

    best: Epoch
    history: list[Epoch] = field(default_factory=list)


def train(
    model: nn.Module,
    training: Dataset,
    validation: Dataset,
    config: TrainConfig,
    folder: Path,
    progress: Progress = lambda done, total, text: None,
    objective: Objective | None = None,
) -> Trained:
    """Train `model` in place and leave the weights of the best validation epoch in it.

    `objective` is by default that of one label a text, with the config's weights, smoothing and metric.
    `folder` holds the state of an interrupted run (`state.safetensors`); a finished run leaves none.
    """
    with join() as processes:
        return _train(model, training, validation, config, folder, progress, objective, processes)


def _train(
    model: nn.Module,
    training: Dataset,
    validation: Dataset,
    config: TrainConfig,
    folder: Path,
    progress: Progress,
    objective: Objective | None,
    processes: Processes,
) -> Trained:
    torch.set_num_threads(config.threads)
    device = processes.device
    model.to(device)
    parameters.freeze(model, config.freeze)
    optimizer = _optimizer(model, config)
    steps = config.epochs * batch_count(len(training), config.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps, config.warmup))
    objective = objective or labels_objective(
        training, _classes(model), config.class_weights, config.label_smoothing, config.metric
    )
    averaged = {name: value.detach().clone() for name, value in model.state_dict().items()}
    run = state.Run(model, optimizer, schedule, averaged)
    history, best = _resume(run, folder)
    wrapped = processes.wrap(model)
    mixed = config.bfloat16 or device.type == "cuda"

    while len(history) < config.epochs and not _finished(history, config):
        epoch = len(history)
        # every epoch has its own random numbers (dropout), so that a resumed run needs no saved generator
        torch.manual_seed((config.seed * 10_000 + epoch) * 1_000 + processes.rank)
        model.train()
        losses = []
        for ids, labels in batches(training, config.batch_size, config.seed, epoch, processes.rank, processes.count):
            with torch.autocast(device.type, torch.bfloat16) if mixed else nullcontext():
                logits = wrapped(torch.from_numpy(ids).to(device))
            loss = objective.loss(model, logits.float(), torch.from_numpy(labels).to(device))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            optimizer.step()
            schedule.step()
            _average(averaged, model, config.average)
            losses.append(loss.detach())
        score = _score(model, averaged, validation, objective)
        history.append(Epoch(epoch, float(torch.stack(losses).mean()), score))
        if best is None or score > best.score:
            best = history[-1]
            run.best = {name: value.detach().clone() for name, value in averaged.items()}
        if processes.rank == 0:
            state.save(run, [[e.epoch, e.loss, e.score] for e in history], folder)
            progress(
                len(history), config.epochs, f"loss {history[-1].loss:.3f}, validation {config.metric} {score:.4f}"
            )

    assert best is not None, "at least one epoch"
    model.load_state_dict(run.best)
    model.to("cpu").eval()
    if processes.rank == 0:
        state.remove(folder)
    return Trained(best, history)


def predict(model: nn.Module, dataset: Dataset, batch_size: int = 256) -> list[np.ndarray]:
    """What the model says of each row, in their order: (C,) float32 logits, or (tokens, C) of a tagger."""
    model.eval()
    device = next(model.parameters()).device
    rows: list[np.ndarray] = []
    with torch.inference_mode():
        for ids in in_order(dataset, batch_size):
            outputs = model(torch.from_numpy(ids).to(device)).float().cpu().numpy()
            lengths = [len(given) for given in dataset.ids[len(rows) : len(rows) + len(outputs)]]
            rows += [row if row.ndim == 1 else row[:length] for row, length in zip(outputs, lengths, strict=True)]
    return rows


def _resume(run: state.Run, folder: Path) -> tuple[list[Epoch], Epoch | None]:
    history = [Epoch(int(e), loss, score) for e, loss, score in state.load(run, folder)]
    best = max(history, key=lambda e: e.score) if history else None  # the first of equals, as in the loop
    return history, best


def _finished(history: list[Epoch], config: TrainConfig) -> bool:
    if not history:
        return False
    scores = [epoch.score for epoch in history]
    if config.target is not None and max(scores) >= config.target:
        return True
    return config.patience is not None and len(scores) - 1 - int(np.argmax(scores)) >= config.patience


def _optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
    groups = parameters.groups(model, config.learning_rate, config.head_learning_rate)
    return kind(groups, weight_decay=config.weight_decay)


def _average(averaged: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    for name, value in model.state_dict().items():
        if decay and value.is_floating_point():
            averaged[name].lerp_(value, 1 - decay)
        else:
            averaged[name].copy_(value)


def _score(model: nn.Module, averaged: dict[str, Tensor], validation: Dataset, objective: Objective) -> float:
    current = {name: value.detach().clone() for name, value in model.state_dict().items()}
    model.load_state_dict(averaged)
    score = objective.score(model, predict(model, validation), validation)
    model.load_state_dict(current)
    return score


def _classes(model: Any) -> int:
    return int(model.config.classes)
