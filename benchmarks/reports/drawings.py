"""What a bench record draws: its figures as the rows, points and lines of plots.py and bench_plots.py.

Each function takes the record and a width in pixels, and gives "" where there is nothing to draw.
"""

from collections.abc import Sequence

from edgewright.benchmarks.bench_record import BenchRecord, PeerResult, Roofline, Timed
from edgewright.benchmarks.reports import bench_plots, plots
from edgewright.benchmarks.reports.figures import count, memory, microseconds
from edgewright.benchmarks.reports.scores import share
from edgewright.benchmarks.reports.units import milliseconds

RUNTIMES = ("executorch", "litert", "coreml", "onnx")
KINDS = ("conv", "linear", "gather", "quantize", "elementwise", "reduce", "move", "other")  # the order of a stack


def text_to_label(record: BenchRecord, width: int) -> str:
    """A bar an artifact; the tick is its tokenizer."""
    rows = [
        plots.Bar(a.name, runtime_colour(a), a.text_to_label.p50_ms, mark=a.encode.p50_ms.value)
        for a in record.artifacts
    ]
    return plots.bars(rows, "Text to label, p50", "ms", width) if rows else ""


def blocks(record: BenchRecord, width: int) -> str:
    """A strip for everything that was timed from text to label."""
    found = [(a.name, runtime_colour(a), a.text_to_label) for a in record.artifacts]
    found += [(p.name, peer_colour(p), p.text_to_label) for p in record.peers if p.text_to_label]
    rows = [
        bench_plots.Strip(name, colour, series.block_p50_ms, series.block_reference_ms)
        for name, colour, series in found
        if series.block_p50_ms and len(series.block_p50_ms) == len(series.block_reference_ms)
    ]
    return bench_plots.strips(rows, "Medians of the blocks over time", width) if rows else ""


def lengths(record: BenchRecord, width: int) -> str:
    """A line an artifact; nothing where there is one length only."""
    rows = [
        bench_plots.Curve(
            label=artifact.name,
            colour=runtime_colour(artifact),
            points=tuple((float(found.length), found.p50_ms) for found in artifact.lengths),
            dash=_dash(artifact, record.artifacts),
            unit="ms",
        )
        for artifact in record.artifacts
        if artifact.lengths
    ]
    if not rows or all(len(row.points) < 2 for row in rows):
        return ""  # one length makes no line
    return bench_plots.curves(rows, "Latency by length", "tokens", "ms, one inference", width)


def throughput(record: BenchRecord, width: int) -> str:
    """A line an artifact; nothing where there is one batch only."""
    rows = [
        bench_plots.Curve(
            label=artifact.name,
            colour=runtime_colour(artifact),
            points=tuple((float(found.batch), found.rows_per_second) for found in artifact.throughput),
            dash=_dash(artifact, record.artifacts),
            unit="rows/s",
        )
        for artifact in record.artifacts
        if artifact.throughput
    ]
    if not rows or all(len(row.points) < 2 for row in rows):
        return ""
    return bench_plots.curves(rows, "Throughput by batch", "rows a batch", "rows a second", width, log_y=True)


def where_time_goes(record: BenchRecord, width: int) -> str:
    """A bar an artifact, of its longest inputs."""
    rows = []
    for artifact in record.artifacts:
        roofline = longest(artifact)
        if roofline:
            rows.append(stack(artifact, roofline))
    return bench_plots.stacks(rows, "Where the time goes", "µs", width) if rows else ""


def stack(artifact: Timed, roofline: Roofline) -> bench_plots.Stack:
    """Empty call, operators by kind, and what neither accounts for."""
    spent = dict.fromkeys(KINDS, 0.0)
    for operator in roofline.operators:
        spent[_kind(operator.kind)] += operator.measured_us or 0.0
    empty = roofline.empty_call_us or 0.0
    rest = roofline.measured_us.value - empty - sum(spent.values())
    parts = [("call", empty, f"empty call: {microseconds(empty)}")]
    parts += [(kind, us, f"{kind}: {microseconds(us)}") for kind, us in spent.items() if us > 0]
    if rest > 0:
        parts.append(("unseen", rest, f"not seen by a profiler: {microseconds(rest)}"))
    return bench_plots.Stack(
        label=f"{artifact.name}, {roofline.length} tokens",
        parts=tuple(part for part in parts if part[1] > 0),
        total=roofline.measured_us,
        bound=empty + roofline.bound_us,
    )


