"""LiteRT (.tflite): one file with a signature per method and length, `forward_16` or `step`, made for XNNPACK.

litert-torch converts to float32; ai-edge-quantizer stores the integers, and is held to those of our grid.
LiteRT has no dynamic shapes, hence the signatures; they share their weights. LSTM layers: export/litert_lstm.py.
In the dynamic numerics a file quantizes the activations that the .pte file does: export/litert_convolutions.py and
export/litert_biases.py.
"""

import contextlib
import json
import logging
import re
import warnings
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from torch import nn

from edgewright.compress.numerics import SUPPORT
from edgewright.compress.quantize import GridWeight, QuantizedModel
from edgewright.data.files import write_atomically
from edgewright.errors import ExportError
from edgewright.export import (
    litert_biases,
    litert_convolutions,
    litert_embeddings,
    litert_file,
    litert_lstm,
    litert_norms,
    litert_weights,
)
from edgewright.export.artifact import Artifact, Metadata, describe
from edgewright.export.litert_lstm import StandIn
from edgewright.export.tracing import example_inputs, quick_tracing, refusal, used_parameters
from edgewright.export.unrolled import UnrolledLSTM, unrolled
from edgewright.models.methods import Method
from edgewright.runtimes.litert import LitertRunner, load
from edgewright.runtimes.native_log import quiet_stderr

with quiet_stderr():  # oneDNN and torchao tell what they are while they are imported
    import litert_torch
    from ai_edge_quantizer import algorithm_manager, calibrator, qtyping, quantizer
    from ai_edge_quantizer.recipe_manager import RecipeManager
    from ai_edge_quantizer.utils import qsv_utils

METADATA_NAME = "edgewright"
CalibrationData = dict[str, list[dict[str, np.ndarray]]]  # of a signature's key, each input's arrays by name
HOT = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "BATCH_MATMUL"})


