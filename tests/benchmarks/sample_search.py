"""Records of a search, made from a formula, for the tests of what judges and shows them."""

import dataclasses

from edgewright.benchmarks.machine import fingerprint
from edgewright.benchmarks.record import Interval
from edgewright.benchmarks.search_record import (
    SearchedRange,
    SearchedSpace,
    SearchRecord,
    TargetFigures,
    Trial,
    Verdict,
    chosen_of,
    front_of,
    worst,
)

SPACE = SearchedSpace(
    families={
        "ngram_hybrid": {
            "model.width": SearchedRange(choices=(16, 32, 64)),
            "tokenizer.buckets": SearchedRange(low=500, high=9000, log=True),
        }
    },
    forms={"int8": {"litert": "dynamic_wi8_afp32", "onnx": "dynamic_wi8_afp32"}},
    targets=("litert", "onnx"),
    one=False,
)


def trial(number: int, score: float | None, size: int, p50: float | None, verdict: Verdict = "fits") -> Trial:
    """On two targets; `onnx` is the larger, the slower and the worse one."""
    time = None if p50 is None else Interval(p50, p50 * 0.98, p50 * 1.03)
    faster = None if p50 is None else Interval(p50 / 2, p50 * 0.49, p50 * 0.51)
    targets = {
        "litert": TargetFigures("dynamic_wi8_afp32", size - 500, faster, True, score),
        "onnx": TargetFigures("dynamic_wi8_afp32", size, time, True, None if score is None else score - 0.001),
    }
    found, most, slowest = worst(list(targets.values()))
    settings = {"family": "ngram_hybrid", "numerics": "int8", "model.width": 16, "model.feature_dropout": 0.3}
    return Trial(
        number=number,
        settings=settings,
        verdict=verdict,
        recipe=f"trials/{number:04}.toml",
        reason=None if verdict == "fits" else "24 % above --max-bytes",
        trained=score is not None,
        score=found,
        shipped_bytes=most,
        p50_ms=slowest,
        targets=targets,
        weights=None if score is None else "ab" * 32,
        seconds=70.0,
    )


def sample() -> SearchRecord:
    """Thirty trials, of which some are over the budget of 0.5 MB and 0.1 ms."""
    found = []
    for number in range(30):
        size = 60_000 + 37_000 * ((number * 7) % 20)
        p50 = 0.02 + 0.004 * ((number * 11) % 23)
        over = size > 500_000 or p50 * 1.03 > 0.1
        score = None if over and number % 3 else 0.955 - 9_000 / size - 0.01 * (number % 4)
        found.append(trial(number, score, size, p50, "over_budget" if over else "fits"))
    return record(found)


def record(trials: list[Trial]) -> SearchRecord:
    chosen = chosen_of(trials)
    return SearchRecord(
        recipe="intent",
        task="clinc150",
        metric="accuracy",
        effort="quick",
        seed=0,
        max_ms=0.1,
        max_bytes=500_000,
        targets=("litert", "onnx"),
        trials=tuple(trials),
        front=front_of(trials),
        chosen=chosen,
        nearest=() if chosen is not None else tuple(one.number for one in trials[:3]),
        relax=None if chosen is not None else "trial 0 would fit --max-bytes 600_000",
        found=None if chosen is None else "intent-found.toml",
        test={} if chosen is None else {"litert": {"accuracy": 0.934, "macro_f1": 0.93, "span_f1": None}},
        space=SPACE,
        created="2026-11-20T10:00:00+00:00",
        machine=dataclasses.replace(fingerprint(), git_commit="0" * 40),
    )
