"""Linear, LSTM and attention layers of a traced graph as standard ONNX operators, in float."""

import onnx

from edgewright.export import onnx_attention, onnx_recurrent
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
            onnx_attention.attention(graph, node)
        elif node.op_type == "CachedAttention":
            onnx_attention.cached(graph, node)
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
