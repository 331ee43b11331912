"""Figures of replies beyond those of every cell: what new words cost, and the package that keeps its caches."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from edgewright.benchmarks import reply_parity, state_parity
from edgewright.benchmarks.record import GateResult
from edgewright.data.dialogues import Pair
from edgewright.data.pair_batches import EncodedPairs, in_order
from edgewright.data.sampling import PADDING
from edgewright.data.tokenizer import Writing
from edgewright.runtimes import Runner
from edgewright.runtimes.bundle import Bundle
from edgewright.runtimes.generator import Shapes

STATE_STEPS = 200  # that the package which keeps its caches is compared over
BATCH = 64  # pairs that PyTorch reads at once


def by_word(
    words: Writing, model: Any, pairs: Sequence[Pair], encoded: EncodedPairs, known: frozenset[str]
) -> dict[str, float | None]:
    """How much of PyTorch's perplexity on these pairs is due to words that are not `known`; see reply_parity.by_word.

    encoded: the same pairs.
    """
    nats = []
    for batch in in_order(encoded, BATCH):
        with torch.inference_mode():
            scores = model(torch.from_numpy(batch.source), torch.from_numpy(batch.given)).numpy()
        lengths = (batch.wanted != PADDING).sum(axis=1)
        nats += [
            reply_parity.surprises(row[:length], wanted[:length].tolist())
            for row, wanted, length in zip(scores, batch.wanted, lengths, strict=True)
        ]
    return reply_parity.by_word(nats, [reply_parity.in_new_words(words, pair.response, known) for pair in pairs])


def kept_state(
    bundle: Bundle, runner: Runner, shapes: Shapes, tested: EncodedPairs
) -> tuple[dict[str, Any], list[GateResult]]:
    """What the package that keeps its caches says of real replies, beside the bundle's artifact, over STATE_STEPS.

    Empty where the bundle has no such package.
    """
    if not bundle.state_packages:
        return {}, []
    package = bundle.state_packages[0]
    rounded = state_parity.RoundedState(runner, states=len(shapes.caches))
    runners = (bundle.state_runner(package), rounded, runner)
    scores: list[list[np.ndarray]] = [[] for _ in runners]
    for prompt, target_ids in zip(tested.sources, tested.targets, strict=True):
        if sum(map(len, scores[0])) >= STATE_STEPS:
            break
        for found, one in zip(scores, runners, strict=True):
            found.append(reply_parity.taught(one, shapes, prompt, target_ids[:-1].tolist()))
    parity = state_parity.compare(*(np.concatenate(found) for found in scores))
    return state_parity.figures(parity, package.size_bytes), state_parity.gates(parity)
