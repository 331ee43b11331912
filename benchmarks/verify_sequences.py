"""Replaying an artifact of a bundle of kind "sequence": ids or templates, golden outputs, steps and whole sequences."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgewright.benchmarks import sequence_parity
from edgewright.errors import DamagedFileError
from edgewright.runtimes import Runner
from edgewright.runtimes.bundle import Bundle, Golden
from edgewright.runtimes.state_inside import StateInside
from edgewright.runtimes.stream import SequenceStream, stream_of

# Of fp32, between `forward` and `step` of the same file: another processor takes other kernels, which sum in another
# order, so the bound of a run (sequence_parity.BUCKET_BOUND), met where the bundle was made, need not be elsewhere.
WHOLE_BOUND = 1e-4


@dataclass(frozen=True)
class Replayed:
    """error: the largest of the golden outputs, None where one is no number. agreement: share of equal best outputs."""

    error: float | None
    agreement: float
    problems: tuple[str, ...]


def replay(bundle: Bundle, runner: Runner, numerics: str, golden: Sequence[Golden], allowed: float) -> Replayed:
    """What the artifact says of the golden texts, which are read step by step as a user would.

    Raises:
        DamagedFileError: the bundle reads neither characters nor log lines.
    """
    stream = stream_of(bundle, runner)
    if isinstance(stream, SequenceStream):
        raise DamagedFileError(f"{bundle.path}/manifest.json: does not say what its sequences are made of; get it anew")
    problems, found, expected = [], [], []
    for number, vector in enumerate(golden, start=1):
        ids, outputs = stream.replay(vector.text)
        if ids != vector.ids:
            problems.append(f"golden vector {number} gives other ids")
        logits = np.array(vector.logits, np.float32)
        if logits.shape != outputs.shape:
            raise DamagedFileError(f"{bundle.path}/golden.jsonl: vector {number} does not fit the model; get it anew")
        found.append(outputs)
        expected.append(logits)
    said, wanted = np.concatenate(found), np.concatenate(expected)
    finite = bool(np.isfinite(said).all())
    error = sequence_parity.error(said, wanted) if finite else None
    if error is None:
        problems.append("an output is NaN or infinite")
    elif error > allowed:
        problems.append(f"golden outputs are off by {error:.4g}, at most {allowed:.4g} is expected")
    if numerics == "fp32" and not isinstance(runner, StateInside):  # whose state is float16, and `forward` another's
        problems += _whole(bundle, stream.stream, [stream.inputs(vector.text) for vector in golden])
    return Replayed(error, float((said.argmax(axis=1) == wanted.argmax(axis=1)).mean()), tuple(problems[:5]))


def _whole(bundle: Bundle, steps: SequenceStream, inputs: list[np.ndarray]) -> list[str]:
    """What is wrong with `forward` at the shortest length, beside the steps of the same file."""
    length = bundle.lengths[0]
    given = max(inputs, key=len)[:length]
    padded = np.zeros((1, length, given.shape[1]), np.float32)
    padded[0, : len(given)] = given
    stepped = steps.steps(given)
    off = sequence_parity.error(steps.runner.run(padded)[0][0, : len(given)], stepped)
    off /= max(1.0, float(np.abs(stepped).max()))
    return [] if off <= WHOLE_BOUND else [f"forward at length {length} is off its own steps by {off:.3g}"]
