"""Training on pairs: it learns, repeats from its seed, goes on bit for bit, and counts real tokens only."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edgewright.data.pair_batches import EncodedPairs
from edgewright.errors import DamagedFileError, UsageError
from edgewright.models.hybrid import HybridConfig, HybridRNNTransformer
from edgewright.train.loop import Trained
from edgewright.train.pairs import PairsConfig, perplexity, train

VOCABULARY, START, END = 20, 18, 19
CONFIG = PairsConfig(epochs=3, batch_size=16, learning_rate=5e-3)


def pairs(count: int, seed: int) -> EncodedPairs:
    """The reply says the first word of the prompt and its successor."""
    random = np.random.default_rng(seed)
    sources = [random.integers(1, 17, random.integers(1, 6)).astype(np.int32) for _ in range(count)]
    targets = [np.array([START, source[0], source[0] + 1, END], np.int32) for source in sources]
    return EncodedPairs(sources, targets)


def model() -> HybridRNNTransformer:
    torch.manual_seed(0)
    config = HybridConfig(
        VOCABULARY, 16, lstm_layers=1, lstm_hidden=8, attention_heads=2, layers=1, heads=2, feedforward=32, max_target=8
    )
    return HybridRNNTransformer(config)


def learn(folder: Path, config: PairsConfig = CONFIG, stop_after: int | None = None) -> dict[str, torch.Tensor]:
    made = model()

    def progress(done: int, total: int, text: str) -> None:
        if done == stop_after:
            raise KeyboardInterrupt

    train(made, pairs(96, 0), pairs(48, 1), config, folder, progress)
    return made.state_dict()


def test_it_learns_and_keeps_the_best_epoch(tmp_path: Path) -> None:
    made = model()
    said: list[str] = []
    config = PairsConfig(epochs=8, batch_size=32, learning_rate=2e-2)
    trained = train(made, pairs(600, 0), pairs(100, 1), config, tmp_path, lambda done, total, text: said.append(text))
    assert -trained.best.score < 1.4 < -trained.history[0].score
    assert trained.best.score == max(epoch.score for epoch in trained.history)
    assert perplexity(made, pairs(100, 1)) == pytest.approx(-trained.best.score)
    assert len(said) == 8 and f"validation perplexity {-trained.history[-1].score:.2f}" in said[-1]
    replies = made.generate(torch.tensor([[5, 9], [11, 3]], dtype=torch.int32), START, END, 8, temperature=0.0)
    assert replies.tolist() == [[5, 6, END], [11, 12, END]]


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(tmp_path: Path) -> None:
    first, again = learn(tmp_path / "a"), learn(tmp_path / "b")
    assert all(torch.equal(first[name], again[name]) for name in first)
    other = learn(tmp_path / "c", replace(CONFIG, seed=1))
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("stopped_after", [1, 2])
def test_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path, stopped_after: int) -> None:
    whole = learn(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path / "state", stop_after=stopped_after)
    assert (tmp_path / "state" / "state.safetensors").exists()
    resumed = learn(tmp_path / "state")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert not (tmp_path / "state" / "state.safetensors").exists(), "a finished run leaves no state"


def test_a_damaged_state_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path, stop_after=1)
    path = tmp_path / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DamagedFileError, match=r"state\.safetensors: not a training state .* delete it"):
        learn(tmp_path)


def test_perplexity_counts_each_token_once_and_no_padding() -> None:
    made, rows = model().eval(), pairs(40, 2)
    rows.targets[3] = np.array([START, *range(1, 7), END], np.int32)  # all others are padded behind it
    total, tokens = 0.0, 0
    for source, target in zip(rows.sources, rows.targets, strict=True):
        given = torch.from_numpy(np.stack([target[:-1]]))
        with torch.inference_mode():
            logs = made(torch.from_numpy(np.stack([source])), given)[0].log_softmax(dim=-1)
        total -= sum(float(logs[place, token]) for place, token in enumerate(target[1:]))
        tokens += len(target) - 1
    assert perplexity(made, rows) == pytest.approx(math.exp(total / tokens), rel=1e-5)
    assert perplexity(made, rows, batch_size=7) == pytest.approx(perplexity(made, rows), rel=1e-5)


def test_a_model_that_knows_nothing_wavers_among_all_tokens() -> None:
    made = model()
    torch.nn.init.zeros_(made.decoder.output.weight)
    torch.nn.init.zeros_(made.decoder.output.bias)
    assert perplexity(made, pairs(20, 0)) == pytest.approx(VOCABULARY, rel=1e-5)


def test_it_stops_when_nothing_improves(tmp_path: Path) -> None:
    made = model()
    config = PairsConfig(epochs=30, batch_size=16, learning_rate=1e-9, patience=2)
    trained: Trained = train(made, pairs(32, 0), pairs(16, 1), config, tmp_path)
    assert len(trained.history) < 30
    assert trained.history[-1].epoch == trained.best.epoch + 2


def test_it_is_not_shared_among_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="takes one process, not 2; start it without torchrun"):
        learn(tmp_path)
