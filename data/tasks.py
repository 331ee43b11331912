"""Tasks: what is predicted, from which source, judged by what, and within which bounds.

To add one, add a line to TASKS. A task's labels are those of its training rows, sorted, unless it lists them.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from edgewright.data import sources
from edgewright.data.rows import Kind, Row
from edgewright.errors import DataError, UsageError

Metric = Literal["accuracy", "macro_f1", "micro_f1", "span_f1", "perplexity", "mean_absolute_error", "bits", "auc"]
Share = Annotated[float, Field(ge=0, le=1)]

# the first metric is the default of its kind
METRICS: Mapping[Kind, tuple[Metric, ...]] = MappingProxyType(
    {
        "single_label": ("accuracy", "macro_f1"),
        "multi_label": ("micro_f1", "macro_f1"),
        "tags": ("span_f1",),
        "generation": ("perplexity",),
        "score": ("mean_absolute_error",),
        "sequence": ("bits", "auc"),
    }
)
IMPLEMENTED: tuple[Kind, ...] = ("single_label", "tags", "sequence", "generation")


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Targets:
    """The bounds that a shipped cell must keep; None is no bound. 1 MB = 1,000,000 bytes."""

    min_accuracy: Share | None = (
        None  # on the test split, in scope where the task has a reject label; of words for tags
    )
    min_macro_f1: Share | None = None  # same rows
    min_span_f1: Share | None = None  # of taggers: micro F1 of the spans
    max_span_f1_drop: Share | None = 0.01  # of taggers: PyTorch fp32 minus that of the cell
    max_accuracy_drop: Share | None = 0.01  # accuracy of PyTorch fp32 minus that of the cell
    max_bits: Annotated[float, Field(gt=0)] | None = None  # of text: bits a character
    max_bits_rise: Share | None = 0.01  # of text: bits of the cell over those of PyTorch fp32, less 1
    min_auc: Share | None = None  # of anomalies
    max_auc_drop: Share | None = 0.01  # of anomalies: PyTorch fp32 minus that of the cell
    max_perplexity: Annotated[float, Field(gt=0)] | None = None  # of replies, a token; depends on the vocabulary
    # of replies: perplexity over that of counts of which token follows which, which read no prompt; any vocabulary
    max_perplexity_to_token_pairs: Annotated[float, Field(gt=0)] | None = None
    max_perplexity_rise: Share | None = 0.05  # of replies: perplexity of the cell over that of PyTorch fp32, less 1
    min_equal_replies_fp32: Share | None = 1.0  # of greedy replies: share with PyTorch's tokens, fp32 cells
    max_step_p50_ms: Annotated[float, Field(gt=0)] | None = None  # of replies: one token, quantized cells
    min_label_agreement_fp32: Share | None = 0.999  # share of test rows with PyTorch's label, fp32 and fp16 cells
    min_label_agreement_int8: Share | None = 0.99  # the same for cells with 8-bit weights
    min_label_agreement_int4: Share | None = 0.97  # the same for cells with 4-bit weights or palettes
    max_p50_ms: Annotated[float, Field(gt=0)] | None = 1.0  # arrays in to arrays out, one thread, one text
    max_text_to_label_p50_ms: Annotated[float, Field(gt=0)] | None = None  # text in to label out, one thread
    max_shipped_bytes: Annotated[int, Field(gt=0)] | None = 1_000_000  # artifact + tokenizer + labels


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Task:
    """One thing to predict."""

    name: str
    kind: Kind
    source: str  # a key of sources.SOURCES
    labels: tuple[str, ...] = ()  # empty: those of the training rows, sorted
    label_field: str = "label"  # the key of a data file's line that holds this task's label
    reject_label: str | None = None  # no class: its rows are not trained on as one, and are reported apart
    metric: Metric | None = None  # the primary one, on which checkpoints are chosen; None: the kind's first
    targets: Targets = Targets()

    def __post_init__(self) -> None:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"task {self.name}: a label is listed twice")
        if self.reject_label in self.labels:
            raise ValueError(f"task {self.name}: the reject label '{self.reject_label}' cannot also be a class")
        if self.metric is not None and self.metric not in METRICS[self.kind]:
            known = ", ".join(METRICS[self.kind])
            raise ValueError(f"task {self.name}: metric '{self.metric}' is none of kind {self.kind} ({known})")

    @property
    def primary_metric(self) -> Metric:
        return self.metric or METRICS[self.kind][0]


@plain_dataclass(frozen=True)
class LabelledRows:
    """Rows sorted into classes; `classes[i]` is the index in `labels` of the label of `rows[i]`."""

    labels: tuple[str, ...]
    rows: tuple[Row, ...]
    classes: tuple[int, ...]
    rejected: tuple[Row, ...]  # rows of the task's reject label, in their order


URGENCY = ("low", "medium", "high", "critical")  # in their order
SENTIMENT = ("negative", "neutral", "positive")
CATEGORY = ("account", "billing", "delivery", "meeting", "other", "sales", "technical")
INTENT = (
    "ask_information",
    "cancel",
    "follow_up",
    "give_feedback",
    "inform",
    "report_problem",
    "request_action",
    "request_refund",
    "schedule",
)

# Replies are judged by their perplexity and, in fp32, token by token; quantization changes one next token in a hundred.
# Time and size are those of the full model; a recipe of a small one asks for less.
REPLY_TARGETS = Targets(
    min_label_agreement_int8=0.95,
    min_label_agreement_int4=0.85,
    max_p50_ms=None,
    max_step_p50_ms=5.0,
    max_shipped_bytes=40_000_000,
)

# what comes next is often a matter of chance: quantized cells are judged by their figures, not by the likeliest answer
BY_FIGURES = Targets(min_label_agreement_int8=None, min_label_agreement_int4=None)

TASKS: Mapping[str, Task] = MappingProxyType(
    {
        task.name: task
        for task in (
            Task("urgency", "single_label", "emails", URGENCY, "urgency", targets=Targets(min_accuracy=0.85)),
            Task("sentiment", "single_label", "emails", SENTIMENT, "sentiment", targets=Targets(min_accuracy=0.85)),
            Task("category", "single_label", "emails", CATEGORY, "category", targets=Targets(min_accuracy=0.9)),
            Task("intent", "single_label", "emails", INTENT, "intent", targets=Targets(min_accuracy=0.85)),
            Task(
                "clinc150",
                "single_label",
                "intent_clinc150",
                reject_label="oos",
                targets=Targets(min_accuracy=0.93, max_text_to_label_p50_ms=0.15),
            ),
            Task(
                "banking77",
                "single_label",
                "intent_banking77",
                targets=Targets(min_accuracy=0.91, max_text_to_label_p50_ms=0.15),
            ),
            Task("text_en", "sequence", "lm_en", metric="bits", targets=replace(BY_FIGURES, max_bits=2.6)),
            Task("text_fr", "sequence", "lm_fr", metric="bits", targets=replace(BY_FIGURES, max_bits=2.6)),
            Task("log_anomalies", "sequence", "log_lines", metric="auc", targets=replace(BY_FIGURES, min_auc=0.95)),
            Task("replies_sgd", "generation", "dialogue_sgd", targets=REPLY_TARGETS),
            Task("smalltalk", "generation", "dialogue_chatterbot_fr_en", targets=REPLY_TARGETS),
            Task("answers", "generation", "qa_factoid_en", targets=REPLY_TARGETS),
            Task("entities", "tags", "entities_en", targets=Targets(min_span_f1=0.82)),
        )
    }
)


def find(name: str) -> Task:
    """The task of that name.

    Raises:
        UsageError: there is none (the message proposes the closest), or its kind cannot be trained yet.
    """
    if name not in TASKS:
        raise UsageError(f"no task is called '{name}'; {_closest(name, TASKS)}")
    require_implemented(TASKS[name])
    return TASKS[name]


def require_implemented(task: Task) -> None:
    """Raise a UsageError for the kinds that the schema knows but no family trains."""
    if task.kind not in IMPLEMENTED:
        raise UsageError(
            f"task {task.name}: kind '{task.kind}' is not available in this version; use {', '.join(IMPLEMENTED)}"
        )


def rows(task: Task, split: str, count: int | None = None, seed: int | None = None) -> list[Row]:
    """The rows of one split of the task's source, each with this task's label.

    `count` and `seed` are for generated sources only (see `sources.rows`).
    """
    require_implemented(task)
    source = sources.find(task.source)
    return sources.rows(source, split, kind=task.kind, label_field=task.label_field, count=count, seed=seed)


def split_labels(rows: Iterable[Row], task: Task, labels: Sequence[str] | None = None) -> LabelledRows:
    """Sort rows into the task's classes and set the rows of its reject label apart.

    Args:
        labels: the classes that the model was trained on. None: these are the training rows; they decide the
            classes where the task lists none, and must have at least two.

    Raises:
        DataError: a row has no label or an unknown one (with its number, from 1), or the training rows have one
            class only.
        UsageError: the task's kind cannot be trained yet.
    """
    require_implemented(task)
    given = list(rows)
    for number, row in enumerate(given, start=1):
        if not isinstance(row.label, str):
            raise DataError(f"task {task.name}, row {number}: the row has no label; add it or remove the row")

    rejected = tuple(row for row in given if task.reject_label is not None and row.label == task.reject_label)
    seen = {row.label for row in given if isinstance(row.label, str)} - {task.reject_label}
    known = tuple(labels or task.labels or sorted(label for label in seen if label is not None))
    index = {label: number for number, label in enumerate(known)}
    for number, row in enumerate(given, start=1):
        if row.label not in index and row.label != task.reject_label:
            raise DataError(
                f"task {task.name}, row {number}: unknown label '{row.label}'; {_closest(str(row.label), known)}"
            )
    if labels is None and len(seen) < 2:
        only = f"only the class '{min(str(label) for label in seen)}'" if seen else "no class"
        raise DataError(f"task {task.name}: the training rows have {only}; a classifier needs at least two")

    kept = tuple(row for row in given if row.label in index)
    return LabelledRows(known, kept, tuple(index[str(row.label)] for row in kept), rejected)


def _closest(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    matches = difflib.get_close_matches(name, names, n=1)
    if matches:
        return f"did you mean '{matches[0]}'?"
    shown = ", ".join(names[:12])
    return f"known: {shown}" + (f" and {len(names) - 12} more" if len(names) > 12 else "")
