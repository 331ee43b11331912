"""The stages of one cell: its artifact in a bundle of its own, and the proof that it still gives the answers.

A cell's bundle is what an app would ship with this one artifact, so that verification and timing take the very path
that a user's predict call takes.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.benchmarks import accuracy, parity
from edgewright.benchmarks.record import GateResult
from edgewright.compress.numerics import Numerics, Target, weight_bits
from edgewright.compress.quantize import Precision, quantize
from edgewright.data import sources
from edgewright.data import tokenizer as tokenizers
from edgewright.data.files import read_json, write_atomically, write_json
from edgewright.data.tasks import Task
from edgewright.data.tokenizer import Tokenizer
from edgewright.data.viterbi import viterbi
from edgewright.export import bundle as bundles
from edgewright.export import export
from edgewright.export.artifact import SUFFIX, Artifact, Metadata, to_json
from edgewright.export.bundle import Content, Shipped
from edgewright.models import checkpoint
from edgewright.pipeline import examples, learn
from edgewright.pipeline.examples import Examples
from edgewright.pipeline.graph import library_version
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.recipe import Effort, QuantizeTable, Recipe
from edgewright.runtimes import bundle as reader
from edgewright.runtimes import load
from edgewright.runtimes.answers import answers_of, pad_to_bucket
from edgewright.runtimes.bundle import Golden
from edgewright.runtimes.opening import open_predictor

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
    quantized = quantize(model, numerics, precision_of(recipe))
    path = folder / f"{target}-{numerics}{SUFFIX[target]}"
    calibration = calibration_inputs(recipe, task, learnt) if numerics.startswith("static") else []
    artifact = export(
        target, quantized, model.methods(recipe.export.lengths), path, calibration, metadata_of(recipe, task, labels)
    )

    runner = load(target, path)
    texts = learn.golden_texts()
    answers = np.concatenate([answers_of(text, words, recipe.export.lengths, runner) for text in texts])
    error = float(np.abs(answers - learnt.logits()["golden"]).max())
    content = bundle_content(recipe, task, learnt, [Shipped(artifact, error)])
    bundles.write(content, folder / "bundle")
    write_json(folder / "artifact.json", to_json(artifact) | {"golden_max_abs_logit_error": error})


def precision_of(recipe: Recipe) -> Precision:
    """What the recipe's [quantize] table says of single layers."""
    return Precision(recipe.quantize.bits, recipe.quantize.embedding_scales)


def read_artifact(folder: Path, target: Target) -> Shipped:
    """What `make_artifact` left."""
    said = read_json(folder / "artifact.json")
    error = said.pop("golden_max_abs_logit_error")
    path = folder / said.pop("file")
    return Shipped(Artifact(path=path, **said), error)


def golden_vectors(task: Task, learnt: Learnt) -> list[Golden]:
    """One vector for each golden text; logits rounded to 6 digits after the point."""
    words, labels, logits = learnt.words(), learnt.labels(), learnt.logits()["golden"].round(6).astype(float)
    texts = learn.golden_texts()
    first_ids = [tokenizers.pieces(words, text)[0].tolist() for text in texts]
    if task.kind != "tags":
        return [
            Golden(text, ids, row.tolist(), labels[int(row.argmax())])
            for text, ids, row in zip(texts, first_ids, logits, strict=True)
        ]
    decode = decoding_of(learnt)
    counts = [len(words.encode(text, limit=None if words.window else words.max_tokens)) for text in texts]
    parts = np.split(logits, np.cumsum(counts)[:-1])
    return [
        Golden(text, ids, rows.tolist(), [labels[tag] for tag in viterbi(rows, *decode)])
        for text, ids, rows in zip(texts, first_ids, parts, strict=True)
    ]


def decoding_of(learnt: Learnt) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Transitions, first and last of Viterbi, as the reference's stage left them."""
    return reader.read_decoding(learnt.figures()["decoding"])


def bundle_content(
    recipe: Recipe,
    task: Task,
    learnt: Learnt,
    shipped: Sequence[Shipped],
    gates: Sequence[dict[str, Any]] = (),
    measurements: Sequence[dict[str, Any]] = (),
) -> Content:
    """A bundle of these artifacts, with everything that the manifest says about where they come from."""
    labels, figures = learnt.labels(), learnt.figures()
    return Content(
        name=recipe.name,
        description=recipe.description,
        task={"name": task.name, "kind": task.kind, "labels": labels, "reject_label": task.reject_label},
        methods=learnt.model().methods(recipe.export.lengths),
        postprocess={
            "decoding": "viterbi" if task.kind == "tags" else "argmax",
            "temperature": figures["temperature"],
            "threshold": figures["threshold"],
            "windows": "joined" if task.kind == "tags" else "mean_logits",
        }
        | (figures["decoding"] or {}),
        data=data_json(task, read_json(learnt.data / "data.json")["fingerprint"]),
        seeds=[figures["seed"]],
        versions={name: library_version(name) for name in VERSIONS},
        gates=gates,
        measurements=measurements,
        tokenizer=learnt.tokenizer / "tokenizer.json",
        reference=learnt.reference / "model.safetensors",
        golden=golden_vectors(task, learnt),
        shipped=shipped,
        quantization=asdict(recipe.quantize) if recipe.quantize != QuantizeTable() else None,
    )


