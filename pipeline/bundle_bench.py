"""`edgewright bench`: everything about the speed, memory and size of a bundle's artifacts, each in its own process."""

import datetime
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from edgewright.benchmarks import energy, latency, load_time, memory, throughput
from edgewright.benchmarks.bench_record import (
    BenchRecord,
    Energy,
    Length,
    Peaks,
    Roofline,
    RuntimeFiles,
    Timed,
)
from edgewright.benchmarks.empty_graph import empty_jobs
from edgewright.benchmarks.job_files import Arrays, write_inputs, write_texts
from edgewright.benchmarks.latency import Job, Results
from edgewright.benchmarks.machine import fingerprint, usable_cpus
from edgewright.benchmarks.processes import Worker, cpus_for
from edgewright.data.files import size_bytes
from edgewright.data.rows import read_rows
from edgewright.data.tokenizer import pad, pieces
from edgewright.errors import DataError, UsageError
from edgewright.export.bundle import shipped_bytes
from edgewright.pipeline import examples
from edgewright.pipeline.bundle_data import chosen
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.recipe import Effort
from edgewright.pipeline.timing import NOT_TIMED, timed_texts
from edgewright.runtimes import Runtime
from edgewright.runtimes import bundle as bundles
from edgewright.runtimes.answers import pad_to_bucket
from edgewright.runtimes.bundle import Bundle, BundleArtifact

BATCHES = (1, 2, 4, 8, 16, 32, 64)
THREADS = (1, 2, 4)
LENGTH_CALLS = 8  # different inputs that the calls of one length cycle through
PROFILED_CALLS: dict[Effort, int] = {"rapid": 50, "quick": 500, "normal": 2000}
PEAK_SECONDS: dict[Effort, float] = {"rapid": 1, "quick": 5, "normal": 15}
ENERGY_SECONDS: dict[Effort, float] = {"rapid": 1, "quick": 3, "normal": 10}
DISTRIBUTION = {"litert": "ai-edge-litert", "onnx": "onnxruntime", "executorch": "executorch"}


@dataclass(frozen=True)
class Wanted:
    """What is measured beside latency, cold start, memory and sizes."""

    threads: tuple[int, ...] = (1,)
    batches: tuple[int, ...] = ()
    roofline: bool = False
    energy: bool = False


FULL = Wanted(THREADS, BATCHES, roofline=True, energy=True)


def bench(
    path: Path, data: Path | None, runtime: str, wanted: Wanted, effort: Effort, raw: Path | None, reporter: Reporter
) -> BenchRecord:
    """Measure the artifacts of a bundle that can be timed here, over the texts of `data` or its golden texts.

    Args:
        raw: where every sample is kept (.npz), if anywhere.

    Raises:
        UsageError: no artifact can be timed. DataError: no texts.
    """
    bundle = bundles.read(path)
    examples.require_labels(bundle.kind, "bench")
    texts, texts_from = _texts(bundle, data)
    timed = [artifact for artifact in chosen(bundle, runtime) if artifact.target not in NOT_TIMED]
    if not timed:
        raise UsageError(f"{path}: no artifact of it can be timed here: Core ML runs on Apple devices only")
    tokenizer = bundle.tokenizer()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        said = write_texts(texts, folder / "texts.json")
        ids = [pieces(tokenizer, text)[0] for text in texts]
        inputs = write_inputs(_by_length(bundle, ids), folder / "lengths.npz")
        jobs = [
            Job(
                _name(artifact, threads),
                artifact.target,
                path,
                inputs=inputs if threads == min(wanted.threads) else None,
                texts=said,
                numerics=artifact.numerics,
                threads=threads,
            )
            for artifact in timed
            for threads in wanted.threads
        ]
        empty = empty_jobs({artifact.target for artifact in timed}, folder)
        taken = _measure([*jobs, *empty.values()], effort, reporter, "latency, blocks in turn")
        with reporter.bar("throughput, files and blocks in turn", 1) as bar:
            rows = [pad_to_bucket(one, bundle.lengths) for one in ids]
            batches, together = throughput.measure(
                bundle, timed, wanted.batches, rows, effort, folder, lambda done, total: bar.update(done, total=total)
            )
        counter = energy.package_counter() if wanted.energy else None
        peaks = _peaks(effort, reporter) if wanted.roofline else None

        found = []
        with reporter.bar("cold start, memory, profiles", len(timed)) as bar:
            for number, artifact in enumerate(timed, start=1):
                alone = Job("", artifact.target, artifact.path, inputs=inputs, numerics=artifact.numerics)
                for threads in wanted.threads:
                    job = next(job for job in jobs if job.name == _name(artifact, threads))
                    one = _timed(bundle, artifact, threads, taken[job.name])
                    if threads == min(wanted.threads):
                        alone = replace(alone, name=job.name, threads=threads)
                        one = replace(
                            one,
                            cold=load_time.measure(replace(job, inputs=None), effort),
                            peak_memory_bytes=memory.measure(alone, empty.get(artifact.target), effort),
                            throughput=tuple(batches.get((artifact.target, artifact.numerics), ())),
                            energy=_energy(job, effort, counter.name) if counter else None,
                            # the peaks are those of one thread
                            roofline=_rooflines(alone, one, taken, empty, peaks, effort)
                            if peaks and threads == 1
                            else (),
                        )
                    found.append(one)
                bar.update(number, job.name)
        runtimes = tuple(_runtime(target, jobs, taken, empty) for target in dict.fromkeys(a.target for a in timed))
        if raw is not None:
            latency.write_raw(taken | together, raw)
    return BenchRecord(
        kind="bench",
        subject=bundle.name,
        task=str(bundle.manifest["task"]["name"]),
        effort=effort,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        texts=len(texts),
        texts_from=texts_from,
        machine=fingerprint(),
        artifacts=tuple(found),
        runtimes=runtimes,
        peaks=peaks,
        energy_source=counter.name if counter else None,
        not_timed=tuple(sorted({a.target for a in bundle.artifacts if a.target in NOT_TIMED})),
        notes=_notes(wanted),
    )


