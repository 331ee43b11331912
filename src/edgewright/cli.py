"""The command line: parse, call one function, print. Libraries load when a command needs them."""

import json
import logging
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import edgewright
from edgewright import cli_bench, cli_compare, cli_data, cli_search
from edgewright import cli_output as show
from edgewright.cli_options import (
    BUILD,
    AllowInconclusive,
    BuildOption,
    BundleArgument,
    EffortOption,
    Json,
    OutOption,
    RecipeArgument,
    RuntimeOption,
    TextArgument,
    exit_code,
    exit_with,
    new_reporter,
    prepared_run,
)
from edgewright.errors import EdgewrightError

app = typer.Typer(
    help="Small text models for phones: train, compress, export, verify, time and ship.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
demo_app = typer.Typer(help="Models at work, without data or training.", no_args_is_help=True)
app.add_typer(demo_app, name="demo")
app.add_typer(cli_data.app, name="data")
app.add_typer(cli_bench.app)
app.add_typer(cli_compare.app)
app.add_typer(cli_search.app)


@app.command()
def run(
    recipe: RecipeArgument,
    out: OutOption = Path("out"),
    effort: EffortOption = "quick",
    build: BuildOption = BUILD,
    start: Annotated[
        str | None, typer.Option("--from", metavar="STAGE", help="make this stage anew, and all after")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="say what would be made and why, and stop")] = False,
    ablate: Annotated[
        bool, typer.Option("--ablate", help="also export, verify and time what each step before the last gave")
    ] = False,
    allow_inconclusive: AllowInconclusive = False,
    as_json: Json = False,
) -> None:
    """Train, export, verify, time and judge everything that a recipe names; write the bundle and the report."""
    prepared, reporter = prepared_run(recipe, effort, build, ablate)
    from edgewright.benchmarks import record as records
    from edgewright.benchmarks.reports import run_report, steps
    from edgewright.pipeline import run as runs

    if plan:
        rows = [
            {"stage": step.stage.title, "cached": step.cached, "reason": step.reason}
            for step in prepared.plan.graph.plan(start)
        ]
        show.rows(
            rows, as_json, lambda row: f"{'reuse' if row['cached'] else 'make '}  {row['stage']}  ({row['reason']})"
        )
        return
    record = runs.run(prepared, out, start, reporter)
    if as_json:
        print(json.dumps(records.to_json(record), ensure_ascii=False, allow_nan=False))
    else:
        show.tables([run_report.console(record), *steps.console(record)])
        for line in run_report.lines(record):
            print(line)
        print(f"bundle: {run_report.bundle(record)}\nreport: {record.report}")
    exit_with(exit_code(record.verdict, allow_inconclusive))


@app.command()
def train(
    recipe: RecipeArgument,
    out: OutOption = Path("out"),
    effort: EffortOption = "quick",
    build: BuildOption = BUILD,
    as_json: Json = False,
) -> None:
    """Train a recipe's model, one for each seed, and write the best one's weights and tokenizer.

    On several processes: torchrun --nproc-per-node 2 -m edgewright train RECIPE
    """
    prepared, reporter = prepared_run(recipe, effort, build)
    from edgewright.pipeline import commands

    answer = commands.train(prepared, out, reporter)
    if prepared.plan.graph.follower:
        return
    show.rows([answer], as_json, lambda a: "\n".join(f"{key}: {value}" for key, value in a.items()), single=True)


@app.command()
def export(
    recipe: RecipeArgument,
    out: OutOption = Path("out"),
    effort: EffortOption = "quick",
    build: BuildOption = BUILD,
    as_json: Json = False,
) -> None:
    """Write every artifact that a recipe names, without verifying or timing them."""
    prepared, reporter = prepared_run(recipe, effort, build)
    from edgewright.pipeline import commands

    rows = commands.export(prepared, out, reporter)
    show.rows(
        rows, as_json, lambda a: f"{a['target']:<11} {a['numerics']:<22} {a['size_bytes']:>9,} bytes  {a['file']}"
    )


