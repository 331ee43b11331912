"""A whole run: plan, make what is missing, judge every cell, write the bundle, the record and the report."""

import dataclasses
import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewright.benchmarks.machine import fingerprint
from edgewright.benchmarks.record import (
    Baseline,
    Cell,
    DataSet,
    GateResult,
    Interval,
    RunRecord,
    SetResult,
    Timing,
    to_json,
)
from edgewright.benchmarks.reports import run_report
from edgewright.compress.numerics import SUPPORT, Numerics, Target
from edgewright.data import sources
from edgewright.data.files import read_json, write_json, write_text
from edgewright.data.tasks import TASKS, Task
from edgewright.errors import DataError
from edgewright.export import bundle as bundles
from edgewright.models import checkpoint, parameters
from edgewright.pipeline import (
    ablation,
    compression,
    examples,
    gates,
    makers,
    one_model,
    stages,
    tables,
    timing,
    zeros,
)
from edgewright.pipeline import cells as cell_stages
from edgewright.pipeline.extras import require_extras
from edgewright.pipeline.graph import Step
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.recipe import Effort, Recipe
from edgewright.pipeline.stages import Plan

CORE_ML_RUNTIME = "MIL reference interpreter (not Apple's runtime)"


@dataclass(frozen=True)
class Prepared:
    """A recipe at one effort, checked, with its stages."""

    recipe: Recipe
    task: Task
    effort: Effort
    plan: Plan
    absent: tuple[str, ...]  # test-only sets of the recipe that are not on this machine


def prepare(recipe: Recipe, effort: Effort, build: Path, reporter: Reporter, ablate: bool = False) -> Prepared:
    """Check everything that can be checked before work is done.

    ablate: also export, verify and time the models of the steps before the last.

    Raises:
        UsageError: the recipe. MissingExtraError: a target's libraries. DataError: the data is not there.
    """
    chosen = recipe.for_effort(effort)
    task = chosen.task_with_gates()
    makers.MAKERS[task.kind].check(chosen)
    require_extras({target for target, numerics in chosen.export.cells() if SUPPORT[numerics, target].supported})
    here = tuple(name for name in chosen.also_evaluate if _is_here(name))
    absent = tuple(name for name in chosen.also_evaluate if name not in here)
    chosen = dataclasses.replace(chosen, also_evaluate=here)
    return Prepared(chosen, task, effort, stages.build(chosen, task, effort, build, reporter, ablate), absent)


def _is_here(name: str) -> bool:
    try:
        sources.locate(sources.find(name))
    except DataError:
        return False
    return True


def run(prepared: Prepared, out: Path, start: str | None, reporter: Reporter) -> RunRecord:
    """Make every missing stage, then write `out`/record.json, report.md, report.html and bundle/."""

    def told(step: Step) -> None:
        reporter.say(f"{'reuse' if step.cached else 'make '} {step.stage.title}  ({step.reason})")

    prepared.plan.graph.run(start, told)
    record = assemble(prepared)
    path = out / "bundle"
    shipped = _write_bundle(prepared, record, path)
    record = dataclasses.replace(
        record,
        bundle=str(path) if shipped else None,
        report=str(out / "report.html"),
        golden=_golden_sets(prepared, shipped),
    )
    write_json(out / "record.json", to_json(record))
    write_text(out / "report.md", run_report.markdown(record))
    plan = prepared.plan
    folders = {cell: plan.graph.folder(stage) for cell, stage in plan.checks.items()}
    shown = _key(shipped[0]) if shipped else next(iter(folders))
    details = makers.MAKERS[prepared.task.kind].details(
        prepared.recipe, prepared.task, prepared.effort, plan.learnt(), folders, shown
    )
    write_text(out / "report.html", run_report.html(record, details))
    return record


