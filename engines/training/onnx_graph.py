"""Writes the reference model as an ONNX graph of plain operators, weight standardisation folded into the convolutions.

The graph is written node by node instead of traced, so that the file holds exactly the operators that every
engine has, no shape arithmetic, and the same bytes for the same weights.
"""

from __future__ import annotations

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from network import MASKS, PIXEL_CM2, ConvUnit, EvidenceHead, ReferenceModel

OPSET = 17
IR_VERSION = 8
SIDE = 256


class GraphWriter:
    """Appends nodes and constants; every method returns the name of its output."""

    def __init__(self):
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, values: np.ndarray) -> str:
        if all(known.name != name for known in self.constants):
            self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def scalar(self, value: float) -> str:
        return self.constant(f"scalar_{value:.9g}", np.array([value], np.float32))

    def node(self, kind: str, name: str, *inputs: str, **attributes) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=f"{name}_{kind}", **attributes))
        return name

    def conv(self, name: str, x: str, weight: torch.Tensor, bias: torch.Tensor, stride: int = 1) -> str:
        side = weight.shape[-1]
        return self.node(
            "Conv",
            name,
            x,
            self.constant(f"{name}_weight", weight.detach().float().numpy()),
            self.constant(f"{name}_bias", bias.detach().float().numpy()),
            kernel_shape=[side, side],
            strides=[stride, stride],
            pads=[side // 2] * 4,
        )

    def conv_unit(self, name: str, x: str, unit: ConvUnit) -> str:
        return self.node("Relu", name, self.conv(f"{name}_conv", x, unit.folded_weight(), unit.bias, unit.stride))

    def twice_as_large(self, name: str, x: str) -> str:
        scales = self.constant("twice", np.array([1, 1, 2, 2], np.float32))
        return self.node(
            "Resize",
            name,
            x,
            "",
            scales,
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )

    def sum_over_plane(self, name: str, x: str) -> str:
        axes = self.constant("plane_axes", np.array([2, 3], np.int64))
        return self.node("ReduceSum", name, x, axes, keepdims=0)


def write_segmentation(graph: GraphWriter, model: ReferenceModel) -> None:
    net = model.segmentation
    x = graph.conv_unit("stem", "window", net.stem)
    skips = []
    for level, (step_down, refine) in enumerate(net.down):
        skips.append(x)
        x = graph.conv_unit(f"down{level}", x, step_down)
        x = graph.conv_unit(f"refine{level}", x, refine)
    for level in reversed(range(len(net.down))):
        project = net.project[level]
        x = graph.conv(f"project{level}", x, project.weight, project.bias)
        x = graph.twice_as_large(f"up{level}", x)
        x = graph.node("Add", f"skip{level}", x, skips[level])
        x = graph.conv_unit(f"merge{level}", x, net.merge[level])
    for index, name in enumerate(MASKS):
        weight = net.heads.weight[4 * index : 4 * index + 4]
        bias = net.heads.bias[4 * index : 4 * index + 4]
        cells = graph.conv(f"{name}_cells", x, weight, bias)
        drawn = graph.node("DepthToSpace", f"{name}_drawn", cells, blocksize=2, mode="CRD")
        graph.node("Sigmoid", name, drawn)


def write_evidence(graph: GraphWriter, head: EvidenceHead, lung: str, lesion: str) -> None:
    def above_floor(name: str, mask: str) -> str:
        return graph.node("Relu", name, graph.node("Sub", f"{name}_shift", mask, graph.scalar(head.FLOOR)))

    def area(name: str, mask: str) -> str:
        scale = graph.scalar(PIXEL_CM2 / (1.0 - head.FLOOR))
        return graph.node("Mul", name, graph.sum_over_plane(f"{name}_sum", mask), scale)

    lung_area = area("lung_area", above_floor("sure_lung", lung))
    lesion_in_lung = graph.node("Mul", "lesion_in_lung", above_floor("sure_lesion", lesion), lung)
    lesion_area = area("lesion_area", lesion_in_lung)

    lung_share = graph.node("Mul", "lung_share", lung_area, graph.scalar(head.SHARE_FLOOR))
    ill = graph.node("Add", "ill_area", lesion_area, lung_share)
    ill = graph.node("Add", "ill_floored", ill, graph.scalar(head.AREA_FLOOR_CM2))
    whole = graph.node("Add", "lung_floored", lung_area, graph.scalar(head.LUNG_FLOOR_CM2))
    extent = graph.node("Log", "extent", graph.node("Div", "ill_share", ill, whole))

    present = graph.node("Add", "lung_present", lung_area, graph.scalar(head.NO_LUNG_CM2))
    by_area = graph.node("Log", "log_lung_area", present)
    graph.node("Mul", "attention", by_area, graph.scalar(head.ATTENTION_AREA))
    raised = graph.node("Add", "extent_raised", extent, graph.scalar(head.offset.item()))
    graph.node("Mul", "logit", raised, graph.scalar(head.gain.item()))


def to_onnx(model: ReferenceModel) -> onnx.ModelProto:
    graph = GraphWriter()
    write_segmentation(graph, model)
    write_evidence(graph, model.head, *MASKS)

    def tensor(name: str, *shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])

    proto = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "tableside_reference",
            [tensor("window", 3, SIDE, SIDE)],
            [tensor("lung", 1, SIDE, SIDE), tensor("lesion", 1, SIDE, SIDE), tensor("attention", 1), tensor("logit", 1)],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="tableside",
    )
    onnx.checker.check_model(proto, full_check=True)
    return proto


def flops_per_window(proto: onnx.ModelProto) -> int:
    """2 x multiply-accumulates of all convolutions for one window."""
    inferred = onnx.shape_inference.infer_shapes(proto)
    sides = {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim] for value in inferred.graph.value_info}
    weights = {constant.name: list(constant.dims) for constant in proto.graph.initializer}
    total = 0
    for node in proto.graph.node:
        if node.op_type == "Conv":
            rows, columns = sides[node.output[0]][2:]
            total += 2 * int(np.prod(weights[node.input[1]])) * rows * columns
    return total
