"""Training on sequences: it learns, repeats from its seed, goes on bit for bit, and its losses are those of NumPy."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgewright.data import log_lines
from edgewright.data.log_features import BUCKETS, features, windows
from edgewright.data.plain_text import windows_of
from edgewright.data.sequence_rows import CharacterRows, LogRows, bits, line_inputs, line_outputs
from edgewright.models.sequence_net import SequenceNet, SequenceNetConfig
from edgewright.train import sequences
from edgewright.train.loop import Trained
from edgewright.train.sequences import SequencesConfig, next_character, next_line

VOCABULARY = 6
CONFIG = SequencesConfig(epochs=3, length=8, batch_size=8, learning_rate=2e-2)
ALL = slice(None)


def rows(epoch: int, first: int = 0) -> CharacterRows:
    """2 3 4 5 2 3 4 5 ..., but that one in ten is any: about 0.6 bits."""
    random = np.random.default_rng(first)
    steps = np.where(random.random(1_000) < 0.9, 1, random.integers(0, 4, 1_000))
    return CharacterRows(windows_of((steps.cumsum() % 4 + 2).astype(np.int32), CONFIG.length, epoch), VOCABULARY)


def score(model: nn.Module) -> float:
    validation = rows(0, first=1)
    return -bits(sequences.surprises_of(model, validation), validation.counted(ALL))


def learn(folder: Path, config: SequencesConfig = CONFIG, stop_after: int | None = None) -> tuple[nn.Module, Trained]:
    torch.manual_seed(0)
    model = SequenceNet(SequenceNetConfig(VOCABULARY, 8, VOCABULARY))

    def progress(done: int, total: int, text: str) -> None:
        if done == stop_after:
            raise KeyboardInterrupt

    return model, sequences.train(model, rows, next_character, score, config, folder, progress)


def test_it_learns_and_keeps_the_best_epoch(tmp_path: Path) -> None:
    model, trained = learn(tmp_path, replace(CONFIG, epochs=8))
    assert trained.best.score == max(epoch.score for epoch in trained.history) > -1
    assert trained.history[0].score < -1
    assert score(model) == trained.best.score
    assert not list(tmp_path.iterdir())


def test_it_repeats_and_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole, _ = learn(tmp_path / "whole")
    again, _ = learn(tmp_path / "again")
    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path / "killed", stop_after=2)
    resumed, trained = learn(tmp_path / "killed")
    other, _ = learn(tmp_path / "other", replace(CONFIG, seed=1))
    assert len(trained.history) == 3
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]) and torch.equal(value, resumed.state_dict()[name])
    assert any(not torch.equal(value, other.state_dict()[name]) for name, value in whole.state_dict().items())


def test_an_epoch_may_take_some_of_the_rows(tmp_path: Path) -> None:
    _, few = learn(tmp_path, replace(CONFIG, epochs=1, rows=8))
    _, all_rows = learn(tmp_path, replace(CONFIG, epochs=1))
    assert few.best.score < all_rows.best.score


def test_the_losses_are_the_surprises(tmp_path: Path) -> None:
    text = rows(0)
    random = np.random.default_rng(0)
    outputs = random.normal(size=(len(text), CONFIG.length, VOCABULARY)).astype(np.float32)
    given = next_character(torch.from_numpy(outputs), torch.from_numpy(text.targets(ALL))).numpy()
    assert np.abs(given - text.surprises(outputs, ALL)).max() < 1e-5

    log = LogRows(windows(features(line.text for line in log_lines.generate(200, 0, anomalies=True)), 8), BUCKETS)
    outputs = random.normal(scale=2, size=(len(log), 8, line_outputs(BUCKETS))).astype(np.float32)
    given = next_line(BUCKETS)(torch.from_numpy(outputs), torch.from_numpy(log.targets(ALL))).numpy()
    expected = log.surprises(outputs, ALL)
    assert np.abs(given - expected).max() < 1e-4 * np.abs(expected).max()
    assert log.inputs(ALL).shape[2] == line_inputs(BUCKETS) and (given[~log.counted(ALL)] == 0).all()
