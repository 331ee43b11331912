"""What a training minimises, and the figure on validation that chooses its epoch: one class for each kind of task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from edgewright.data.dataset import IGNORED, Dataset
from edgewright.data.viterbi import bio_transitions, viterbi
from edgewright.train.crf import negative_log_likelihood
from edgewright.train.losses import class_weights, cross_entropy
from edgewright.train.metrics import accuracy, confusion, macro_f1
from edgewright.train.span_metrics import span_report


class Objective(Protocol):
    def loss(self, model: nn.Module, outputs: Tensor, labels: Tensor) -> Tensor:
        """A scalar for one batch: the module's outputs and the batch's labels, both on one device."""

    def score(self, model: nn.Module, outputs: Sequence[np.ndarray], dataset: Dataset) -> float:
        """The figure on validation, higher is better, of the outputs of each row."""


@dataclass(frozen=True)
class Labels:
    """One label a text: cross-entropy of (B, C) logits."""

    classes: int
    weights: Tensor
    smoothing: float
    metric: str  # "accuracy" or "macro_f1"

    def loss(self, model: nn.Module, outputs: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy(outputs, labels, self.weights.to(outputs.device), self.smoothing)

    def score(self, model: nn.Module, outputs: Sequence[np.ndarray], dataset: Dataset) -> float:
        predictions = np.stack(outputs).argmax(axis=1)
        labels = np.asarray(dataset.labels)
        if self.metric == "macro_f1":
            return macro_f1(confusion(predictions, labels, self.classes))
        return accuracy(predictions, labels)


@dataclass(frozen=True)
class Tags:
    """A tag for each word: cross-entropy of (B, T, C) scores, or a conditional random field (without smoothing); scored
    by span F1."""

    names: tuple[str, ...]  # of the tags, BIO
    smoothing: float

    def loss(self, model: nn.Module, outputs: Tensor, labels: Tensor) -> Tensor:
        if (field := chain(model)) is not None:
            return negative_log_likelihood(outputs, labels, *field, ignored=IGNORED)
        return F.cross_entropy(
            outputs.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, label_smoothing=self.smoothing
        )

    def score(self, model: nn.Module, outputs: Sequence[np.ndarray], dataset: Dataset) -> float:
        transitions, first, last = decoding(model, self.names)
        predicted = [viterbi(scores, transitions, first, last) for scores in outputs]
        true, found = ([[self.names[tag] for tag in tags] for tags in rows] for rows in (dataset.labels, predicted))
        return span_report(true, found).micro.f1 or 0.0


def chain(model: Any) -> tuple[Tensor, Tensor, Tensor] | None:
    """Transitions, first and last of a tagger with a conditional random field."""
    return (model.transitions, model.first, model.last) if model.config.crf else None


def decoding(model: Any, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Transitions (C, C), first and last (C,) for Viterbi: what was learnt, with malformed tags forbidden."""
    transitions, first = bio_transitions(names)
    last = np.zeros(len(names))
    if (field := chain(model)) is not None:
        learnt = [values.detach().cpu().double().numpy() for values in field]
        return transitions + learnt[0], first + learnt[1], learnt[2]
    return transitions, first, last


def labels_objective(dataset: Dataset, classes: int, weighting: str, smoothing: float, metric: str) -> Labels:
    """The objective for a training set with one label a text."""
    return Labels(classes, class_weights(np.asarray(dataset.labels), classes, weighting), smoothing, metric)
