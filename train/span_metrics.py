"""Precision, recall and F1 of entity spans, by seqeval's definitions: a span is right when type, start and end are.

Source: https://github.com/chakki-works/seqeval (default mode, micro average), which follows conlleval of CoNLL-2000.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from edgewright.data.tags import spans, strict_spans

Tags = Sequence[str]  # of one text


@dataclass(frozen=True)
class SpanScore:
    """true, predicted, right: numbers of spans. Precision is None where none was predicted, recall where none is true.

    f1 is 0 where nothing is right, as in seqeval, and None where there is neither a true nor a predicted span.
    """

    true: int
    predicted: int
    right: int

    @property
    def precision(self) -> float | None:
        return self.right / self.predicted if self.predicted else None

    @property
    def recall(self) -> float | None:
        return self.right / self.true if self.true else None

    @property
    def f1(self) -> float | None:
        return 2 * self.right / (self.true + self.predicted) if self.true + self.predicted else None


@dataclass(frozen=True)
class SpanReport:
    """micro: over all spans. by_type and by_group: of each type and of each group of rows, in alphabetical order."""

    micro: SpanScore
    by_type: dict[str, SpanScore]
    by_group: dict[str, SpanScore] = field(default_factory=dict)

    @property
    def macro_f1(self) -> float | None:
        """Mean F1 of the types; None without any."""
        scores = [score.f1 or 0.0 for score in self.by_type.values()]
        return sum(scores) / len(scores) if scores else None


def span_report(
    true: Sequence[Tags], predicted: Sequence[Tags], groups: Sequence[str] | None = None, strict: bool = False
) -> SpanReport:
    """Scores of N texts' predicted tags against the true ones.

    Args:
        groups: N names, the source of each row, say; None: no groups.
        strict: read both as IOB2, where an I- that continues nothing is no entity.

    Raises:
        ValueError: the two differ in the number of texts, or of tags of a text (its number from 0 is named).
    """
    if len(true) != len(predicted) or (groups is not None and len(groups) != len(true)):
        raise ValueError(f"{len(true)} texts are true and {len(predicted)} predicted; there must be one of each a text")
    for number, (one, other) in enumerate(zip(true, predicted, strict=True)):
        if len(one) != len(other):
            raise ValueError(f"text {number} has {len(one)} true tags and {len(other)} predicted ones")
    read = strict_spans if strict else spans
    found_true = {(number, span) for number, tags in enumerate(true) for span in read(tags)}
    found = {(number, span) for number, tags in enumerate(predicted) for span in read(tags)}
    counted = (found_true, found, found_true & found)

    types = [Counter(span.type for _, span in spans_of) for spans_of in counted]
    by_type = {name: SpanScore(*(count[name] for count in types)) for name in sorted(types[0] | types[1])}
    by_group = {}
    if groups is not None:
        sources = [Counter(groups[number] for number, _ in spans_of) for spans_of in counted]
        by_group = {name: SpanScore(*(count[name] for count in sources)) for name in sorted(set(groups))}
    return SpanReport(SpanScore(*map(len, counted)), by_type, by_group)
