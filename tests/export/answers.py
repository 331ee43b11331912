"""What an exported file answers, beside the module that it was made of."""

from collections.abc import Sequence

import numpy as np
import torch

from edgewright.compress.quantize import QuantizedModel
from edgewright.runtimes import Runner


def assert_pytorchs_logits(
    runner: Runner, model: QuantizedModel, inputs: Sequence[np.ndarray], tolerance: float
) -> None:
    """The same classes, and logits that differ by no more than `tolerance` of the largest one."""
    with torch.no_grad():
        wanted = np.concatenate([model.module(torch.from_numpy(ids)).numpy() for ids in inputs])
    given = np.concatenate([runner.run(ids)[0] for ids in inputs])
    assert np.abs(given - wanted).max() <= tolerance * np.abs(wanted).max()
    assert np.array_equal(given.argmax(axis=1), wanted.argmax(axis=1))
