"""Teachers answer once: what each says of the training texts and of the transfer texts, kept as float16.

A teacher is the model of another recipe of the same task, or "tfidf", words and characters under a linear classifier.
Texts are not kept: they are made again from the data and the settings, and a digest says whether they are the same.
"""

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import nn

from edgewright.benchmarks.peers import Rows, tfidf
from edgewright.compress.distill import Answers, DistillConfig
from edgewright.compress.hidden import Hidden, insides
from edgewright.compress.neighbours import neighbours
from edgewright.data import tokenizer as tokenizers
from edgewright.data.files import read_json, write_atomically, write_json
from edgewright.data.tasks import Task
from edgewright.data.transfer import transfer_texts
from edgewright.errors import DamagedFileError
from edgewright.models import checkpoint, pretrained
from edgewright.pipeline import examples
from edgewright.pipeline.examples import Examples
from edgewright.pipeline.progress import Bar, Reporter
from edgewright.pipeline.recipe import Recipe
from edgewright.train.bfloat16 import autocast
from edgewright.train.metrics import accuracy
from edgewright.train.temperature import fit_temperature

TFIDF = "tfidf"  # the name of the teacher that is no recipe
BATCH = 64
PART = 128 * BATCH  # texts whose answers are kept while the others are asked
DAMAGED = (OSError, ValueError, KeyError, BadZipFile)  # of a file of arrays
FOLDS = 5  # TF-IDF answers a training text by a classifier that was not fitted on it


@dataclass(frozen=True)
class Trained:
    """The folders of a teacher's stages, and its largest bucket."""

    tokenizer: Path
    reference: Path
    longest: int


def make_neighbours(recipe: Recipe, task: Task, config: DistillConfig, data: Path, to: Path) -> None:
    """neighbours.json: the similar words of each word of the training texts."""
    labels = read_json(data / "data.json")["labels"]
    training = examples.load(recipe, task, "train", labels).in_scope()
    folder = pretrained.folder_of(config.transfer.words_of, recipe.path.parent)
    write_json(to / "neighbours.json", neighbours(training.texts, folder))


def texts_to_teach(
    recipe: Recipe, task: Task, config: DistillConfig, labels: Sequence[str], words: Path | None
) -> tuple[Examples, list[str]]:
    """The training rows, and the transfer texts made from them. words: the folder that make_neighbours filled."""
    training = examples.load(recipe, task, "train", labels).in_scope()
    similar = None if words is None else read_json(words / "neighbours.json")
    return training, transfer_texts(training.texts, training.labels.tolist(), config.transfer, similar)


def make_answers(
    recipe: Recipe,
    task: Task,
    config: DistillConfig,
    data: Path,
    words: Path | None,
    teacher: Trained | None,
    to: Path,
    kept: Path,
    reporter: Reporter,
) -> None:
    """answers.npz: "logits" (N, C) float16, and where the student matches them "pooled" and "relations"; answers.json.

    Args:
        recipe: the student's. words: as for texts_to_teach. teacher: None is TF-IDF. kept: where the answers of a
            teacher that was interrupted lie; a quarter of a million of them take a large teacher twenty minutes.
    """
    labels = read_json(data / "data.json")["labels"]
    training, transfer = texts_to_teach(recipe, task, config, labels, words)
    validation = examples.load(recipe, task, "validation", labels).in_scope()
    arrays: dict[str, np.ndarray] = {}
    if teacher is None:
        arrays["logits"], known = _tfidf_answers(training, transfer, validation, labels)
    else:
        model = checkpoint.load_model(teacher.reference / "model.safetensors")
        cut = tokenizers.load(teacher.tokenizer / "tokenizer.json")

        def ids(texts: Sequence[str]) -> list[np.ndarray]:
            return [cut.encode(text, limit=teacher.longest)[: teacher.longest] for text in texts]

        known = ask(model, ids(validation.texts), config)["logits"]
        arrays = ask(model, ids([*training.texts, *transfer]), config, kept, reporter)
    # float16 holds differences of 0.01 up to 32: more than any teacher is sure of
    halves = {name: value.astype(np.float16) if value.dtype == np.float32 else value for name, value in arrays.items()}
    write_atomically(to / "answers.npz", lambda path: np.savez(path, **halves))  # type: ignore[arg-type]  # NumPy's stub
    write_json(
        to / "answers.json",
        {
            "texts": _digest([*training.texts, *transfer]),
            "training": len(training.texts),
            "transfer": len(transfer),
            "temperature": fit_temperature(known, validation.labels),
            "validation": accuracy(known.argmax(axis=1), validation.labels),
        },
    )