def rooflines(record: BenchRecord, width: int) -> str:
    """The artifacts under the peaks; nothing without peaks."""
    rows = []
    for artifact in record.artifacts:
        points = tuple(
            (
                roofline.macs / roofline.bytes_moved,
                roofline.macs / roofline.measured_us.value / 1e3,
                f"{artifact.name}, {roofline.length} tokens: {count(roofline.macs)} multiply-adds in "
                f"{microseconds(roofline.measured_us.value)}, bound {microseconds(roofline.bound_us)}",
            )
            for roofline in sorted(artifact.roofline, key=lambda found: found.length)
            if roofline.macs and roofline.bytes_moved
        )
        if points:
            rows.append(bench_plots.Work(artifact.name, runtime_colour(artifact), points))
    if record.peaks is None or not rows:
        return ""
    limits = [
        bench_plots.Roof(f"int8 {record.peaks.int8_gmacs:.0f}", gmacs=record.peaks.int8_gmacs),
        bench_plots.Roof(f"fp32 {record.peaks.fp32_gmacs:.0f}", gmacs=record.peaks.fp32_gmacs),
    ]
    speeds = record.peaks.bandwidth
    for found in dict.fromkeys((speeds[0], speeds[len(speeds) // 2], speeds[-1]) if speeds else ()):
        size, speed = memory(found.working_set_bytes), found.gigabytes_per_second
        limits.append(bench_plots.Roof(f"{size}: {speed:.0f} GB/s", gigabytes_per_second=speed))
    return bench_plots.roofs(rows, limits, "Roofline", width)


def size_against_accuracy(record: BenchRecord, width: int) -> str:
    """The peers and ours, by bytes."""
    points = [
        plots.Point(p.name, peer_colour(p), p.shipped_bytes / 1e6, p.accuracy)
        for p in record.peers
        if p.shipped_bytes and p.accuracy is not None
    ]
    x_title = "MB shipped (logarithmic)"
    return plots.scatter(points, "Size against accuracy", x_title, "accuracy", width) if points else ""


def latency_against_accuracy(record: BenchRecord, width: int) -> str:
    """The peers and ours, by time."""
    points = [
        plots.Point(
            label=p.name,
            colour=peer_colour(p),
            x=p.text_to_label.p50_ms.value,
            y=p.accuracy,
            tip=f"{p.name}: {share(p.accuracy)} in {milliseconds(p.text_to_label.p50_ms)}",
        )
        for p in record.peers
        if p.text_to_label and p.accuracy is not None
    ]
    x_title = "ms from text to label, p50 (logarithmic)"
    return plots.scatter(points, "Latency against accuracy", x_title, "accuracy", width) if points else ""


def longest(artifact: Timed) -> Roofline | None:
    """The roofline of the longest inputs, which is what the plots show."""
    return max(artifact.roofline, key=lambda roofline: roofline.length, default=None)


def kinds_of(record: BenchRecord) -> list[str]:
    """The kinds of operators that the profiles name, in the order of a stack."""
    seen = {
        _kind(operator.kind)
        for artifact in record.artifacts
        if (roofline := longest(artifact))
        for operator in roofline.operators
        if operator.measured_us
    }
    return [kind for kind in KINDS if kind in seen]


def runtime_colour(artifact: Timed) -> str:
    """The class of the style sheet for a runtime; a record from elsewhere may name any."""
    return artifact.runtime if artifact.runtime in RUNTIMES else "other"


def peer_colour(peer: PeerResult) -> str:
    """The class of the style sheet that tells ours from the others."""
    return "ours" if peer.ours else "baseline"


def _dash(artifact: Timed, others: Sequence[Timed]) -> str:
    """Lines of one runtime share its colour; the second, third and fourth are told apart by their dashes."""
    alike = [o.name for o in others if o.runtime == artifact.runtime and (o.lengths or o.throughput)]
    return ("", "dashed", "dotted", "mixed")[min(alike.index(artifact.name), 3)]


def _kind(kind: str) -> str:
    return kind if kind in KINDS else "other"
