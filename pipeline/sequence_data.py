"""What a task of kind "sequence" reads: the characters of plain text, or generated log lines, with their figures.

Both are one `Subject` for the stages: rows to train and to evaluate on, the sizes of the model, its loss, and the
figures that its surprises come to.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgewright.data import log_features, plain_text, sequence_rows, sources
from edgewright.data.characters import Characters
from edgewright.data.generated import NO_ANOMALY, log_record
from edgewright.data.log_features import BUCKETS, LogFeatures
from edgewright.data.log_lines import ANOMALIES, LogLine
from edgewright.data.sequence_rows import CharacterRows, LogRows, Rows
from edgewright.data.tasks import Task
from edgewright.data.tokenizer import Tokenizer, special_id
from edgewright.pipeline.recipe import Recipe
from edgewright.train.metrics import auc
from edgewright.train.sequences import Loss, next_character, next_line

LOGS = "log_lines"  # the source whose lines are read as numbers; any other is read as characters
END = "end"  # the special that stands behind each line of a text
SEEDS = 10_000  # the cuts of one seed's epochs differ from those of another's


class Subject(Protocol):
    """reads: "characters" or "log_lines". inputs, outputs: the sizes of the model. main: the figure that chooses."""

    @property
    def reads(self) -> str: ...
    @property
    def inputs(self) -> int: ...
    @property
    def outputs(self) -> int: ...
    @property
    def main(self) -> str: ...
    @property
    def loss(self) -> Loss: ...

    def training(self, length: int, seed: int, epoch: int) -> Rows:
        """The training rows of an epoch, in rows of `length`."""

    def held_out(self, split: str, length: int, most: int | None) -> Rows:
        """At most so many rows of validation or test, evenly spread."""

    def figures(self, split: str, rows: Rows, surprises: NDArray[np.float64]) -> dict[str, Any]:
        """What surprises (N, T) on held-out rows come to; `main` is among them."""

    def counts(self) -> dict[str, int]:
        """Characters or lines of each split."""

    def sequence(self, split: str, positions: int) -> NDArray[np.float32]:
        """(T, I): the first so many inputs of a split, one after the other as they came; fewer where it is shorter."""


def subject_of(recipe: Recipe, task: Task, tokenizer: Tokenizer | None) -> Subject:
    if task.source == LOGS:
        return Logs(recipe.data.count, recipe.data.seed)
    assert isinstance(tokenizer, Characters), "the recipe was checked"
    return Text(task.source, tokenizer)


def reads_characters(task: Task) -> bool:
    return task.source != LOGS


def text_lines(source: sources.Source, split: str) -> list[str]:
    """The lines of a split as one would have written them; only the English training parts differ from that."""
    found = plain_text.lines(source, split)
    return [plain_text.natural(line) for line in found] if source.language == "en" else found


@dataclass(frozen=True)
class Text:
    """Characters of a set of plain text. Figures: bits a character, and perplexity, 2 to the bits."""

    source: str
    tokenizer: Characters
    reads = "characters"
    main = "bits"
    loss = staticmethod(next_character)

    @property
    def inputs(self) -> int:
        return self.tokenizer.vocab_size

    @property
    def outputs(self) -> int:
        return self.tokenizer.vocab_size

    def training(self, length: int, seed: int, epoch: int) -> Rows:
        # every epoch cuts the text at other places
        windows = plain_text.windows_of(self.ids("train"), length, seed * SEEDS + epoch)
        return CharacterRows(windows, self.inputs)

    def held_out(self, split: str, length: int, most: int | None) -> Rows:
        windows = plain_text.windows_of(self.ids(split), length)
        chosen = sequence_rows.evenly(len(windows.inputs), most)
        return CharacterRows(plain_text.Windows(windows.inputs[chosen], windows.targets[chosen]), self.inputs)

    def figures(self, split: str, rows: Rows, surprises: NDArray[np.float64]) -> dict[str, Any]:
        bits = sequence_rows.bits(surprises, rows.counted(slice(None)))
        return {"bits": bits, "perplexity": 2**bits, "positions": int(rows.counted(slice(None)).sum())}

    def counts(self) -> dict[str, int]:
        return {split: len(self.ids(split)) for split in sources.GENERATED_SPLITS}

    def sequence(self, split: str, positions: int) -> NDArray[np.float32]:
        return sequence_rows.one_hot(self.ids(split)[:positions], self.inputs)

    def ids(self, split: str) -> NDArray[np.int32]:
        """The characters of a split as one stream, with the special "end" behind each line."""
        if split not in self._ids:
            lines = text_lines(sources.find(self.source), split)
            self._ids[split] = plain_text.stream(lines, self.tokenizer.encode, special_id(self.tokenizer, END))
        return self._ids[split]

    @cached_property
    def _ids(self) -> dict[str, NDArray[np.int32]]:
        return {}


@dataclass(frozen=True)
class Logs:
    """Generated log lines. Figures: the area under the ROC curve of the surprise of a line, in all and by anomaly."""

    count: int | None
    seed: int | None
    reads = "log_lines"
    main = "auc"

    @property
    def inputs(self) -> int:
        return sequence_rows.line_inputs(BUCKETS)

    @property
    def outputs(self) -> int:
        return sequence_rows.line_outputs(BUCKETS)

    @property
    def loss(self) -> Loss:
        return next_line(BUCKETS)

    def training(self, length: int, seed: int, epoch: int) -> Rows:
        return self.held_out("train", length, None)

    def held_out(self, split: str, length: int, most: int | None) -> Rows:
        windows = log_features.windows(self.features(split), length)
        chosen = sequence_rows.evenly(len(windows.lines), most)
        return LogRows(sequence_rows.some(windows, chosen), BUCKETS)

    def figures(self, split: str, rows: Rows, surprises: NDArray[np.float64]) -> dict[str, Any]:
        assert isinstance(rows, LogRows)
        lines = self.lines(split)
        return areas(lines, sequence_rows.by_line(surprises, rows.windows.lines, len(lines)))

    def counts(self) -> dict[str, int]:
        made = sources.generated_splits(sources.find(LOGS), self.count, self.seed)
        return {split: len(lines) for split, lines in made.items()}

    def sequence(self, split: str, positions: int) -> NDArray[np.float32]:
        return self.features(split).values[:positions]

    def lines(self, split: str) -> list[LogLine]:
        return list(sources.generated_splits(sources.find(LOGS), self.count, self.seed)[split])

    def features(self, split: str) -> LogFeatures:
        if split not in self._features:
            self._features[split] = log_features.features(line.text for line in self.lines(split))
        return self._features[split]

    def alone(self, split: str, rows: Rows) -> dict[str, Any]:
        """The figures of `scores_alone`, the baseline without a model, on the lines of the same rows."""
        assert isinstance(rows, LogRows)
        scores = log_features.scores_alone(self.features(split), self.features("train"))
        held = np.full(len(scores), np.nan)
        kept = rows.windows.lines[rows.windows.lines >= 0]
        held[kept] = scores[kept]
        return areas(self.lines(split), held)

    @cached_property
    def _features(self) -> dict[str, LogFeatures]:
        return {}


def areas(lines: list[LogLine], scores: NDArray[np.float64]) -> dict[str, Any]:
    """auc, and by_anomaly: for each kind its lines against all normal ones. Lines whose score is NaN are left out.

    None where the lines have no anomaly, or none of the kind.
    """
    kinds = np.array([log_record(line)["anomaly"] for line in lines])
    here = ~np.isnan(scores)

    def against_normal(anomalous: NDArray[np.bool_]) -> float | None:
        judged = here & (anomalous | (kinds == NO_ANOMALY))
        labels = anomalous[judged]
        return auc(scores[judged], labels) if labels.any() and not labels.all() else None

    return {
        "auc": against_normal(kinds != NO_ANOMALY),
        "by_anomaly": {kind: against_normal(kinds == kind) for kind in ANOMALIES},
        "lines": int(here.sum()),
        "anomalous": int((here & (kinds != NO_ANOMALY)).sum()),
    }