@app.command()
def verify(bundle: BundleArgument, as_json: Json = False) -> None:
    """Replay a bundle from its files alone: checksums, tokenizer, golden vectors, padding."""
    from edgewright.benchmarks import verify as checks
    from edgewright.runtimes.bundle import find

    found = [asdict(check) for check in checks.verify(find(bundle))]
    show.rows(found, as_json, show.check_line)
    exit_with(1 if any(check["verdict"] == "fail" for check in found) else 0)


@app.command()
def evaluate(
    bundle: BundleArgument,
    data: Annotated[Path, typer.Option("--data", help="labelled rows: .jsonl or .jsonl.gz")],
    runtime: RuntimeOption = "all",
    as_json: Json = False,
) -> None:
    """Measure a bundle's artifacts on labelled rows."""
    from edgewright.pipeline import bundle_data
    from edgewright.runtimes.bundle import find

    rows = bundle_data.evaluate(find(bundle), data, runtime, new_reporter())
    show.rows(rows, as_json, show.evaluation_line)


@app.command()
def predict(
    bundle: BundleArgument,
    text: TextArgument = None,
    file: Annotated[Path | None, typer.Option("--file", help="read its lines, as else those of stdin")] = None,
    runtime: Annotated[str | None, typer.Option("--runtime", help="by default the fastest that is installed")] = None,
    numerics: Annotated[str | None, typer.Option("--numerics", help="by default the smallest artifact")] = None,
    as_json: Json = False,
) -> None:
    """The label of a text, or its entities; from stdin, one JSON object a line for one text a line.

    Of a bundle that reads a log: how anomalous each line is. Of one that reads characters: how many bits each takes,
    and after a TEXT what may come next.
    """
    from edgewright.pipeline import predict_commands

    for answer in predict_commands.predict(bundle, text, file, runtime, numerics):
        if as_json or (text is None and show.is_prediction(answer)):
            print(json.dumps(show.prediction(answer), ensure_ascii=False), flush=True)
        else:
            print(show.prediction_lines(answer), flush=True)


@app.command()
def generate(
    bundle: BundleArgument,
    message: Annotated[str, typer.Argument(metavar="MESSAGE", help="what the reply answers")],
    context: Annotated[
        list[str] | None, typer.Option("--context", help="what was said before; several, the oldest first")
    ] = None,
    max_length: Annotated[int | None, typer.Option("--max-length", help="most tokens; else the model's most")] = None,
    temperature: Annotated[float, typer.Option("--temperature", help="0: always the best token")] = 0.0,
    top_k: Annotated[int, typer.Option("--top-k", help="draw from so many best tokens; 0: from all")] = 0,
    top_p: Annotated[float, typer.Option("--top-p", help="draw from the best that sum to it; 0: from all")] = 0.0,
    beams: Annotated[int, typer.Option("--beams", help="keep so many answers and take the best")] = 1,
    repetition_penalty: Annotated[float, typer.Option("--repetition-penalty", help="above 1: repeat less")] = 1.0,
    seed: Annotated[int | None, typer.Option("--seed", help="what is drawn; else other replies each time")] = None,
    runtime: Annotated[str | None, typer.Option("--runtime", help="by default the fastest that is installed")] = None,
    numerics: Annotated[str | None, typer.Option("--numerics", help="by default the smallest artifact")] = None,
    as_json: Json = False,
) -> None:
    """A reply to a message, from a bundle that writes replies; or what follows it, from one that writes text."""
    from edgewright.data.sampling import Sampling
    from edgewright.pipeline import generate_commands

    sampling = Sampling(temperature, top_k, top_p, repetition_penalty)  # a wrong setting is told before the work
    reply = generate_commands.generate(bundle, message, context, max_length, sampling, beams, seed, runtime, numerics)
    show.rows([reply], as_json, lambda answer: answer["text"], single=True)


@demo_app.command("hybrid")
def demo_hybrid(
    size: Annotated[str, typer.Option("--size", help="small or full")] = "small",
    seed: Annotated[int, typer.Option("--seed", help="of the weights and of what is drawn")] = 0,
    as_json: Json = False,
) -> None:
    """Initialise the hybrid RNN-Transformer, write in four ways, run a forward pass, and say how fast it is."""
    from edgewright.pipeline import generate_commands

    answer = generate_commands.demo_hybrid(size, seed)
    show.rows([answer], as_json, lambda said: "\n".join(generate_commands.demo_lines(said)), single=True)


