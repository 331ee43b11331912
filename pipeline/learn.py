"""The stages before export: the data's card, the tokenizer, training for each seed, and the float reference.

Each function fills one stage's folder; `pipeline/stages.py` says what depends on what.
"""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.benchmarks.parity import EDGE_TEXTS
from edgewright.data import leaks, sources
from edgewright.data import tokenizer as tokenizers
from edgewright.data.dataset import Dataset
from edgewright.data.files import read_json, write_atomically, write_json
from edgewright.data.tasks import Task
from edgewright.data.tokenizer import Tokenizer
from edgewright.models import checkpoint
from edgewright.pipeline import examples
from edgewright.pipeline.examples import Examples
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.recipe import Effort, Recipe
from edgewright.pipeline.tables import build_model, build_tokenizer, family_of, train_config
from edgewright.runtimes import Runner
from edgewright.runtimes.answers import answers_of
from edgewright.runtimes.pytorch import PyTorchRunner
from edgewright.train import metrics
from edgewright.train.labels import train
from edgewright.train.objectives import Tags, decoding
from edgewright.train.temperature import fit_temperature


def golden_texts() -> list[str]:
    """The texts of golden.jsonl: written for this project, in English and French, plus the edge texts."""
    lines = (resources.files("edgewright.pipeline") / "golden_texts.txt").read_text(encoding="utf-8").splitlines()
    return [*lines, *EDGE_TEXTS.values()]


def make_data(recipe: Recipe, task: Task, folder: Path) -> None:
    """data.json: labels, counts, fingerprint, and near-duplicates between splits."""
    names = examples.class_names(recipe, task)
    splits = {split: examples.load(recipe, task, split, names) for split in ("train", "validation", "test")}
    inside = {split: found.in_scope() for split, found in splits.items()}
    source = sources.find(task.source)
    write_json(
        folder / "data.json",
        {
            "labels": names,
            "rows": {split: len(found.texts) for split, found in inside.items()},
            "rejected": {split: len(splits[split].texts) - len(found.texts) for split, found in inside.items()},
            "fingerprint": sources.fingerprint(source, recipe.data.count, recipe.data.seed),
            "leaks": len(leaks.find_leaks({split: found.texts for split, found in inside.items()})),
        },
    )


def make_tokenizer(recipe: Recipe, task: Task, folder: Path) -> None:
    """tokenizer.json; a vocabulary is learnt from the training texts only."""
    names = examples.class_names(recipe, task)
    training = examples.load(recipe, task, "train", names).in_scope()
    tokenizers.save(build_tokenizer(recipe, training.texts), folder / "tokenizer.json")