def data_json(task: Task, fingerprint: str) -> dict[str, Any]:
    """What a manifest says about the data."""
    source = sources.find(task.source)
    return {
        "source": source.name,
        "fingerprint": fingerprint,
        "licence": source.licence,
        "tier": source.tier,
        "redistributable": source.redistributable,
        "generated": source.generated,
    }


def calibration_inputs(recipe: Recipe, task: Task, learnt: Learnt) -> list[tuple[np.ndarray, ...]]:
    """Inputs of one text each, evenly spread over the training rows, padded to their buckets."""
    words = learnt.words()
    texts = examples.load(recipe, task, "train", learnt.labels()).in_scope().texts
    chosen = np.linspace(0, len(texts) - 1, min(recipe.export.calibration_rows, len(texts))).round().astype(int)
    return [(pad_to_bucket(tokenizers.pieces(words, texts[i])[0], recipe.export.lengths),) for i in chosen]


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
    labels, reference = learnt.labels(), learnt.logits()
    predictor = open_predictor(made / "bundle", target, numerics)
    arrays: dict[str, Any] = {
        name: learn.all_answers(
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

    test = examples.load(recipe, task, "test", labels, effort)
    compared = parity.compare(arrays["test"], reference["test"])
    scored = score(task, learnt, arrays["test"], test)
    padding = parity.padding_neutrality(
        predictor.runner,
        [predictor.encode(text)[0] for text in test.texts[:PADDING_ROWS]],
        recipe.export.lengths,
        numerics,
    )
    edges = edge_gate(arrays["edges"], reference["edges"], numerics)
    write_json(
        folder / "verify.json",
        {
            **scored,
            "label_agreement": compared.label_agreement,
            "max_abs_logit_error": compared.max_abs_logit_error,
            "mean_abs_logit_error": compared.mean_abs_logit_error,
            "worst": list(compared.worst_rows),
            "worst_rows": list(dict.fromkeys(test.numbers[test.owners[row]] for row in compared.worst_rows)),
            "gates": [
                asdict(gate)
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
            "golden_sets": [_golden_set(name, recipe, task, labels, arrays[name]) for name in recipe.also_evaluate],
        },
    )


def score(task: Task, learnt: Learnt, answers: np.ndarray, test: Examples) -> dict[str, Any]:
    """accuracy, macro_f1, span_f1 (of taggers), metrics and confusion of the answers on `test`."""
    labels, figures = learnt.labels(), learnt.figures()
    if task.kind == "tags":
        tagged = accuracy.evaluate_tags(answers, test.labels, test.counts, labels, decoding_of(learnt), test.groups)
        return asdict(tagged) | {"confusion": tagged.confusion.tolist()}
    scored = accuracy.evaluate(answers, test.labels, figures["temperature"], figures["threshold"])
    return {
        "accuracy": scored.accuracy,
        "macro_f1": scored.macro_f1,
        "span_f1": None,
        "metrics": scored.to_json(labels),
        "confusion": scored.confusion.tolist(),
    }


def edge_gate(logits: np.ndarray, reference: np.ndarray, numerics: Numerics) -> GateResult:
    """Edge texts get PyTorch's answer: the largest logit error relative to the largest logit."""
    bound = 1e-3 if weight_bits(numerics) == 32 else 2e-2 if weight_bits(numerics) == 16 else 0.25
    finite = np.isfinite(logits).all()
    error = float(np.abs(logits - reference).max() / max(1.0, float(np.abs(reference).max()))) if finite else None
    passed = error is not None and error <= bound
    return GateResult("max_edge_text_error", bound, error, "pass" if passed else "fail")


def _golden_set(name: str, recipe: Recipe, task: Task, labels: Sequence[str], logits: np.ndarray) -> dict[str, Any]:
    rows = examples.test_only(name, recipe, task, labels)
    scored = accuracy.evaluate(logits, rows.labels)
    return {"name": name, "n": scored.n, "accuracy": scored.accuracy, "macro_f1": scored.macro_f1}


def metadata_of(recipe: Recipe, task: Task, labels: Sequence[str] = ()) -> Metadata:
    """What an artifact says of itself."""
    source = sources.find(task.source)
    return Metadata(
        name=recipe.name,
        description=recipe.description or (f"{task.name}: {len(labels)} labels" if labels else task.name),
        labels=tuple(labels),
        license=source.licence,
        version=str(reader.SCHEMA),
        extra={"data": source.name, "task": task.name},
    )
