"""What a task of kind "sequence" reads: the characters of plain text, or generated log lines, with their figures.

Both are one `Subject` for the stages: rows to train and to evaluate on, the sizes of the model, its loss, and the
figures that its surprises come to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgewright.data import log_features, log_lines, plain_text, sequence_rows, sources
from edgewright.data.characters import UNKNOWN, Characters
from edgewright.data.generated import NO_ANOMALY, log_record
from edgewright.data.log_features import BUCKETS, LogFeatures
from edgewright.data.log_lines import ANOMALIES, LogLine
from edgewright.data.sequence_rows import CharacterRows, LogRows, Rows
from edgewright.data.tasks import Task
from edgewright.data.text import REPLACEMENT
from edgewright.data.tokenizer import Tokenizer, special_id
from edgewright.pipeline.examples import RAPID_ROWS
from edgewright.pipeline.recipe import Effort, Recipe
from edgewright.runtimes.stream import CharacterStream, LogStream, SequenceStream
from edgewright.train.metrics import auc
from edgewright.train.sequences import Loss, next_character, next_line

LOGS = "log_lines"  # the source whose lines are read as numbers; any other is read as characters
END = "end"  # the special that stands behind each line of a text
GOLDEN_TEXTS, GOLDEN_CHARACTERS = 8, 16
GOLDEN_LINES, GOLDEN_SEED = 48, 1_000_003  # no seed of a recipe gives it
EVALUATED_ROWS: dict[Effort, int] = {"rapid": RAPID_ROWS, "quick": 2_000, "normal": 2_000}  # at most, evenly spread
SEEDS = 10_000  # the cuts of one seed's epochs differ from those of another's


class Subject(Protocol):
    """reads: what a manifest calls it. inputs, outputs: sizes of the model. main: the figure that chooses an epoch."""

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
        """At most so many rows of a split, evenly spread."""

    def figures(self, split: str, rows: Rows, surprises: NDArray[np.float64]) -> dict[str, Any]:
        """What surprises (N, T) on held-out rows come to; `main` is among them."""

    def score(self, split: str, rows: Rows, surprises: NDArray[np.float64]) -> float:
        """`main`, turned so that higher is better."""

    def live(self, split: str, steps: SequenceStream, most: int) -> dict[str, Any]:
        """live_bits or live_auc: the first positions of a split one by one, at most so many, as a user has them."""

    def sequence(self, split: str, positions: int) -> NDArray[np.float32]:
        """(T, I): the first so many inputs of a split, one after the other as they came; fewer where it is shorter."""

    def baselines(self, length: int, effort: Effort) -> list[tuple[str, dict[str, Any], str]]:
        """What one would have without a model: name, figures on the evaluated rows of test, and a note."""

    def stream(self, steps: SequenceStream) -> CharacterStream | LogStream:
        """What a user of a bundle has."""

    def golden_texts(self, texts: Sequence[str]) -> list[str]:
        """What golden vectors are made of; `texts` were written for this project."""


def subject_of(recipe: Recipe, task: Task, tokenizer: Tokenizer | None) -> Subject:
    if task.source == LOGS:
        return Logs(recipe.data.count, recipe.data.seed)
    assert isinstance(tokenizer, Characters), "the recipe was checked"
    return Text(task.source, tokenizer)


def reads_characters(task: Task) -> bool:
    return task.source != LOGS


def text_lines(source: sources.Source, split: str) -> list[str]:
    """The lines of a split as one would have written them.

    In English, "<unk>" stands for a rare word that is missing: it becomes a character that no vocabulary has.
    """
    found = plain_text.lines(source, split)
    if source.language != "en":
        return found
    return [plain_text.natural(line).replace("<unk>", REPLACEMENT) for line in found]


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
        counted = rows.counted(slice(None))
        unknown = int((rows.targets(slice(None)) == UNKNOWN).sum())
        return {"bits": bits, "perplexity": 2**bits, "positions": int(counted.sum()), "unknown_characters": unknown}

    def score(self, split: str, rows: Rows, surprises: NDArray[np.float64]) -> float:
        return -sequence_rows.bits(surprises, rows.counted(slice(None)))

    def live(self, split: str, steps: SequenceStream, most: int) -> dict[str, Any]:
        ids = self.ids(split)[: most + 1]
        outputs = steps.steps(sequence_rows.one_hot(ids[:-1], self.inputs))
        rows = CharacterRows(plain_text.Windows(ids[None, :-1], ids[None, 1:]), self.inputs)
        found = sequence_rows.bits(rows.surprises(outputs[None], slice(None)), rows.counted(slice(None)))
        return {"live_bits": found, "live_positions": len(ids) - 1}

    def baselines(self, length: int, effort: Effort) -> list[tuple[str, dict[str, Any], str]]:
        rows = self.held_out("test", length, EVALUATED_ROWS[effort])
        assert isinstance(rows, CharacterRows)
        surprises = pair_surprises(self.ids("train"), rows.windows, self.inputs)
        note = "how often a character follows another in the training text, each once more than seen"
        return [("pairs of characters", self.figures("test", rows, surprises), note)]

    def stream(self, steps: SequenceStream) -> CharacterStream:
        return CharacterStream(steps, self.tokenizer)

    def golden_texts(self, texts: Sequence[str]) -> list[str]:
        return [text[:GOLDEN_CHARACTERS] for text in texts if len(text) >= GOLDEN_CHARACTERS][:GOLDEN_TEXTS]

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

    def score(self, split: str, rows: Rows, surprises: NDArray[np.float64]) -> float:
        return float(self.figures(split, rows, surprises)["auc"] or 0.0)

    def live(self, split: str, steps: SequenceStream, most: int) -> dict[str, Any]:
        lines, stream = self.lines(split)[:most], self.stream(steps)
        scores = np.array([stream.score(line.text) for line in lines])
        return {"live_auc": areas(lines, scores)["auc"], "live_positions": len(lines)}

    def stream(self, steps: SequenceStream) -> LogStream:
        return LogStream(steps, BUCKETS)

    def golden_texts(self, texts: Sequence[str]) -> list[str]:
        return ["\n".join(line.text for line in log_lines.generate(GOLDEN_LINES, GOLDEN_SEED, anomalies=True))]

    def sequence(self, split: str, positions: int) -> NDArray[np.float32]:
        return self.features(split).values[:positions]

    def lines(self, split: str) -> list[LogLine]:
        return list(sources.generated_splits(sources.find(LOGS), self.count, self.seed)[split])

    def features(self, split: str) -> LogFeatures:
        if split not in self._features:
            self._features[split] = log_features.features(line.text for line in self.lines(split))
        return self._features[split]

    def baselines(self, length: int, effort: Effort) -> list[tuple[str, dict[str, Any], str]]:
        rows = self.held_out("test", length, EVALUATED_ROWS[effort])
        assert isinstance(rows, LogRows)
        scores = log_features.scores_alone(self.features("test"), self.features("train"))
        kept = rows.windows.lines[rows.windows.lines >= 0]
        held = np.full(len(scores), np.nan)
        held[kept] = scores[kept]
        note = "how rare the template of a line is, and how unusual its numbers are for it"
        return [("each line alone", areas(self.lines("test"), held), note)]

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


def pair_surprises(training: NDArray[np.int32], windows: plain_text.Windows, size: int) -> NDArray[np.float64]:
    """(N, T) nats: of each target after the character before it, by the counts of pairs in `training`, each plus 1."""
    pairs = training[:-1].astype(np.int64) * size + training[1:]
    counts = np.bincount(pairs, minlength=size * size).reshape(size, size)
    shares = (counts + 1) / (counts.sum(axis=1, keepdims=True) + size)
    return np.where(windows.targets <= UNKNOWN, 0.0, -np.log(shares[windows.inputs, windows.targets]))
