"""Distillation: a student learns what its teachers answer, on the training texts and on transfer texts.

The loss of a training text is the teachers' part, T^2 times the cross-entropy of softened probabilities (Hinton et al.
2015, https://arxiv.org/abs/1503.02531), mixed with that of its label; a transfer text has no label, and the teachers'
part alone. Beside the answers, the student's last hidden vector may be drawn to the teacher's through a linear layer
that is thrown away (Romero et al. 2015, https://arxiv.org/abs/1412.6550), and an encoder's attention to that of a
teacher who reads the same tokens (Wang et al. 2021, MiniLMv2, https://arxiv.org/abs/2012.15828).

Teachers answer beforehand (pipeline/teach.py); here are only their stored answers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from edgewright.compress.hidden import Hidden, Recorder
from edgewright.data.dataset import Dataset, batch_count, batches
from edgewright.data.transfer import Transfer
from edgewright.train import loop
from edgewright.train.labels import predict
from edgewright.train.loop import Forward, LoopConfig, Progress, Trained
from edgewright.train.metrics import accuracy, confusion, macro_f1
from edgewright.train.processes import Processes


@dataclass(frozen=True, config={"extra": "forbid"})
class Teacher:
    """A recipe whose model teaches, or "tfidf"; answers are averaged with these weights."""

    name: str
    weight: Annotated[float, Field(gt=0)] = 1.0


@dataclass(frozen=True, config={"extra": "forbid"})
class DistillConfig(LoopConfig):
    """The [distill] table of a recipe."""

    teachers: tuple[Teacher, ...] = ()
    transfer: Transfer = field(default_factory=Transfer)
    start: Literal["fresh", "trained"] = "fresh"  # from fresh weights, or from what [train] reached
    temperature: Annotated[float, Field(gt=0)] = 2.0
    teaching: Annotated[float, Field(ge=0, le=1)] = 0.9  # share of the teachers in the loss of a training text
    mix: Annotated[float, Field(ge=0)] = 1.0  # transfer texts an epoch for each training text
    hidden: Annotated[float, Field(ge=0)] = 0.0  # weight of the last hidden vector's distance
    attention: Annotated[float, Field(ge=0)] = 0.0  # weight of the difference in attention; encoders only
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    metric: Literal["accuracy", "macro_f1"] = "accuracy"  # on validation; chooses the epoch
    clip_norm: Annotated[float, Field(gt=0)] = 5.0  # T^2 makes gradients larger than those of labels

    def __post_init__(self) -> None:
        if not self.teachers:
            raise ValueError("teachers is empty; name a recipe, or tfidf")
        if self.freeze or self.head_learning_rate is not None:
            raise ValueError("freeze and head_learning_rate are for pretrained models; a student has neither")


@plain_dataclass(frozen=True)
class Answers:
    """What the teachers say of some texts.

    logits: (N, C) float32, averaged over the teachers. hidden: of the first teacher, where the student matches it.
    """

    logits: np.ndarray
    hidden: Hidden | None = None

    def __len__(self) -> int:
        return len(self.logits)


def distill(
    student: nn.Module,
    training: Dataset,
    transfer: Sequence[np.ndarray],
    answers: Answers,
    validation: Dataset,
    config: DistillConfig,
    folder: Path,
    progress: Progress = lambda done, total, text: None,
) -> Trained:
    """Train `student` in place and leave the weights of the best validation epoch in it; see loop.train.

    Args:
        transfer: the ids of each transfer text.
        answers: of the training texts, then of the transfer texts.
    """
    assert len(answers) == len(training) + len(transfer), "an answer for each text"
    recorder = Recorder(student, answers.hidden, bool(config.hidden), bool(config.attention))
    try:
        lesson = _Lesson(recorder, training, transfer, answers, validation, config)
        trained = loop.train(recorder, lesson, config, folder, progress, alone=True)
    finally:
        recorder.remove()
    return trained


@plain_dataclass(frozen=True)
class _Lesson:
    """Rows are numbered: those of the training texts, then those of the transfer texts."""

    recorder: Recorder
    training: Dataset
    transfer: Sequence[np.ndarray]
    answers: Answers
    validation: Dataset
    config: DistillConfig

    def _mixed_in(self) -> int:
        return min(len(self.transfer), round(self.config.mix * len(self.training)))

    def steps(self) -> int:
        return batch_count(len(self.training) + self._mixed_in(), self.config.batch_size)

    def batches(self, epoch: int, processes: Processes) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Ids and row numbers: all training texts, and so many transfer texts, others in each epoch."""
        random = np.random.default_rng([self.config.seed, epoch, 1])
        chosen = random.permutation(len(self.transfer))[: self._mixed_in()]
        count = len(self.training)
        rows = np.concatenate([np.arange(count), count + chosen])
        mixed = Dataset([*self.training.ids, *(self.transfer[place] for place in chosen)], rows)
        return batches(mixed, self.config.batch_size, self.config.seed, epoch)

    def loss(self, forward: Forward, batch: tuple[np.ndarray, np.ndarray]) -> Tensor:
        ids, rows = batch
        config = self.config
        outputs = forward(ids)
        device = outputs.device
        soft = torch.from_numpy(self.answers.logits[rows].astype(np.float32)).to(device)
        soft = (soft / config.temperature).softmax(dim=1)
        taught = -(soft * (outputs / config.temperature).log_softmax(dim=1)).sum(dim=1) * config.temperature**2
        real = torch.from_numpy(rows < len(self.training)).to(device)
        labels = torch.from_numpy(np.asarray(self.training.labels)[rows.clip(max=len(self.training) - 1)]).to(device)
        told = F.cross_entropy(outputs, labels, reduction="none", label_smoothing=config.label_smoothing)
        mixed = config.teaching * taught + (1 - config.teaching) * told
        loss = torch.where(real, mixed, taught).mean()
        if config.hidden:
            loss = loss + config.hidden * self.recorder.hidden_loss(rows)
        if config.attention:
            loss = loss + config.attention * self.recorder.attention_loss(rows, ids)
        return loss

    def score(self, model: nn.Module) -> float:
        predictions = np.stack(predict(self.recorder.student, self.validation)).argmax(axis=1)
        labels = np.asarray(self.validation.labels)
        if self.config.metric == "macro_f1":
            return macro_f1(confusion(predictions, labels, self.answers.logits.shape[1]))
        return accuracy(predictions, labels)

    def say(self, score: float) -> str:
        return f"{self.config.metric} {score:.4f}"

    def enough(self, score: float) -> bool:
        return False
