"""The recipe's [tokenizer] and [model] tables, and what they build."""

from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from torch import nn

from edgewright.data import byte_bpe, characters, wordpiece
from edgewright.data.hashed_ngrams import HashedNgrams
from edgewright.data.text import Normalisation
from edgewright.data.tokenizer import KINDS, Tokenizer, Window
from edgewright.errors import UsageError
from edgewright.models import MODELS, pretrained
from edgewright.models.encoder import EncoderConfig
from edgewright.pipeline.recipe import Recipe, refuse_unknown, validated
from edgewright.train import parameters
from edgewright.train.labels import LabelsConfig

# Fields of a family's config that follow from the tokenizer and the labels: no recipe sets them.
DERIVED = ("vocab_size", "features", "characters", "classes", "input_size", "output_size")

# The one family that takes `pretrained`, and the only field of its config that is not in the files
PRETRAINED_FAMILY = "encoder"
FREE = ("dropout",)

# What a model that writes text is begun with and stops at (docs/tokenizer.md, section 4), by the kind of task
SPECIALS: dict[str, tuple[str, ...]] = {"generation": ("start", "end"), "sequence": ("end",)}

LEARN: dict[str, Callable[..., Tokenizer]] = {
    "wordpiece": wordpiece.train,
    "byte_bpe": byte_bpe.train,
    "characters": characters.train,
}


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class HashedNgramsTable:
    kind: Literal["hashed_ngrams"]
    buckets: Annotated[int, Field(ge=1)] = 20_000
    features: Annotated[int, Field(ge=2)] = 16
    ngrams: tuple[int, ...] = (3, 4)
    shapes: bool = False  # a feature of each word says where it has capitals and digits; needs lowercase = false
    characters: Annotated[int, Field(ge=0)] = 0  # so many of each word's characters for a family that reads them
    lowercase: bool = True
    strip_marks: bool = True
    window_stride: int | None = None  # read long texts in windows of the largest bucket; None cuts them


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class TrainedTable:
    """For the two kinds that learn a vocabulary from the training texts."""

    kind: Literal["wordpiece", "byte_bpe"]
    vocab_size: Annotated[int, Field(ge=300)] = 10_000
    min_frequency: Annotated[int, Field(ge=1)] = 2
    lowercase: bool = True
    strip_marks: bool = True
    window_stride: int | None = None


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class CharactersTable:
    kind: Literal["characters"]
    vocab_size: Annotated[int, Field(ge=8)] = 5_000
    min_frequency: Annotated[int, Field(ge=1)] = 2
    lowercase: bool = True
    strip_marks: bool = True  # takes the vowels of Indic scripts and Thai with it: switch it off for them
    window_stride: int | None = None


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class PretrainedTable:
    """A pretrained encoder's vocabulary and normalisation: for itself, or for a student that reads the same tokens.

    vocabulary: the encoder, for a student; of a model that is pretrained itself they are its own.
    """

    kind: Literal["wordpiece"]
    vocabulary: str | None = None
    window_stride: int | None = None


TokenizerTable = HashedNgramsTable | TrainedTable | CharactersTable | PretrainedTable


def tokenizer_table(recipe: Recipe) -> TokenizerTable:
    """Raises UsageError: no kind, an unknown key, or a wrong value."""
    kind = recipe.tokenizer.get("kind")
    if kind not in KINDS:
        raise UsageError(f"{recipe.path}: [tokenizer]: kind must be one of {', '.join(KINDS)}, not {kind!r}")
    table: type[TokenizerTable] = {"hashed_ngrams": HashedNgramsTable, "characters": CharactersTable}.get(
        kind, TrainedTable
    )
    if vocabulary_folder(recipe) is not None:
        table = PretrainedTable
        given_by_files = [field.name for field in fields(TrainedTable) if field.name not in ("kind", "window_stride")]
        whence = "the pretrained vocabulary" if pretrained_folder(recipe) is None else "the pretrained model"
        _refuse(recipe.tokenizer, given_by_files, recipe, "[tokenizer]", whence)
    refuse_unknown(recipe.tokenizer, table, recipe.path, "[tokenizer]")
    return validated(table, recipe.tokenizer, recipe.path, "tokenizer")


