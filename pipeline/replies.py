"""The stages of a task of kind "generation": from the data's card to the verified artifact of a cell.

As in learn.py and cells.py, which are those of labels, each function fills one stage's folder.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgewright.benchmarks import reply_parity
from edgewright.benchmarks.parity import EDGE_TEXTS
from edgewright.benchmarks.record import GateResult
from edgewright.compress.numerics import Numerics, Target
from edgewright.compress.quantize import quantize
from edgewright.data import dialogues, leaks, pair_batches, sources
from edgewright.data import tokenizer as tokenizers
from edgewright.data.files import read_json, write_json
from edgewright.data.pair_batches import EncodedPairs
from edgewright.data.sampling import PADDING
from edgewright.data.tasks import Task
from edgewright.data.tokenizer import Writing, special_id
from edgewright.export import bundle as bundles
from edgewright.export import export, state_package
from edgewright.export.artifact import SUFFIX, to_json
from edgewright.export.bundle import Content, Shipped, StatePackage
from edgewright.models import checkpoint
from edgewright.pipeline import learn, reply_data, reply_figures, reply_tables
from edgewright.pipeline.cells import PADDING_ROWS, VERSIONS, Learnt, data_json, edge_gate, metadata_of
from edgewright.pipeline.graph import library_version
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.recipe import Effort, Recipe
from edgewright.pipeline.tables import build_tokenizer, family_of
from edgewright.runtimes import bundle as reader
from edgewright.runtimes import load, state_inside
from edgewright.runtimes.bundle import Golden
from edgewright.runtimes.generator import open_generator, shapes_of
from edgewright.train import pairs as training

WORST = 10
CHUNK = 20  # pairs between two words about the progress


def make_data(recipe: Recipe, task: Task, folder: Path) -> None:
    """data.json: pairs of each split, fingerprint, and near-duplicates between splits, a pair being all its text."""
    source = sources.find(task.source)
    splits = {split: reply_data.load(task, split) for split in reply_data.SPLITS}
    texts = {
        split: [f"{reply_data.read_text(pair)} {pair.response}" for pair in pairs] for split, pairs in splits.items()
    }
    write_json(
        folder / "data.json",
        {
            "labels": [],
            "rows": {split: len(pairs) for split, pairs in splits.items()},
            "fingerprint": sources.fingerprint(source, recipe.data.count, recipe.data.seed),
            "leaks": len(leaks.find_leaks(texts)),
        },
    )


def make_tokenizer(recipe: Recipe, task: Task, folder: Path) -> None:
    """tokenizer.json, learnt from the messages and replies of the training pairs only."""
    pairs = reply_data.load(task, "train")
    texts = (text for pair in pairs for text in (pair.message, pair.response))
    tokenizers.save(build_tokenizer(recipe, texts), folder / "tokenizer.json")


def make_model(
    recipe: Recipe, task: Task, seed: int, data: Path, tokenizer: Path, folder: Path, kept: Path, reporter: Reporter
) -> None:
    """model.safetensors of the best epoch, and history.json. `kept` holds the state of an interrupted training."""
    words = reply_data.words_in(tokenizer)
    config = reply_tables.train_config(recipe, seed)
    model = reply_tables.build_model(recipe, words, seed)
    learnt, held = (
        encoded(recipe, words, reply_data.evenly(reply_data.load(task, split), most))
        for split, most in (("train", config.rows), ("validation", reply_data.VALIDATION_PAIRS))
    )
    with reporter.bar(f"train, seed {seed}", config.epochs) as bar:
        trained = training.train(model, learnt, held, config, kept, lambda done, _, note: bar.update(done, note))
    checkpoint.save_model(model, family_of(recipe), folder / "model.safetensors")
    write_json(
        folder / "history.json",
        {
            "metric": "perplexity",
            "best_epoch": trained.best.epoch,
            "best_score": -trained.best.score,
            "epochs": [[epoch.epoch, epoch.loss, -epoch.score] for epoch in trained.history],
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
    """The seed with the lowest validation perplexity: its weights, and reference.json with its figures and replies.

    words: how much of its perplexity is due to words that no training reply has, on validation and on test.
    replies: the ids of its greedy replies to the test prompts. golden: those to the golden texts, with the score of
    each token.
    """
    words = reply_data.words_in(tokenizer)
    validation = {seed: float(read_json(path / "history.json")["best_score"]) for seed, path in models.items()}
    chosen = min(validation, key=lambda seed: validation[seed])
    tested = encoded(recipe, words, reply_data.tested(task, effort)[1])
    whole = tested if effort == "rapid" else encoded(recipe, words, reply_data.load(task, "test"))
    found = {}
    for seed, path in models.items():
        reporter.say(f"reference, seed {seed}")
        found[seed] = training.perplexity(checkpoint.load_model(path / "model.safetensors"), whole)

    model: Any = checkpoint.load_model(models[chosen] / "model.safetensors")
    known = reply_parity.words_of(words, (pair.response for pair in reply_data.load(task, "train")))
    by_word = {}
    for split, most in (("validation", reply_data.VALIDATION_PAIRS), ("test", None)):
        reporter.say(f"reference, words of {split}")
        pairs = reply_data.evenly(reply_data.load(task, split), reply_data.PAIRS[effort] if effort == "rapid" else most)
        by_word[split] = reply_figures.by_word(words, model, pairs, encoded(recipe, words, pairs), known)
    prompts = [prompt_of(recipe, words, pair) for pair in reply_data.answered(recipe, task, effort)[1]]
    replies = []
    with reporter.bar("reference, replies", len(prompts)) as bar:
        for number, prompt in enumerate(prompts, start=1):
            replies.append(greedy(model, words, prompt))
            bar.update(number)
    checkpoint.save_model(model, family_of(recipe), folder / "model.safetensors")
    write_json(
        folder / "reference.json",
        {
            "seed": chosen,
            "validation": validation,
            "test": found,
            "test_pairs": len(whole),
            "words": by_word,
            "figures": {
                "perplexity": training.perplexity(model, tested),
                "pairs": len(tested),
                "test_perplexity": found[chosen],
            },
            "replies": replies,
            "golden": [_golden_json(model, words, recipe, text) for text in learn.golden_texts()],
        },
    )


def make_artifact(recipe: Recipe, task: Task, target: Target, numerics: Numerics, learnt: Learnt, folder: Path) -> None:
    """bundle/ with this one artifact, and artifact.json; for Core ML also the package that keeps its caches."""
    model = learnt.model()
    path = folder / f"{target}-{numerics}{SUFFIX[target]}"
    methods = model.methods(recipe.export.lengths)
    quantized, metadata = quantize(model, numerics), metadata_of(recipe, task)
    artifact = export(target, quantized, methods, path, [], metadata)

    shapes = shapes_of([asdict(method) for method in methods])
    start = special_id(reply_data.words_of(learnt), "start")
    runner, golden = load(target, path), golden_vectors(learnt)
    found, expected = reply_parity.golden_scores(runner, shapes, golden, start)
    if target == "coreml":
        step = next(method for method in methods if method.state)
        kept = state_package.export_beside(quantized, step, path, metadata)
        keeping = state_inside.load_package(kept.path, runner)
        kept_error = _error(*reply_parity.golden_scores(keeping, shapes, golden, start))
        state_package.describe(StatePackage(kept, step.name, kept_error))
    content = bundle_content(recipe, task, learnt, [Shipped(artifact, _error(found, expected))])
    bundles.write(content, folder / "bundle")
    write_json(folder / "artifact.json", to_json(artifact) | {"golden_max_abs_logit_error": _error(found, expected)})


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
    """replies.json with the ids of the artifact's greedy replies, and verify.json with every figure but the times.

    Each reply is written from its text, as a user has it. Perplexity, errors and agreement are of real replies, token
    by token with the right ones before, through the artifact's own `encode` and `step`.
    """
    words, model = reply_data.words_of(learnt), learnt.model()
    generator = open_generator(made / "bundle", target, numerics)
    runner, shapes = generator.runner, generator.shapes

    said, prompted = learnt.figures(), reply_data.answered(recipe, task, effort)[1]
    replies: list[list[int]] = []
    with reporter.bar(f"{target} {numerics}, replies", len(prompted)) as bar:
        for number, pair in enumerate(prompted, start=1):
            replies.append(list(generator.generate_reply(pair.message, pair.context).ids))
            bar.update(number)
    equality = reply_parity.compare(replies, said["replies"])

    numbers, pairs = reply_data.tested(task, effort)
    tested = encoded(recipe, words, pairs)
    nats, expected_nats, errors = [], [], []
    agreed, total = 0, 0.0
    with reporter.bar(f"{target} {numerics}, test", len(tested)) as bar:
        for number, (prompt, target_ids) in enumerate(zip(tested.sources, tested.targets, strict=True), start=1):
            given, wanted = target_ids[:-1], target_ids[1:].tolist()
            found = reply_parity.taught(runner, shapes, prompt, given.tolist())
            expected = taught_by_pytorch(model, prompt, given)
            nats.append(reply_parity.surprises(found, wanted))
            expected_nats.append(reply_parity.surprises(expected, wanted))
            off = np.abs(found - expected)
            errors.append(float(off.max()) if np.isfinite(found).all() else float("inf"))
            agreed += int((found.argmax(axis=1) == expected.argmax(axis=1)).sum())
            total += float(off.mean(axis=1).sum())
            if number % CHUNK == 0 or number == len(tested):
                bar.update(number)
    tokens = sum(map(len, nats))
    perplexity = reply_parity.perplexity(nats)

    golden = golden_vectors(learnt)
    golden_replies = [list(generator.generate_reply(vector.text).ids) for vector in golden]
    on_golden = reply_parity.compare(golden_replies, [vector.reply or [] for vector in golden])
    edges = reply_parity.golden_scores(runner, shapes, golden[-len(EDGE_TEXTS) :], generator.start)
    padding = reply_parity.encode_padding(runner, tested.sources[:PADDING_ROWS], recipe.export.lengths, numerics)
    gates = [
        GateResult("max_padding_effect", padding.tolerance, padding.difference, "pass" if padding.neutral else "fail"),
        edge_gate(*edges, numerics),
    ]
    kept_state, kept_gates = reply_figures.kept_state(reader.read(made / "bundle"), runner, shapes, tested)
    gates += kept_gates
    if numerics == "fp32":
        gates.append(
            GateResult("min_equal_golden_replies", 1.0, on_golden.equal, "pass" if on_golden.equal == 1 else "fail")
        )
    worst = np.argsort(-np.array(errors), kind="stable")[:WORST].tolist()
    write_json(folder / "replies.json", replies)
    write_json(
        folder / "verify.json",
        {
            "accuracy": None,
            "macro_f1": None,
            "span_f1": None,
            "metrics": {
                "perplexity": perplexity,
                "perplexity_rise": perplexity / reply_parity.perplexity(expected_nats) - 1,
                "pairs": len(tested),
                "tokens": tokens,
                "equal_replies": equality.equal,
                "replies": equality.n,
                "common_prefix": equality.common_prefix,
                "reply_tokens": equality.tokens,
                "first_differences": list(equality.first_differences),
                "equal_golden_replies": on_golden.equal,
            }
            | kept_state,
            "label_agreement": agreed / tokens,
            "max_abs_logit_error": max(errors),
            "mean_abs_logit_error": total / tokens,
            "worst": worst,
            "worst_rows": [numbers[place] for place in worst],
            "gates": [asdict(gate) for gate in gates],
            "golden_sets": [],
        },
    )


def golden_vectors(learnt: Learnt) -> list[Golden]:
    """The greedy replies of the float model to texts that were written for this project, and to the edge texts."""
    words = reply_data.words_of(learnt)
    return [
        Golden(text, one["ids"], one["logits"], words.decode(one["reply"]).strip(), one["reply"])
        for text, one in zip(learn.golden_texts(), learnt.figures()["golden"], strict=True)
    ]


def bundle_content(
    recipe: Recipe,
    task: Task,
    learnt: Learnt,
    shipped: Sequence[Shipped],
    gates: Sequence[dict[str, Any]] = (),
    measurements: Sequence[dict[str, Any]] = (),
) -> Content:
    """A bundle of these artifacts, with everything that the manifest says about where they come from."""
    words, model = reply_data.words_of(learnt), learnt.model()
    return Content(
        name=recipe.name,
        description=recipe.description,
        task={"name": task.name, "kind": task.kind, "labels": [], "reject_label": None},
        methods=model.methods(recipe.export.lengths),
        postprocess={
            "decoding": "autoregressive",
            "start": special_id(words, "start"),
            "end": special_id(words, "end"),
            "max_length": model.config.max_target,
            "separator": dialogues.SEPARATOR,
            "temperature": 1.0,
            "threshold": None,
            "windows": "last",
        },
        data=data_json(task, read_json(learnt.data / "data.json")["fingerprint"]),
        seeds=[learnt.figures()["seed"]],
        versions={name: library_version(name) for name in VERSIONS},
        gates=gates,
        measurements=measurements,
        tokenizer=learnt.tokenizer / "tokenizer.json",
        reference=learnt.reference / "model.safetensors",
        golden=golden_vectors(learnt),
        shipped=shipped,
        state_packages=state_package.of(shipped),
    )


def encoded(recipe: Recipe, words: Writing, pairs: Sequence[dialogues.Pair]) -> EncodedPairs:
    """The pairs' ids, prompts and replies cut as the model needs them."""
    return pair_batches.encode(pairs, words, recipe.export.lengths[-1], reply_tables.reply_length(recipe))


