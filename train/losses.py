"""Losses of the training loop."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor, smoothing: float) -> Tensor:
    """Mean cross-entropy of (B, C) logits and (B,) labels, weighted by class, with smoothed targets."""
    return F.cross_entropy(logits, labels, weight=weights, label_smoothing=smoothing)


def class_weights(labels: np.ndarray, classes: int, kind: str) -> Tensor:
    """(C,) float32 of mean 1: ones, or for "balanced" inversely proportional to how often a class occurs."""
    if kind == "none":
        return torch.ones(classes)
    counts = np.bincount(labels, minlength=classes).clip(min=1)
    weights = 1.0 / counts
    return torch.from_numpy((weights / weights.mean()).astype(np.float32))
