"""The rows of a recipe as texts and class numbers: what is trained on, and what figures are taken on.

A classifier answers once a text, a tagger once a word. Both are one list of answers here, text after text, so that
agreement, errors and confusions are counted in one way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgewright.data import sources, tags, tasks
from edgewright.data.dataset import Dataset, encode
from edgewright.data.rows import Row
from edgewright.data.tasks import Task
from edgewright.data.text import DEFAULT, Normalisation
from edgewright.data.tokenizer import Tokenizer
from edgewright.data.words import words_with_offsets
from edgewright.errors import DataError, UsageError
from edgewright.pipeline.recipe import Effort, Recipe
from edgewright.pipeline.tables import HashedNgramsTable, tokenizer_table
from edgewright.train.metrics import REJECT

RAPID_ROWS = 500  # the effort rapid evaluates at most so many rows of a split, evenly spread over it


@dataclass(frozen=True)
class Words:
    """How a tagger's texts become words: as its tokenizer does it, at most `limit` of them (None: all)."""

    normalisation: Normalisation
    limit: int | None


@dataclass(frozen=True)
class Examples:
    """Texts with what is to be said of them.

    labels: (N,) class numbers, one an answer; REJECT for rows of the reject label, whose texts come last.
    counts: answers of each text: 1, or for tags the number of its words.
    numbers: where each text stands in its split or file, from 0: how a record names a row without its text.
    groups: the set of a mixture that each text is from, where the rows say it.
    """

    texts: list[str]
    labels: np.ndarray
    counts: list[int]
    numbers: list[int]
    groups: list[str] | None = None

    @property
    def owners(self) -> np.ndarray:
        """(N,) the place in `texts` of each answer's text."""
        return np.repeat(np.arange(len(self.texts)), self.counts)

    def split(self, answers: np.ndarray) -> list[np.ndarray]:
        """(N, ...) as one array a text."""
        return np.split(answers, np.cumsum(self.counts)[:-1])

    def in_scope(self) -> "Examples":
        """Without the rows of the reject label, of which a classifier has one answer each."""
        kept = [place for place, labels in enumerate(self.split(self.labels)) if not (labels == REJECT).any()]
        return self.chosen(kept)

    def chosen(self, places: Sequence[int]) -> "Examples":
        parts = self.split(self.labels)
        return Examples(
            [self.texts[place] for place in places],
            np.concatenate([parts[place] for place in places]) if places else self.labels[:0],
            [self.counts[place] for place in places],
            [self.numbers[place] for place in places],
            None if self.groups is None else [self.groups[place] for place in places],
        )


def class_names(recipe: Recipe, task: Task) -> list[str]:
    """The classes, or the tags: those that the task lists, else those of the training rows."""
    rows = _rows(recipe, task, "train")
    if task.kind == "tags":
        return list(task.labels or tags.tag_labels(rows))
    return list(tasks.split_labels(rows, task, None).labels)


def load(recipe: Recipe, task: Task, split: str, names: Sequence[str], effort: Effort = "normal") -> Examples:
    """One split; at effort rapid at most RAPID_ROWS of its rows."""
    return from_rows(_rows(recipe, task, split), task, names, words_of(recipe), effort)


def test_only(name: str, recipe: Recipe, task: Task, names: Sequence[str]) -> Examples:
    """The rows of a set that is never trained or tuned on, for a task of the same labels."""
    return from_rows(sources.rows(sources.find(name), "test", kind=task.kind), task, names, words_of(recipe))


def from_rows(
    rows: Sequence[Row], task: Task, names: Sequence[str], words: Words, effort: Effort = "normal"
) -> Examples:
    """Rows with their class numbers.

    Raises:
        DataError: a label or a tag that is none of `names`, named with its row.
    """
    if task.kind == "tags":
        return _tagged(rows, names, words, effort)
    place = {id(row): number for number, row in enumerate(rows)}
    found = tasks.split_labels(rows, task, names)
    ordered = (*found.rows, *found.rejected)
    classes = np.array([*found.classes, *[REJECT] * len(found.rejected)], dtype=np.int64)
    chosen = _chosen(len(ordered), effort)
    kept = [ordered[i] for i in chosen]
    return Examples([row.text for row in kept], classes[chosen], [1] * len(kept), [place[id(row)] for row in kept])


def require_labels(kind: str, command: str) -> None:
    """Raise a UsageError where a kind of task has neither labels nor tags, and the command is for these only."""
    if kind not in ("single_label", "tags"):
        raise UsageError(f"edgewright {command} is for tasks with labels or tags; this is of kind '{kind}'")


def words_of(recipe: Recipe) -> Words:
    """As the recipe's tokenizer cuts words; the longest bucket is the limit unless long texts are read in windows."""
    table = tokenizer_table(recipe)
    limit = recipe.export.lengths[-1] if table.window_stride is None else None
    if not isinstance(table, HashedNgramsTable):  # the other kinds cut pieces, of which there are no tags
        return Words(DEFAULT, limit)
    return Words(Normalisation(lowercase=table.lowercase, strip_marks=table.strip_marks), limit)


def dataset(examples: Examples, tokenizer: Tokenizer, longest: int, kind: str) -> Dataset:
    """What the training loop takes: the ids of each text, cut at `longest`, with its class or its tags."""
    if kind != "tags":
        inside = examples.in_scope()
        return encode(inside.texts, inside.labels.tolist(), tokenizer, longest)
    ids = [tokenizer.encode(text, limit=longest) for text in examples.texts]
    labels = [row[:longest] for row in examples.split(examples.labels)]
    pairs = [(row, known) for row, known in zip(ids, labels, strict=True) if len(row)]
    return Dataset([row for row, _ in pairs], [known for _, known in pairs])


def _tagged(rows: Sequence[Row], names: Sequence[str], words: Words, effort: Effort) -> Examples:
    number_of = {name: number for number, name in enumerate(names)}
    chosen = _chosen(len(rows), effort)
    labels: list[np.ndarray] = []
    for number in chosen:
        row, place = rows[number], f"row {number + 1}"
        assert row.tokens is not None and row.tags is not None, "a row of kind tags has both"
        _, offsets = words_with_offsets(row.text, words.normalisation, words.limit)
        aligned = tags.align(row.text, row.tokens, row.tags, offsets, place)
        if unknown := next((tag for tag in aligned if tag not in number_of), None):
            raise DataError(f"{place}: unknown tag '{unknown}'; known: {', '.join(names)}")
        labels.append(np.array([number_of[tag] for tag in aligned], np.int64))
    groups = [rows[number].source for number in chosen]
    return Examples(
        [rows[number].text for number in chosen],
        np.concatenate(labels) if labels else np.empty(0, np.int64),
        [len(known) for known in labels],
        chosen,
        [group for group in groups if group is not None] if all(group is not None for group in groups) else None,
    )


def _chosen(count: int, effort: Effort) -> list[int]:
    if effort == "rapid" and count > RAPID_ROWS:
        return np.linspace(0, count - 1, RAPID_ROWS).round().astype(int).tolist()
    return list(range(count))


def _rows(recipe: Recipe, task: Task, split: str) -> list[Row]:
    return tasks.rows(task, split, recipe.data.count, recipe.data.seed)
