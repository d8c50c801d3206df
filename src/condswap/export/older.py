"""Bringing a graph of PyTorch's exporter, which writes opset 18 at the oldest, to an older opset."""

from typing import Any


def older(model: Any, opset: int) -> Any:
    """Convert an ONNX model of opset 18 by ONNX's own converter, and help it where it does not know its way.

    Args:
        model: a `ModelProto`; it is changed.
        opset: from 13 on.

    Returns:
        A `ModelProto`.
    """
    import onnx
    from onnx import version_converter

    _without_splits(model.graph, onnx)
    converted = version_converter.convert_version(model, opset)
    for node in converted.graph.node:
        if node.op_type.startswith("Reduce") and node.op_type != "ReduceSum":
            # The converter turns the axes into an attribute and leaves this one, which says what is so anyway.
            kept = [one for one in node.attribute if one.name != "noop_with_empty_axes" or one.i]
            del node.attribute[:]
            node.attribute.extend(kept)
    return converted


def _without_splits(graph: Any, onnx: Any) -> None:
    """Write what `chunk` and `split` give as slices: the converter does not know how Split looked before opset 18."""
    shapes = {value.name: value.type.tensor_type.shape.dim for value in [*graph.value_info, *graph.output]}
    nodes: list[Any] = []
    for node in graph.node:
        if node.op_type != "Split":
            nodes.append(node)
            continue
        axis = next((one.i for one in node.attribute if one.name == "axis"), 0)
        start = 0
        for output in node.output:
            end = start + shapes[output][axis].dim_value
            bounds = {f"{output}.start": start, f"{output}.end": end, f"{output}.axis": axis}
            graph.initializer.extend(
                onnx.helper.make_tensor(name, onnx.TensorProto.INT64, [1], [number]) for name, number in bounds.items()
            )
            nodes.append(onnx.helper.make_node("Slice", [node.input[0], *bounds], [output]))
            start = end
    used = {name for node in nodes for name in node.input}
    sizes = {name for node in graph.node if node.op_type == "Split" for name in node.input[1:]} - used
    for tensor in [one for one in graph.initializer if one.name in sizes]:
        graph.initializer.remove(tensor)
    del graph.node[:]
    graph.node.extend(nodes)
