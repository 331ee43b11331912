"""ExecuTorch with the XNNPACK delegate (.pte): one function per method and length, weights stored once.

Source: https://docs.pytorch.org/executorch (torch.export, to_edge_transform_and_lower), torchao for the forms of
quantization. The graph is first brought into the form that runs fastest (executorch_graph.py); what was stored is
read back out of the file (executorch_weights.py) and compared with the grid.
"""

import contextlib
import dataclasses
import json
import logging
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from executorch.backends.xnnpack.partition.config import ALL_PARTITIONER_CONFIGS
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
    XNNPACKQuantizer,
    get_symmetric_quantization_config,
)
from executorch.exir import EdgeCompileConfig, EdgeProgramManager, ExecutorchBackendConfig, to_edge_transform_and_lower
from executorch.exir.passes import MemoryPlanningPass
from executorch.extension.pybindings import _C
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import GraphModule, Node
from torch.nn import functional as F
from torchao.quantization.pt2e import MinMaxObserver, PerChannelMinMaxObserver
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.quantize_.workflows.intx.intx_unpacked_to_int8_tensor import IntxUnpackedToInt8Tensor

from edgewright.compress.numerics import SUPPORT
from edgewright.compress.quantize import GridWeight, QuantizedModel
from edgewright.data.files import write_atomically
from edgewright.errors import DamagedFileError, ExportError
from edgewright.export.artifact import Artifact, Metadata, describe
from edgewright.export.convolutions import ConvolutionAsLinear, as_stored, repeat_edges
from edgewright.export.executorch_graph import lowerable, rewrite
from edgewright.export.executorch_lstm import LSTMConfig
from edgewright.export.executorch_passes import without_idle_passes
from edgewright.export.executorch_weights import check, read
from edgewright.export.tracing import OneMethod, example_inputs, quick_tracing, refusal
from edgewright.models.methods import Method
from edgewright.runtimes import executorch as runtime

HOT = ("linear", "addmm", "mm", "bmm", "convolution")  # slow reference kernels outside the delegate
METADATA = "edgewright"  # the name under which the file answers with its metadata, a string of JSON


@quick_tracing()
def export(
    model: QuantizedModel,
    methods: Sequence[Method],
    path: Path,
    calibration: Sequence[tuple[np.ndarray, ...]],
    metadata: Metadata,
) -> Artifact:
    """Write `model` to `path`, with the function "forward_16" for the length 16 of the method "forward".

    `calibration` gives the ranges of the activations for static_wi8_ai8 and is not looked at otherwise.

    Raises:
        ExportError: a converter refused, an operator has no kernel, a hot operator is left to a slow one, or a weight
            is stored otherwise than the grid says; the message names the operator and the layer.
    """
    assert SUPPORT[model.numerics, "executorch"].supported, model.numerics
    with _quiet(), without_idle_passes():
        programs: dict[str, ExportedProgram] = {}
        for method in methods:
            programs |= _programs(model, method, calibration)
        edge = _delegate(programs, metadata)
        # the functions of a method differ in nothing but the length: count one of them
        firsts = [method.functions()[0][0] for method in methods]
        delegated = dict(Counter(_name(node) for name in firsts for node in _delegated(edge, name)))
        left_over = dict(Counter(_name(node) for name in firsts for node in _left_over(edge, name)))
        content = _finish(edge, programs)
    bytes_by_type: dict[str, int] = {}

    def write(scratch: Path) -> None:
        scratch.write_bytes(content)
        stored = read(scratch)
        check(model, stored)
        _run_once(scratch, methods)
        bytes_by_type.update(stored.bytes_by_type)

    write_atomically(path, write)
    return describe("executorch", model.numerics, path, delegated, left_over, bytes_by_type)


def _programs(
    model: QuantizedModel, method: Method, calibration: Sequence[tuple[np.ndarray, ...]]
) -> dict[str, ExportedProgram]:
    """The method's graphs by function name, quantized as the numerics says."""
    module = lowerable(model.module, model.weights)
    repeat_edges(module, method.batch)
    if model.numerics.startswith("dynamic"):
        _quantize_dynamically(module, model.weights)
    inputs = {name: example_inputs(method, length) for name, length in method.functions()}
    graphs: dict[str, GraphModule] = {}
    for name, example in inputs.items():
        try:
            graph = torch.export.export(OneMethod(module, method), (), example).module()
        except Exception as error:  # torch.export raises its own, dynamo's and plain RuntimeErrors
            raise refusal("torch.export", error, model.module, method) from error
        assert isinstance(graph, GraphModule)
        rewrite(graph)
        graphs[name] = graph
    if model.numerics == "static_wi8_ai8":
        graphs = _quantize_statically(graphs, inputs, calibration, model.weights)
    return {name: torch.export.export(graph, (), inputs[name]) for name, graph in graphs.items()}


