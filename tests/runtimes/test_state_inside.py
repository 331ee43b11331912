"""Packages that keep their state, run as if it were handed in and out: the answers of the artifact beside them."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from edgewright.benchmarks.reply_parity import taught
from edgewright.benchmarks.state_parity import RoundedState
from edgewright.compress.quantize import quantize
from edgewright.errors import DamagedFileError
from edgewright.export.artifact import Metadata
from edgewright.models.methods import Method
from edgewright.runtimes import Runner, load
from edgewright.runtimes.generator import shapes_of
from edgewright.runtimes.state_inside import load_package
from edgewright.runtimes.stream import SequenceStream
from tests.export.families import HYBRID, VOCABULARY, build

pytest.importorskip("coremltools", reason="needs edgewright[coreml]")

from edgewright.export import coreml, state_package

STEPS = 200
METADATA = Metadata("tiny", "a model for tests", (), "MIT", "1")


class Pair(NamedTuple):
    methods: tuple[Method, ...]
    artifact: Runner
    package: Path


@pytest.fixture(scope="module")
def pair_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, tuple[int, ...]], Pair]:
    """A family's fp32 artifact and its package."""
    made: dict[str, Pair] = {}

    def pair(family: str, lengths: tuple[int, ...]) -> Pair:
        if family not in made:
            model = quantize(build(family), "fp32")
            methods = model.module.methods(lengths)  # type: ignore[operator]
            path = tmp_path_factory.mktemp(family) / "coreml-fp32.mlpackage"
            coreml.export(model, methods, path, [], METADATA)
            step = next(method for method in methods if method.state)
            kept = state_package.export_beside(model, step, path, METADATA)
            assert kept.path == path.with_name("coreml-fp32-state.mlpackage")
            made[family] = Pair(methods, load("coreml", path), kept.path)
        return made[family]

    return pair


def test_steps_are_those_of_the_artifact_whose_state_is_rounded(pair_of: Callable[..., Pair]) -> None:
    pair = pair_of("sequence_net", (5,))
    signal = np.random.default_rng(3).normal(size=(STEPS, 10)).astype(np.float32)
    kept, rounded, plain = (
        SequenceStream(runner, [(1, 32)] * 2).steps(signal)
        for runner in (load_package(pair.package), RoundedState(pair.artifact, states=2), pair.artifact)
    )
    np.testing.assert_allclose(kept, rounded, atol=1e-6)
    assert 0 < np.abs(kept - plain).max() < 5e-3 * np.abs(plain).max()


def test_a_state_may_be_set_as_of_any_artifact(pair_of: Callable[..., Pair]) -> None:
    stream = SequenceStream(load_package(pair_of("sequence_net", (5,)).package), [(1, 32)] * 2)
    x = np.ones(10, np.float32)
    stream.feed(x)
    state = stream.state
    second = stream.feed(x)
    stream.feed(x)
    stream.state = state
    assert np.array_equal(stream.feed(x), second)


def test_a_decoder_scores_as_the_artifact_whose_caches_are_rounded(pair_of: Callable[..., Pair]) -> None:
    pair = pair_of("hybrid", (8,))
    shapes = shapes_of([asdict(method) for method in pair.methods])
    rounded = RoundedState(pair.artifact, states=len(shapes.caches))
    kept = load_package(pair.package, pair.artifact)  # `encode` is the artifact's
    random = np.random.default_rng(0)
    for _ in range(STEPS // HYBRID.max_target + 1):
        prompt = random.integers(1, VOCABULARY, 6, dtype=np.int32)
        given = random.integers(1, VOCABULARY, HYBRID.max_target).tolist()
        found, expected, plain = (taught(runner, shapes, prompt, given) for runner in (kept, rounded, pair.artifact))
        np.testing.assert_allclose(found, expected, atol=1e-6 * float(np.abs(plain).max()))
        assert np.abs(found - plain).max() < 5e-3 * np.abs(plain).max()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (((1, 10), (1, 32)), "2 inputs given; step takes 3: x, h, c"),
        (((1, 10), (1, 32), (1, 31)), "c has shape"),
        (((1, 9), (1, 32), (1, 32)), "x has shape"),
    ],
)
def test_wrong_inputs_are_refused(
    pair_of: Callable[..., Pair], arrays: tuple[tuple[int, ...], ...], message: str
) -> None:
    runner = load_package(pair_of("sequence_net", (5,)).package)
    with pytest.raises(ValueError, match=message):
        runner.run(*(np.zeros(shape, np.float32) for shape in arrays), method="step")


def test_what_keeps_no_state_is_refused(pair_of: Callable[..., Pair], tmp_path: Path) -> None:
    package = pair_of("sequence_net", (5,)).package
    with pytest.raises(DamagedFileError, match="keeps no state"):
        load_package(package.with_name("coreml-fp32.mlpackage"))
    with pytest.raises(ValueError, match="no method 'forward'"):
        load_package(package).run(np.zeros((1, 5, 10), np.float32), method="forward")
    with pytest.raises(DamagedFileError, match="no such package"):
        load_package(tmp_path / "nowhere.mlpackage")
