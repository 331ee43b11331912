"""The stages of a task of kind "sequence": from the data's card to the verified artifact of a cell.

As in learn.py and cells.py, which are those of labels, each function fills one stage's folder.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgewright.benchmarks import sequence_parity, state_parity
from edgewright.benchmarks.record import GateResult
from edgewright.benchmarks.reports.run_report import Details
from edgewright.compress.numerics import Numerics, Target
from edgewright.compress.quantize import quantize
from edgewright.data import plain_text, sources
from edgewright.data import tokenizer as tokenizers
from edgewright.data.files import read_json, write_json
from edgewright.data.tasks import Task
from edgewright.export import bundle as bundles
from edgewright.export import export, state_package
from edgewright.export.artifact import SUFFIX, to_json
from edgewright.export.bundle import Content, Shipped, StatePackage
from edgewright.models import checkpoint
from edgewright.pipeline import learn, sequence_tables
from edgewright.pipeline.cells import VERSIONS, Learnt, data_json, metadata_of
from edgewright.pipeline.graph import library_version
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.recipe import Effort, Recipe
from edgewright.pipeline.sequence_data import EVALUATED_ROWS, Subject, reads_characters, subject_of
from edgewright.pipeline.tables import family_of
from edgewright.runtimes import Runner, load, state_inside
from edgewright.runtimes import bundle as reader
from edgewright.runtimes.bundle import Bundle, Golden
from edgewright.runtimes.pytorch import PyTorchRunner
from edgewright.runtimes.stream import SequenceStream
from edgewright.train import sequences as training

VALIDATION_ROWS = 1_000
LIVE_POSITIONS: dict[Effort, int] = {"rapid": 2_000, "quick": 20_000, "normal": 20_000}
CHUNK = 64  # rows whose outputs are held at once
WORST = 10


def make_data(recipe: Recipe, task: Task, folder: Path) -> None:
    """data.json: lines of each split, fingerprint."""
    source = sources.find(task.source)
    if reads_characters(task):
        rows = {split: len(plain_text.lines(source, split)) for split in sources.GENERATED_SPLITS}
    else:
        made = sources.generated_splits(source, recipe.data.count, recipe.data.seed)
        rows = {split: len(lines) for split, lines in made.items()}
    fingerprint = sources.fingerprint(source, recipe.data.count, recipe.data.seed)
    write_json(folder / "data.json", {"labels": [], "rows": rows, "fingerprint": fingerprint, "leaks": 0})


def make_tokenizer(recipe: Recipe, task: Task, folder: Path) -> None:
    """tokenizer.json, learnt from the training text; an empty folder where log lines are read."""
    if reads_characters(task):
        tokenizers.save(sequence_tables.build_tokenizer(recipe), folder / "tokenizer.json")


def make_model(
    recipe: Recipe, task: Task, seed: int, data: Path, tokenizer: Path, folder: Path, kept: Path, reporter: Reporter
) -> None:
    """model.safetensors of the best epoch, and history.json. `kept` holds the state of an interrupted training."""
    subject = subject_in(recipe, task, tokenizer)
    config = sequence_tables.train_config(recipe, seed)
    model = sequence_tables.build_model(recipe, subject, seed)
    validation = subject.held_out("validation", recipe.export.lengths[-1], VALIDATION_ROWS)

    def score(model: torch.nn.Module) -> float:
        return subject.score("validation", validation, training.surprises_of(model, validation))

    with reporter.bar(f"train, seed {seed}", config.epochs) as bar:
        trained = training.train(
            model,
            lambda epoch: subject.training(config.length, seed, epoch),
            subject.loss,
            score,
            config,
            kept,
            lambda done, _, note: bar.update(done, note),
        )
    checkpoint.save_model(model, family_of(recipe), folder / "model.safetensors")
    write_json(
        folder / "history.json",
        {
            "metric": subject.main,
            "best_epoch": trained.best.epoch,
            "best_score": trained.best.score,
            "epochs": [[epoch.epoch, epoch.loss, epoch.score] for epoch in trained.history],
        },
    )


def make_reference(
    recipe: Recipe,
    task: Task,
    effort: Effort,
    data: Path,
    tokenizer: Path,
    models: dict[int, Path],
    folder: Path,
    reporter: Reporter,
) -> None:
    """The seed with the best validation score: its weights, and reference.json with its figures on test."""
    subject = subject_in(recipe, task, tokenizer)
    histories = {seed: read_json(path / "history.json") for seed, path in models.items()}
    chosen = max(histories, key=lambda seed: float(histories[seed]["best_score"]))
    test = subject.held_out("test", recipe.export.lengths[-1], EVALUATED_ROWS[effort])
    found = {}
    for seed, path in models.items():
        reporter.say(f"reference, seed {seed}")
        model = checkpoint.load_model(path / "model.safetensors")
        found[seed] = subject.figures("test", test, training.surprises_of(model, test))
    best = checkpoint.load_model(models[chosen] / "model.safetensors")
    checkpoint.save_model(best, family_of(recipe), folder / "model.safetensors")
    write_json(
        folder / "reference.json",
        {
            "seed": chosen,
            "validation": {seed: abs(history["best_score"]) for seed, history in histories.items()},
            "test": {seed: figures[subject.main] for seed, figures in found.items()},
            "figures": found[chosen] | subject.live("test", _steps(best, PyTorchRunner(best)), LIVE_POSITIONS[effort]),
        },
    )


def make_artifact(recipe: Recipe, task: Task, target: Target, numerics: Numerics, learnt: Learnt, folder: Path) -> None:
    """bundle/ with this one artifact, and artifact.json; for Core ML also the package that keeps its state."""
    subject = subject_in(recipe, task, learnt.tokenizer)
    model = learnt.model()
    path = folder / f"{target}-{numerics}{SUFFIX[target]}"
    calibration: list[tuple[np.ndarray, ...]] = []
    if numerics.startswith("static"):
        rows = subject.held_out("train", recipe.export.lengths[-1], recipe.export.calibration_rows)
        calibration = [(rows.inputs(np.array([row])),) for row in range(len(rows))]
    methods = model.methods(recipe.export.lengths)
    quantized = quantize(model, numerics)
    metadata = metadata_of(recipe, task)
    artifact = export(target, quantized, methods, path, calibration, metadata)

    golden = golden_vectors(subject, model)

    def golden_error(runner: Runner) -> float:
        stream = subject.stream(_steps(model, runner))
        return max(float(np.abs(stream.replay(one.text)[1] - np.array(one.logits)).max()) for one in golden)

    error = golden_error(load(target, path))
    if target == "coreml":
        step = next(method for method in methods if method.state)
        kept = state_package.export_beside(quantized, step, path, metadata)
        found = golden_error(state_inside.load_package(kept.path))
        state_package.describe(StatePackage(kept, step.name, found))
    bundles.write(bundle_content(recipe, task, learnt, [Shipped(artifact, error)]), folder / "bundle")
    write_json(folder / "artifact.json", to_json(artifact) | {"golden_max_abs_logit_error": error})


def verify(
    recipe: Recipe,
    task: Task,
    effort: Effort,
    target: Target,
    numerics: Numerics,
    learnt: Learnt,
    made: Path,
    folder: Path,
    reporter: Reporter,
) -> None:
    """verify.json with every figure but the times.

    The artifact's steps are compared with PyTorch's whole sequence, its whole sequences with its own steps, and the
    evaluation rows go through `forward`. `live` figures are of the steps alone, with the state that they carry.
    """
    subject = subject_in(recipe, task, learnt.tokenizer)
    opened = reader.read(made / "bundle")
    runner = opened.runner(opened.artifact(target, numerics))
    model, lengths = learnt.model(), recipe.export.lengths

    proof = subject.sequence("test", sequence_parity.PROVED_STEPS)
    with torch.inference_mode():
        whole = model(torch.from_numpy(proof[None]))[0].numpy()
    steps = _steps(model, runner)
    parity = sequence_parity.compare(steps, proof, whole, lengths)

    kept_state, kept_gates = kept_state_figures(opened, runner, model, proof)

    test = subject.held_out("test", lengths[-1], EVALUATED_ROWS[effort])
    surprises, errors, agreed, positions, total = [], [], 0, 0, 0.0
    with reporter.bar(f"{target} {numerics}, test", len(test)) as bar:
        for start in range(0, len(test), CHUNK):
            chosen = np.arange(start, min(start + CHUNK, len(test)))
            counted = test.counted(chosen)
            found = sequence_parity.whole_rows(runner, test.inputs(chosen), counted, lengths)
            expected = training.outputs_of(model, test, chosen)
            off = np.abs(found - expected).max(axis=2) * counted
            surprises.append(test.surprises(found, chosen))
            errors.append(off.max(axis=1))
            agreed += int(((test.expected(found) == test.expected(expected)) & counted).sum())
            positions += int(counted.sum())
            total += float((np.abs(found - expected).mean(axis=2) * counted).sum())
            bar.update(int(chosen[-1]) + 1)
    figures = subject.figures("test", test, np.concatenate(surprises))
    worst = np.argsort(-np.concatenate(errors), kind="stable")[:WORST].tolist()
    write_json(
        folder / "verify.json",
        {
            "accuracy": None,
            "macro_f1": None,
            "span_f1": None,
            "metrics": figures
            | subject.live("test", steps, LIVE_POSITIONS[effort])
            | {
                "max_step_error": parity.step_error,
                "bucket_step_errors": {str(length): one for length, one in parity.bucket_errors.items()},
                "largest_output": parity.largest,
            }
            | kept_state,
            "label_agreement": agreed / positions,
            "max_abs_logit_error": float(np.concatenate(errors).max()),
            "mean_abs_logit_error": total / positions,
            "worst": worst,
            "worst_rows": worst,
            "gates": [asdict(gate) for gate in (*parity_gates(parity, numerics), *kept_gates)],
            "golden_sets": [],
        },
    )


def parity_gates(parity: sequence_parity.Parity, numerics: Numerics) -> list[GateResult]:
    """Of fp32: the steps, and the whole sequences. Other numerics are judged by their figures."""
    bounds = sequence_parity.bounds(numerics)
    if bounds is None:
        return []
    measured = (("max_step_error", bounds[0], parity.step_error), ("max_bucket_error", bounds[1], parity.bucket_error))
    return [GateResult(name, bound, value, "pass" if value <= bound else "fail") for name, bound, value in measured]


def kept_state_figures(
    bundle: Bundle, runner: Runner, model: Any, inputs: np.ndarray
) -> tuple[dict[str, Any], list[GateResult]]:
    """What the package that keeps its state says of inputs (T, I), beside the steps of the bundle's artifact.

    Empty where the bundle has no such package.
    """
    if not bundle.state_packages:
        return {}, []
    package = bundle.state_packages[0]
    rounded = state_parity.RoundedState(runner, states=2)
    kept, expected, plain = (
        _steps(model, one).steps(inputs) for one in (bundle.state_runner(package), rounded, runner)
    )
    found = state_parity.compare(kept, expected, plain)
    return state_parity.figures(found, package.size_bytes), state_parity.gates(found)


def golden_vectors(subject: Subject, model: Any) -> list[Golden]:
    """What the float model says of texts that were written for this project, and of generated log lines."""
    stream = subject.stream(_steps(model, PyTorchRunner(model)))
    vectors = []
    for text in subject.golden_texts(learn.golden_texts()):
        ids, outputs = stream.replay(text)
        vectors.append(Golden(text, ids, outputs.round(6).astype(float).tolist(), []))
    return vectors


def bundle_content(
    recipe: Recipe,
    task: Task,
    learnt: Learnt,
    shipped: Sequence[Shipped],
    gates: Sequence[dict[str, Any]] = (),
    measurements: Sequence[dict[str, Any]] = (),
) -> Content:
    """A bundle of these artifacts, with everything that the manifest says about where they come from."""
    subject, model = subject_in(recipe, task, learnt.tokenizer), learnt.model()
    tokenizer = learnt.tokenizer / "tokenizer.json"
    return Content(
        name=recipe.name,
        description=recipe.description,
        task={"name": task.name, "kind": task.kind, "labels": [], "reject_label": None},
        methods=model.methods(recipe.export.lengths),
        postprocess={
            "decoding": "sequence",
            "reads": subject.reads,
            "temperature": 1.0,
            "threshold": None,
            "windows": "state",
        },
        data=data_json(task, read_json(learnt.data / "data.json")["fingerprint"]),
        seeds=[learnt.figures()["seed"]],
        versions={name: library_version(name) for name in VERSIONS},
        gates=gates,
        measurements=measurements,
        tokenizer=tokenizer if tokenizer.exists() else None,
        reference=learnt.reference / "model.safetensors",
        golden=golden_vectors(subject, model),
        shipped=shipped,
        state_packages=state_package.of(shipped),
    )


def details(
    recipe: Recipe,
    task: Task,
    effort: Effort,
    learnt: Learnt,
    checks: dict[tuple[Target, Numerics], Path],
    shown: tuple[Target, Numerics],
) -> Details:
    """Nothing beyond the record: a sequence has no labels that could be confused."""
    return Details(())


def subject_in(recipe: Recipe, task: Task, tokenizer: Path) -> Subject:
    """What the task reads; `tokenizer` is the folder of that stage."""
    path = tokenizer / "tokenizer.json"
    return subject_of(recipe, task, tokenizers.load(path) if path.exists() else None)


def _steps(model: Any, runner: Runner) -> SequenceStream:
    """The model's steps in a runtime, or in PyTorch."""
    return SequenceStream(runner, [(1, model.config.hidden_size)] * 2)