def _quantize_dynamically(module: nn.Module, weights: dict[str, GridWeight]) -> None:
    """Give the linear layers the grid's integers and let them quantize their inputs, a row at a time, when called."""
    for name, grid in weights.items():
        layer = module.get_submodule(name.removesuffix(".weight"))
        if isinstance(layer, ConvolutionAsLinear):
            layer = layer.linear
        if isinstance(layer, nn.Linear):  # else an embedding, or a convolution of another kind: check will name it
            layer.weight = _dynamic_weight(grid)


def _dynamic_weight(grid: GridWeight) -> nn.Parameter:
    integers = torch.from_numpy(as_stored(grid.integers))
    scales = torch.from_numpy(grid.scales).reshape(len(integers), -1)
    weight = IntxUnpackedToInt8Tensor(
        qdata=integers,
        scale=scales,
        zero_point=torch.zeros_like(scales, dtype=torch.int8),
        target_dtype=getattr(torch, f"int{grid.bits}"),
        block_size=(1, integers.shape[1] // scales.shape[1]),
        dtype=torch.float32,
        activation_quantization="int8_asym_per_token",
    )
    return nn.Parameter(weight, requires_grad=False)


def _quantize_statically(
    graphs: dict[str, GraphModule],
    inputs: dict[str, dict[str, Tensor]],
    calibration: Sequence[tuple[np.ndarray, ...]],
    weights: dict[str, GridWeight],
) -> dict[str, GraphModule]:
    """Linear layers and convolutions in int8, with activation ranges that all lengths share.

    The layers that give the outputs quantize their inputs when called: a fixed range would round the logits to 8 bits
    and cut those off that are larger than any of the calibration.
    """
    prepared = {
        name: prepare_pt2e(graph, _static_quantizer({node.name for node in _answering(graph)}))
        for name, graph in graphs.items()
    }
    first, *others = prepared.values()
    observers = {name: child for name, child in first.named_children() if name.startswith("activation_post_process")}
    for other in others:  # the same graph but for the length, so the same observers: each sees the texts of any length
        for name, observer in observers.items():
            assert hasattr(other, name)
            setattr(other, name, observer)
    by_shapes = {_shapes(example.values()): name for name, example in inputs.items()}
    fitting = [(by_shapes[shapes], arrays) for arrays in calibration if (shapes := _shapes(arrays)) in by_shapes]
    with torch.inference_mode():
        for name, arrays in fitting:
            prepared[name](**dict(zip(inputs[name], map(torch.tensor, arrays), strict=True)))
    if not fitting:
        raise ExportError(f"static_wi8_ai8 needs calibration inputs of one of the shapes {[*map(list, by_shapes)]}")
    quantized = {name: convert_pt2e(graph) for name, graph in prepared.items()}
    for graph in quantized.values():
        for node in _answering(graph):
            node.target = F.linear  # the aten operator does not know torchao's kind of tensor
            parameter = node.all_input_nodes[1].target
            layer = str(parameter).removesuffix(".weight")
            graph.get_submodule(layer).weight = _dynamic_weight(weights[str(parameter).removeprefix("module.")])
        graph.recompile()
    return quantized


def _answering(graph: GraphModule) -> list[Node]:
    """The linear layers whose output is an output of the graph."""
    return [node for node in graph.graph.output_node().all_input_nodes if node.target == torch.ops.aten.linear.default]


def _shapes(arrays: Iterable[np.ndarray | Tensor]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(array.shape) for array in arrays)


def _static_quantizer(without: Collection[str]) -> XNNPACKQuantizer:
    """Every linear layer and convolution but the nodes of these names."""
    config = get_symmetric_quantization_config(is_per_channel=True)
    # XNNPACK's own observers raise each scale to 2**-12, and so change the integers of rows with small weights
    tiny = 2.0**-24
    activation = dataclasses.replace(
        config.input_activation, observer_or_fake_quant_ctr=MinMaxObserver.with_args(eps=tiny)
    )
    weight = dataclasses.replace(config.weight, observer_or_fake_quant_ctr=PerChannelMinMaxObserver.with_args(eps=tiny))
    config = dataclasses.replace(config, input_activation=activation, output_activation=activation, weight=weight)
    quantizer = XNNPACKQuantizer().set_filter_function(lambda node: node.name not in without)
    for operator in (torch.ops.aten.linear.default, torch.ops.aten.conv1d.default, torch.ops.aten.conv2d.default):
        quantizer.set_operator_type(operator, config)
    return quantizer


def _delegate(programs: dict[str, ExportedProgram], metadata: Metadata) -> EdgeProgramManager:
    """The functions with what XNNPACK takes moved into delegates."""
    edge = to_edge_transform_and_lower(
        programs,
        partitioner=[XnnpackPartitioner([*ALL_PARTITIONER_CONFIGS, LSTMConfig])],
        compile_config=EdgeCompileConfig(_check_ir_validity=False),  # it knows none of torchao's operators
        constant_methods={METADATA: json.dumps(dataclasses.asdict(metadata), ensure_ascii=False)},
    )
    for name in programs:
        for node in _left_over(edge, name):
            # what torchao and PT2E put around a layer only has kernels as a part of that layer
            if _name(node) in HOT or getattr(node.target, "namespace", "") in ("torchao", "quantized_decomposed"):
                raise ExportError(
                    f"XNNPACK does not take {_name(node)} in {_layer(node)}, and ExecuTorch has no fast kernel for it; "
                    "write that layer another way"
                )
    return edge


def _finish(edge: EdgeProgramManager, names: Iterable[str]) -> bytes:
    """The content of the file. A kernel that the runtime lacks is only noticed there when a function is loaded."""
    # inputs stay where the caller has them: a copy of a cache takes as long as a small layer
    program = edge.to_executorch(
        ExecutorchBackendConfig(memory_planning_pass=MemoryPlanningPass(alloc_graph_input=False))
    )
    known = set(_C._get_operator_names())
    for name in names:
        for node in program.exported_program(name).graph.nodes:
            if isinstance(node.target, torch._ops.OpOverload) and node.target._name not in known:
                raise ExportError(
                    f"ExecuTorch has no kernel for {node.target} in {_layer(node)}; write that layer another way"
                )
    return program.buffer


def _left_over(edge: EdgeProgramManager, function: str) -> Iterator[Node]:
    """The operators of a function that run on portable kernels."""
    for node in edge.exported_program(function).graph.nodes:
        if node.op == "call_function" and _name(node) not in ("executorch_call_delegate", "getitem"):
            yield node


def _delegated(edge: EdgeProgramManager, function: str) -> Iterator[Node]:
    """The operators of a function that XNNPACK took."""
    for delegate in edge.exported_program(function).graph_module.children():
        for node in delegate.original_module.graph.nodes:
            if node.op == "call_function" and _name(node) != "getitem":
                yield node


def _name(node: Node) -> str:
    """linear of aten.linear.default"""
    name = getattr(node.target, "__name__", str(node.target))
    return name.split(".")[1] if "." in name else name


def _layer(node: Node) -> str:
    """The path of the layer that a node comes from, as in the model's named_modules."""
    stack = list(node.meta.get("nn_module_stack", {}).values())  # (path, type), the outermost first
    if len(stack) > 1 and stack[-2][1].endswith(ConvolutionAsLinear.__name__):
        stack.pop()
    path = stack[-1][0].removeprefix("module").removeprefix(".") if stack else ""
    return f"layer {path}" if path else "the model itself"


def _run_once(path: Path, methods: Sequence[Method]) -> None:
    """Refuse a file that the runtime does not load, or that does not answer as the methods promise."""
    try:
        runner = runtime.load(path)
    except DamagedFileError as error:
        raise ExportError(f"ExecuTorch does not load the file that was made: {error}") from error
    for method in methods:
        for name, length in method.functions():
            arrays = [tensor.numpy() for tensor in example_inputs(method, length).values()]
            outputs = runner.run(*arrays, method=method.name)
            wanted = [(method.sizes(tensor, length), tensor.dtype) for tensor in method.outputs]
            given = [(output.shape, str(output.dtype)) for output in outputs]
            if given != wanted:
                raise ExportError(f"{name} answers {given}; its method promises {wanted}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the converters say to nobody: deprecations of torch, and torchao's missing GPU kernels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        previous = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(previous)