def make_model(
    recipe: Recipe, task: Task, seed: int, data: Path, tokenizer: Path, folder: Path, kept: Path, reporter: Reporter
) -> None:
    """model.safetensors of the best epoch, and history.json. `kept` holds the state of an interrupted training."""
    labels = read_json(data / "data.json")["labels"]
    words = tokenizers.load(tokenizer / "tokenizer.json")
    longest = recipe.export.lengths[-1]
    training, validation = (
        examples.dataset(examples.load(recipe, task, split, labels), words, longest, task.kind)
        for split in ("train", "validation")
    )
    model = build_model(recipe, words, len(labels), seed)
    config = train_config(recipe, seed)
    objective = Tags(tuple(labels), config.label_smoothing) if task.kind == "tags" else None
    with reporter.bar(f"train, seed {seed}", config.epochs) as bar:
        trained = train(
            model, training, validation, config, kept, lambda done, _, note: bar.update(done, note), objective
        )
    checkpoint.save_model(model, family_of(recipe), folder / "model.safetensors")
    write_json(
        folder / "history.json",
        {
            "metric": config.metric,
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
    """The seed with the best validation score: its weights, its logits, its temperature, threshold and decoding.

    logits.npz holds the arrays "test", "golden", "edges" and one for each test-only set, and what each seed's model
    answers to the test rows in scope, "seed0" (N,); reference.json the rest.
    """
    labels = read_json(data / "data.json")["labels"]
    words = tokenizers.load(tokenizer / "tokenizer.json")
    scores = {seed: read_json(path / "history.json")["best_score"] for seed, path in models.items()}
    chosen = max(scores, key=lambda seed: scores[seed])
    model = checkpoint.load_model(models[chosen] / "model.safetensors")
    runner = PyTorchRunner(model)

    validation = examples.load(recipe, task, "validation", labels)
    logits = all_answers(validation.texts, words, recipe.export.lengths, runner, reporter, "reference, validation")
    known = validation.labels != metrics.REJECT
    temperature = fit_temperature(logits[known], validation.labels[known])
    probabilities = metrics.softmax(logits, temperature)
    threshold = None
    if not known.all():
        best = probabilities.argmax(axis=1)
        threshold = metrics.choose_threshold(probabilities.max(axis=1), best, validation.labels)

    arrays: dict[str, Any] = {
        name: all_answers(texts, words, recipe.export.lengths, runner, reporter, f"reference, {name}")
        for name, texts in evaluated_texts(recipe, task, labels, effort).items()
    }
    test = examples.load(recipe, task, "test", labels, effort).in_scope()
    seeds = {}
    for seed, path in models.items():
        one = checkpoint.load_model(path / "model.safetensors")
        answers = [answers_of(text, words, recipe.export.lengths, PyTorchRunner(one)) for text in test.texts]
        seeds[seed] = _score(one, answers, task, labels, test)
        arrays[f"seed{seed}"] = np.concatenate(answers).argmax(axis=1)  # of rows in scope; for paired comparisons
    checkpoint.save_model(model, family_of(recipe), folder / "model.safetensors")
    write_atomically(folder / "logits.npz", lambda path: np.savez(path, **arrays))
    write_json(
        folder / "reference.json",
        {
            "seed": chosen,
            "validation": scores,
            "test": seeds,
            "temperature": temperature,
            "threshold": threshold,
            "decoding": decoding_json(model, labels) if task.kind == "tags" else None,
        },
    )


def decoding_json(model: Any, labels: Sequence[str]) -> dict[str, Any]:
    """What Viterbi adds to the scores; null forbids a transition, since JSON has no infinity."""
    transitions, first, last = decoding(model, labels)
    return {
        name: [[value if np.isfinite(value) else None for value in row] for row in np.atleast_2d(values).tolist()]
        for name, values in (("transitions", transitions), ("first", first), ("last", last))
    }


def evaluated_texts(recipe: Recipe, task: Task, labels: Sequence[str], effort: Effort) -> dict[str, list[str]]:
    """The texts of every array in logits.npz, by its name."""
    texts = {
        "test": examples.load(recipe, task, "test", labels, effort).texts,
        "golden": golden_texts(),
        "edges": list(EDGE_TEXTS.values()),
    }
    return texts | {name: examples.test_only(name, recipe, task, labels).texts for name in recipe.also_evaluate}


def all_answers(
    texts: Sequence[str],
    words: Tokenizer,
    lengths: Sequence[int],
    runner: Runner,
    reporter: Reporter,
    title: str,
) -> np.ndarray:
    """(N, C) float32: the answers of all texts, one text at a time, as a device would do it."""
    outputs = []
    with reporter.bar(title, len(texts)) as bar:
        for number, text in enumerate(texts, start=1):
            outputs.append(answers_of(text, words, lengths, runner))
            if number % 100 == 0 or number == len(texts):
                bar.update(number)
    return np.concatenate(outputs)


def _score(model: Any, answers: list[np.ndarray], task: Task, labels: Sequence[str], test: Examples) -> float:
    """Accuracy of a classifier, span F1 of a tagger, from the answers to each text."""
    if task.kind == "tags":
        rows = Dataset([], test.split(test.labels))
        return Tags(tuple(labels), 0.0).score(model, answers, rows)
    return metrics.accuracy(np.concatenate(answers).argmax(axis=1), test.labels)
