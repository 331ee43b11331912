"""Core ML packages that keep their state: the same answers as with the state handed in and out."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from edgewright.compress.numerics import Numerics
from edgewright.compress.quantize import QuantizedModel, quantize
from edgewright.export.artifact import Artifact, Metadata
from edgewright.models.methods import Method
from edgewright.runtimes import coreml as runtime
from edgewright.runtimes.mil.loading import read_model
from tests.export.families import VOCABULARY, build, inputs_of

pytest.importorskip("coremltools", reason="needs edgewright[coreml]")

from edgewright.export.coreml_state import export_with_state  # takes seconds, and logs when the library is missing

STEPS = 100


class Exported(NamedTuple):
    numerics: Numerics
    model: QuantizedModel
    step: Method
    artifact: Artifact
    runner: runtime.CoreMLRunner


@pytest.fixture(scope="module", params=["fp32", "fp16", "weight_only_wi8_afp16"])
def exported(request: pytest.FixtureRequest, metadata: Metadata, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    model = quantize(build("sequence_net"), request.param)
    step = model.module.methods((5,))[-1]  # type: ignore[operator]
    path = tmp_path_factory.mktemp("state") / "step.mlpackage"
    artifact = export_with_state(model, step, path, metadata)
    return Exported(request.param, model, step, artifact, runtime.load(path))


def signal() -> list[np.ndarray]:
    random = np.random.default_rng(3)
    return [random.normal(size=(1, 10)).astype(np.float32) for _ in range(STEPS)]


def kept_in_float16(model: QuantizedModel, signal: list[np.ndarray]) -> np.ndarray:
    """The module's outputs where its state is rounded to float16 between calls."""
    h, c = model.module.zero_state()  # type: ignore[operator]
    outputs = []
    for x in signal:
        with torch.no_grad():
            y, h, c = model.module.step(torch.from_numpy(x), h.half().float(), c.half().float())  # type: ignore[operator]
        outputs.append(y.numpy())
    return np.stack(outputs)


def answers(runner: runtime.CoreMLRunner, signal: list[np.ndarray]) -> np.ndarray:
    return np.stack([runner.run(x, method="step")[0] for x in signal])


def test_a_hundred_steps_follow_pytorch_within_float16(exported: Exported) -> None:
    exported.runner.reset()
    given, wanted = answers(exported.runner, signal()), kept_in_float16(exported.model, signal())
    # fp32: only where a state lies between two float16 values does the last bit of its sum decide; fp16: 11 bits
    tolerance = 1e-4 if exported.numerics == "fp32" else 4e-3
    assert np.abs(given - wanted).max() <= tolerance * np.abs(wanted).max()


def test_the_state_goes_on_until_it_is_reset(exported: Exported) -> None:
    exported.runner.reset()
    first = answers(exported.runner, signal()[:3])
    going_on = answers(exported.runner, signal()[:3])
    exported.runner.reset()
    np.testing.assert_array_equal(answers(exported.runner, signal()[:3]), first)
    assert np.abs(going_on - first).max() > 1e-3


def test_two_loaded_packages_share_no_state(exported: Exported) -> None:
    exported.runner.reset()
    other = runtime.load(exported.artifact.path)
    first = answers(exported.runner, signal()[:3])
    np.testing.assert_array_equal(answers(other, signal()[:3]), first)


def test_states_take_the_place_of_inputs_and_outputs(exported: Exported) -> None:
    model = read_model(exported.artifact.path)
    assert model.specificationVersion == 9  # iOS 18
    described = model.description
    assert [feature.name for feature in described.input] == ["x"]
    assert [feature.name for feature in described.output] == ["y"]
    assert [feature.name for feature in described.state] == ["h", "c"]
    assert exported.artifact.delegated["write_state"] == 2


def test_the_same_model_gives_the_same_bytes(exported: Exported, metadata: Metadata, tmp_path: Path) -> None:
    again = export_with_state(exported.model, exported.step, tmp_path / "again.mlpackage", metadata)
    assert again.sha256 == exported.artifact.sha256


def test_a_decoder_keeps_its_caches(metadata: Metadata, tmp_path: Path) -> None:
    model = quantize(build("hybrid"), "fp32")
    step: Method = model.module.methods((8,))[-1]  # type: ignore[operator]
    export_with_state(model, step, tmp_path / "step.mlpackage", metadata)
    runner = runtime.load(tmp_path / "step.mlpackage")
    crossed = inputs_of(step, None, seed=0)[2]
    caches = model.module.empty_caches()  # type: ignore[operator]
    for position, token in enumerate(np.random.default_rng(0).integers(1, VOCABULARY, 12)):
        given = (np.array([[token]], np.int32), np.array([position], np.int32), crossed)
        with torch.no_grad():
            wanted, *caches = model.module.step(*map(torch.from_numpy, given), *caches)  # type: ignore[operator]
        (logits,) = runner.run(*given, method="step")
        np.testing.assert_allclose(logits, wanted, atol=2e-3 * float(wanted.abs().max()))  # caches have 11 bits
