"""Every family at its reference size in every format: exported, compared with PyTorch, timed in turns."""

import datetime
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgewright.benchmarks.family_record import FamilyRecord, FamilyRow, compared
from edgewright.benchmarks.job_files import write_inputs
from edgewright.benchmarks.latency import Job, Results, measure
from edgewright.benchmarks.machine import fingerprint
from edgewright.compress.numerics import INT8, TARGETS, Numerics, Target
from edgewright.compress.quantize import quantize
from edgewright.data.files import read_json, write_json
from edgewright.data.hashed_ngrams import CHARACTER_ROWS
from edgewright.errors import UsageError
from edgewright.export import export
from edgewright.export.artifact import SUFFIX, Metadata
from edgewright.models.encoder import Encoder, EncoderConfig
from edgewright.models.hybrid import SMALL, HybridConfig, HybridRNNTransformer
from edgewright.models.lstm_attention import LSTMAttention, LSTMAttentionConfig
from edgewright.models.methods import Method
from edgewright.models.ngram_hybrid import NgramHybrid, NgramHybridConfig
from edgewright.models.sequence_net import SequenceNet, SequenceNetConfig
from edgewright.models.tagger import Tagger, TaggerConfig
from edgewright.models.text_cnn import TextCNN, TextCNNConfig
from edgewright.pipeline.graph import Graph, Stage, folder_of
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.recipe import Effort
from edgewright.pipeline.stages import LIBRARIES
from edgewright.pipeline.timing import NOT_TIMED
from edgewright.runtimes import load
from edgewright.runtimes.pytorch import PyTorchRunner

CALLS = 8  # different inputs that a timed function cycles through
COMPARED = 3  # inputs on which a file is compared with PyTorch

# name → (model, lengths): the sizes that the documentation's bars are about
REFERENCES: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "text_cnn": (lambda: TextCNN(TextCNNConfig()), (32,)),
    "ngram_hybrid": (lambda: NgramHybrid(NgramHybridConfig()), (32,)),
    "sequence_net": (lambda: SequenceNet(SequenceNetConfig(10, 32, 50)), (5,)),
    "lstm_attention": (lambda: LSTMAttention(LSTMAttentionConfig()), (64,)),
    "tagger_bilstm": (lambda: Tagger(TaggerConfig(classes=17)), (64,)),
    "tagger_dilated_cnn": (lambda: Tagger(TaggerConfig(classes=17, encoder="dilated_cnn")), (64,)),
    "tagger_characters": (lambda: Tagger(TaggerConfig(classes=17, encoder="dilated_cnn", characters=12)), (64,)),
    "encoder": (lambda: Encoder(EncoderConfig()), (32,)),
    "hybrid_small": (lambda: HybridRNNTransformer(SMALL), (32,)),
    "hybrid_full": (lambda: HybridRNNTransformer(HybridConfig()), (32,)),
}


def bench(
    names: Sequence[str], targets: Sequence[Target], effort: Effort, build: Path, reporter: Reporter
) -> FamilyRecord:
    """Export what is missing in `build`, compare each function with PyTorch, and time them.

    Raises:
        UsageError: no such family or target. ExportError: a target cannot take a family.
    """
    check(names, targets)
    cells = [
        (name, target, numerics)
        for name in names or tuple(REFERENCES)
        for target in targets or TARGETS
        for numerics in dict.fromkeys(("fp32", INT8[target]))
    ]
    stages = {cell: _stage(*cell) for cell in cells}
    Graph(build, list(stages.values())).run(
        progress=lambda step: reporter.say(f"{'reuse' if step.cached else 'make '} {step.stage.title}  ({step.reason})")
    )
    folders = {cell: folder_of(build, stage) for cell, stage in stages.items()}
    inputs = {name: _inputs(name, build) for name in dict.fromkeys(name for name, _, _ in cells)}
    jobs = {
        (*cell, function): Job(
            f"{' '.join(cell)} {function}", cell[1], _artifact(folders[cell], *cell), inputs=path, method=method
        )
        for cell in cells
        if cell[1] not in NOT_TIMED
        for function, (method, path) in inputs[cell[0]].items()
    }
    taken: Results = {}
    for name in inputs:  # one family after the other: a process for each of all the files does not fit into memory
        own = [job for (family, *_), job in jobs.items() if family == name]
        with reporter.bar(f"latency of {name}, blocks in turn", 1) as bar:
            taken |= measure(own, effort, lambda done, total: bar.update(done, total=total)) if own else {}
    rows = []
    for cell in cells:
        said = read_json(folders[cell] / "family.json")
        for function in inputs[cell[0]]:
            job = jobs.get((*cell, function))
            series = taken[job.name]["inference"].series if job else None
            rows.append(
                FamilyRow(
                    *(cell[0], function, cell[1], cell[2]),
                    parameters=said["parameters"],
                    size_bytes=said["size_bytes"],
                    error=said["errors"][function],
                    export_seconds=said["seconds"],
                    p50_ms=series.p50_ms if series else None,
                    normalised_p50=series.normalised_p50 if series else None,
                    quiet=series.timing.quiet if series else None,
                )
            )
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return FamilyRecord(compared(rows), effort, created, fingerprint())


