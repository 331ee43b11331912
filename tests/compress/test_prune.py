"""Structured pruning: the smaller model of every family is the old one without the units that were cut."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgewright.compress import prune as pruning
from edgewright.compress.coupled import Group, groups
from edgewright.compress.prune import MULTIPLE, PruneConfig, importance, low_rank, prune, smaller
from edgewright.data.dataset import Dataset
from edgewright.models import MODELS, checkpoint, parameters

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "text_cnn": ("text_cnn", {}),
    "ngram_hybrid": ("ngram_hybrid", {"features": 4, "hidden": 32, "bag_hidden": 48}),
    "lstm_attention": ("lstm_attention", {"hidden": 32}),
    "encoder": ("encoder", {"width": 32, "feedforward": 48}),
    "encoder as BERT": ("encoder", {"width": 32, "feedforward": 48, "norm_first": False}),
    "tagger": ("tagger", {"features": 4, "hidden": 16, "width": 16}),
    "tagger of convolutions": ("tagger", {"features": 4, "hidden": 16, "width": 16, "encoder": "dilated_cnn"}),
    "tagger with characters": ("tagger", {"features": 4, "characters": 6, "hidden": 16, "width": 16}),
    "convolutions, characters": (
        "tagger",
        {"features": 4, "characters": 6, "hidden": 16, "width": 16, "encoder": "dilated_cnn"},
    ),
}


def made(name: str) -> tuple[Any, str]:
    family, settings = FAMILIES[name]
    torch.manual_seed(0)
    model = MODELS[family].module(MODELS[family].config(vocab_size=60, classes=5, **settings)).eval()
    for parameter in model.parameters():  # fresh biases are zero, and would hide a bias that was cut wrongly
        if parameter.dim() == 1:
            nn.init.normal_(parameter, std=0.3)
    return model, family


def rows(model: Any, count: int = 40) -> Dataset:
    """Texts of 3 to 9 tokens, as the model's tokenizer could give them."""
    random = np.random.default_rng(0)
    (example,) = model.example_inputs(8, 1)
    ids = [
        random.integers(1, 60, (int(random.integers(3, 10)), *example.shape[2:])).astype(np.int32) for _ in range(count)
    ]
    if type(model).__name__ == "Tagger":
        return Dataset(ids, [random.integers(0, 5, len(one)) for one in ids])
    return Dataset(ids, random.integers(0, 5, count))


def without(model: nn.Module, group: Group, unit: int) -> nn.Module:
    """Set everything that belongs to a unit to zero, in place."""
    tensors = dict(model.named_parameters())
    with torch.no_grad():
        for one in group.slices:
            tensors[one.parameter].transpose(0, one.dim)[one.places[unit]] = 0
    return model


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("kind", ["taylor", "magnitude"])
def test_the_rebuilt_model_says_what_the_old_one_says_without_the_units(
    name: str, kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, family = made(name)
    shares = PruneConfig(channels=0.5, heads=0.5 if family == "encoder" else 0, importance=kind)
    cut: list[tuple[Group, torch.Tensor]] = []
    real = pruning.cut

    def watched(weights: dict[str, torch.Tensor], kept: list[tuple[Group, torch.Tensor]]) -> dict[str, torch.Tensor]:
        cut.extend(kept)
        return real(weights, kept)

    monkeypatch.setattr(pruning, "cut", watched)
    small = prune(model, family, shares, rows(model))
    assert {group.field for group, _ in cut} == set(pruning.SHARES[family]) - {"width"}
    for group, kept in cut:
        for unit in sorted(set(range(group.units)) - set(kept.tolist())):
            without(model, group, unit)
    checkpoint.save_model(small, family, tmp_path / "model.safetensors")
    loaded = checkpoint.load_model(tmp_path / "model.safetensors")
    inputs = model.example_inputs(9, 3)
    assert parameters(loaded) < parameters(model)
    assert (loaded(*inputs) - model(*inputs)).abs().max() < 1e-6


@pytest.mark.parametrize("name", FAMILIES)
def test_columns_of_the_embedding_are_cut_in_every_family(name: str) -> None:
    model, family = made(name)
    small: Any = prune(model, family, PruneConfig(width=0.5), rows(model))
    assert small.config == dataclasses.replace(
        model.config, width=model.config.width // 2, **({"head_width": 8} if family == "encoder" else {})
    )
    assert small(*model.example_inputs(9, 3)).isfinite().all()


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in ("encoder", "encoder as BERT", "text_cnn")])
def test_an_embedding_of_low_rank_loses_nothing_when_columns_are_cut(name: str) -> None:
    model, family = made(name)
    width = model.config.width
    with torch.no_grad():
        model.embedding.weight.copy_(torch.randn(60, width // 2) @ torch.randn(width // 2, width) * 0.1)
        model.embedding.weight[0] = 0
    small = prune(model, family, PruneConfig(width=0.5), rows(model))
    inputs = model.example_inputs(9, 3)
    assert (small(*inputs) - model(*inputs)).abs().max() < 1e-4  # float32 after a change of axes


def test_where_rows_are_made_from_the_embedding_its_columns_are_chosen_not_turned() -> None:
    turned = {name: [low_rank(group) for group in groups(made(name)[0]) if group.field == "width"] for name in FAMILIES}
    assert turned["encoder"] == turned["encoder as BERT"] == [False]
    assert turned["text_cnn"] == [True, False]
    assert turned["ngram_hybrid"] == turned["lstm_attention"] == turned["tagger"] == [True]


def test_taylor_importance_of_a_unit_that_does_nothing_is_zero() -> None:
    model, _ = made("ngram_hybrid")
    hidden = next(group for group in groups(model) if group.field == "hidden")
    before = importance(model, [hidden], "taylor", rows(model), 0)[0]
    assert (before > 0).sum() > 24  # a few never pass their ReLU
    after = importance(without(model, hidden, int(before.argmax())), [hidden], "taylor", rows(model), 0)[0]
    assert after[before.argmax()] == 0


def test_pruning_leaves_the_given_model_as_it_was() -> None:
    model, family = made("ngram_hybrid")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    prune(model, family, PruneConfig(channels=0.5, width=0.5), rows(model))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_sizes_are_multiples_that_runtimes_like() -> None:
    config = MODELS["ngram_hybrid"].config(hidden=128, bag_hidden=250, width=48)
    small = smaller(config, "ngram_hybrid", PruneConfig(channels=0.3, width=0.3))
    assert [small.hidden, small.bag_hidden, small.width] == [88, 176, 32]
    assert all(size % MULTIPLE == 0 for size in (small.hidden, small.bag_hidden, small.width))
    lstm = smaller(MODELS["lstm_attention"].config(hidden=96, heads=6), "lstm_attention", PruneConfig(channels=0.3))
    assert lstm.hidden == 72  # of 8 and of 6 heads


def test_what_a_family_does_not_have_is_refused() -> None:
    config = MODELS["ngram_hybrid"].config()
    with pytest.raises(ValueError, match="heads: a model of the family ngram_hybrid has none"):
        smaller(config, "ngram_hybrid", PruneConfig(heads=0.5))
    with pytest.raises(ValueError, match=r"channels: 0\.01 of hidden 128, bag_hidden 256 removes nothing"):
        smaller(config, "ngram_hybrid", PruneConfig(channels=0.01))
    with pytest.raises(ValueError, match="it removes nothing; give channels"):
        PruneConfig(epochs=3)