@quick_tracing()
def export(
    model: QuantizedModel,
    methods: Sequence[Method],
    path: Path,
    calibration: Sequence[tuple[np.ndarray, ...]],
    metadata: Metadata,
) -> Artifact:
    """Write `path`, load it, run each signature once, and compare the stored weights with the grid.

    Raises:
        ExportError: litert-torch has no kernel for an operator; a weight is stored otherwise than asked; a
            convolution or a linear layer stays outside of XNNPACK; static_wi8_ai8 without calibration inputs.
    """
    assert SUPPORT[model.numerics, "litert"].supported, f"litert has no {model.numerics}"
    used = used_parameters(model.module, methods)
    data = _calibration_data(methods, calibration) if model.numerics == "static_wi8_ai8" else {}
    inside: dict[str, dict[str, int]] = {}
    dynamic = model.numerics.startswith("dynamic")
    # ranges are measured in the float file, where a stand-in would give those of something else
    form = UnrolledLSTM if model.numerics == "static_wi8_ai8" else StandIn

    def write(scratch: Path) -> None:
        module = litert_norms.keep_apart(unrolled(model.module, form))
        if dynamic:
            litert_convolutions.as_products(module)
        with _silence():
            _convert(module, methods, scratch)
            if model.numerics != "fp32":
                _quantize(scratch, model, methods, data)
        file = litert_file.read(scratch)
        litert_embeddings.look_up_integers(file, _tables(model))
        litert_file.share_buffers(file)
        layers = litert_weights.layers(file, model, used)
        if dynamic:
            litert_biases.give_back(file, layers, module)
        if form is StandIn:
            litert_lstm.unroll(file, layers, model.module)
            litert_file.share_buffers(file)  # those of the new constants
        litert_file.state_versions(file)
        litert_file.name_tensors(file, layers)
        litert_file.add_metadata(file, METADATA_NAME, _description(metadata))
        litert_file.write(file, scratch)
        inside.update(_inspected(scratch, model, methods, used))

    write_atomically(path, write)
    return describe("litert", model.numerics, path, **inside)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """For the two converters, which report progress and warn about their own insides in every way there is."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with quiet_stderr(), contextlib.redirect_stdout(None), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _convert(module: nn.Module, methods: Sequence[Method], path: Path) -> None:
    converter = litert_torch.Converter()
    try:
        for key, method, length in _signatures(methods):
            example = example_inputs(method, length)
            converter.signature(key, litert_convolutions.traced(module, method, length), sample_kwargs=example)
        converter.convert().export(str(path))
    except Exception as error:  # litert-torch raises what its lowerings raise: RuntimeError, AssertionError, …
        raise refusal("litert-torch", error, module, methods[0]) from error


def _tables(model: QuantizedModel) -> dict[bytes, GridWeight]:
    """The grids of the embeddings that the quantizer leaves float, by their float values."""
    return {
        model.module.get_parameter(name).detach().numpy().tobytes(): grid
        for name, grid in model.weights.items()
        if isinstance(model.module.get_submodule(name.removesuffix(".weight")), nn.Embedding)
        if litert_embeddings.by_itself(grid)
    }


def _quantize(path: Path, model: QuantizedModel, methods: Sequence[Method], data: CalibrationData) -> None:
    """Store the weights of the float file at `path` as the numerics say, in place."""
    worker = quantizer.Quantizer(path.read_bytes(), _recipe(path, model, methods).get_quantization_recipe())
    ranges = _ranges(worker, path, data) if model.numerics == "static_wi8_ai8" else None
    path.write_bytes(worker.quantize(ranges, enable_progress_report=False).quantized_model)


def _recipe(path: Path, model: QuantizedModel, methods: Sequence[Method]) -> RecipeManager:
    numerics = model.numerics
    operator, granularity = qtyping.TFLOperationName, qtyping.QuantGranularity
    recipe = RecipeManager()
    if numerics == "fp16":
        casting = algorithm_manager.AlgorithmName.FLOAT_CASTING
        recipe.add_weight_only_config(".*", operator.ALL_SUPPORTED, 16, algorithm_key=casting)
        return recipe
    # what a layer gives as an output of the model stays float: in 8 bits, logits beyond the calibrated range would be
    # cut off, and close ones would be equal. The converter names those tensors so.
    results = [f"{key}_{tensor.name}_output" for key, method, _ in _signatures(methods) for tensor in method.outputs]
    for heavy in (operator.FULLY_CONNECTED, operator.CONV_2D):
        recipe.add_dynamic_config(".*", heavy, 8, granularity=granularity.CHANNELWISE)
        if numerics == "static_wi8_ai8":
            recipe.add_static_config(f"^(?!({'|'.join(results)})\\b)", heavy, 8, 8)
    recipe.add_dynamic_config(".*", operator.EMBEDDING_LOOKUP, 8, granularity=granularity.TENSORWISE)
    file = litert_file.read(path)
    four_bits = {
        model.module.get_parameter(name).detach().numpy().tobytes()
        for name, grid in model.weights.items()
        if grid.bits == 4
    }
    if numerics == "dynamic_wi4_afp32" and (scopes := _scopes(file, "FULLY_CONNECTED", four_bits)):
        recipe.add_dynamic_config(scopes, operator.FULLY_CONNECTED, 4, granularity=granularity.BLOCKWISE_32)
    if scopes := _scopes(file, "EMBEDDING_LOOKUP", _tables(model)):
        recipe.add_quantization_config(
            scopes, operator.EMBEDDING_LOOKUP, algorithm_key=algorithm_manager.AlgorithmName.NO_QUANTIZE
        )
    return recipe


def _scopes(file: Any, operator_name: str, weights: Container[bytes]) -> str:
    """A pattern for the operators of that name which read one of these weights; "" if there are none.

    The quantizer knows an operator by the names of what it writes, a semicolon behind each.
    """
    names = [
        graph.tensors[operator.outputs[0]].name.decode()
        for graph in file.subgraphs
        for operator in graph.operators
        if litert_file.operator_name(file, operator) == operator_name
        if (held := file.buffers[graph.tensors[operator.inputs[1]].buffer].data) is not None
        if bytes(held) in weights
    ]
    return f"^({'|'.join(map(re.escape, names))});" if names else ""


def _calibration_data(methods: Sequence[Method], calibration: Sequence[tuple[np.ndarray, ...]]) -> CalibrationData:
    """The calibration inputs of each signature that has some."""
    data = {}
    for key, method, length in _signatures(methods):
        shapes = [tuple(tensor.shape) for tensor in example_inputs(method, length).values()]
        names = [tensor.name for tensor in method.inputs]
        fitting = [arrays for arrays in calibration if [array.shape for array in arrays] == shapes]
        if fitting:
            data[key] = [dict(zip(names, arrays, strict=True)) for arrays in fitting]
    if not data:
        lengths = ", ".join(str(length) for _, _, length in _signatures(methods))
        batch = methods[0].batch
        raise ExportError(
            f"static_wi8_ai8 needs calibration inputs of batch {batch} and a length of {lengths}; none fits"
        )
    return data


def _ranges(worker: quantizer.Quantizer, path: Path, data: CalibrationData) -> dict[str, Any]:
    """The least and greatest value of each activation, by tensor name, the same in all signatures of a method.

    The quantizer's own `calibrate` averages over batches, which cuts off outliers: its error is five to ten
    times that of the plain minimum and maximum.
    """
    # the buffer and the recipe are private, but `calibrate` of the quantizer lets nobody choose the update
    observer = calibrator.Calibrator(
        worker._float_model_buffer, num_threads=1, qsv_update_func=qsv_utils.min_max_update
    )
    observer.calibrate(data, worker._recipe_manager)
    return _joined(observer.get_model_qsvs(), litert_file.read(path))


def _joined(ranges: Mapping[str, Any], file: Any) -> dict[str, Any]:
    """The ranges with those of the same operator in other signatures taken in.

    A length that few calibration texts have gets the ranges of all, and the int32 biases, which depend on them,
    can be shared.
    """
    joined = dict(ranges)
    alike: dict[tuple[str, ...], list[int]] = {}
    for subgraph in range(len(file.subgraphs)):
        alike.setdefault(tuple(litert_file.operators(file, subgraph)), []).append(subgraph)
    for subgraphs in alike.values():
        for same_operator in zip(*(file.subgraphs[subgraph].operators for subgraph in subgraphs), strict=True):
            for tensors in zip(*([*operator.inputs, *operator.outputs] for operator in same_operator), strict=True):
                names = [
                    file.subgraphs[subgraph].tensors[tensor].name.decode()
                    for subgraph, tensor in zip(subgraphs, tensors, strict=True)
                ]
                known = [ranges[name] for name in names if ranges.get(name)]
                if known:
                    least = np.min([entry["min"] for entry in known], axis=0)
                    greatest = np.max([entry["max"] for entry in known], axis=0)
                    joined.update({name: {**known[0], "min": least, "max": greatest} for name in names})
    return joined


def _inspected(
    path: Path, model: QuantizedModel, methods: Sequence[Method], used: frozenset[str]
) -> dict[str, dict[str, int]]:
    """What the finished file is, for its Artifact; raises ExportError where it is not what was asked for."""
    with quiet_stderr():
        _check_outputs(load(path), methods)
        file = litert_file.read(path)
        layers = litert_weights.layers(file, model, used)
        delegated, left_over = _delegation(file)
    weight_bytes = Counter[str]()
    for constant in litert_file.constants(file):
        halves = layers.get(constant.buffer, "").endswith(litert_embeddings.NIBBLES)
        weight_bytes["int4" if halves else constant.kind] += constant.size_bytes
    return {"delegated": delegated, "left_over": left_over, "weight_bytes": dict(weight_bytes)}


def _check_outputs(runner: LitertRunner, methods: Sequence[Method]) -> None:
    for key, method, length in _signatures(methods):
        inputs = [tensor.numpy() for tensor in example_inputs(method, length).values()]
        try:
            outputs = runner.run(*inputs, method=method.name)
        except ValueError as error:
            raise ExportError(f"litert: {key} was written but does not run: {error}") from error
        if not all(np.isfinite(output).all() for output in outputs):
            raise ExportError(f"litert: {key} was written but gives values that are not finite")


def _delegation(file: Any) -> tuple[dict[str, int], dict[str, int]]:
    """How many operators of each kind run inside and outside of XNNPACK, in the signature that has most of them."""
    delegated, left_over = Counter[str](), Counter[str]()
    for index, definition in enumerate(file.signatureDefs):
        inside, outside = _placed(litert_file.only(file, index))
        for operator, tensor in outside:
            if operator in HOT:
                key = definition.signatureKey.decode()
                raise ExportError(
                    f"litert: {operator} of '{tensor}' in {key} stays outside of XNNPACK, on a slow kernel"
                )
        delegated |= Counter(operator for operator, _ in inside)
        left_over |= Counter(operator for operator, _ in outside)
    return dict(delegated), dict(left_over)


def _placed(content: bytes) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The operators, with a tensor that each writes, inside and outside of the delegate.

    The interpreter lists the delegate's nodes after those that they replaced: the replaced ones are all on the way
    from a delegate's outputs back to its inputs.
    """
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    names = {tensor["index"]: tensor["name"] for tensor in interpreter.get_tensor_details()}
    listed = interpreter._get_ops_details()
    nodes = [node for node in listed if node["op_name"] != "DELEGATE"]
    writer = {int(tensor): node for node in nodes for tensor in node["outputs"]}
    replaced: set[int] = set()
    for delegate in (node for node in listed if node["op_name"] == "DELEGATE"):
        border = {int(tensor) for tensor in delegate["inputs"]}
        waiting = [int(tensor) for tensor in delegate["outputs"]]
        while waiting:
            tensor = waiting.pop()
            if tensor in border or tensor not in writer or writer[tensor]["index"] in replaced:
                continue
            replaced.add(writer[tensor]["index"])
            waiting += [int(source) for source in writer[tensor]["inputs"]]
    inside: list[tuple[str, str]] = []
    outside: list[tuple[str, str]] = []
    for node in nodes:
        place = inside if node["index"] in replaced else outside
        place.append((node["op_name"], names.get(int(node["outputs"][0]), "?")))
    return inside, outside


def _description(metadata: Metadata) -> bytes:
    content = {"schema": 1, **asdict(metadata)}
    return json.dumps(content, ensure_ascii=False).encode()


def _signatures(methods: Sequence[Method]) -> Iterator[tuple[str, Method, int | None]]:
    """Each signature's key, method and length."""
    for method in methods:
        for key, length in method.functions():
            yield key, method, length