def read_answers(folders: Sequence[Path], config: DistillConfig, texts: Sequence[str]) -> Answers:
    """The weighted mean of the teachers' logits, each divided by its own temperature; the insides of the first.

    Raises:
        DamagedFileError: answers that are not of these texts, or cannot be read.
    """
    total = sum(teacher.weight for teacher in config.teachers)
    logits: Any = 0
    hidden = None
    for folder, teacher in zip(folders, config.teachers, strict=True):
        described = read_json(folder / "answers.json")
        if described["texts"] != _digest(texts):
            raise DamagedFileError(f"{folder}: its answers are of other texts; delete the folder to have them anew")
        try:
            with np.load(folder / "answers.npz", allow_pickle=False) as stored:
                arrays = dict(stored)
            own = arrays["logits"].astype(np.float32) / described["temperature"]
        except DAMAGED as error:
            raise DamagedFileError(
                f"{folder}: no whole answers ({error}); delete the folder to have them anew"
            ) from error
        logits = logits + own * (teacher.weight / total)
        if hidden is None and "pooled" in arrays:
            hidden = Hidden(arrays["pooled"], _unpacked(arrays))
    return Answers(logits, hidden)


def ask(
    model: nn.Module,
    ids: Sequence[np.ndarray],
    config: DistillConfig,
    kept: Path | None = None,
    reporter: Reporter | None = None,
) -> dict[str, np.ndarray]:
    """What the teacher says to every text once, in their order; computed in bfloat16 where that is quick.

    Texts of like length are asked together. kept: a folder for the answers so far, which a later call reads.
    """
    order = np.argsort([len(one) for one in ids], kind="stable")
    torch.set_num_threads(1)
    parts = []
    with (reporter or Reporter(quiet=True)).bar("teach", len(order)) as bar:
        for start in range(0, len(order), PART):
            rows = [ids[place] for place in order[start : start + PART]]
            parts.append(_part(model, rows, config, None if kept is None else kept / f"{start}.npz", bar, start))
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    place_of = np.argsort(order)
    relations = _unpacked(joined)
    arrays = {name: values[place_of] for name, values in joined.items() if not name.startswith("relation")}
    return arrays | _packed([relations[place] for place in place_of] if relations else [])


def _part(
    model: nn.Module, rows: Sequence[np.ndarray], config: DistillConfig, path: Path | None, bar: Bar, before: int
) -> dict[str, np.ndarray]:
    """What the teacher says to texts of these ids, in their order; read from `path` where it was kept there."""
    if path is not None and path.exists():
        try:
            with np.load(path, allow_pickle=False) as stored:
                return dict(stored)
        except DAMAGED:
            pass  # asked again
    found: dict[str, list[np.ndarray]] = {}
    with autocast(torch.device("cpu"), asked=True):
        for start in range(0, len(rows), BATCH):
            some = rows[start : start + BATCH]
            for name, values in insides(model, some, bool(config.hidden), bool(config.attention)).items():
                found.setdefault(name, []).extend(values)
            bar.update(before + start + len(some))
    relations = found.pop("relations", [])
    part = {name: np.stack(values) for name, values in found.items()} | _packed(relations)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda scratch: np.savez(scratch, **part))  # type: ignore[arg-type]  # NumPy's stub
    return part


def _packed(relations: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """One (3, R, T, T) a text, in one array with the numbers of tokens; nothing of no text."""
    if not relations:
        return {}
    return {
        "relations": np.concatenate([one.ravel() for one in relations]).astype(np.float16),
        "relation_tokens": np.array([one.shape[-1] for one in relations], np.int32),
    }


def _unpacked(arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    """What _packed was given."""
    if "relations" not in arrays:
        return []
    tokens = arrays["relation_tokens"].astype(np.int64)
    heads = len(arrays["relations"]) // int((3 * tokens**2).sum())
    ends = np.cumsum(3 * heads * tokens**2)
    parts = np.split(arrays["relations"], ends[:-1])
    return [part.reshape(3, heads, count, count) for part, count in zip(parts, tokens, strict=True)]


def _tfidf_answers(
    training: Examples, transfer: Sequence[str], validation: Examples, labels: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the training and transfer texts, and of the validation texts.

    A linear classifier is sure of each text that it was fitted on, so that it has nothing to teach about it: training
    texts are answered by one that was fitted on four fifths of the others.
    """
    fold_of = np.arange(len(training.texts)) % FOLDS
    scores = np.zeros((len(training.texts), len(labels)), np.float32)
    for fold in range(FOLDS):
        outside = np.flatnonzero(fold_of == fold)
        asked = [training.texts[place] for place in outside]
        scores[outside] = _fitted(training.chosen(np.flatnonzero(fold_of != fold).tolist()), labels).scores(asked)
    peer = _fitted(training, labels)
    return np.concatenate([scores, peer.scores(transfer)]), peer.scores(validation.texts)


def _fitted(rows: Examples, labels: Sequence[str]) -> tfidf.TfidfPeer:
    with tempfile.TemporaryDirectory() as folder:
        tfidf.fit(Rows(rows.texts, rows.labels), labels, Path(folder))
        return tfidf.load(Path(folder))


def _digest(texts: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()
