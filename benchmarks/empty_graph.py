"""A graph that does next to nothing, for each runtime: what a call and its memory cost before a model does any work.

The graph casts (1, 16) int32 ids to float32, so that it is called like a model. It is written with the
runtimes' own libraries where these can: a converter would bring in PyTorch, or optimise the graph away.
"""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from edgewright.benchmarks.job_files import write_inputs
from edgewright.benchmarks.latency import Job
from edgewright.data.files import write_bytes
from edgewright.errors import missing_extra
from edgewright.runtimes import Runtime

LENGTH = 16


def empty_graph(runtime: Runtime, folder: Path) -> Path | None:
    """Write the runtime's empty graph into `folder`; None where a call of it says nothing (Core ML, PyTorch).

    Raises:
        MissingExtraError: the runtime's libraries are not installed.
    """
    writers = {"litert": _litert, "executorch": _executorch, "onnx": _onnx}
    if runtime not in writers:
        return None
    try:
        return writers[runtime](folder)
    except ImportError as error:
        raise missing_extra(error, runtime, f"the empty graph of {runtime}") from error


def empty_inputs() -> tuple[np.ndarray, ...]:
    """One call of it."""
    return (np.arange(LENGTH, dtype=np.int32).reshape(1, LENGTH),)


def empty_jobs(runtimes: Collection[Runtime], folder: Path) -> dict[Runtime, Job]:
    """For each of the runtimes that has an empty graph, the job that times its call; files go to `folder`."""
    jobs: dict[Runtime, Job] = {}
    for runtime in sorted(runtimes):
        path = empty_graph(runtime, folder)
        if path is not None:
            inputs = write_inputs({"inference": [empty_inputs()]}, folder / f"empty-{runtime}.npz")
            jobs[runtime] = Job(f"empty {runtime}", runtime, path, inputs=inputs)
    return jobs


def _onnx(folder: Path) -> Path:
    from onnx import TensorProto, checker, helper

    path = folder / "empty.onnx"
    graph = helper.make_graph(
        [helper.make_node("Cast", ["ids"], ["logits"], to=TensorProto.FLOAT)],
        "empty",
        [helper.make_tensor_value_info("ids", TensorProto.INT32, ["batch", "length"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "length"])],
    )
    # version 10 of the file format goes with opset 17 to 21, and every onnxruntime since 1.16 reads it
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    checker.check_model(model)
    write_bytes(path, model.SerializeToString())
    return path


def _executorch(folder: Path) -> Path:
    import torch
    from executorch.exir import to_edge_transform_and_lower

    class Cast(torch.nn.Module):
        one: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("one", torch.ones(1))

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            # a cast and a product: a file without any constant lacks the header that tells whether it is whole
            return ids * self.one

    path = folder / "empty.pte"
    exported = torch.export.export(Cast(), tuple(torch.from_numpy(array) for array in empty_inputs()), strict=False)
    program = to_edge_transform_and_lower(exported).to_executorch()
    write_bytes(path, program.buffer)
    return path


def _litert(folder: Path) -> Path:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name: str, kind: int) -> schema.TensorT:
        made = schema.TensorT()
        made.name, made.type, made.shape, made.buffer = name, kind, [1, LENGTH], 0
        return made

    def named(name: str, index: int) -> schema.TensorMapT:
        made = schema.TensorMapT()
        made.name, made.tensorIndex = name, index
        return made

    cast = schema.OperatorT()
    cast.opcodeIndex, cast.inputs, cast.outputs = 0, [0], [1]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CAST
    code.version = 1
    graph = schema.SubGraphT()
    graph.name, graph.inputs, graph.outputs, graph.operators = "main", [0], [1], [cast]
    graph.tensors = [
        tensor("input_0:ids", schema.TensorType.INT32),
        tensor("output_0:logits", schema.TensorType.FLOAT32),
    ]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = f"forward_{LENGTH}", 0
    signature.inputs, signature.outputs = [named("ids", 0)], [named("logits", 1)]
    model = schema.ModelT()
    model.version, model.description = 3, "empty graph"
    model.operatorCodes, model.subgraphs, model.buffers = [code], [graph], [schema.BufferT()]
    model.signatureDefs = [signature]
    builder = flatbuffers.Builder(512)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path = folder / "empty.tflite"
    write_bytes(path, bytes(builder.Output()))
    return path
