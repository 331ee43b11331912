"""A text CNN that is exported for the test, and an n-gram hybrid of the zoo."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from edgewright.compress.numerics import Numerics
from edgewright.compress.quantize import quantize
from edgewright.export import export
from edgewright.export.artifact import SUFFIX, Metadata
from edgewright.models.methods import Method, Tensor
from edgewright.models.text_cnn import TextCNN, TextCNNConfig
from edgewright.runtimes import Runtime
from edgewright.runtimes import bundle as bundles
from edgewright.runtimes.bundle import Bundle

LENGTH = 16
CLASSES = 5
CONFIG = TextCNNConfig(vocab_size=200, classes=CLASSES, width=32, hidden=48)

Written = Callable[[Runtime, Numerics], Path]


@pytest.fixture(scope="session")
def text_cnn(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """The file of a text CNN for a runtime with a numerics, for texts of 16 tokens; each is written once."""
    torch.manual_seed(0)
    model = TextCNN(CONFIG).eval()
    method = Method(
        "forward",
        (Tensor("ids", "int32", ("batch", "length")),),
        (Tensor("logits", "float32", ("batch", CLASSES)),),
        (LENGTH,),
    )
    labels = tuple(f"label {number}" for number in range(CLASSES))
    metadata = Metadata("roofline", "A model for tests.", labels, "MIT", "0.1.0")
    calibration = [tuple(tensor.numpy() for tensor in model.example_inputs(LENGTH))]
    folder = tmp_path_factory.mktemp("roofline")
    written: dict[tuple[Runtime, Numerics], Path] = {}

    def file(runtime: Runtime, numerics: Numerics) -> Path:
        assert runtime in ("litert", "executorch", "onnx")
        if (runtime, numerics) not in written:
            path = folder / f"{runtime}-{numerics}{SUFFIX[runtime]}"
            export(runtime, quantize(model, numerics), [method], path, calibration, metadata)
            written[runtime, numerics] = path
        return written[runtime, numerics]

    return file


@pytest.fixture(scope="session")
def urgency() -> Bundle:
    """An n-gram hybrid that is there already: the bundle of the zoo."""
    return bundles.read(bundles.find("urgency"))
