"""The commands that measure: `bench`, `compare`, `peers`, `families`."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from edgewright import cli_output as show
from edgewright.cli_options import (
    BUILD,
    AllowInconclusive,
    BuildOption,
    BundleArgument,
    EffortOption,
    Json,
    MaxRatio,
    MinDelta,
    OutOption,
    RecipeArgument,
    RuntimeOption,
    effort_of,
    judge,
    new_reporter,
    prepared_run,
)

app = typer.Typer()


@app.command()
def bench(
    bundle: BundleArgument,
    data: Annotated[
        Path | None, typer.Option("--data", help="rows whose texts are timed; else the golden texts")
    ] = None,
    runtime: RuntimeOption = "all",
    threads: Annotated[
        str | None, typer.Option("--threads", help="one number or several; by default 1, with --full 1,2,4")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="also threads, batches 1 to 64, roofline, energy")] = False,
    effort: EffortOption = "quick",
    out: Annotated[
        Path | None, typer.Option("--out", help="folder for bench.json, .md, .html and every sample (samples.npz)")
    ] = None,
    against: Annotated[Path | None, typer.Option("--against", help="the bench.json to be judged by")] = None,
    max_ratio: MaxRatio = 1.10,
    min_delta_us: MinDelta = 2.0,
    allow_inconclusive: AllowInconclusive = False,
    as_json: Json = False,
) -> None:
    """Time the artifacts of a bundle, and judge them by an earlier record: exit code 1 says that one got slower."""
    from edgewright.benchmarks import bench_record, compare
    from edgewright.pipeline import bench_commands
    from edgewright.runtimes.bundle import find

    # what is wrong is told before the work, and before PyTorch is there
    base = bench_commands.read(against) if against else None
    counts = bench_commands.thread_counts(threads) if threads is not None else None
    samples = bench_commands.make_folder(out) / "samples.npz" if out else None
    path, chosen = find(bundle), effort_of(effort)
    from edgewright.benchmarks.reports import bench_report
    from edgewright.pipeline import bundle_bench

    wanted = bundle_bench.FULL if full else bundle_bench.Wanted()
    wanted = wanted if counts is None else replace(wanted, threads=counts)
    record = bundle_bench.bench(path, data, runtime, wanted, chosen, samples, new_reporter())
    if out:
        bench_commands.write(record, out)
    if as_json:
        print(json.dumps(bench_record.to_json(record), ensure_ascii=False, allow_nan=False))
    else:
        show.tables(bench_report.console(record))
    if base is not None:
        judge(compare.compare(base, record, max_ratio, min_delta_us), out, allow_inconclusive, as_json)


@app.command()
def compare(
    base: Annotated[Path, typer.Argument(metavar="BASE", help="the earlier bench.json")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="the later bench.json")],
    max_ratio: MaxRatio = 1.10,
    min_delta_us: MinDelta = 2.0,
    out: Annotated[Path | None, typer.Option("--out", help="folder for compare.json, .md and .html")] = None,
    allow_inconclusive: AllowInconclusive = False,
    as_json: Json = False,
) -> None:
    """Compare two records of `bench` or of `peers`, and judge the later one by the earlier one."""
    from edgewright.benchmarks import compare as comparisons
    from edgewright.pipeline import bench_commands

    first, second = bench_commands.read(base), bench_commands.read(new)
    compared = comparisons.compare(first, second, max_ratio, min_delta_us)
    if as_json:
        print(json.dumps(bench_commands.comparison_json(compared), ensure_ascii=False, allow_nan=False))
    judge(compared, out, allow_inconclusive, as_json)


@app.command()
def peers(
    recipe: RecipeArgument,
    out: OutOption = Path("out"),
    effort: EffortOption = "quick",
    build: BuildOption = BUILD,
    as_json: Json = False,
) -> None:
    """Time a recipe's int8 artifacts and what one would use instead in one run, on the same rows: needs [peers]."""
    prepared, reporter = prepared_run(recipe, effort, build)
    from edgewright.benchmarks import bench_record
    from edgewright.benchmarks.reports import bench_report
    from edgewright.pipeline import bench_commands, peer_bench

    record = peer_bench.run(prepared, bench_commands.make_folder(out), reporter)
    bench_commands.write(record, out)
    if as_json:
        print(json.dumps(bench_record.to_json(record), ensure_ascii=False, allow_nan=False))
    else:
        show.tables(bench_report.console(record))


@app.command()
def families(
    names: Annotated[list[str] | None, typer.Argument(metavar="[FAMILY]...", help="by default all")] = None,
    targets: Annotated[list[str] | None, typer.Option("--target", help="by default all; may be repeated")] = None,
    out: OutOption = Path("out") / "families",
    effort: EffortOption = "quick",
    build: BuildOption = BUILD,
    as_json: Json = False,
) -> None:
    """Export every family at its reference size to every format, compare each file with PyTorch, and time it."""
    from edgewright.pipeline import family_commands

    record = family_commands.measure(names or [], targets or [], effort_of(effort), build, out, new_reporter())
    if as_json:
        print(json.dumps(family_commands.to_json(record), ensure_ascii=False, allow_nan=False))
        return
    for line in family_commands.lines(record):
        print(line)
    print(out / "families.md")