def assemble(prepared: Prepared) -> RunRecord:
    """The record of a run whose stages are all made; bundle and report are not written yet."""
    recipe, task, plan = prepared.recipe, prepared.task, prepared.plan
    learnt = plan.learnt()
    timings = timing.read_timings(plan.graph.folder(plan.timings))
    data = read_json(learnt.data / "data.json")
    pytorch = makers.MAKERS[task.kind].pytorch(recipe, task, prepared.effort, learnt, timings)
    others = timing.linear_baselines(plan.graph.folder(plan.baselines), timings)
    found = ablation.judged(
        [_cell(prepared, target, numerics, timings, pytorch, others) for target, numerics in recipe.export.cells()]
    )
    made = ablation.steps(plan)
    compared = ablation.paired(recipe, task, prepared.effort, plan)
    last = list(plan.branches)[-1]
    source = sources.find(task.source)
    model = checkpoint.load_model(learnt.reference / "model.safetensors")
    return RunRecord(
        recipe=recipe.name,
        task=task.name,
        verdict=gates.overall(cell.verdict for cell in found),
        bundle=None,
        report=None,
        cells=tuple(found),
        baselines=(pytorch, *others),
        description=recipe.description,
        effort=prepared.effort,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        seeds=recipe.seeds,
        model={
            "family": tables.family_of(recipe),
            "parameters": parameters(model),
            "config": dataclasses.asdict(model.config),  # type: ignore[call-overload]  # a module attribute
            "tokenizer": recipe.tokenizer,
            "temperature": learnt.figures().get("temperature"),
            "threshold": learnt.figures().get("threshold"),
        },
        data=DataSet(
            name=source.name,
            origin=source.origin,
            licence=source.licence,
            tier=source.tier,
            fingerprint=data["fingerprint"],
            rows=data["rows"],
            generated=source.generated,
            redistributable=source.redistributable,
        ),
        machine=fingerprint(),
        notes=_notes(prepared, data),
        kind=task.kind,
        steps=made,
        paired=compared,
        one_model=one_model.compare(recipe, task, prepared.effort, plan),
        hurts=ablation.hurts(found, made, compared, zeros.zeros_of(recipe, plan)),
        recommended=ablation.recommended(last, found, made, compared, recipe.export.ship),
    )


def _cell(
    prepared: Prepared,
    target: Target,
    numerics: Numerics,
    timings: dict[str, Any],
    pytorch: Baseline,
    others: Sequence[Baseline],
) -> Cell:
    support = SUPPORT[numerics, target]
    if not support.supported:
        return Cell(target, numerics, "unsupported", reason=support.note)
    plan = prepared.plan
    learnt = plan.learnt()
    artifact = cell_stages.read_artifact(plan.graph.folder(plan.exports[target, numerics]), target).artifact
    checked = read_json(plan.graph.folder(plan.checks[target, numerics]) / "verify.json")
    timed = timings["cells"].get(f"{target} {numerics}")
    shipped = bundles.shipped_bytes(
        artifact.size_bytes, bundles.tokenizer_bytes(learnt.tokenizer / "tokenizer.json"), learnt.labels()
    )
    results = gates.judge(
        prepared.task.targets,
        numerics,
        accuracy=checked["accuracy"],
        macro_f1=checked["macro_f1"],
        span_f1=checked["span_f1"],
        metrics=checked["metrics"],
        reference=pytorch,
        others=others,
        label_agreement=checked["label_agreement"],
        shipped_bytes=shipped,
        p50_ms=_interval(timed, "p50_ms"),
        text_to_label_p50_ms=_interval(timed, "text_to_label_p50_ms"),
        timed_here=timed is not None,
    )
    results += [GateResult(**gate) for gate in checked["gates"]]
    moved = gates.loosened(prepared.task.targets, TASKS[prepared.task.name].targets)
    results = [dataclasses.replace(gate, loosened=moved.get(gate.name)) for gate in results]
    verdict = gates.overall(gate.verdict for gate in results)
    return Cell(
        target=target,
        numerics=numerics,
        verdict=verdict,
        reason=gates.reason(results),
        size_bytes=artifact.size_bytes,
        shipped_bytes=shipped,
        accuracy=checked["accuracy"],
        macro_f1=checked["macro_f1"],
        span_f1=checked["span_f1"],
        metrics=checked["metrics"]
        | {"mean_abs_logit_error": checked["mean_abs_logit_error"]}
        | (timed.get("metrics", {}) if timed else {}),
        label_agreement=checked["label_agreement"],
        max_abs_logit_error=checked["max_abs_logit_error"],
        p50_ms=_interval(timed, "p50_ms"),
        normalised_p50=_interval(timed, "normalised_p50"),
        p90_ms=_interval(timed, "p90_ms"),
        p99_ms=_interval(timed, "p99_ms"),
        load_ms=_interval(timed, "load_ms"),
        peak_memory_bytes=timed["peak_memory_bytes"] if timed else None,
        runtime=CORE_ML_RUNTIME if target == "coreml" else target,
        gates=tuple(results),
        text_to_label_p50_ms=_interval(timed, "text_to_label_p50_ms"),
        encode_p50_ms=_interval(timed, "encode_p50_ms"),
        empty_call_ms=_interval(timed, "empty_call_ms"),
        timing=Timing(**timed["timing"]) if timed else None,
        float_share=artifact.float_share,
        delegated=artifact.delegated,
        left_over=artifact.left_over,
        worst_rows=tuple(checked["worst_rows"]),
    )


