"""The stages of one cell: its artifact in a bundle of its own, and the proof that it still gives the answers.

A cell's bundle is what an app would ship with this one artifact, so that verification and timing take the very path
that a user's predict call takes.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.benchmarks import accuracy, parity
from edgewright.benchmarks.parity import EDGE_TEXTS
from edgewright.benchmarks.record import GateResult
from edgewright.compress.numerics import Numerics, Target, weight_bits
from edgewright.compress.quantize import quantize
from edgewright.data import sources
from edgewright.data import tokenizer as tokenizers
from edgewright.data.files import read_json, write_atomically, write_json
from edgewright.data.tasks import Task
from edgewright.data.tokenizer import Tokenizer
from edgewright.export import bundle as bundles
from edgewright.export import export
from edgewright.export.artifact import SUFFIX, Artifact, Metadata, to_json
from edgewright.export.bundle import Content, Shipped
from edgewright.models import checkpoint
from edgewright.pipeline import learn
from edgewright.pipeline.graph import library_version
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.recipe import Effort, Recipe
from edgewright.runtimes import bundle as reader
from edgewright.runtimes import load
from edgewright.runtimes.bundle import Golden
from edgewright.runtimes.predictor import logits_of, open_predictor, pad_to_bucket

PADDING_ROWS = 32  # rows whose logits are compared over all buckets
VERSIONS = ("torch", "executorch", "torchao", "litert-torch", "ai-edge-litert", "coremltools", "onnx", "onnxruntime")


@dataclass(frozen=True)
class Learnt:
    """The folders of the stages that every cell starts from."""

    data: Path
    tokenizer: Path
    reference: Path

    def labels(self) -> list[str]:
        return list(read_json(self.data / "data.json")["labels"])

    def words(self) -> Tokenizer:
        return tokenizers.load(self.tokenizer / "tokenizer.json")

    def logits(self) -> dict[str, np.ndarray]:
        with np.load(self.reference / "logits.npz", allow_pickle=False) as arrays:
            return dict(arrays)

    def model(self) -> Any:
        """The float reference: a module of one of models.MODELS."""
        return checkpoint.load_model(self.reference / "model.safetensors")

    def figures(self) -> dict[str, Any]:
        return dict(read_json(self.reference / "reference.json"))


def make_artifact(recipe: Recipe, task: Task, target: Target, numerics: Numerics, learnt: Learnt, folder: Path) -> None:
    """bundle/ with this one artifact, and artifact.json."""
    words, labels = learnt.words(), learnt.labels()
    model = learnt.model()
    quantized = quantize(model, numerics)
    path = folder / f"{target}-{numerics}{SUFFIX[target]}"
    calibration = calibration_inputs(recipe, task, words) if numerics.startswith("static") else []
    artifact = export(
        target, quantized, model.methods(recipe.export.lengths), path, calibration, _metadata(recipe, task, labels)
    )

    golden = golden_vectors(learnt.logits()["golden"], words, labels)
    runner = load(target, path)
    answers = np.stack([logits_of(vector.text, words, recipe.export.lengths, runner) for vector in golden])
    error = float(np.abs(answers - np.array([vector.logits for vector in golden])).max())
    content = bundle_content(recipe, task, learnt, golden, [Shipped(artifact, error)])
    bundles.write(content, folder / "bundle")
    write_json(folder / "artifact.json", to_json(artifact) | {"golden_max_abs_logit_error": error})


def read_artifact(folder: Path, target: Target) -> Shipped:
    """What `make_artifact` left."""
    said = read_json(folder / "artifact.json")
    error = said.pop("golden_max_abs_logit_error")
    path = folder / said.pop("file")
    return Shipped(Artifact(path=path, **said), error)


def golden_vectors(logits: np.ndarray, words: Tokenizer, labels: Sequence[str]) -> list[Golden]:
    """One vector for each golden text; logits rounded to 6 digits after the point."""
    return [
        Golden(
            text,
            tokenizers.pieces(words, text)[0].tolist(),
            [round(float(value), 6) for value in row],
            labels[int(row.argmax())],
        )
        for text, row in zip(learn.golden_texts(), logits, strict=True)
    ]


def bundle_content(
    recipe: Recipe,
    task: Task,
    learnt: Learnt,
    golden: Sequence[Golden],
    shipped: Sequence[Shipped],
    gates: Sequence[dict[str, Any]] = (),
    measurements: Sequence[dict[str, Any]] = (),
) -> Content:
    """A bundle of these artifacts, with everything that the manifest says about where they come from."""
    labels, figures = learnt.labels(), learnt.figures()
    source = sources.find(task.source)
    return Content(
        name=recipe.name,
        description=recipe.description,
        task={"name": task.name, "kind": task.kind, "labels": labels, "reject_label": task.reject_label},
        methods=learnt.model().methods(recipe.export.lengths),
        postprocess={
            "decoding": "argmax",
            "temperature": figures["temperature"],
            "threshold": figures["threshold"],
            "windows": "mean_logits",
        },
        data={
            "source": source.name,
            "fingerprint": read_json(learnt.data / "data.json")["fingerprint"],
            "licence": source.licence,
            "tier": source.tier,
            "redistributable": source.redistributable,
            "generated": source.generated,
        },
        seeds=[figures["seed"]],
        versions={name: library_version(name) for name in VERSIONS},
        gates=gates,
        measurements=measurements,
        tokenizer=learnt.tokenizer / "tokenizer.json",
        reference=learnt.reference / "model.safetensors",
        golden=golden,
        shipped=shipped,
    )


def calibration_inputs(recipe: Recipe, task: Task, words: Tokenizer) -> list[tuple[np.ndarray, ...]]:
    """Inputs of one text each, evenly spread over the training rows, padded to their buckets."""
    rows = learn.load(recipe, task, "train", None).rows
    chosen = np.linspace(0, len(rows) - 1, min(recipe.export.calibration_rows, len(rows))).round().astype(int)
    texts = [rows[i].text or "" for i in chosen]
    return [(pad_to_bucket(tokenizers.pieces(words, text)[0], recipe.export.lengths),) for text in texts]


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
    """logits.npz of the artifact on the evaluation rows, and verify.json with every figure but the times."""
    labels, figures, reference = learnt.labels(), learnt.figures(), learnt.logits()
    predictor = open_predictor(made / "bundle", target, numerics)
    arrays: dict[str, Any] = {
        name: learn.all_logits(
            texts,
            predictor.tokenizer,
            recipe.export.lengths,
            predictor.runner,
            reporter,
            f"{target} {numerics}, {name}",
        )
        for name, texts in learn.evaluated_texts(recipe, task, labels, effort).items()
    }
    write_atomically(folder / "logits.npz", lambda path: np.savez(path, **arrays))

    test = learn.evaluation_rows(recipe, task, "test", labels, effort)
    compared = parity.compare(arrays["test"], reference["test"])
    scored = accuracy.evaluate(arrays["test"], test.labels, figures["temperature"], figures["threshold"])
    padding = parity.padding_neutrality(
        predictor.runner,
        [predictor.encode(text)[0] for text in test.texts[:PADDING_ROWS]],
        recipe.export.lengths,
        numerics,
    )
    edges = edge_gate(arrays["golden"][-len(EDGE_TEXTS) :], reference["golden"][-len(EDGE_TEXTS) :], numerics)
    write_json(
        folder / "verify.json",
        {
            "accuracy": scored.accuracy,
            "macro_f1": scored.macro_f1,
            "metrics": scored.to_json(labels),
            "confusion": scored.confusion.tolist(),
            "label_agreement": compared.label_agreement,
            "max_abs_logit_error": compared.max_abs_logit_error,
            "mean_abs_logit_error": compared.mean_abs_logit_error,
            "worst": list(compared.worst_rows),
            "worst_rows": [test.numbers[row] for row in compared.worst_rows],
            "gates": [
                dataclasses.asdict(gate)
                for gate in (
                    GateResult(
                        "max_padding_effect",
                        padding.tolerance,
                        padding.difference,
                        "pass" if padding.neutral else "fail",
                    ),
                    edges,
                )
            ],
            "golden_sets": [_golden_set(name, task, labels, arrays[name]) for name in recipe.also_evaluate],
        },
    )


def edge_gate(logits: np.ndarray, reference: np.ndarray, numerics: Numerics) -> GateResult:
    """Edge texts get PyTorch's answer: the largest logit error relative to the largest logit."""
    bound = 1e-3 if weight_bits(numerics) == 32 else 2e-2 if numerics == "fp16" else 0.25
    finite = np.isfinite(logits).all()
    error = float(np.abs(logits - reference).max() / max(1.0, float(np.abs(reference).max()))) if finite else None
    passed = error is not None and error <= bound
    return GateResult("max_edge_text_error", bound, error, "pass" if passed else "fail")


def _golden_set(name: str, task: Task, labels: Sequence[str], logits: np.ndarray) -> dict[str, Any]:
    rows = learn.test_only_rows(name, task, labels)
    scored = accuracy.evaluate(logits, rows.labels)
    return {"name": name, "n": scored.n, "accuracy": scored.accuracy, "macro_f1": scored.macro_f1}


def _metadata(recipe: Recipe, task: Task, labels: Sequence[str]) -> Metadata:
    source = sources.find(task.source)
    return Metadata(
        name=recipe.name,
        description=recipe.description or f"{task.name}: {len(labels)} labels",
        labels=tuple(labels),
        license=source.licence,
        version=str(reader.SCHEMA),
        extra={"data": source.name, "task": task.name},
    )
