"""The command that looks for the best model within a budget: `search`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from edgewright import cli_output as show
from edgewright.cli_options import (
    BUILD,
    BuildOption,
    EffortOption,
    Json,
    OutOption,
    RecipeArgument,
    effort_of,
    exit_with,
    new_reporter,
)

app = typer.Typer()


@app.command()
def search(
    recipe: RecipeArgument,
    max_ms: Annotated[
        float | None, typer.Option("--max-ms", help="text to label, p50, upper bound of its interval")
    ] = None,
    max_bytes: Annotated[str | None, typer.Option("--max-bytes", help="artifact + tokenizer + labels: 500_000")] = None,
    trials: Annotated[int, typer.Option("--trials", help="how many in all; a later call may ask for more")] = 40,
    workers: Annotated[
        int | None, typer.Option("--workers", help="trials at a time; by default 1, on a cluster all it trains")
    ] = None,
    ray: Annotated[
        str | None, typer.Option("--ray", metavar="ADDRESS", help="work on this Ray cluster: needs [ray]")
    ] = None,
    targets: Annotated[
        list[str] | None, typer.Option("--target", help="by default all that are timed here; may be repeated")
    ] = None,
    out: OutOption = Path("out"),
    effort: EffortOption = "quick",
    build: BuildOption = BUILD,
    as_json: Json = False,
) -> None:
    """Find the most accurate model within a budget of time and size, and write its recipe: needs [search].

    A second call with the same arguments goes on where the first one ended. Exit code 1: nothing fits.
    """
    from edgewright.benchmarks import search_record
    from edgewright.benchmarks.reports import search_report
    from edgewright.pipeline import search_commands

    asked = search_commands.Asked(
        recipe, max_ms, max_bytes, trials, workers, ray, targets or [], effort_of(effort), build, out
    )
    record = search_commands.search(asked, new_reporter())
    if as_json:
        print(json.dumps(search_record.to_json(record), ensure_ascii=False, allow_nan=False))
    else:
        show.tables(search_report.console(record))
        print(f"\n{search_report.sentence(record)}")
        if record.found is not None:
            print(f"recipe: {out / record.found}")
        print(f"report: {out / 'search.html'}")
    exit_with(0 if record.chosen is not None else 1)
