"""The recipe's tables of a task of kind "generation", and what they build."""

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from edgewright.data.tokenizer import Tokenizer
from edgewright.errors import UsageError
from edgewright.models import MODELS
from edgewright.models.hybrid import HybridConfig
from edgewright.pipeline import tables
from edgewright.pipeline.recipe import Recipe, refuse_unknown, validated
from edgewright.train.pairs import PairsConfig


def check(recipe: Recipe) -> None:
    """Everything about a recipe that can be wrong, before any work is done.

    Raises:
        UsageError: naming the file and the place.
    """
    recipe.task_with_gates()
    tables.family_of(recipe)
    if (table := tables.tokenizer_table(recipe)).window_stride is not None:
        raise UsageError(f"{recipe.path}: [tokenizer]: window_stride: a prompt is read whole, or cut; remove it")
    assert isinstance(table, tables.TrainedTable), "what the family takes"
    if recipe.also_evaluate:
        raise UsageError(f"{recipe.path}: also_evaluate: there is nothing of that kind for replies; remove it")
    if static := [numerics for _, numerics in recipe.export.cells() if numerics.startswith("static")]:
        raise UsageError(
            f"{recipe.path}: export.numerics: {static[0]} needs one range for a cache at every step; remove it"
        )
    config = _model_config(recipe, table.vocab_size)
    try:
        with torch.device("meta"):  # no memory, no time
            MODELS[tables.family_of(recipe)].module(config)
    except (AssertionError, RuntimeError) as error:  # sizes that do not go together
        raise UsageError(f"{recipe.path}: [model]: {error}") from error
    train_config(recipe, 0)


def build_model(recipe: Recipe, tokenizer: Tokenizer, seed: int) -> nn.Module:
    """A model of the recipe's family with fresh weights; the same for the same seed."""
    config = _model_config(recipe, tokenizer.vocab_size)
    torch.manual_seed(seed)
    model: nn.Module = MODELS[tables.family_of(recipe)].module(config)
    return model


def train_config(recipe: Recipe, seed: int) -> PairsConfig:
    """Raises UsageError: an unknown key or a wrong value in [train]."""
    refuse_unknown(recipe.train, PairsConfig, recipe.path, "[train]")
    return replace(validated(PairsConfig, recipe.train, recipe.path, "train"), seed=seed)


def reply_length(recipe: Recipe) -> int:
    """The most tokens of a reply."""
    return _model_config(recipe, 1).max_target


def _model_config(recipe: Recipe, vocab_size: int) -> HybridConfig:
    given: dict[str, Any] = {key: value for key, value in recipe.model.items() if key != "family"}
    config: HybridConfig = validated(HybridConfig, given | {"vocab_size": vocab_size}, recipe.path, "model")
    for name in (
        "width",
        "lstm_layers",
        "lstm_hidden",
        "attention_heads",
        "layers",
        "heads",
        "feedforward",
        "max_target",
    ):
        if getattr(config, name) < 1:
            raise UsageError(f"{recipe.path}: model.{name}: must be at least 1, not {getattr(config, name)}")
    return config