def build_tokenizer(recipe: Recipe, texts: Iterable[str]) -> Tokenizer:
    """The tokenizer of a recipe; one with a vocabulary learns it from `texts`."""
    table = tokenizer_table(recipe)
    longest = recipe.export.lengths[-1]
    window = None if table.window_stride is None else Window(longest, table.window_stride)
    if isinstance(table, PretrainedTable):
        folder = vocabulary_folder(recipe)
        assert folder is not None, "the table follows from it"
        return pretrained.tokenizer(folder, longest, window)
    normalisation = Normalisation(lowercase=table.lowercase, strip_marks=table.strip_marks)
    try:
        if isinstance(table, HashedNgramsTable):
            return HashedNgrams(
                *(table.buckets, table.features, table.ngrams, normalisation, longest, window),
                shapes=table.shapes,
                characters=table.characters,
            )
        specials = SPECIALS.get(recipe.task_with_gates().kind, ())
        return LEARN[table.kind](texts, table.vocab_size, table.min_frequency, normalisation, longest, window, specials)
    except ValueError as error:
        raise UsageError(f"{recipe.path}: [tokenizer]: {error}") from error


def family_of(recipe: Recipe) -> str:
    """The model family, checked to fit the task and the tokenizer.

    Raises:
        UsageError: unknown family or key, or one of another kind of task, or that does not take this tokenizer's ids.
    """
    name = recipe.model.get("family")
    if name not in MODELS:
        raise UsageError(f"{recipe.path}: [model]: family must be one of {', '.join(MODELS)}, not {name!r}")
    family = MODELS[name]
    given = settings(recipe)
    _refuse(given, DERIVED, recipe, "[model]", "the tokenizer and the labels")
    if pretrained_folder(recipe) is not None:
        given_by_files = [field.name for field in fields(family.config) if field.name not in FREE]
        _refuse(given, given_by_files, recipe, "[model]", "the pretrained model")
    refuse_unknown(given, family.config, recipe.path, "[model]")
    if family.kind != (asked := recipe.task_with_gates().kind):
        raise UsageError(f"{recipe.path}: [model]: {name} learns tasks of kind '{family.kind}', not '{asked}'")
    if not family.tokenizers:
        return str(name)
    table = tokenizer_table(recipe)
    if table.kind not in family.tokenizers:
        raise UsageError(
            f"{recipe.path}: [model]: {name} takes the ids of {' or '.join(family.tokenizers)}, not of {table.kind}"
        )
    if isinstance(table, HashedNgramsTable) and table.characters and not hasattr(family.config, "characters"):
        raise UsageError(f"{recipe.path}: [tokenizer]: {name} reads no characters of words; remove 'characters'")
    return str(name)


def build_model(recipe: Recipe, tokenizer: Tokenizer, classes: int, seed: int) -> nn.Module:
    """A model of the recipe's family, with fresh weights or pretrained ones; the same for the same seed."""
    family = MODELS[family_of(recipe)]
    given = settings(recipe)
    if (folder := pretrained_folder(recipe)) is not None:
        torch.manual_seed(seed)  # decides the head
        return pretrained.encoder(folder, classes, **given)
    given |= {"vocab_size": tokenizer.vocab_size, "classes": classes}
    if tokenizer.features is not None:
        given["features"] = tokenizer.features
    if isinstance(tokenizer, HashedNgrams) and tokenizer.characters:
        given["characters"] = tokenizer.characters
    config = validated(family.config, given, recipe.path, "model")
    torch.manual_seed(seed)
    return family.module(config)


def pretrained_folder(recipe: Recipe) -> Path | None:
    """Where the files of the recipe's pretrained model lie; None for one that is trained from nothing.

    Raises:
        UsageError: another family, or no such model. MissingExtraError: its distribution is not installed.
    """
    name = recipe.model.get("pretrained")
    if name is None:
        return None
    if recipe.model.get("family") != PRETRAINED_FAMILY:
        raise UsageError(f"{recipe.path}: [model]: only family = '{PRETRAINED_FAMILY}' has 'pretrained'; remove one")
    return _encoder_folder(recipe, name, "[model]: pretrained")