@app.command()
def report(
    record: Annotated[Path, typer.Argument(metavar="RECORD", help="a record.json, search.json, …, or its folder")],
    out: Annotated[Path | None, typer.Option("--out", help="write HTML (.html) or Markdown (.md) there")] = None,
    as_json: Json = False,
) -> None:
    """Show the record of an earlier run again: as a table, as Markdown, or as HTML (without texts)."""
    from edgewright.pipeline import report_commands

    shown = report_commands.report(record, out)
    if as_json:
        print(json.dumps(shown.record, ensure_ascii=False))
    elif out is None:
        show.tables(shown.tables)
        for line in shown.lines:
            print(line)
    else:
        print(out)


@app.command()
def bisect(
    recipe: RecipeArgument,
    target: Annotated[str, typer.Option("--target", help="executorch, litert, coreml or onnx")],
    numerics: Annotated[str, typer.Option("--numerics")] = "fp32",
    effort: EffortOption = "quick",
    build: BuildOption = BUILD,
    as_json: Json = False,
) -> None:
    """Say at which step an artifact stops giving PyTorch's answers: eager, grid, graph, lowered, runtime."""
    prepared, reporter = prepared_run(recipe, effort, build)
    from edgewright.pipeline import commands

    rows = commands.bisect(prepared, target, numerics, reporter)
    show.rows(
        rows, as_json, lambda r: f"{r['step']:<22} {show.number(r['max_abs_logit_error'], '.3g'):>9}  {r['note']}"
    )
    exit_with(1 if any(row["verdict"] == "fail" for row in rows) else 0)


@app.command()
def sensitivity(
    recipe: RecipeArgument,
    max_drop: Annotated[
        float, typer.Option("--max-drop", help="points of validation accuracy that the bits may cost")
    ] = 0.5,
    step: Annotated[
        str | None,
        typer.Option("--step", help="train, distill, prune or qat: whose model; by default the last before qat"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="folder for sensitivity.json, sensitivity.md and sensitivity.html")
    ] = None,
    effort: EffortOption = "quick",
    build: BuildOption = BUILD,
    as_json: Json = False,
) -> None:
    """Say which layer at how many bits costs how much, and the [quantize] table that saves most bytes."""
    prepared, reporter = prepared_run(recipe, effort, build, ablate=True)  # a plan with every step
    from edgewright.benchmarks import sensitivity_record
    from edgewright.benchmarks.reports import sensitivity_report
    from edgewright.pipeline import sensitivity_commands

    record = sensitivity_commands.measure(prepared, max_drop, step, out, reporter)
    if as_json:
        print(json.dumps(sensitivity_record.to_json(record), ensure_ascii=False, allow_nan=False))
        return
    show.tables(sensitivity_report.console(record))
    print(f"\n{sensitivity_report.sentence(record)}\n\n{sensitivity_report.toml(record)}", end="")


@app.command()
def models(as_json: Json = False) -> None:
    """The model families, and the formats that each can be exported to."""
    from edgewright.pipeline import commands

    show.rows(
        commands.models(),
        as_json,
        lambda m: f"{m['name']:<14} {m['parameters']:>9,} parameters  {', '.join(m['formats'])}",
    )


@app.command()
def doctor(as_json: Json = False) -> None:
    """What works here: the installed targets, and the table of numerics."""
    from edgewright.pipeline import commands

    answer = commands.doctor()
    if as_json:
        print(json.dumps(answer, ensure_ascii=False))
        return
    for line in commands.doctor_lines(answer):
        print(line)


def main() -> None:
    """Run the command; an explained failure is one line on stderr and its exit code."""
    _silence_libraries()
    try:
        app()
    except EdgewrightError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _fail(f"{place}{error.strerror or error}", EdgewrightError.exit_code)


def _silence_libraries() -> None:
    """Deprecations and missing optional kernels of the libraries are no news for a user; -W shows them."""
    logging.basicConfig(level=logging.ERROR)
    for name in ("torchao", "torch.utils._pytree"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def _version(asked: bool) -> None:
    if asked:
        print(edgewright.__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    pass


def _fail(message: str, code: int) -> None:
    print(f"edgewright: {message}", file=sys.stderr)
    sys.exit(code)
