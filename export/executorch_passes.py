"""The passes that ExecuTorch makes over a graph, without those that find nothing in it.

Each pass traces the whole graph anew, whether it changes anything or not, and a file has a graph for each delegate of
each function: most of XNNPACK's passes look for operators that a small text model does not have.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from unittest.mock import patch

from executorch.backends.xnnpack import _passes as xnnpack
from executorch.backends.xnnpack.partition.graphs import bilinear_2d
from executorch.exir.graph_module import contains_any_call_fn_target_op
from torch.export import ExportedProgram
from torch.fx import Node

# what may stand in the name of an operator that the pass changes
CHANGES = {
    xnnpack.ConvertToUpsampleBilinear2d: (),  # without the models that it looks for, below, it finds nothing
    xnnpack.ConvertToLinearPass: ("mm",),
    xnnpack.ConvertToSDPAPass: ("softmax",),
    xnnpack.FuseBatchNormPass: ("batch_norm",),
    xnnpack.DecomposeBatchNorm: ("batch_norm",),
    xnnpack.FuseActivationPass: ("relu", "hardtanh"),
    xnnpack.DecomposeConcatenate: ("cat",),
    xnnpack.RemoveGetItemPass: ("max_pool2d", "aten.max."),
    xnnpack.InsertPadQDQPass: ("pad",),
    xnnpack.Conv1dUnsqueezePass: ("convolution",),
    xnnpack.PReLUReshapePass: ("prelu",),
    xnnpack.RemoveRedundantCopyPass: ("_to_copy",),
}


@contextlib.contextmanager
def without_idle_passes() -> Iterator[None]:
    """Also without decompositions of operators that are not there, and without XNNPACK's search for bilinear
    upsampling: it traces four models for it, which takes seconds."""
    transform, decompose = xnnpack._transform, ExportedProgram.run_decompositions

    def transform_if_needed(program: ExportedProgram, one: object) -> ExportedProgram:
        return transform(program, one) if _finds_work(one, program.graph.nodes) else program

    def decompose_if_needed(
        program: ExportedProgram, decomp_table: dict[Any, Callable[..., Any]] | None = None, *more: Any, **named: Any
    ) -> ExportedProgram:
        # an empty table asks for what every decomposition brings: a graph that changes none of its inputs
        if decomp_table and not contains_any_call_fn_target_op(program.graph_module, decomp_table):
            return program
        return decompose(program, decomp_table, *more, **named)

    with (
        patch.object(xnnpack, "_transform", transform_if_needed),
        patch.object(ExportedProgram, "run_decompositions", decompose_if_needed),
        patch.object(bilinear_2d, "get_graphs_dict", dict),
    ):
        yield


def _finds_work(one: object, nodes: Iterable[Node]) -> bool:
    if isinstance(one, xnnpack.PropagateCustomMetaPass):
        return any("custom" in node.meta for node in nodes)
    names = [str(node.target) for node in nodes]
    return type(one) not in CHANGES or any(change in name for change in CHANGES[type(one)] for name in names)
