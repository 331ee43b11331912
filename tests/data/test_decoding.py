"""The loop: greedy and beams against plain search, ends, padding, and rows that do not see each other."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from edgewright.data.decoding import Decoded, beam_search, decode
from edgewright.data.sampling import Sampling, log_softmax
from edgewright.errors import UsageError

START, END = 1, 2
GREEDY = Sampling(temperature=0.0)


class Chain:
    """A model whose scores follow from the whole of what a row has read, so a row that is mixed up shows."""

    def __init__(self, prompts: Sequence[int], vocabulary: int = 9) -> None:
        self.read = [[prompt] for prompt in prompts]
        self.vocabulary = vocabulary

    def step(self, tokens: np.ndarray, position: int) -> np.ndarray:
        for row, token in zip(self.read, tokens[:, 0].tolist(), strict=True):
            assert len(row) == position + 1
            row.append(token)
        return np.stack([scores_after(row, self.vocabulary) for row in self.read])

    def reorder(self, rows: np.ndarray) -> None:
        self.read = [list(self.read[row]) for row in rows]


def scores_after(read: Sequence[int], vocabulary: int) -> np.ndarray:
    return np.random.default_rng(list(read)).normal(scale=2, size=vocabulary).astype(np.float32)


def run(prompts: Sequence[int], beams: int = 1, sampling: Sampling = GREEDY, max_length: int = 12) -> Decoded:
    return decode(Chain(prompts), len(prompts), START, END, max_length, sampling, beams, seed=3)


def plain_greedy(prompt: int, max_length: int, vocabulary: int = 9) -> list[int]:
    read = [prompt, START]
    while len(read) < max_length + 2 and read[-1] != END:
        scores = scores_after(read, vocabulary)
        read.append(max((t for t in range(vocabulary) if t not in (0, START)), key=lambda t: scores[t]))
    return read[2:]


def log_probability(prompt: int, ids: Sequence[int], vocabulary: int) -> float:
    total, read = 0.0, [prompt, START]
    for token in ids:
        values = scores_after(read, vocabulary).astype(np.float64)
        values[[0, START]] = -np.inf
        total += float(log_softmax(values)[token])
        read.append(token)
    return total


def without_padding(ids: np.ndarray) -> list[int]:
    return [token for token in ids.tolist() if token]


def test_greedy_is_the_plain_loop_and_rows_end_on_their_own() -> None:
    prompts = list(range(30))
    decoded = run(prompts)
    wanted = [plain_greedy(prompt, 12) for prompt in prompts]
    assert [without_padding(row) for row in decoded.ids] == wanted
    assert len({len(row) for row in wanted}) > 3, "rows of several lengths, some cut"
    assert decoded.ids.shape == (30, max(map(len, wanted))) and decoded.ids.dtype == np.int32
    for row in decoded.ids.tolist():
        ended = row.index(END) + 1 if END in row else len(row)
        assert all(row[:ended]) and not any(row[ended:]), "0 stands behind the end only"


@pytest.mark.parametrize("penalty", [1.0, 1.7])
def test_one_beam_is_greedy(penalty: float) -> None:
    prompts = list(range(30))
    wanted = run(prompts, sampling=Sampling(0.0, repetition_penalty=penalty))
    found = beam_search(Chain(prompts), 30, START, END, 12, 1, penalty)
    assert found.ids.tolist() == wanted.ids.tolist()
    assert found.scores == pytest.approx(wanted.scores)


def test_enough_beams_find_the_best_of_all_replies() -> None:
    vocabulary, longest = 6, 4
    words = [3, 4, 5]
    replies = [[*r, END] for n in range(longest) for r in itertools.product(words, repeat=n)]
    replies += [list(r) for r in itertools.product(words, repeat=longest)]
    for prompt in range(12):
        decoded = decode(Chain([prompt], vocabulary), 1, START, END, longest, GREEDY, beams=len(replies))
        found = without_padding(decoded.ids[0])
        best = max(replies, key=lambda ids: log_probability(prompt, ids, vocabulary) / len(ids))
        assert found == best
        assert decoded.scores[0] == pytest.approx(log_probability(prompt, best, vocabulary))


def test_beams_of_a_batch_are_those_of_each_row() -> None:
    prompts = list(range(10))
    together = run(prompts, beams=4)
    for prompt, row, score in zip(prompts, together.ids, together.scores, strict=True):
        alone = run([prompt], beams=4)
        assert without_padding(row) == without_padding(alone.ids[0])
        assert score == pytest.approx(alone.scores[0])


def test_beams_are_mostly_likelier_than_greedy() -> None:
    prompts = list(range(40))
    ranks = []
    for beams in (1, 5):
        decoded = run(prompts, beams=beams)
        ranks.append(decoded.scores / (decoded.ids != 0).sum(axis=1))
    assert (ranks[1] > ranks[0]).sum() > 20 and ranks[1].mean() > ranks[0].mean()


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(0.8, 4, 0.9)])
def test_scores_are_the_models_own(sampling: Sampling) -> None:
    decoded = run(range(8), sampling=sampling)
    wanted = [log_probability(prompt, without_padding(ids), 9) for prompt, ids in enumerate(decoded.ids)]
    assert decoded.scores == pytest.approx(wanted)


def test_drawn_rows_do_not_see_their_neighbours() -> None:
    together = run(range(6), sampling=Sampling(1.2))
    for count in (1, 3):
        fewer = run(range(count), sampling=Sampling(1.2))
        assert [without_padding(r) for r in fewer.ids] == [without_padding(r) for r in together.ids[:count]]


def test_a_penalty_makes_repetition_rare() -> None:
    def repeated(penalty: float) -> int:
        rows = run(range(40), sampling=Sampling(0.0, repetition_penalty=penalty)).ids
        return sum(len(without_padding(row)) - len(set(without_padding(row))) for row in rows)

    assert repeated(3.0) < repeated(1.0) / 2


def test_start_and_end_may_be_one_token() -> None:
    decoded = decode(Chain(range(30)), 30, END, END, 12, GREEDY)
    assert (decoded.ids == END).any()


@pytest.mark.parametrize("max_length", [1, 2, 5])
def test_no_reply_is_longer_than_asked(max_length: int) -> None:
    for beams in (1, 3):
        assert run(range(10), beams, max_length=max_length).ids.shape[1] <= max_length


def test_wrong_settings_are_named() -> None:
    with pytest.raises(UsageError, match="max_length is 0"):
        run([0], max_length=0)
    with pytest.raises(UsageError, match="beams is 0"):
        run([0], beams=0)
