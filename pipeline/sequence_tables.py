"""The recipe's tables of a task of kind "sequence", and what they build."""

from dataclasses import replace

import torch
from torch import nn

from edgewright.data import sources
from edgewright.data.characters import Characters
from edgewright.data.tokenizer import Tokenizer
from edgewright.errors import UsageError
from edgewright.models import MODELS
from edgewright.models.sequence_net import SequenceNetConfig
from edgewright.pipeline import tables
from edgewright.pipeline.recipe import Recipe, refuse_unknown, validated
from edgewright.pipeline.sequence_data import Subject, reads_characters, text_lines
from edgewright.train.sequences import SequencesConfig

LONGEST = 128  # of export.lengths: longer sequences go through the step


def check(recipe: Recipe) -> None:
    """Everything about a recipe that can be wrong, before any work is done.

    Raises:
        UsageError: naming the file and the place.
    """
    task = recipe.task_with_gates()
    tables.family_of(recipe)
    if reads_characters(task):
        if recipe.tokenizer.get("kind") != "characters":
            raise UsageError(f"{recipe.path}: [tokenizer]: task {task.name} reads characters; kind must be characters")
        tables.tokenizer_table(recipe)
    elif recipe.tokenizer:
        raise UsageError(f"{recipe.path}: [tokenizer]: task {task.name} reads log lines without one; remove it")
    if recipe.also_evaluate:
        raise UsageError(f"{recipe.path}: also_evaluate: there is nothing of that kind for sequences; remove it")
    if recipe.export.lengths[-1] > LONGEST:
        raise UsageError(f"{recipe.path}: export.lengths: at most {LONGEST}; longer sequences go through the step")
    _model_config(recipe, 1, 1)
    train_config(recipe, 0)


def build_tokenizer(recipe: Recipe) -> Tokenizer:
    """The characters of the training text, with the special "end"."""
    lines = text_lines(sources.find(recipe.task_with_gates().source), "train")
    made = tables.build_tokenizer(recipe, lines)
    assert isinstance(made, Characters), "the recipe was checked"
    return made


def build_model(recipe: Recipe, subject: Subject, seed: int) -> nn.Module:
    """A model of the recipe's family with fresh weights; the same for the same seed.

    Forget gates begin open: a memory that is lost at once gets no gradient (Jozefowicz et al. 2015,
    https://proceedings.mlr.press/v37/jozefowicz15.html).
    """
    config = _model_config(recipe, subject.inputs, subject.outputs)
    torch.manual_seed(seed)
    model: nn.Module = MODELS[tables.family_of(recipe)].module(config)
    with torch.no_grad():
        gates = model.get_parameter("lstm.input.bias")  # in the order input, forget, output, cell
        gates[config.hidden_size : 2 * config.hidden_size] += 1
    return model


def train_config(recipe: Recipe, seed: int) -> SequencesConfig:
    """Raises UsageError: an unknown key or a wrong value in [train]."""
    refuse_unknown(recipe.train, SequencesConfig, recipe.path, "[train]")
    return replace(validated(SequencesConfig, recipe.train, recipe.path, "train"), seed=seed)


def _model_config(recipe: Recipe, inputs: int, outputs: int) -> SequenceNetConfig:
    given = {key: value for key, value in recipe.model.items() if key != "family"}
    sizes = {"input_size": inputs, "output_size": outputs}
    config: SequenceNetConfig = validated(SequenceNetConfig, given | sizes, recipe.path, "model")
    if config.hidden_size < 1:
        raise UsageError(f"{recipe.path}: model.hidden_size: must be at least 1, not {config.hidden_size}")
    if config.many_to_one:
        raise UsageError(f"{recipe.path}: model.many_to_one: this task asks for an output at each position; remove it")
    return config
