"""A Core ML package that keeps a method's state itself: iOS 18 states in place of inputs and outputs.

For live signals and for generation: the app makes one MLState a sequence and hands in the fresh inputs only. Core ML
keeps states in float16, so that answers differ from the other forms by float16's rounding also in fp32.
Source: https://apple.github.io/coremltools/docs-guides/source/stateful-models.html
"""

from pathlib import Path

from edgewright.compress.quantize import QuantizedModel
from edgewright.export.artifact import Artifact, Metadata
from edgewright.export.coreml import write_checked
from edgewright.export.tracing import quick_tracing
from edgewright.models.methods import Method


@quick_tracing()
def export_with_state(model: QuantizedModel, method: Method, path: Path, metadata: Metadata) -> Artifact:
    """Write the one method as a package whose states are called as the method's state inputs; zeros at first.

    What remains are the method's other inputs and outputs under their names. `runtimes/coreml.py` runs it: the state
    goes on from call to call until `reset`.

    Raises:
        ExportError: as for `export.coreml.export`.
    """
    assert method.state, f"{method.name} has no state"
    return write_checked(model, [method], path, metadata, keeps_state=True)
