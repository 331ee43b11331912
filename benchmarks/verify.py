"""Replaying a bundle from its files alone: checksums, tokenizer ids, golden logits, padding."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgewright.benchmarks import verify_replies, verify_sequences
from edgewright.benchmarks.parity import padding_neutrality
from edgewright.benchmarks.record import Verdict
from edgewright.data.tokenizer import pieces
from edgewright.errors import MissingExtraError
from edgewright.runtimes import bundle as bundles
from edgewright.runtimes.answers import answers_of, pad_to_bucket
from edgewright.runtimes.bundle import Bundle, BundleArtifact, Golden

# Another processor takes other kernels, which sum in another order: the golden error measured where the bundle was made
# may grow by this factor and this amount before the artifact counts as changed.
ALLOWED_FACTOR, ALLOWED_MORE = 1.5, 1e-3

REPLAYS = {"sequence": verify_sequences.replay, "generation": verify_replies.replay}


@dataclass(frozen=True)
class Check:
    """What one artifact answered. `problems` are a line each; `not_verifiable` means that its runtime is missing."""

    runtime: str
    numerics: str
    verdict: Verdict
    golden_max_abs_logit_error: float | None
    golden_label_agreement: float | None
    problems: tuple[str, ...] = field(default=())


def verify(path: Path) -> list[Check]:
    """One Check an artifact.

    Raises:
        DamagedFileError: the manifest, the tokenizer or the golden vectors are missing, changed or malformed.
    """
    bundle = bundles.read(path)
    golden = bundle.golden()
    if bundle.kind in REPLAYS:
        found = [_check_replayed(bundle, artifact, golden) for artifact in bundle.artifacts]
        return found + [_check_replayed(bundle, package, golden, keeps=True) for package in bundle.state_packages]
    wrong_ids = _wrong_ids(bundle, golden)
    return [_check(bundle, artifact, golden, wrong_ids) for artifact in bundle.artifacts]


def _check_replayed(bundle: Bundle, artifact: BundleArtifact, golden: list[Golden], keeps: bool = False) -> Check:
    """keeps: it is one of the packages that keep their state."""
    target, numerics = artifact.target, artifact.numerics
    shown = f"{numerics}, state inside" if keeps else numerics
    try:
        runner = bundle.state_runner(artifact) if keeps else bundle.runner(artifact)
    except MissingExtraError as missing:
        return Check(target, shown, "not_verifiable", None, None, (str(missing),))
    allowed = ALLOWED_FACTOR * artifact.golden_max_abs_logit_error + ALLOWED_MORE
    found = REPLAYS[bundle.kind](bundle, runner, numerics, golden, allowed)
    return Check(target, shown, "fail" if found.problems else "pass", found.error, found.agreement, found.problems)


def _wrong_ids(bundle: Bundle, golden: list[Golden]) -> list[str]:
    tokenizer = bundle.tokenizer()
    wrong = [n for n, vector in enumerate(golden, 1) if pieces(tokenizer, vector.text)[0].tolist() != vector.ids]
    return [f"the tokenizer gives other ids for golden vectors {wrong[:5]}"] if wrong else []


def _check(bundle: Bundle, artifact: BundleArtifact, golden: list[Golden], problems: list[str]) -> Check:
    try:
        runner = bundle.runner(artifact)
    except MissingExtraError as missing:
        return Check(artifact.target, artifact.numerics, "not_verifiable", None, None, (str(missing),))
    tokenizer = bundle.tokenizer()
    parts = [answers_of(vector.text, tokenizer, bundle.lengths, runner) for vector in golden]
    answers, vectors = np.concatenate(parts), np.repeat(np.arange(len(golden)), [len(part) for part in parts])
    rows_of = [np.array(vector.logits, dtype=np.float32).reshape(-1, answers.shape[1]) for vector in golden]
    expected = np.concatenate(rows_of)
    problems = list(problems)
    if not np.isfinite(answers).all():
        problems.append("a logit is NaN or infinite")
    error = float(np.abs(answers - expected).max()) if np.isfinite(answers).all() else None
    allowed = ALLOWED_FACTOR * artifact.golden_max_abs_logit_error + ALLOWED_MORE
    if error is not None and error > allowed:
        problems.append(f"golden logits are off by {error:.4g}, at most {allowed:.4g} is expected")
    same = answers.argmax(axis=1) == expected.argmax(axis=1)
    # a label may change where two classes are nearer to each other than the allowed error
    top = np.sort(expected, axis=1)
    clear = top[:, -1] - top[:, -2] > 2 * allowed
    changed = np.flatnonzero(~same & clear)
    if len(changed):
        numbers = list(dict.fromkeys(int(vectors[place]) + 1 for place in changed))
        problems.append(f"the labels of golden vectors {numbers[:5]} changed")
    rows = [pad_to_bucket(pieces(tokenizer, vector.text)[0], bundle.lengths) for vector in golden]
    padding = padding_neutrality(runner, rows, bundle.lengths, artifact.numerics)  # type: ignore[arg-type]
    if not padding.neutral:
        problems.append(
            f"padding to {padding.length} moves golden vector {padding.row + 1} by {padding.difference:.3g}"
        )
    return Check(
        artifact.target,
        artifact.numerics,
        "fail" if problems else "pass",
        error,
        float(same.mean()),
        tuple(problems),
    )
