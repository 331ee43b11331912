"""Linear, LSTM and attention layers of a traced graph as standard ONNX operators, in float."""

import numpy as np
import onnx

from edgewright.export import onnx_recurrent
from edgewright.export.onnx_graph import DOMAIN, Rewriter, attributes


def to_float(model: onnx.ModelProto) -> None:
    """Gemm for linear layers on two dimensions, else MatMul and Add; LSTM."""
    graph = Rewriter(model)
    for node in graph.take_nodes():
        if node.domain != DOMAIN:
            graph.keep(node)
        elif node.op_type == "LSTM":
            onnx_recurrent.float_layer(graph, node)
        elif node.op_type == "Attention":
            attention(graph, node)
        else:
            linear(graph, node)
    graph.finish()


def linear(graph: Rewriter, node: onnx.NodeProto) -> None:
    """A traced linear layer whose weights stay float."""
    source, name, bias = node.input
    result = node.output[0]
    if attributes(node)["rank"] == 2:
        graph.add("Gemm", [source, name, bias], result, name=node.name, transB=1)
        return
    columns = graph.constant(f"{name}.transposed", graph.array(name).T)
    graph.add("Add", [graph.add("MatMul", [source, columns], f"{result}.product", name=node.name), bias], result)


def attention(graph: Rewriter, node: onnx.NodeProto) -> None:
    """softmax(queries keysᵀ + allowed) values, as `attend` in models/attention.py, on (B, N, T, D / N).

    The width of a head is what Reshape finds to be left, so no shape is computed at a call.
    """
    result = node.output[0]
    heads = attributes(node)["heads"]
    apart = graph.constant(f"{heads}_heads", np.array([0, 0, heads, -1], np.int64))
    parts = []
    for source, perm in zip(node.input, ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]), strict=False):
        split = graph.add("Reshape", [source, apart], f"{source}.heads")
        parts.append(graph.add("Transpose", [split], f"{source}.head", perm=perm))
    queries, keys, values = parts
    scores = graph.add("MatMul", [queries, keys], f"{result}.products", name=node.name)
    scores = graph.add("Add", [scores, node.input[3]], f"{result}.scores")
    shares = graph.add("Softmax", [scores], f"{result}.shares", axis=-1)
    taken = graph.add(
        "Transpose", [graph.add("MatMul", [shares, values], f"{result}.taken")], f"{result}.joined", perm=[0, 2, 1, 3]
    )
    graph.add("Reshape", [taken, graph.constant("heads_joined", np.array([0, 0, -1], np.int64))], result)
