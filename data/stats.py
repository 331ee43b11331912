"""What is in a set: sizes, classes, lengths, languages, duplicates and near-duplicates across splits."""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgewright.data.leaks import find_leaks
from edgewright.data.rows import Row

LOG_NOTE = "leaks were not searched: a log repeats its lines, and each split is a stream of its own"


@dataclass(frozen=True)
class Lengths:
    """Words a text, split at white space."""

    smallest: int
    median: float
    p90: int
    largest: int


@dataclass(frozen=True)
class SplitStats:
    rows: int
    labels: Mapping[str, int]  # rows by label, the most frequent first; empty for kinds without a label
    majority_share: float | None  # of the most frequent label, which is the accuracy of always guessing it
    words: Lengths | None  # None: no rows
    languages: Mapping[str, int]  # rows by language; rows that name none are not counted
    duplicates: int  # rows whose exact text stands earlier in the same split


@dataclass(frozen=True)
class Stats:
    splits: Mapping[str, SplitStats]
    # near-duplicate pairs by pair of splits ("test+train"), pairs without any are absent; None: not searched
    leaks: Mapping[str, int] | None
    leaking_rows: Mapping[str, int] | None  # rows of each split that have a near-duplicate in another split
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(splits: Mapping[str, Sequence[Row]], is_log: bool = False) -> Stats:
    """Count a set; nothing of a text is kept.

    is_log: the rows are the lines of a log, which says the same things again and again: near-duplicates in two splits
    are no leaks there, and none are searched.
    """
    measured = {split: _measure_split(rows) for split, rows in splits.items()}
    if is_log:
        return Stats(measured, None, None, (LOG_NOTE,))
    leaks = find_leaks({split: [row.text for row in rows] for split, rows in splits.items()})
    pairs = Counter(f"{leak.split_a}+{leak.split_b}" for leak in leaks)
    leaking = {(leak.split_a, leak.row_a) for leak in leaks} | {(leak.split_b, leak.row_b) for leak in leaks}
    by_split = Counter(split for split, _ in leaking)
    return Stats(
        splits=measured,
        leaks=dict(sorted(pairs.items())),
        leaking_rows={split: by_split[split] for split in splits},
    )


def _measure_split(rows: Sequence[Row]) -> SplitStats:
    labels = _most_frequent_first(label for row in rows for label in _labels(row))
    return SplitStats(
        rows=len(rows),
        labels=labels,
        majority_share=max(labels.values()) / len(rows) if labels else None,
        words=_lengths([len(row.text.split()) for row in rows]) if rows else None,
        languages=_most_frequent_first(row.language for row in rows if row.language is not None),
        duplicates=len(rows) - len({row.text for row in rows}),
    )


def _labels(row: Row) -> Iterable[str]:
    if row.labels is not None:
        return row.labels
    return [row.label] if isinstance(row.label, str) else []


def _lengths(words: Sequence[int]) -> Lengths:
    ordered = sorted(words)
    p90 = ordered[min(len(ordered) - 1, len(ordered) * 9 // 10)]
    return Lengths(ordered[0], statistics.median(ordered), p90, ordered[-1])


def _most_frequent_first(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))
