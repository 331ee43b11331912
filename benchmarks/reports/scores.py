"""Which figures of quality a report shows for a kind of task, the main one first."""

from collections.abc import Callable
from dataclasses import dataclass

from edgewright.benchmarks.record import Baseline, Cell, RunRecord

Judged = Cell | Baseline


def share(value: float | None) -> str:
    """0.941; three digits, and a fourth where rounding would claim a full 1."""
    if value is None:
        return "–"
    return f"{value:.4f}" if 0.9995 <= value < 1 else f"{value:.3f}"


@dataclass(frozen=True)
class Score:
    """title: the heading of its column. of: its value, None where it was not measured. shown: how it is written.

    lowest: whether the lowest is the best.
    """

    title: str
    of: Callable[[Judged], float | None]
    shown: Callable[[float | None], str] = share
    lowest: bool = False

    def text(self, judged: Judged) -> str:
        return self.shown(self.of(judged))


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _whole(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _metric(name: str) -> Callable[[Judged], float | None]:
    return lambda judged: judged.metrics.get(name)


SCORES: dict[str, tuple[Score, ...]] = {
    "single_label": (Score("accuracy", lambda one: one.accuracy), Score("macro-F1", lambda one: one.macro_f1)),
    "tags": (
        Score("span F1", lambda one: one.span_f1),
        Score("macro-F1 of types", lambda one: one.macro_f1),
        Score("word accuracy", lambda one: one.accuracy),
    ),
    "generation": (
        Score("perplexity", _metric("perplexity"), _plain, lowest=True),
        Score("replies equal", _metric("equal_replies")),
        Score("tokens/s", _metric("tokens_per_second"), _whole),
    ),
    "sequence": (
        Score("bits a character", _metric("bits"), _plain, lowest=True),
        Score("perplexity", _metric("perplexity"), _plain, lowest=True),
        Score("AUC", _metric("auc")),
        Score("AUC, line by line", _metric("live_auc")),
    ),
}


def scores_of(record: RunRecord) -> tuple[Score, ...]:
    """The scores of the record's kind that one of its cells or baselines has; all where none has any."""
    judged: tuple[Judged, ...] = (*record.cells, *record.baselines)
    found = tuple(score for score in SCORES[record.kind] if any(score.of(one) is not None for one in judged))
    return found or SCORES[record.kind]
