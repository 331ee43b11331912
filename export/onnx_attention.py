"""Attention layers of a traced graph in ONNX: over a whole sequence, and for one step with a cache.

Sources: onnx.ai/onnx/operators; docs/ContribOperators.md of ONNX Runtime (com.microsoft.GroupQueryAttention).
Shapes: B batch, T positions, D width, N heads, M room of a cache, W width of a head.
"""

import numpy as np
import onnx

from edgewright.export.onnx_graph import MICROSOFT, Rewriter, attributes

WIDTHS = 8  # GroupQueryAttention takes heads whose width is a multiple of it


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


def cached(graph: Rewriter, node: onnx.NodeProto) -> None:
    """SelfAttention.step of models/attention.py behind its projections, in standard operators."""
    query, key, value, keys, values, _, before, here, allowed = node.input
    read, keys_after, values_after = node.output
    heads = attributes(node)["heads"]
    apart = graph.constant(f"1_of_{heads}_heads", np.array([0, heads, 1, -1], np.int64))
    queries, *new = (graph.add("Reshape", [source, apart], f"{source}.heads") for source in (query, key, value))
    for cache, fresh, after in ((keys, new[0], keys_after), (values, new[1], values_after)):
        kept = graph.add("Mul", [cache, before], f"{after}.kept")
        graph.add("Add", [kept, graph.add("Mul", [fresh, here], f"{after}.fresh")], after)
    turned = graph.add("Transpose", [keys_after], f"{read}.keys", perm=[0, 1, 3, 2])
    scores = graph.add("MatMul", [queries, turned], f"{read}.products")
    shares = graph.add("Softmax", [graph.add("Add", [scores, allowed], f"{read}.scores")], f"{read}.shares", axis=-1)
    taken = graph.add("MatMul", [shares, values_after], f"{read}.taken")
    graph.add("Reshape", [taken, graph.constant("heads_as_one", np.array([0, 1, -1], np.int64))], read)


def fits_one_node(graph: Rewriter, node: onnx.NodeProto) -> bool:
    """Whether `cached_in_one_node` can write this node."""
    width = graph.shapes[node.input[3]][3]
    return isinstance(width, int) and width % WIDTHS == 0


def cached_in_one_node(graph: Rewriter, node: onnx.NodeProto, packed: str | None) -> None:
    """The same as GroupQueryAttention of ONNX Runtime: a step of a small model spends its time between nodes.

    It writes the caches too, leaves 0 behind the position, and sees nothing there.

    Args:
        packed: query, key and value in one tensor (B, 1, 3 D); None: they are the node's own inputs.
    """
    query, key, value, keys, values, position, *_ = node.input
    heads = attributes(node)["heads"]
    last, total = f"{position}.last", f"{position}.total"
    if not any(last in written.output for written in graph.nodes):  # all layers share them
        rows = graph.add("Shape", [keys], f"{position}.rows", start=0, end=1)
        graph.add("Expand", [position, rows], last)  # (B,)
        graph.add("Add", [position, graph.constant("one_more", np.array([1], np.int32))], total)
    graph.add(
        "GroupQueryAttention",
        [*((packed, "", "") if packed else (query, key, value)), keys, values, last, total],
        node.output,
        name=node.name,
        domain=MICROSOFT,
        num_heads=heads,
        kv_num_heads=heads,
        scale=1.0,  # it is part of the query's weights
    )
