"""`edgewright data`: the sets, where they come from, what is in them."""

import json
from pathlib import Path
from typing import Annotated

import typer

from edgewright import cli_output as show
from edgewright.cli_options import Json, OutOption

app = typer.Typer(help="Data sets: what there is, where it comes from, what is in it.", no_args_is_help=True)


@app.command("list")
def data_list(as_json: Json = False) -> None:
    """All sources, with licence and tier, and whether each is here."""
    from edgewright.pipeline import data_commands

    show.rows(
        data_commands.list_sources(),
        as_json,
        lambda s: f"{s['name']:<26} {s['tier']:<9} {'here' if s['here'] else '-':<5} {s['title']}",
    )


@app.command("get")
def data_get(
    name: str,
    from_folder: Annotated[Path | None, typer.Option("--from", help="take the files from this folder")] = None,
    as_json: Json = False,
) -> None:
    """Fill the cache with a set, from a folder or from the set's origin (the one command that uses the network)."""
    from edgewright.pipeline import data_commands

    show.rows([data_commands.get(name, from_folder)], as_json, lambda a: f"{a['name']}: {a['folder']}", single=True)


@app.command("prepare")
def data_prepare(
    name: str,
    out: OutOption,
    count: Annotated[int | None, typer.Option("--count", help="how many rows, for generated sources")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="for generated sources")] = None,
    as_json: Json = False,
) -> None:
    """Write a source's splits as .jsonl.gz, with a card that says where they come from."""
    from edgewright.pipeline import data_commands

    show.rows([data_commands.prepare(name, out, count, seed)], as_json, lambda a: json.dumps(a, indent=1), single=True)


@app.command("stats")
def data_stats(
    name: str,
    count: Annotated[int | None, typer.Option("--count", help="how many rows, for generated sources")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="for generated sources")] = None,
    label: Annotated[str | None, typer.Option("--label", help="the field to count, for sources with several")] = None,
    as_json: Json = False,
) -> None:
    """Rows, labels, lengths, languages, duplicates, and near-duplicates between splits."""
    from edgewright.pipeline import data_commands

    show.rows([data_commands.stats(name, count, seed, label)], as_json, lambda a: json.dumps(a, indent=1), single=True)
