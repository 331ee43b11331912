"""What the commands share: arguments and options, and how a recipe, an effort and a verdict are read."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from edgewright import cli_output as show
from edgewright.errors import UsageError

RecipeArgument = Annotated[str, typer.Argument(metavar="RECIPE", help="a .toml file, or the name of a packaged recipe")]
BundleArgument = Annotated[str, typer.Argument(metavar="BUNDLE", help="a folder, or the name of a zoo bundle")]
Json = Annotated[bool, typer.Option("--json", help="print JSON on stdout")]
EffortOption = Annotated[str, typer.Option("--effort", help="rapid, quick or normal")]
BuildOption = Annotated[Path, typer.Option("--build", help="where the results of stages are kept")]
OutOption = Annotated[Path, typer.Option("--out", help="where the result is written")]
RuntimeOption = Annotated[str, typer.Option("--runtime", help="all, executorch, litert, coreml or onnx")]
TextArgument = Annotated[str | None, typer.Argument(metavar="[TEXT]", help="without it, one text a line from stdin")]
MaxRatio = Annotated[float, typer.Option("--max-ratio", min=1.0, help="allowed: so many times as slow")]
MinDelta = Annotated[float, typer.Option("--min-delta-us", min=0.0, help="a smaller change in µs is no regression")]
AllowInconclusive = Annotated[bool, typer.Option("--allow-inconclusive", help="exit 0 where it was too noisy")]
BUILD = Path("build")


def prepared_run(recipe: str, effort: str, build: Path, ablate: bool = False) -> tuple[Any, Any]:
    from edgewright.pipeline import recipe as recipes

    found, chosen, reporter = recipes.read(recipes.find(recipe)), effort_of(effort), new_reporter()
    # only now, and so are the imports of the commands: a mistyped name need not wait for PyTorch
    from edgewright.pipeline import run as runs

    return runs.prepare(found, chosen, build, reporter, ablate), reporter


def effort_of(value: str) -> Any:
    from edgewright.pipeline.recipe import EFFORTS

    if value not in EFFORTS:
        raise UsageError(f"--effort: '{value}' is none of {', '.join(EFFORTS)}")
    return value


def new_reporter() -> Any:
    from edgewright.pipeline.progress import Reporter

    # of several processes that torchrun started, the first one speaks
    return Reporter(quiet=os.environ.get("RANK", "0") != "0")


def judge(compared: Any, out: Path | None, allow_inconclusive: bool, as_json: bool) -> None:
    """Keep the comparison under `out`, print it unless stdout is for JSON, and end with its exit code."""
    from edgewright.benchmarks.reports import compare_report
    from edgewright.pipeline import bench_commands

    if out:
        bench_commands.write_comparison(compared, out)
    if not as_json:
        show.tables(compare_report.console(compared))
        for note in compared.notes:
            print(note)
        print(f"verdict: {compared.verdict}")
    elif compared.verdict != "pass":
        print(f"edgewright: verdict against the base: {compared.verdict}", file=sys.stderr)
    exit_with(exit_code(compared.verdict, allow_inconclusive))


def exit_code(verdict: str, allow_inconclusive: bool) -> int:
    return {"pass": 0, "fail": 1, "inconclusive": 0 if allow_inconclusive else 4}[verdict]


def exit_with(code: int) -> None:
    if code:
        raise typer.Exit(code)
