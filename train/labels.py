"""Training on texts with labels: one label a text, or a tag for each word."""

from collections.abc import Iterator
from dataclasses import dataclass as plain_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from edgewright.data.dataset import Dataset, batch_count, batches, in_order
from edgewright.train import loop
from edgewright.train.loop import Forward, LoopConfig, Progress, Trained
from edgewright.train.objectives import Objective, labels_objective
from edgewright.train.processes import Processes


@dataclass(frozen=True, config={"extra": "forbid"})
class LabelsConfig(LoopConfig):
    """The [train] table of a recipe that learns labels or tags."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    class_weights: Literal["none", "balanced"] = "none"
    metric: Literal["accuracy", "macro_f1", "span_f1"] = "accuracy"  # on validation; chooses the epoch
    target: Annotated[float | None, Field(gt=0, le=1)] = None  # stop when the metric reaches it


def train(
    model: nn.Module,
    training: Dataset,
    validation: Dataset,
    config: LabelsConfig,
    folder: Path,
    progress: Progress = lambda done, total, text: None,
    objective: Objective | None = None,
) -> Trained:
    """Train `model` in place and leave the weights of the best validation epoch in it; see loop.train.

    `objective` is by default that of one label a text, with the config's weights, smoothing and metric.
    """
    objective = objective or labels_objective(
        training, _classes(model), config.class_weights, config.label_smoothing, config.metric
    )
    return loop.train(model, _Lesson(model, training, validation, config, objective), config, folder, progress)


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


@plain_dataclass(frozen=True)
class _Lesson:
    model: nn.Module  # the objective of a tagger has parameters in it that no output shows
    training: Dataset
    validation: Dataset
    config: LabelsConfig
    objective: Objective

    def steps(self) -> int:
        return batch_count(len(self.training), self.config.batch_size)

    def batches(self, epoch: int, processes: Processes) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return batches(self.training, self.config.batch_size, self.config.seed, epoch, processes.rank, processes.count)

    def loss(self, forward: Forward, batch: tuple[np.ndarray, np.ndarray]) -> Tensor:
        ids, labels = batch
        outputs = forward(ids)
        return self.objective.loss(self.model, outputs, torch.from_numpy(labels).to(outputs.device))

    def score(self, model: nn.Module) -> float:
        return self.objective.score(model, predict(model, self.validation), self.validation)

    def say(self, score: float) -> str:
        return f"{self.config.metric} {score:.4f}"

    def enough(self, score: float) -> bool:
        return self.config.target is not None and score >= self.config.target


def _classes(model: Any) -> int:
    return int(model.config.classes)