def check(names: Sequence[str], targets: Sequence[str]) -> None:
    """Raise a UsageError for a name that is none of ours."""
    for given, known in ((names, tuple(REFERENCES)), (targets, TARGETS)):
        for name in given:
            if name not in known:
                raise UsageError(f"'{name}' is none of {', '.join(known)}")


def _stage(name: str, target: Target, numerics: Numerics) -> Stage:
    return Stage(
        f"family-{name}-{target}-{numerics}",
        lambda folder, _: _export(name, target, numerics, folder),
        settings={"lengths": list(REFERENCES[name][1])},
        code=("edgewright.models", "edgewright.export", "edgewright.compress.quantize", "edgewright.runtimes"),
        libraries=LIBRARIES[target],
    )


def _model(name: str) -> Any:
    torch.manual_seed(0)
    return REFERENCES[name][0]().eval()


def _export(name: str, target: Target, numerics: Numerics, folder: Path) -> None:
    """The artifact, and family.json: parameters, bytes, seconds, and the error of each function."""
    quantized = quantize(_model(name), numerics)
    methods = quantized.module.methods(REFERENCES[name][1])  # type: ignore[operator]  # each family has it
    path = _artifact(folder, name, target, numerics)
    start = time.perf_counter()
    artifact = export(target, quantized, methods, path, [], Metadata(name, name, (), "MIT", "1"))
    seconds = time.perf_counter() - start
    runner, reference = load(target, path), PyTorchRunner(quantized.module)
    write_json(
        folder / "family.json",
        {
            "parameters": sum(parameter.numel() for parameter in quantized.module.parameters()),
            "size_bytes": artifact.size_bytes,
            "seconds": seconds,
            "errors": {
                function: max(
                    _error(runner.run(*arrays, method=method.name), reference.run(*arrays, method=method.name))
                    for arrays in calls(quantized.module, method, length, COMPARED)
                )
                for method in methods
                for function, length in method.functions()
            },
        },
    )


def _artifact(folder: Path, name: str, target: Target, numerics: Numerics) -> Path:
    return folder / f"{target}-{numerics}{SUFFIX[target]}"


def _inputs(name: str, build: Path) -> dict[str, tuple[str, Path]]:
    """Method and file of inputs of each function of a family."""
    model, lengths = _model(name), REFERENCES[name][1]
    build.mkdir(parents=True, exist_ok=True)
    return {
        function: (
            method.name,
            write_inputs({"inference": calls(model, method, length, CALLS)}, build / f"inputs-{name}-{function}.npz"),
        )
        for method in model.methods(lengths)
        for function, length in method.functions()
    }


def calls(model: Any, method: Method, length: int | None, count: int) -> list[tuple[np.ndarray, ...]]:
    """Random inputs without padding: ids below the size of their table, states and signals as small numbers."""
    random = np.random.default_rng(0)
    vocabulary, characters = getattr(model.config, "vocab_size", 2), getattr(model.config, "characters", 0)
    found = []
    for number in range(count):
        arrays: list[np.ndarray] = []
        for tensor in method.inputs:
            shape = method.sizes(tensor, length)
            if tensor.dtype == "float32":
                arrays.append(random.normal(scale=0.5, size=shape).astype(np.float32))
            elif tensor.name == "position":
                arrays.append(np.array([number], np.int32))
            else:
                rows = np.full(shape[-1], vocabulary)
                rows[len(rows) - characters :] = CHARACTER_ROWS
                arrays.append(random.integers(1, rows, shape).astype(np.int32))
        found.append(tuple(arrays))
    return found


def _error(given: tuple[np.ndarray, ...], wanted: tuple[np.ndarray, ...]) -> float:
    """The largest difference of an output, relative to its largest value."""
    return max(
        float(np.abs(one - other).max() / max(1e-6, np.abs(other).max()))
        for one, other in zip(given, wanted, strict=True)
    )
