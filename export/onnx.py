"""ONNX (.onnx) for ONNX Runtime: a graph with free batch and length for each method."""

import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from edgewright.compress.numerics import SUPPORT
from edgewright.compress.quantize import QuantizedModel
from edgewright.data.files import write_atomically
from edgewright.errors import ExportError
from edgewright.export import onnx_integers, onnx_shapes
from edgewright.export.artifact import Artifact, Metadata, describe
from edgewright.export.onnx_embeddings import HALVES, ONES
from edgewright.export.onnx_float import to_float
from edgewright.export.onnx_graph import trace
from edgewright.export.onnx_unsigned import SUFFIXES
from edgewright.export.tracing import example_inputs, quick_tracing
from edgewright.models.methods import Method
from edgewright.runtimes.onnx import SUFFIX, load, session_options

FLOAT_KERNELS = frozenset({"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul", "MatMulInteger", "LSTM"})


@quick_tracing()
def export(
    model: QuantizedModel,
    methods: Sequence[Method],
    path: Path,
    calibration: Sequence[tuple[np.ndarray, ...]],
    metadata: Metadata,
) -> Artifact:
    """Write `path`, load it, run each method once, and compare the stored weights with the grid.

    A model whose one method is "forward" becomes a file; any other a folder with a file `<method>.onnx` for each.

    Raises:
        ExportError: the exporter has no translation of an operator; a weight is stored otherwise than asked; ONNX
            Runtime computes a quantized layer in float; static_wi8_ai8 without calibration inputs, or of layers that
            have no such form.
    """
    assert SUPPORT[model.numerics, "onnx"].supported, f"onnx has no {model.numerics}"
    if model.numerics == "static_wi8_ai8" and not calibration:
        raise ExportError("onnx: static_wi8_ai8 needs calibration inputs; none were given")
    inside: dict[str, dict[str, int]] = {}

    def write(scratch: Path) -> None:
        files = {method.name: scratch / f"{method.name}{SUFFIX}" for method in methods}
        if list(files) == ["forward"]:
            files = {"forward": scratch}
        else:
            scratch.mkdir()
        for method in methods:
            proto = _graph(model, method, calibration)
            _describe_itself(proto, metadata, [] if scratch in files.values() else list(files))
            onnx.checker.check_model(proto)
            onnx.save(proto, files[method.name])
        inside.update(_inspected(scratch, files, model, methods))

    write_atomically(path, write)
    return describe("onnx", model.numerics, path, **inside)


def _graph(model: QuantizedModel, method: Method, calibration: Sequence[tuple[np.ndarray, ...]]) -> onnx.ModelProto:
    proto = trace(model.module, method)
    onnx_shapes.settle(proto)
    if model.numerics == "static_wi8_ai8":
        onnx_integers.check_static(proto)
        to_float(proto)
        onnx_integers.to_static(proto, model.weights, _ranges(proto, model, method, calibration))
    elif model.weights:
        onnx_integers.to_dynamic(proto, model.weights)
    else:
        to_float(proto)
    return proto


def _ranges(
    proto: onnx.ModelProto, model: QuantizedModel, method: Method, calibration: Sequence[tuple[np.ndarray, ...]]
) -> dict[str, tuple[float, float]]:
    """The least and greatest value of each activation that will be quantized, over all calibration inputs."""
    names = sorted({name for pair in onnx_integers.activations(proto, model.weights) for name in pair})
    watched = onnx.ModelProto()
    watched.CopyFrom(proto)
    outputs = {output.name for output in proto.graph.output}
    watched.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names if name not in outputs)
    session = onnxruntime.InferenceSession(
        watched.SerializeToString(), session_options(1), providers=["CPUExecutionProvider"]
    )
    ranges = dict.fromkeys(names, (0.0, 0.0))
    inputs = [tensor.name for tensor in method.inputs]
    for arrays in calibration:
        for name, values in zip(names, session.run(names, dict(zip(inputs, arrays, strict=True))), strict=True):
            least, greatest = ranges[name]
            ranges[name] = min(least, float(values.min())), max(greatest, float(values.max()))
    return ranges


