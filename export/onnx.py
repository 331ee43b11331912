"""ONNX (.onnx) for ONNX Runtime: one graph with free batch and length, of standard operators."""

import json
import logging
import tempfile
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import helper, numpy_helper

from edgewright.compress.numerics import SUPPORT
from edgewright.compress.quantize import QuantizedModel
from edgewright.data.files import write_atomically
from edgewright.errors import ExportError
from edgewright.export import onnx_integers
from edgewright.export.artifact import Artifact, Metadata, describe
from edgewright.export.tracing import example_inputs, refusal
from edgewright.models.methods import Method
from edgewright.runtimes.onnx import load, session_options

OPSET = 18  # what the exporter writes without a conversion of versions; ONNX Runtime 1.14 (2023) and later
FLOAT_KERNELS = frozenset({"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul", "MatMulInteger"})


def export(
    model: QuantizedModel,
    methods: Sequence[Method],
    path: Path,
    calibration: Sequence[tuple[np.ndarray, ...]],
    metadata: Metadata,
) -> Artifact:
    """Write `path`, load it, run it once, and compare the stored weights with the grid.

    In dynamic_wi4_afp32 linear layers are int4; embedding and convolutions are int8.

    Raises:
        ExportError: the exporter has no translation of an operator; a weight is stored otherwise than asked; ONNX
            Runtime computes a quantized layer in float; static_wi8_ai8 without calibration inputs.
    """
    assert SUPPORT[model.numerics, "onnx"].supported, f"onnx has no {model.numerics}"
    if [method.name for method in methods] != ["forward"]:
        raise ExportError(f"onnx: a file holds one graph, 'forward'; asked for {[method.name for method in methods]}")
    if model.numerics == "static_wi8_ai8" and not calibration:
        raise ExportError("onnx: static_wi8_ai8 needs calibration inputs; none were given")
    method = methods[0]
    inside: dict[str, dict[str, int]] = {}

    def write(scratch: Path) -> None:
        proto = _traced(model.module, method)
        if model.numerics == "static_wi8_ai8":
            onnx_integers.to_static(proto, model.weights, _ranges(proto, model, method, calibration))
        elif model.weights:
            onnx_integers.to_dynamic(proto, model.weights)
        _describe_itself(proto, metadata)
        onnx.checker.check_model(proto)
        onnx.save(proto, scratch)
        inside.update(_inspected(scratch, model, method))

    write_atomically(path, write)
    return describe("onnx", model.numerics, path, **inside)


def _traced(module: torch.nn.Module, method: Method) -> onnx.ModelProto:
    """The float graph, without what the exporter writes down for debugging (paths of this machine, among others)."""
    inputs = example_inputs(method, max(method.lengths), batch=2)  # sizes of 1 would be taken for fixed
    shapes = {
        tensor.name: {axis: torch.export.Dim(size) for axis, size in enumerate(tensor.shape) if isinstance(size, str)}
        for tensor in method.inputs
    }
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it misses torchvision
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's pytree warns about itself
            program = torch.onnx.export(
                module,
                (),
                kwargs=inputs,
                dynamo=True,
                dynamic_shapes=shapes,
                input_names=[tensor.name for tensor in method.inputs],
                output_names=[tensor.name for tensor in method.outputs],
                opset_version=OPSET,
                verbose=False,
            )
    except Exception as error:  # the exporter's errors have no common base but Exception
        raise refusal("torch.onnx", error, module, method) from error
    finally:
        logger.setLevel(level)
    assert program is not None
    proto = program.model_proto
    for node in proto.graph.node:
        scopes = [entry.value for entry in node.metadata_props if entry.key == "pkg.torch.onnx.name_scopes"]
        layers = [part for part in scopes[0].strip("[]").replace("'", "").split(", ")[:-1] if part] if scopes else []
        node.name = "/".join([*layers, node.output[0]])  # "convolution_1/conv1d"
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.initializer):
        del value.metadata_props[:]
    del proto.metadata_props[:], proto.graph.metadata_props[:], proto.graph.value_info[:]
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


def _describe_itself(proto: onnx.ModelProto, metadata: Metadata) -> None:
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
    helper.set_model_props(proto, properties)


def _inspected(path: Path, model: QuantizedModel, method: Method) -> dict[str, dict[str, int]]:
    """What the finished file is, for its Artifact; raises ExportError where it is not what was asked for."""
    inputs = [tensor.numpy() for tensor in example_inputs(method, min(method.lengths)).values()]
    if not all(np.isfinite(output).all() for output in load(path).run(*inputs)):
        raise ExportError("onnx: the file was written but gives values that are not finite")
    proto = onnx.load(path)
    _check_weights(proto, model)
    weight_bytes = Counter[str]()
    for tensor in proto.graph.initializer:
        values = numpy_helper.to_array(tensor)
        kind = "int4" if tensor.name.endswith(".nibbles") else str(values.dtype)
        weight_bytes[kind] += values.nbytes
    return {"delegated": _kernels(path, model), "left_over": {}, "weight_bytes": dict(weight_bytes)}


def _check_weights(proto: onnx.ModelProto, model: QuantizedModel) -> None:
    for name, grid in model.weights.items():
        found = onnx_integers.stored(proto, name)
        if found is None:
            raise ExportError(f"onnx: {name} is stored as float, not as the integers that {model.numerics} names")
        if not (np.array_equal(found.integers, grid.integers) and np.array_equal(found.scales, grid.scales)):
            raise ExportError(f"onnx: {name} is stored with other integers or scales than the grid's")


def _kernels(path: Path, model: QuantizedModel) -> dict[str, int]:
    """The operators that ONNX Runtime makes of the file on this machine, with their counts."""
    with tempfile.TemporaryDirectory() as folder:
        options = session_options(1)
        options.optimized_model_filepath = str(Path(folder) / "optimised.onnx")
        onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        graph = onnx.load(options.optimized_model_filepath).graph
    constants = {tensor.name for tensor in graph.initializer}
    constants |= {
        node.output[0] for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in constants
    }
    if model.weights:
        for node in graph.node:
            if node.op_type in FLOAT_KERNELS and constants.intersection(node.input):
                raise ExportError(
                    f"onnx: ONNX Runtime computes '{node.name}' ({node.op_type}) without an integer kernel"
                )
    return dict(Counter(node.op_type for node in graph.node))