def vocabulary_folder(recipe: Recipe) -> Path | None:
    """Where the vocabulary lies that the recipe takes from a pretrained encoder; None for one that is learnt or hashed.

    Raises:
        UsageError: no such encoder, or the model is one and has a vocabulary. MissingExtraError: as pretrained_folder.
    """
    folder, name = pretrained_folder(recipe), recipe.tokenizer.get("vocabulary")
    if name is None or recipe.tokenizer.get("kind") != "wordpiece":  # then the table of that kind refuses the key
        return folder
    if folder is not None:
        _refuse(recipe.tokenizer, ["vocabulary"], recipe, "[tokenizer]", "the pretrained model")
    return _encoder_folder(recipe, name, "[tokenizer]: vocabulary")


def _encoder_folder(recipe: Recipe, name: Any, place: str) -> Path:
    if not isinstance(name, str):
        raise UsageError(f"{recipe.path}: {place} must be a name or a folder, not {name!r}")
    try:
        return pretrained.folder_of(name, recipe.path.parent)
    except UsageError as error:
        raise UsageError(f"{recipe.path}: {place}: {error}") from error


def pretrained_files(recipe: Recipe) -> dict[str, Any]:
    """The SHA-256 of each file of a pretrained encoder that the recipe reads, for the keys of the stages that do."""
    model, vocabulary = pretrained_folder(recipe), vocabulary_folder(recipe)
    if model is not None:
        return {"pretrained": pretrained.digests(model)}
    return {} if vocabulary is None else {"vocabulary": pretrained.digests(vocabulary)}


def train_config(recipe: Recipe, seed: int) -> LabelsConfig:
    """Raises UsageError: an unknown key or a wrong value in [train]."""
    given = {"metric": recipe.task_with_gates().primary_metric, **recipe.train}
    refuse_unknown(given, LabelsConfig, recipe.path, "[train]")
    return replace(validated(LabelsConfig, given, recipe.path, "train"), seed=seed)


def check(recipe: Recipe) -> None:
    """Everything about a recipe that can be wrong, before any work is done.

    Raises:
        UsageError: naming the file and the place.
    """
    recipe.task_with_gates()
    _check_model(recipe)
    if isinstance(table := tokenizer_table(recipe), HashedNgramsTable):
        build_tokenizer(recipe, ())
    elif table.window_stride is not None and not 1 <= table.window_stride <= recipe.export.lengths[-1]:
        raise UsageError(f"{recipe.path}: [tokenizer]: window_stride must be from 1 to the largest export.lengths")


def _check_model(recipe: Recipe) -> None:
    family = MODELS[family_of(recipe)]
    config = validated(family.config, settings(recipe), recipe.path, "model")
    if (folder := pretrained_folder(recipe)) is not None:
        config = pretrained.config(folder)
    if isinstance(config, EncoderConfig) and recipe.export.lengths[-1] > config.positions:
        raise UsageError(
            f"{recipe.path}: export.lengths: the model has positions for {config.positions} tokens at most"
        )
    training = train_config(recipe, 0)
    try:
        with torch.device("meta"):  # no memory, no time
            model = family.module(config)
        parameters.freeze(model, training.freeze)
        parameters.groups(model, training.learning_rate, training.head_learning_rate)
    except AssertionError as error:  # sizes that do not go together
        raise UsageError(f"{recipe.path}: [model]: {error}") from error
    except UsageError as error:
        raise UsageError(f"{recipe.path}: {error}") from error


def settings(recipe: Recipe) -> dict[str, Any]:
    """The [model] table's fields of the family's config."""
    return {key: value for key, value in recipe.model.items() if key not in ("family", "pretrained")}


def _refuse(given: Iterable[str], keys: Iterable[str], recipe: Recipe, place: str, whence: str) -> None:
    for key in keys:
        if key in given:
            raise UsageError(f"{recipe.path}: {place}: '{key}' follows from {whence}; remove it")
