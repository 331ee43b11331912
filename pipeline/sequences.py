"""The stages of a task of kind "sequence": from the data's card to the verified artifact of a cell.

As in learn.py and cells.py, which are those of labels, each function fills one stage's folder.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgewright.benchmarks import sequence_parity
from edgewright.benchmarks.record import GateResult
from edgewright.benchmarks.reports.run_report import Details
from edgewright.compress.numerics import Numerics, Target
from edgewright.compress.quantize import quantize
from edgewright.data import log_lines, sources
from edgewright.data import tokenizer as tokenizers
from edgewright.data.files import read_json, write_json
from edgewright.data.sequence_rows import Rows, evenly
from edgewright.data.tasks import Task
from edgewright.export import bundle as bundles
from edgewright.export import export
from edgewright.export.artifact import SUFFIX, Metadata, to_json
from edgewright.export.bundle import Content, Shipped
from edgewright.models import MODELS, checkpoint
from edgewright.pipeline import learn, sequence_tables
from edgewright.pipeline.cells import VERSIONS, Learnt
from edgewright.pipeline.graph import library_version
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.recipe import Effort, Recipe
from edgewright.pipeline.sequence_data import Logs, Subject, Text, reads_characters, subject_of
from edgewright.runtimes import Runner, load
from edgewright.runtimes import bundle as reader
from edgewright.runtimes.bundle import Golden
from edgewright.runtimes.pytorch import PyTorchRunner
from edgewright.runtimes.stream import CharacterStream, LogStream, SequenceStream
from edgewright.train import sequences as training

VALIDATION_ROWS = 1_000
EVALUATED_ROWS: dict[Effort, int] = {"rapid": 200, "quick": 2_000, "normal": 2_000}
LIVE_POSITIONS: dict[Effort, int] = {"rapid": 2_000, "quick": 20_000, "normal": 20_000}
CHUNK = 64  # rows whose outputs are held at once
GOLDEN_TEXTS, GOLDEN_CHARACTERS = 8, 16
GOLDEN_LINES = 24
WORST = 10


def make_data(recipe: Recipe, task: Task, folder: Path) -> None:
    """data.json: positions of each split, fingerprint."""
    source = sources.find(task.source)
    if task.source == "log_lines":
        rows = Logs(recipe.data.count, recipe.data.seed).counts()
    else:
        rows = sequence_tables.character_counts(source)
    fingerprint = sources.fingerprint(source, recipe.data.count, recipe.data.seed)
    write_json(folder / "data.json", {"labels": [], "rows": rows, "fingerprint": fingerprint, "leaks": 0})


def make_tokenizer(recipe: Recipe, task: Task, folder: Path) -> None:
    """tokenizer.json, learnt from the training text; nothing where log lines are read."""
    folder.mkdir(parents=True, exist_ok=True)
    if reads_characters(task):
        tokenizers.save(sequence_tables.build_tokenizer(recipe, task), folder / "tokenizer.json")


def make_model(
    recipe: Recipe, task: Task, seed: int, data: Path, tokenizer: Path, folder: Path, kept: Path, reporter: Reporter
) -> None:
    """model.safetensors of the best epoch, and history.json. `kept` holds the state of an interrupted training."""
    subject = subject_of(recipe, task, read_tokenizer(tokenizer))
    config = sequence_tables.train_config(recipe, seed)
    family = sequence_tables.family_of(recipe)
    settings = sequence_tables.model_settings(recipe)
    torch.manual_seed(seed)
    model = MODELS[family].module(
        MODELS[family].config(input_size=subject.inputs, output_size=subject.outputs, **settings)
    )
    validation = subject.held_out("validation", recipe.export.lengths[-1], VALIDATION_ROWS)

    def score(model: torch.nn.Module) -> float:
        surprises = training.surprises_of(model, validation)
        return oriented(subject, subject.figures("validation", validation, surprises))

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
    checkpoint.save_model(model, family, folder / "model.safetensors")
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
    subject = subject_of(recipe, task, read_tokenizer(tokenizer))
    histories = {seed: read_json(path / "history.json") for seed, path in models.items()}
    chosen = max(histories, key=lambda seed: float(histories[seed]["best_score"]))
    test = subject.held_out("test", recipe.export.lengths[-1], EVALUATED_ROWS[effort])
    found = {}
    for seed, path in models.items():
        reporter.say(f"reference, seed {seed}")
        model = checkpoint.load_model(path / "model.safetensors")
        found[seed] = subject.figures("test", test, training.surprises_of(model, test))
    best = checkpoint.load_model(models[chosen] / "model.safetensors")
    checkpoint.save_model(best, sequence_tables.family_of(recipe), folder / "model.safetensors")
    write_json(
        folder / "reference.json",
        {
            "seed": chosen,
            "validation": {seed: abs(history["best_score"]) for seed, history in histories.items()},
            "test": {seed: figures[subject.main] for seed, figures in found.items()},
            "figures": found[chosen] | live(subject, PyTorchRunner(best), "test", LIVE_POSITIONS[effort]),
            "alone": subject.alone("test", test) if isinstance(subject, Logs) else None,
        },
    )


def make_artifact(recipe: Recipe, task: Task, target: Target, numerics: Numerics, learnt: Learnt, folder: Path) -> None:
    """bundle/ with this one artifact, and artifact.json."""
    subject = subject_of(recipe, task, read_tokenizer(learnt.tokenizer))
    model = learnt.model()
    path = folder / f"{target}-{numerics}{SUFFIX[target]}"
    calibration: list[tuple[np.ndarray, ...]] = []
    if numerics.startswith("static"):
        rows = subject.held_out("train", recipe.export.lengths[-1], recipe.export.calibration_rows)
        calibration = [(rows.inputs(np.array([row])),) for row in range(len(rows))]
    source = sources.find(task.source)
    metadata = Metadata(
        name=recipe.name,
        description=recipe.description or task.name,
        labels=(),
        license=source.licence,
        version=str(reader.SCHEMA),
        extra={"data": source.name, "task": task.name},
    )
    methods = model.methods(recipe.export.lengths)
    artifact = export(target, quantize(model, numerics), methods, path, calibration, metadata)

    golden = golden_vectors(subject, PyTorchRunner(model))
    stream = stream_over(subject, load(target, path))
    errors = [np.abs(stream.replay(one.text)[1] - np.array(one.logits)).max() for one in golden]
    error = float(max(errors))
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
    subject = subject_of(recipe, task, read_tokenizer(learnt.tokenizer))
    opened = reader.read(made / "bundle")
    runner = opened.runner(opened.artifact(target, numerics))
    model, lengths = learnt.model(), recipe.export.lengths

    proof = subject.sequence("test", sequence_parity.PROVED_STEPS)
    with torch.inference_mode():
        whole = model(torch.from_numpy(proof[None]))[0].numpy()
    parity = sequence_parity.compare(raw_stream(subject, runner, model), proof, whole, lengths)

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
            | live(subject, runner, "test", LIVE_POSITIONS[effort])
            | {
                "max_step_error": parity.step_error,
                "bucket_step_errors": {str(length): one for length, one in parity.bucket_errors.items()},
                "largest_output": parity.largest,
            },
            "label_agreement": agreed / positions,
            "max_abs_logit_error": float(np.concatenate(errors).max()),
            "mean_abs_logit_error": total / positions,
            "worst": worst,
            "worst_rows": worst,
            "gates": [asdict(gate) for gate in parity_gates(parity, numerics)],
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


def live(subject: Subject, runner: Runner, split: str, positions: int) -> dict[str, Any]:
    """live_bits or live_auc: one position after the other through `step`, as a user has it, at most so many."""
    if isinstance(subject, Logs):
        stream = stream_over(subject, runner)
        assert isinstance(stream, LogStream)
        lines = subject.lines(split)[:positions]
        scores = np.array([stream.score(line.text) for line in lines])
        return {"live_auc": sequence_tables.areas(lines, scores)["auc"], "live_lines": len(lines)}
    assert isinstance(subject, Text)
    stream = raw_stream(subject, runner, None)
    ids = subject.ids(split)[: positions + 1]
    outputs = stream.steps(subject.sequence(split, positions + 1)[:-1])
    return {"live_bits": sequence_tables.bits_of(outputs, ids[1:]), "live_characters": len(ids) - 1}