def _texts(bundle: Bundle, data: Path | None) -> tuple[list[str], str]:
    """The texts that are timed, and where they are from."""
    if data is None:
        return [golden.text for golden in bundle.golden()], "golden vectors of the bundle"
    texts = [row.text for row in read_rows(data) if row.text is not None]
    if not texts:
        raise DataError(f"{data}: holds no row with a text; give a file of rows with the field 'text'")
    return timed_texts(texts), data.name


def _by_length(bundle: Bundle, ids: Sequence[np.ndarray]) -> dict[str, list[Arrays]]:
    """Inputs for each bucket: texts that fall into it, else the longest text cut or padded to it."""
    padded = [pad_to_bucket(one, bundle.lengths) for one in ids]
    longest = max(ids, key=len)
    calls: dict[str, list[Arrays]] = {}
    for length in bundle.lengths:
        fitting: list[Arrays] = [(one,) for one in padded if one.shape[1] == length]
        calls[f"length {length}"] = fitting[:LENGTH_CALLS] or [(pad(longest, length),)]
    return calls


def _name(artifact: BundleArtifact, threads: int) -> str:
    return f"{artifact.target} {artifact.numerics}, threads {threads}"


def _measure(jobs: list[Job], effort: Effort, reporter: Reporter, title: str) -> Results:
    with reporter.bar(title, 1) as bar:
        return latency.measure(jobs, effort, lambda done, total: bar.update(done, total=total))


def _timed(bundle: Bundle, artifact: BundleArtifact, threads: int, taken: dict[str, latency.Latency]) -> Timed:
    shipped = shipped_bytes(artifact.size_bytes, size_bytes(bundle.path / "tokenizer.json"), bundle.labels)
    return Timed(
        runtime=artifact.target,
        numerics=artifact.numerics,
        threads=threads,
        size_bytes=artifact.size_bytes,
        shipped_bytes=shipped,
        text_to_label=taken["text_to_label"].series,
        encode=taken["encode"].series,
        inference=taken["inference"].series,
        lengths=tuple(
            Length(length, one.series.p50_ms, one.series.normalised_p50)
            for length in bundle.lengths
            if (one := taken.get(f"length {length}")) is not None
        ),
    )


def _peaks(effort: Effort, reporter: Reporter) -> Peaks:
    reporter.say("the machine's peaks: multiply-adds and bandwidth of one thread")
    with Worker("the machine's peaks") as worker:
        answer = worker.ask("peaks", seconds=PEAK_SECONDS[effort], cpus=cpus_for(1))
    return TypeAdapter(Peaks).validate_python(answer)


def _rooflines(
    job: Job, timed: Timed, taken: Results, empty: dict[Runtime, Job], peaks: Peaks, effort: Effort
) -> tuple[Roofline, ...]:
    assert job.runtime is not None
    request = {
        "measured": {f"length {one.length}": asdict(one.p50_ms) for one in timed.lengths},
        "empty_call_ms": taken[empty[job.runtime].name]["inference"].series.p50_ms.value,
        "peaks": asdict(peaks),
    }
    with Worker(job.name, job.threads) as worker:
        answer = worker.ask(
            "roofline", job=job.to_json(), request=request, calls=PROFILED_CALLS[effort], cpus=cpus_for(job.threads)
        )
    return tuple(TypeAdapter(Roofline).validate_python(one) for one in answer.values())


def _energy(job: Job, effort: Effort, source: str) -> Energy:
    with Worker(job.name, job.threads) as worker:
        answer = worker.ask("energy", job=job.to_json(), seconds=ENERGY_SECONDS[effort], cpus=cpus_for(job.threads))
    return Energy(answer["uj"], source)


def _runtime(target: Runtime, jobs: Sequence[Job], taken: Results, empty: dict[Runtime, Job]) -> RuntimeFiles:
    job = next(job for job in jobs if job.runtime == target)
    with Worker(job.name, job.threads) as worker:
        loaded: Any = worker.ask("libraries", job=job.to_json(), cpus=cpus_for(job.threads))
    versions = fingerprint().versions
    return RuntimeFiles(
        runtime=target,
        version=versions.get(DISTRIBUTION[target]),
        library_bytes=loaded["bytes"],
        empty_call=taken[empty[target].name]["inference"].series if target in empty else None,
    )


def _notes(wanted: Wanted) -> tuple[str, ...]:
    cores = len(usable_cpus())
    more = [threads for threads in wanted.threads if threads > cores]
    if more:
        return (f"{', '.join(map(str, more))} threads share {cores} usable cores here.",)
    return ()
