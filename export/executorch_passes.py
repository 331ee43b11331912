"""The passes that XNNPACK makes over a graph, without those that find nothing in it.

Each pass traces the whole graph anew, whether it changes anything or not, and a file has a graph for each delegate of
each function: half of the passes look for operators that a small text model does not have.
"""

import contextlib
from collections.abc import Iterator
from unittest.mock import patch

from executorch.backends.xnnpack import _passes as xnnpack
from executorch.backends.xnnpack.partition.graphs import bilinear_2d
from torch.export import ExportedProgram

# what stands in the name of an operator that the pass changes
CHANGES = {
    xnnpack.ConvertToUpsampleBilinear2d: "index",
    xnnpack.ConvertToSDPAPass: "softmax",
    xnnpack.FuseBatchNormPass: "batch_norm",
    xnnpack.DecomposeBatchNorm: "batch_norm",
    xnnpack.DecomposeConcatenate: "cat",
    xnnpack.InsertPadQDQPass: "pad",
    xnnpack.Conv1dUnsqueezePass: "convolution",
    xnnpack.PReLUReshapePass: "prelu",
}


@contextlib.contextmanager
def without_idle_passes() -> Iterator[None]:
    """Also without XNNPACK's search for bilinear upsampling: it traces four models for it, which takes seconds."""
    transform = xnnpack._transform

    def needed(program: ExportedProgram, one: object) -> ExportedProgram:
        changes = CHANGES.get(type(one))
        if changes is not None and not any(changes in str(node.target) for node in program.graph.nodes):
            return program
        return transform(program, one)

    with patch.object(xnnpack, "_transform", needed), patch.object(bilinear_2d, "get_graphs_dict", dict):
        yield