def shipped_cells(recipe: Recipe, record: RunRecord) -> list[Cell]:
    """One cell a target: the one that the recipe names, else the smallest that passes; none that fails.

    One that is slower than float32 ships only where the recipe names it or no other passes.
    """
    chosen = []
    for target in recipe.export.targets:
        fit = [cell for cell in record.cells if cell.target == target and cell.verdict in ("pass", "inconclusive")]
        named = recipe.export.ship.get(target)
        fit = [cell for cell in fit if named in (None, cell.numerics)]
        # a cell that passes goes before one that is only inconclusive
        fit.sort(key=lambda cell: (cell.verdict != "pass", cell.hurts is not None, cell.shipped_bytes or 0))
        chosen += fit[:1]
    return chosen


def _write_bundle(prepared: Prepared, record: RunRecord, path: Path) -> list[Cell]:
    """The cells that went into the bundle; no bundle is written where none may ship."""
    shipped = shipped_cells(prepared.recipe, record)
    if not shipped:
        return []
    plan, learnt = prepared.plan, prepared.plan.learnt()
    parts = [cell_stages.read_artifact(plan.graph.folder(plan.exports[_key(cell)]), _key(cell)[0]) for cell in shipped]
    judged = [
        {"target": cell.target, "numerics": cell.numerics, **dataclasses.asdict(gate)}
        for cell in shipped
        for gate in cell.gates
    ]
    measured = [
        {
            "target": cell.target,
            "numerics": cell.numerics,
            "runtime": cell.runtime,
            "accuracy": cell.accuracy,
            "macro_f1": cell.macro_f1,
            "span_f1": cell.span_f1,
            "label_agreement": cell.label_agreement,
            "shipped_bytes": cell.shipped_bytes,
            "p50_ms": dataclasses.asdict(cell.p50_ms) if cell.p50_ms else None,
        }
        for cell in shipped
    ]
    content = makers.MAKERS[prepared.task.kind].content(prepared.recipe, prepared.task, learnt, parts, judged, measured)
    bundles.write(content, path)
    return shipped


def _golden_sets(prepared: Prepared, shipped: list[Cell]) -> tuple[SetResult, ...]:
    plan = prepared.plan
    results = []
    for cell in shipped:
        for found in _checked(plan, cell)["golden_sets"]:
            note = sources.find(found["name"]).note
            results.append(SetResult(target=cell.target, numerics=cell.numerics, note=note, **found))
    return tuple(results)


def _notes(prepared: Prepared, data: dict[str, Any]) -> tuple[str, ...]:
    recipe, task = prepared.recipe, prepared.task
    notes = []
    if sources.find(task.source).generated:
        notes.append("The data is generated by edgewright itself: these figures say nothing about real text.")
    if prepared.effort == "rapid":
        notes.append(f"Effort rapid: short training, at most {examples.RAPID_ROWS} rows evaluated, short timing.")
    if data["leaks"]:
        notes.append(f"{data['leaks']} near-duplicate pairs stand in two splits (3-word shingles, Jaccard >= 0.7).")
    notes += gates.loosened(task.targets, TASKS[task.name].targets).values()
    if task.kind == "generation":
        notes.append("Perplexity is a token's: figures on two vocabularies do not compare. Replies are greedy.")
    if task.reject_label is not None:
        notes.append(f"Accuracy is over in-scope rows; '{task.reject_label}' rows are reported apart.")
    if prepared.plan.ablation is None and (behind := compression.steps(recipe)):
        named = " and ".join(f"[{name}]" for name in behind)
        notes.append(f"What {named} gave or cost was not measured here: run --ablate says it, step by step.")
    if recipe.also_evaluate:
        notes.append(f"Never trained or tuned on: {', '.join(recipe.also_evaluate)}.")
    if prepared.absent:
        notes.append(f"Not on this machine, so not evaluated: {', '.join(prepared.absent)}.")
    return tuple(notes)


def _checked(plan: Plan, cell: Cell) -> dict[str, Any]:
    return dict(read_json(plan.graph.folder(plan.checks[_key(cell)]) / "verify.json"))


def _key(cell: Cell) -> tuple[Target, Numerics]:
    return cell.target, cell.numerics  # type: ignore[return-value]  # a record is read from JSON: plain str


def _interval(timed: dict[str, Any] | None, name: str) -> Interval | None:
    return Interval(**timed[name]) if timed and timed.get(name) else None
