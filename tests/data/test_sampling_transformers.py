"""The distribution of the next token beside the one that transformers' own processors give."""

import numpy as np
import pytest
import torch

from edgewright.data.sampling import Sampling, allowed, candidates

processors = pytest.importorskip("transformers.generation.logits_process", reason="needs edgewright[peers]")

SEEN = [3, 5, 5, 17, 40]


@pytest.mark.parametrize("penalty", [1.0, 1.3])
@pytest.mark.parametrize("temperature", [0.4, 1.0, 1.8])
@pytest.mark.parametrize(("top_k", "top_p"), [(0, 0.0), (7, 0.0), (1, 0.0), (0, 0.6), (0, 0.95), (12, 0.8)])
def test_the_distribution_is_that_of_transformers(penalty: float, temperature: float, top_k: int, top_p: float) -> None:
    chain = [
        processors.RepetitionPenaltyLogitsProcessor(penalty),
        processors.TemperatureLogitsWarper(temperature),
        *([processors.TopKLogitsWarper(top_k)] if top_k else []),
        *([processors.TopPLogitsWarper(top_p)] if top_p else []),
    ]
    for seed in range(10):
        scores = np.random.default_rng(seed).normal(scale=3, size=(1, 64)).astype(np.float32)
        expected = torch.from_numpy(scores.astype(np.float64))
        for process in chain:
            expected = process(torch.tensor([SEEN]), expected)
        ids, shares = candidates(allowed(scores, [SEEN], penalty, [])[0], Sampling(temperature, top_k, top_p, penalty))
        found = np.zeros(64)
        found[ids] = shares
        assert found == pytest.approx(expected.softmax(dim=1)[0].numpy(), abs=1e-9)
