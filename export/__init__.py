"""One target per file, all with the same `export`: write a file, load it again, say what is inside.

To add a target, write its file, its runtime in runtimes/, and its column in compress/numerics.py.
"""

import contextlib
import gc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np

from edgewright.compress.numerics import Target
from edgewright.compress.quantize import QuantizedModel
from edgewright.errors import missing_extra
from edgewright.export.artifact import Artifact, Metadata
from edgewright.export.tracing import used_parameters
from edgewright.models.methods import Method


def export(
    target: Target,
    model: QuantizedModel,
    methods: Sequence[Method],
    path: Path,
    calibration: Sequence[tuple[np.ndarray, ...]],
    metadata: Metadata,
) -> Artifact:
    """Write `model` for `target` to `path` and load it again; see the target's own file.

    Raises:
        ExportError: the converter refused, or wrote something that the runtime cannot load or that is stored
            otherwise than asked; the message names the operator and the layer.
        MissingExtraError: the target's libraries are not installed.
    """
    try:
        exporter = import_module(f"edgewright.export.{target}")
    except ImportError as error:
        raise missing_extra(error, target, f"export to {target}") from error
    used = used_parameters(model.module, methods)
    weights = {name: grid for name, grid in model.weights.items() if name in used}
    with _collecting_only_what_is_new():
        return exporter.export(replace(model, weights=weights), methods, path, calibration, metadata)


@contextlib.contextmanager
def _collecting_only_what_is_new() -> Iterator[None]:
    """Spare the garbage collector the objects that are there already: a million of the libraries' own.

    A conversion makes so many that it is called again and again, and coremltools calls it itself.
    """
    if gc.get_freeze_count():  # by whoever runs this, who may rely on it
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
