"""Shapes that a traced graph computes at each call although it knows them."""

import numpy as np
import onnx
from onnx import numpy_helper

from edgewright.export.onnx_graph import Shape, shape_of


def settle(model: onnx.ModelProto) -> None:
    """Give each Reshape a constant shape where one says the same; what computed it is left to be dropped as unused.

    A free size takes three or four small nodes, half a microsecond each: together as long as a layer of a small model.
    """
    graph = model.graph
    shapes = {value.name: shape_of(value) for value in (*graph.value_info, *graph.input, *graph.output)}
    constants = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Reshape" and node.input[1] not in constants:
            shape = constant(shapes.get(node.input[0], ()), shapes.get(node.output[0], ()))
            if shape is not None:
                name = f"{node.output[0]}.shape"
                graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), name))
                node.input[1] = name
                del node.attribute[:]  # allowzero: a 0 would be a size


def constant(source: Shape, result: Shape) -> list[int] | None:
    """What Reshape takes to make `result` of `source`: 0 for a size that stays, -1 for the one that is left.

    None where two are left, or a shape is not known.
    """
    sizes = []
    for axis, size in enumerate(result):
        if isinstance(size, int):
            sizes.append(size)
        else:
            sizes.append(0 if axis < len(source) and source[axis] == size else -1)
    known = source and result and 0 not in source + result  # the tracer leaves 0 for a size that it cannot name
    return sizes if known and sizes.count(-1) <= 1 else None
