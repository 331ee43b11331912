"""How ours stands among its peers: the ratios of one run, and where ours loses, said in sentences."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgewright.benchmarks.bench_record import BenchRecord, PeerResult, Series
from edgewright.benchmarks.reports.figures import times
from edgewright.benchmarks.reports.scores import share
from edgewright.benchmarks.reports.units import megabytes, milliseconds


@dataclass(frozen=True)
class Standing:
    """One peer over the best of ours in the same run, a figure above 1 being more: accuracy, bytes, latency.

    latency: of the normalised medians, which the machine's moods move least.
    """

    peer: PeerResult
    accuracy: float | None
    size: float | None
    latency: float | None


@dataclass(frozen=True)
class Best:
    """Ours with the highest accuracy, the fewest bytes and the lowest latency: often three different ones."""

    accuracy: PeerResult | None
    size: PeerResult | None
    latency: PeerResult | None


def standings(record: BenchRecord) -> list[Standing]:
    """All peers and ours, the most accurate first, those without a figure last."""
    best = best_of_ours(record)
    rows = [
        Standing(
            peer=peer,
            accuracy=_over(peer.accuracy, best.accuracy.accuracy if best.accuracy else None),
            size=_over(peer.shipped_bytes, best.size.shipped_bytes if best.size else None),
            latency=_over(_normalised(peer), _normalised(best.latency) if best.latency else None),
        )
        for peer in record.peers
    ]
    return sorted(rows, key=lambda row: -(row.peer.accuracy or 0))


def best_of_ours(record: BenchRecord) -> Best:
    """What the ratios are to; None where no one of ours has that figure."""
    ours = [peer for peer in record.peers if peer.ours]
    return Best(
        accuracy=max((p for p in ours if p.accuracy is not None), key=lambda p: p.accuracy or 0, default=None),
        size=min((p for p in ours if p.shipped_bytes), key=lambda p: p.shipped_bytes or 0, default=None),
        latency=min((p for p in ours if p.text_to_label), key=lambda p: _normalised(p) or 0, default=None),
    )


def sentences(record: BenchRecord) -> list[str]:
    """Where ours loses, each with its figures; a question that nobody wins is answered with "none"."""
    best, rows = best_of_ours(record), [row for row in standings(record) if not row.peer.ours]
    found = []
    if best.accuracy:
        above = [
            f"{row.peer.name} ({share(row.peer.accuracy)}{_doubt(_by_chance(row.peer, best.accuracy))})"
            for row in rows
            if (row.accuracy or 0) > 1
        ]
        found.append(_loses(f"More accurate than ours ({share(best.accuracy.accuracy)})", above))
    if best.latency and best.latency.text_to_label:
        below = [
            f"{row.peer.name} ({milliseconds(row.peer.text_to_label.p50_ms)}, {times(row.latency)}"
            f"{_doubt(_overlapping(row.peer.text_to_label, best.latency.text_to_label))})"
            for row in rows
            if row.peer.text_to_label and row.latency is not None and row.latency < 1
        ]
        found.append(_loses(f"Faster than ours ({milliseconds(best.latency.text_to_label.p50_ms)})", below))
    if best.size:
        below = [
            f"{row.peer.name} ({megabytes(row.peer.shipped_bytes)})"
            for row in rows
            if row.size is not None and row.size < 1
        ]
        found.append(_loses(f"Smaller than ours ({megabytes(best.size.shipped_bytes)})", below))
    beaten = [peer.name for peer in record.peers if peer.ours and any(_better(row.peer, peer) for row in rows)]
    if beaten:
        found.append(f"Beaten in all three by one and the same peer: {', '.join(beaten)}.")
    return found


def _normalised(peer: PeerResult) -> float | None:
    return peer.text_to_label.normalised_p50.value if peer.text_to_label else None


def _over(value: float | None, best: float | None) -> float | None:
    return value / best if value is not None and best else None


def _overlapping(a: Series, b: Series) -> bool:
    (low, high), (other_low, other_high) = (
        (found.low if found.low is not None else found.value, found.high if found.high is not None else found.value)
        for found in (a.normalised_p50, b.normalised_p50)
    )
    return low <= other_high and other_low <= high


def _by_chance(a: PeerResult, b: PeerResult) -> bool:
    """Whether other rows of the same kind could turn the two accuracies round: they are less than 1.96 standard errors
    of two independent samples apart. The rows are the same for both, so this doubts rather too much."""
    if a.accuracy is None or b.accuracy is None or not a.rows or not b.rows:
        return False
    variance = sum(p.accuracy * (1 - p.accuracy) / p.rows for p in (a, b) if p.accuracy is not None and p.rows)
    return abs(a.accuracy - b.accuracy) < 1.96 * math.sqrt(variance)


def _doubt(doubtful: bool) -> str:
    return ", within the noise" if doubtful else ""


def _better(peer: PeerResult, ours: PeerResult) -> bool:
    """Whether `peer` is more accurate, smaller and faster than `ours`."""
    figures = [(p.accuracy, p.shipped_bytes, _normalised(p)) for p in (peer, ours)]
    if any(value is None for row in figures for value in row):
        return False
    (accuracy, size, latency), (our_accuracy, our_size, our_latency) = figures
    assert accuracy and our_accuracy and size and our_size and latency and our_latency
    return accuracy > our_accuracy and size < our_size and latency < our_latency


def _loses(question: str, names: Sequence[str]) -> str:
    return f"{question}: {', '.join(names) or 'none'}."
