"""The loss of the random field against the sum over every path, and what it learns against Viterbi."""

import itertools
import math

import pytest
import torch

from edgewright.data.viterbi import viterbi
from edgewright.train.crf import negative_log_likelihood


def path_score(scores: torch.Tensor, path: tuple[int, ...], field: tuple[torch.Tensor, ...]) -> float:
    transitions, first, last = field
    total = first[path[0]] + last[path[-1]] + sum(scores[t, tag] for t, tag in enumerate(path))
    return float(total + sum(transitions[a, b] for a, b in itertools.pairwise(path)))


@pytest.fixture
def field() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(3, 3), torch.randn(3), torch.randn(3)


def test_it_is_the_share_of_the_path_in_all_paths(field: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    scores = torch.randn(2, 4, 3)
    labels = torch.tensor([[0, 2, 1, 1], [2, 0, -1, -1]])
    wanted, words = 0.0, 0
    for row, tags in zip(scores, labels, strict=True):
        path = tuple(int(tag) for tag in tags if tag >= 0)
        every = [path_score(row, one, field) for one in itertools.product(range(3), repeat=len(path))]
        wanted += math.log(sum(math.exp(value) for value in every)) - path_score(row, path, field)
        words += len(path)
    given = negative_log_likelihood(scores, labels, *field, ignored=-1)
    assert float(given) == pytest.approx(wanted / words, rel=1e-5)


def test_what_stands_at_padding_changes_nothing(field: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    scores, labels = torch.randn(1, 5, 3), torch.tensor([[1, 2, 0, -1, -1]])
    other = scores.clone()
    other[:, 3:] = 100.0
    one, two = (negative_log_likelihood(given, labels, *field, ignored=-1) for given in (scores, other))
    assert torch.equal(one, two)


def test_a_learnt_field_decodes_what_single_words_cannot_tell() -> None:
    """Tags alternate, and the words say nothing: only transitions can learn that."""
    transitions, first, last = (torch.zeros(shape, requires_grad=True) for shape in ((2, 2), (2,), (2,)))
    optimizer = torch.optim.Adam([transitions, first, last], 0.1)
    scores, labels = torch.zeros(8, 6, 2), torch.tensor([[0, 1, 0, 1, 0, 1]]).repeat(8, 1)
    for _ in range(60):
        optimizer.zero_grad()
        negative_log_likelihood(scores, labels, transitions, first, last, ignored=-1).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    decoded = viterbi(torch.zeros(6, 2), transitions.detach(), first.detach(), last.detach())
    assert decoded.tolist() == [0, 1, 0, 1, 0, 1]
