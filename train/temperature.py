"""One number that makes a classifier's probabilities honest.

Source: Guo et al. 2017, https://arxiv.org/abs/1706.04599, temperature scaling.
"""

import numpy as np
from scipy.optimize import minimize_scalar

from edgewright.train.metrics import softmax

LOWEST, HIGHEST = 0.05, 10.0


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature with the least cross-entropy on (N, C) logits and (N,) classes; use validation rows."""

    def loss(log_temperature: float) -> float:
        probabilities = softmax(logits, float(np.exp(log_temperature)))
        return float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-12)).mean())

    found = minimize_scalar(loss, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded")
    return round(float(np.exp(found.x)), 4)