def prompt_of(recipe: Recipe, words: Writing, pair: dialogues.Pair) -> NDArray[np.int32]:
    return dialogues.prompt_ids(words, pair.message, pair.context, recipe.export.lengths[-1])


def greedy(model: Any, words: Writing, prompt: NDArray[np.int32]) -> list[int]:
    """The ids of PyTorch's greedy reply to one prompt, which is not padded."""
    start, end = special_id(words, "start"), special_id(words, "end")
    source = torch.from_numpy(tokenizers.pad(prompt, max(1, len(prompt))))
    ids = model.generate(source, start, end, model.config.max_target, temperature=0.0)[0]
    return [int(token) for token in ids if token != PADDING]


def taught_by_pytorch(model: Any, prompt: NDArray[np.int32], given: NDArray[np.int32]) -> NDArray[np.float32]:
    """(T, V) scores of what follows each of `given` (T,), by the float model's `forward`."""
    source = torch.from_numpy(tokenizers.pad(prompt, max(1, len(prompt))))
    with torch.inference_mode():
        scores: NDArray[np.float32] = model(source, torch.from_numpy(given[None]))[0].numpy()
    return scores


def _golden_json(model: Any, words: Writing, recipe: Recipe, text: str) -> dict[str, Any]:
    prompt = dialogues.prompt_ids(words, text, None, recipe.export.lengths[-1])
    reply = greedy(model, words, prompt)
    given = np.array([special_id(words, "start"), *reply[:-1]], np.int32)
    scores = taught_by_pytorch(model, prompt, given)[np.arange(len(reply)), reply]
    return {"ids": prompt.tolist(), "reply": reply, "logits": scores.round(6).astype(float).tolist()}


def _error(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    return float(np.abs(found - expected).max())
