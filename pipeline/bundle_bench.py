"""Timing the artifacts of a bundle: text to label, tokenization and inference apart, in turns."""

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgewright.benchmarks.latency import Job, measure, write_texts
from edgewright.benchmarks.machine import fingerprint
from edgewright.data.rows import read_rows
from edgewright.pipeline.bundle_data import chosen
from edgewright.pipeline.progress import Reporter
from edgewright.pipeline.recipe import Effort
from edgewright.pipeline.timing import NOT_TIMED
from edgewright.runtimes import bundle as bundles

MOST_TEXTS = 1000


def bench(
    path: Path, data: Path | None, runtime: str, threads: int, effort: Effort, reporter: Reporter
) -> dict[str, Any]:
    """Latencies of each artifact that can be timed here, over the texts of `data` or the bundle's golden texts."""
    bundle = bundles.read(path)
    if data is None:
        texts = [golden.text for golden in bundle.golden()]
    else:
        texts = [row.text or "" for row in read_rows(data)][:MOST_TEXTS]
    timed = [artifact for artifact in chosen(bundle, runtime) if artifact.target not in NOT_TIMED]
    with tempfile.TemporaryDirectory() as folder:
        said = write_texts(texts, Path(folder) / "texts.json")
        jobs = [
            Job(f"{a.target} {a.numerics}", a.target, path, texts=said, numerics=a.numerics, threads=threads)
            for a in timed
        ]
        with reporter.bar("latency, blocks in turn", 1) as bar:
            taken = measure(jobs, effort, lambda done, total: bar.update(done, total=total)) if jobs else {}
    return {
        "schema": 1,
        "bundle": bundle.name,
        "effort": effort,
        "threads": threads,
        "texts": len(texts),
        "cells": [
            {
                "runtime": artifact.target,
                "numerics": artifact.numerics,
                "size_bytes": artifact.size_bytes,
                **{
                    f"{series}_{name}": asdict(getattr(taken[job.name][series], name))
                    for series in ("encode", "inference", "text_to_label")
                    for name in ("p50_ms", "p90_ms", "p99_ms")
                },
                "timing": asdict(taken[job.name]["text_to_label"].timing),
            }
            for artifact, job in zip(timed, jobs, strict=True)
        ],
        "not_timed": [a.target for a in bundle.artifacts if a.target in NOT_TIMED],
        "machine": asdict(fingerprint()),
    }