def _describe_itself(proto: onnx.ModelProto, metadata: Metadata, methods: Sequence[str]) -> None:
    proto.producer_name, proto.producer_version = metadata.author, metadata.version
    proto.doc_string = metadata.description
    proto.graph.name = metadata.name
    properties = {
        "name": metadata.name,
        "description": metadata.description,
        "labels": json.dumps(metadata.labels, ensure_ascii=False),
        "license": metadata.license,
        "version": metadata.version,
        "author": metadata.author,
        **metadata.extra,
    }
    if methods:  # of the folder, so that a missing file is noticed
        properties["methods"] = json.dumps(methods)
    helper.set_model_props(proto, properties)


def _inspected(
    path: Path, files: Mapping[str, Path], model: QuantizedModel, methods: Sequence[Method]
) -> dict[str, dict[str, int]]:
    """What the finished file or folder is, for its Artifact; raises ExportError where it is not what was asked for."""
    runner = load(path)
    for method in methods:
        length = min(method.lengths, default=None)
        inputs = [tensor.numpy() for tensor in example_inputs(method, length).values()]
        if not all(np.isfinite(output).all() for output in runner.run(*inputs, method=method.name)):
            raise ExportError(f"onnx: the file was written but '{method.name}' gives values that are not finite")
    protos = [onnx.load(file) for file in files.values()]
    _check_weights(protos, model)
    weight_bytes = Counter[str]()
    for tensor in (tensor for proto in protos for tensor in proto.graph.initializer):
        values = numpy_helper.to_array(tensor)
        kind = "int4" if tensor.name.endswith((".nibbles", HALVES)) else str(values.dtype)
        kind = "int8" if tensor.name.endswith(SUFFIXES) else kind  # shifted, see onnx_unsigned.py
        weight_bytes[kind] += values.nbytes
    kernels = sum((_kernels(file, model) for file in files.values()), Counter[str]())
    return {"delegated": dict(kernels), "left_over": {}, "weight_bytes": dict(weight_bytes)}


def _check_weights(protos: Sequence[onnx.ModelProto], model: QuantizedModel) -> None:
    for name, grid in model.weights.items():
        held = [found for proto in protos if (found := onnx_integers.stored(proto, name)) is not None]
        if not held:
            raise ExportError(f"onnx: {name} is stored as float, not as the integers that {model.numerics} names")
        for found in held:
            if not (np.array_equal(found.integers, grid.integers) and np.array_equal(found.scales, grid.scales)):
                raise ExportError(f"onnx: {name} is stored with other integers or scales than the grid's")


def _kernels(path: Path, model: QuantizedModel) -> Counter[str]:
    """The operators that ONNX Runtime makes of the file on this machine, with their counts."""
    with tempfile.TemporaryDirectory() as folder:
        options = session_options(1)
        options.optimized_model_filepath = str(Path(folder) / "optimised.onnx")
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        graph = onnx.load(options.optimized_model_filepath).graph
    # the ones that add up rows of an embedding (onnx_embeddings.summed) are no weight, and neither is a single number
    constants = {tensor.name for tensor in graph.initializer if tensor.dims and not tensor.name.endswith(ONES)}
    constants |= {
        node.output[0] for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in constants
    }
    # four bits have no LSTM kernel: see onnx_recurrent.unpacked_layer
    refused = FLOAT_KERNELS - ({"LSTM"} if model.numerics == "dynamic_wi4_afp32" else set())
    if model.weights:
        for node in graph.node:
            if node.op_type in refused and constants.intersection(node.input):
                raise ExportError(
                    f"onnx: ONNX Runtime computes '{node.name}' ({node.op_type}) without an integer kernel"
                )
    return Counter(node.op_type for node in graph.node)
