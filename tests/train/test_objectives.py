"""What a tagger's training minimises and is judged by, and what is handed on to Viterbi."""

from pathlib import Path

import numpy as np
import pytest
import torch

from edgewright.data.dataset import IGNORED, Dataset, batches
from edgewright.models.tagger import Tagger, TaggerConfig
from edgewright.train.labels import LabelsConfig, predict, train
from edgewright.train.objectives import Tags, decoding

NAMES = ("O", "B-X", "I-X")


def model(crf: bool = False) -> Tagger:
    torch.manual_seed(0)
    return Tagger(TaggerConfig(30, features=2, classes=3, width=8, hidden=8, dropout=0.0, crf=crf))


def rows(count: int, seed: int) -> Dataset:
    """Word 5 begins an entity that goes on while words are 6."""
    random = np.random.default_rng(seed)
    ids, labels = [], []
    for _ in range(count):
        words = random.choice([5, 6, 7, 8, 9], size=random.integers(1, 9))
        tags = np.zeros(len(words), np.int64)
        for place, word in enumerate(words):
            inside = place > 0 and tags[place - 1] > 0
            tags[place] = 1 if word == 5 else 2 if word == 6 and inside else 0
        ids.append(np.stack([words, np.full(len(words), 3)], axis=1).astype(np.int32))
        labels.append(tags)
    return Dataset(ids, labels)


@pytest.mark.parametrize("crf", [False, True], ids=["words alone", "random field"])
def test_a_tagger_learns_spans_from_what_stands_before(crf: bool, tmp_path: Path) -> None:
    made, held_out = model(crf), rows(60, seed=1)
    config = LabelsConfig(epochs=12, batch_size=16, learning_rate=2e-2, metric="span_f1")
    trained = train(made, rows(300, seed=0), held_out, config, tmp_path, objective=Tags(NAMES, 0.0))
    assert trained.best.score > 0.95
    assert Tags(NAMES, 0.0).score(made, predict(made, held_out), held_out) == trained.best.score


def test_batches_pad_tags_with_what_the_loss_ignores() -> None:
    ids, labels = next(batches(rows(8, seed=2), 8, seed=0, epoch=0))
    assert labels.shape == ids.shape[:2]
    assert ((labels == IGNORED) == (ids[:, :, 0] == 0)).all()


def test_padding_weighs_nothing_in_the_loss() -> None:
    made, objective = model(), Tags(NAMES, 0.0)
    scores, labels = torch.randn(1, 4, 3), torch.tensor([[0, 1, IGNORED, IGNORED]])
    alone = objective.loss(made, scores[:, :2], labels[:, :2])
    assert torch.allclose(objective.loss(made, scores, labels), alone)


def test_malformed_tags_are_forbidden_with_and_without_a_random_field() -> None:
    for crf in (False, True):
        made = model(crf)
        if crf:
            with torch.no_grad():
                made.transitions.fill_(0.5)
        transitions, first, last = decoding(made, NAMES)
        assert transitions[0, 2] == -np.inf and first[2] == -np.inf
        assert transitions[1, 2] == (0.5 if crf else 0.0) and (last == 0).all()


def test_the_predictions_of_rows_are_without_padding() -> None:
    held_out = rows(30, seed=3)
    assert [len(row) for row in predict(model(), held_out)] == [len(ids) for ids in held_out.ids]
