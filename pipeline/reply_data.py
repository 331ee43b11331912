"""The pairs of a task of kind "generation", and which of them are learnt from, evaluated and answered."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from edgewright.data import dialogues, sources
from edgewright.data import tokenizer as tokenizers
from edgewright.data.byte_bpe import ByteBPE
from edgewright.data.dialogues import Pair, with_context
from edgewright.data.tasks import Task
from edgewright.data.tokenizer import Writing
from edgewright.data.wordpiece import WordPiece
from edgewright.pipeline.cells import Learnt
from edgewright.pipeline.recipe import Effort, Recipe

T = TypeVar("T")

SPLITS = ("train", "validation", "test")
VALIDATION_PAIRS = 1_000  # on which the epoch is chosen
PAIRS: dict[Effort, int] = {"rapid": 20, "quick": 200, "normal": 200}  # on which each artifact's perplexity is measured
RAPID_PROMPTS = 10


def load(task: Task, split: str) -> list[Pair]:
    """The pairs of a split, in their order."""
    return dialogues.pairs(sources.find(task.source), split)


def read_text(pair: Pair) -> str:
    """What the model reads of a pair."""
    return with_context(pair.message, pair.context)


def tested(task: Task, effort: Effort) -> tuple[list[int], list[Pair]]:
    """The test pairs on which perplexity is measured, and their numbers in the split (from 0)."""
    return _numbered(load(task, "test"), PAIRS[effort])


def answered(recipe: Recipe, task: Task, effort: Effort) -> tuple[list[int], list[Pair]]:
    """The test pairs whose messages get a greedy reply, and their numbers in the split."""
    most = min(recipe.export.prompts, RAPID_PROMPTS) if effort == "rapid" else recipe.export.prompts
    return _numbered(load(task, "test"), most)


def evenly(given: Sequence[T], most: int | None) -> list[T]:
    """At most so many of them, evenly spread, in their order."""
    return [given[place] for place in _places(len(given), most)]


def words_of(learnt: Learnt) -> Writing:
    """The tokenizer of the run."""
    return words_in(learnt.tokenizer)


def words_in(folder: Path) -> Writing:
    """The tokenizer that lies in the folder of its stage, of a kind that gives text back: the recipe was checked."""
    words = tokenizers.load(folder / "tokenizer.json")
    assert isinstance(words, ByteBPE | WordPiece)
    return words


def _numbered(pairs: Sequence[Pair], most: int) -> tuple[list[int], list[Pair]]:
    places = _places(len(pairs), most)
    return places, [pairs[place] for place in places]


def _places(count: int, most: int | None) -> list[int]:
    if most is None or count <= most:
        return list(range(count))
    return np.linspace(0, count - 1, most).round().astype(int).tolist()
