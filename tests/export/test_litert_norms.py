"""A norm keeps its numbers in the form that LiteRT's converter leaves alone, and the layers behind it their weights."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edgewright.compress.quantize import quantize
from edgewright.export import export
from edgewright.export.artifact import Metadata
from edgewright.export.litert_norms import SubtractingNorm, keep_apart
from edgewright.models.methods import Method
from edgewright.models.methods import Tensor as Described
from edgewright.runtimes import load


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.plain = nn.LayerNorm(8, elementwise_affine=False)
        self.linear = nn.Linear(8, 8)
        with torch.no_grad():
            self.norm.weight.uniform_(0.5, 2.0)
            self.norm.bias.normal_()

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.plain(x) + self.norm(x)) + self.linear(self.norm(x))


def made() -> Layers:
    torch.manual_seed(0)
    return Layers().eval()


def test_the_form_computes_the_same_numbers() -> None:
    model, other = made(), keep_apart(made())
    assert isinstance(other.norm, SubtractingNorm) and isinstance(other.plain, nn.LayerNorm)
    x = torch.randn(3, 5, 8)
    with torch.no_grad():
        assert (other(x) - model(x)).abs().max() < 1e-6


def test_the_file_holds_the_weights_of_the_model(tmp_path: Path) -> None:
    """The export refuses a file with other weights: it did so for a norm whose scale was folded into them."""
    model = made()
    shape = ("batch", "length", 8)
    method = Method("forward", (Described("x", "float32", shape),), (Described("y", "float32", shape),), (4,))
    export("litert", quantize(model, "fp32"), [method], tmp_path / "m.tflite", [], Metadata("m", "", (), "MIT", "1"))
    x = np.random.default_rng(0).normal(size=(1, 4, 8)).astype(np.float32)
    with torch.no_grad():
        wanted = model(torch.from_numpy(x)).numpy()
    given = load("litert", tmp_path / "m.tflite").run(x)[0]
    assert np.abs(given - wanted).max() < 1e-5
