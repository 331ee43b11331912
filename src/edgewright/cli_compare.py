"""The command that opens a bundle's files and compares what they store: `compare-weights`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from edgewright import cli_output as show
from edgewright.cli_options import BundleArgument, Json, exit_with, new_reporter

app = typer.Typer()


@app.command("compare-weights")
def compare_weights(
    bundle: BundleArgument,
    data: Annotated[
        Path | None, typer.Option("--data", help="labelled rows (.jsonl or .jsonl.gz) on which labels are compared")
    ] = None,
    min_agreement: Annotated[
        float, typer.Option("--min-agreement", help="with --data: the least share of rows with one label in all files")
    ] = 0.995,
    as_json: Json = False,
) -> None:
    """Read the weights back out of each file of a bundle and compare them, integer by integer.

    Exit code 0 says that every weight which the numerics names has equal integers and equal scales in all files.
    """
    from edgewright.pipeline import compare_commands
    from edgewright.runtimes.bundle import find

    compared = compare_commands.compare_weights(find(bundle), data, new_reporter(), min_agreement)
    if as_json:
        print(json.dumps(compared.to_json(), ensure_ascii=False, allow_nan=False))
    else:
        show.tables(compared.tables())
        for line in compared.lines:
            print(line)
    exit_with(0 if compared.equal else 1)
