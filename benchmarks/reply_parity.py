"""Whether an artifact writes the replies that PyTorch writes, and how well it predicts real ones.

Shapes: T tokens of a reply, V vocabulary.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgewright.benchmarks.parity import PaddingCheck, padding_neutrality
from edgewright.data.sampling import log_softmax
from edgewright.data.tokenizer import Writing
from edgewright.runtimes import Runner
from edgewright.runtimes.answers import pad_to_bucket
from edgewright.runtimes.bundle import Golden
from edgewright.runtimes.generator import RunnerSteps, Shapes

Ids = Sequence[int]
WORD = re.compile(r"[^\W_]+")  # a run of letters and digits: a number is a word too


@dataclass(frozen=True)
class Equality:
    """Greedy replies beside PyTorch's, token by token.

    equal: the share that are the same to their end. common_prefix: the mean number of tokens before the first
    difference, of all T where there is none. tokens: the mean length of PyTorch's. first_differences: for each reply
    that differs the place of the first different token, from 0.
    """

    n: int
    equal: float
    common_prefix: float
    tokens: float
    first_differences: tuple[int, ...]


def compare(found: Sequence[Ids], expected: Sequence[Ids]) -> Equality:
    """The replies of an artifact and those of PyTorch, to the same prompts."""
    if len(found) != len(expected) or not expected:
        raise ValueError(f"{len(found)} replies beside {len(expected)}; it takes as many, and one at least")
    prefixes = [common_prefix(one, other) for one, other in zip(found, expected, strict=True)]
    differing = [
        prefix for prefix, one, other in zip(prefixes, found, expected, strict=True) if tuple(one) != tuple(other)
    ]
    return Equality(
        n=len(expected),
        equal=1 - len(differing) / len(expected),
        common_prefix=float(np.mean(prefixes)),
        tokens=float(np.mean([len(ids) for ids in expected])),
        first_differences=tuple(differing),
    )


def common_prefix(one: Ids, other: Ids) -> int:
    """How many tokens the two begin with alike."""
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return place
    return min(len(one), len(other))


def taught(runner: Runner, shapes: Shapes, prompt: NDArray[np.int32], given: Ids) -> NDArray[np.float32]:
    """(T, V) scores of what follows each of `given` (T,), which begins with the start token: `encode`, then steps."""
    stepper = RunnerSteps(runner, shapes, [prompt])
    rows = [stepper.step(np.array([[token]], np.int32), position)[0] for position, token in enumerate(given)]
    return np.stack(rows)


def golden_scores(
    runner: Runner, shapes: Shapes, golden: Sequence[Golden], start: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The score of each token of the golden replies by this runtime, and by PyTorch: both in one long row."""
    found, expected = [], []
    for vector in golden:
        reply = vector.reply or []
        scores = taught(runner, shapes, np.array(vector.ids, np.int32), [start, *reply[:-1]])
        found.append(scores[np.arange(len(reply)), reply])
        expected.append(np.array(vector.logits, np.float32))
    return np.concatenate(found), np.concatenate(expected)


def surprises(scores: NDArray[np.float32], wanted: Ids) -> NDArray[np.float64]:
    """(T,) nats of each token `wanted` (T,) under scores (T, V)."""
    logarithms = log_softmax(scores.astype(np.float64))
    return -logarithms[np.arange(len(scores)), np.asarray(wanted)]


def perplexity(nats: Sequence[NDArray[np.float64]]) -> float:
    """e to the mean over all tokens of all replies; infinite where it is too large for a float."""
    mean = float(np.concatenate(nats).mean())
    return float(np.exp(mean)) if mean < 700 else float("inf")


def words_of(tokenizer: Writing, replies: Iterable[str]) -> frozenset[str]:
    """The words of these replies, as the tokenizer gives them back, in small letters."""
    return frozenset(word.lower() for reply in replies for word in WORD.findall(_read_back(tokenizer, reply)))


def in_new_words(tokenizer: Writing, reply: str, known: frozenset[str]) -> NDArray[np.bool_]:
    """(T,) for each token of the reply, without its end: whether it is in a word, or holds one, that is not `known`."""
    ids = tokenizer.encode(reply.strip()).tolist()
    ends = [len(tokenizer.decode(ids[:count])) for count in range(len(ids) + 1)]  # in characters
    found = WORD.finditer(tokenizer.decode(ids))
    spans = [word.span() for word in found if word.group().lower() not in known]
    marks = [any(first < stop and last > start for first, last in spans) for start, stop in itertools.pairwise(ends)]
    return np.array(marks, bool)


def by_word(nats: Sequence[NDArray[np.float64]], new: Sequence[NDArray[np.bool_]]) -> dict[str, float | None]:
    """Perplexity of all tokens, the share of those in new words, and the perplexity of either (None where there is
    none). `new` may be longer than `nats`, of a reply that was cut, or shorter by the end token."""
    marks = [np.append(one, False)[: len(these)] for these, one in zip(nats, new, strict=True)]
    flat, mark = np.concatenate(nats), np.concatenate(marks)
    return {
        "perplexity": perplexity(nats),
        "new_share": float(mark.mean()),
        "known_words": perplexity([flat[~mark]]) if not mark.all() else None,
        "new_words": perplexity([flat[mark]]) if mark.any() else None,
    }


def _read_back(tokenizer: Writing, text: str) -> str:
    return tokenizer.decode(tokenizer.encode(text.strip()).tolist())


def encode_padding(
    runner: Runner, prompts: Sequence[NDArray[np.int32]], lengths: Sequence[int], numerics: str
) -> PaddingCheck:
    """Whether `encode` gives the same of a prompt in each bucket."""
    return padding_neutrality(_Encode(runner), [pad_to_bucket(ids, lengths) for ids in prompts], lengths, numerics)


class _Encode:
    """`encode` as a classifier's forward: what it gives of a whole prompt is one row, with nothing at a position."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def run(self, *arrays: np.ndarray, method: str = "forward") -> tuple[np.ndarray, ...]:
        return (self._runner.run(*arrays, method="encode")[0].reshape(1, -1),)
