"""Makes the package's network in half precision out of the one in single precision; needs neither data nor torch.

    python half_precision.py                      # ../reference: model.half.onnx, and its checksum into model.toml
    python half_precision.py --rounded FOLDER           # a copy of the package, its half precision for the CPU: see below
    python half_precision.py --rounded FOLDER --alone   # a copy that has no other network, for `tableside model validate`

From the window to the masks' logits weights and values are in half precision. The window, the sigmoids, the evidence that is
summed over the masks and all outputs stay in single precision, so that whoever runs it sees no difference but in precision.

The ONNX Runtime has no half precision on a CPU: it computes in single precision and leaves out the roundings in between.
`--rounded` writes these out: each value is rounded to half precision, sums inside a convolution are in single precision. A GPU
may add up in half precision too.

(The converters in onnxconverter-common 1.16.0 and onnxruntime 1.32.0 were tried: what they make of this network does not
pass onnx.checker, and the latter rounds the evidence too.)
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).resolve().parent
NAME = "model.half.onnx"
HALF, SINGLE = TensorProto.FLOAT16, TensorProto.FLOAT

TABLE = """
# The same network in half precision, from which TensorRT's plan is built. Written by engines/training/half_precision.py.
[half_precision]
weights = "{name}"
sha256 = "{sha256}"
"""
ANY_TABLE = re.compile(r"\n# The same network in half precision,[^\n]*\n\[half_precision\]\nweights = [^\n]*\nsha256 = [^\n]*\n")


def cast(value: str, to: int, name: str) -> onnx.NodeProto:
    return helper.make_node("Cast", [value], [name], name=f"{name}_Cast", to=to)


def is_of_the_evidence(graph: onnx.GraphProto) -> dict[str, bool]:
    """Of each node's output: whether it is a mask or made from masks."""
    evidence: dict[str, bool] = {}
    for node in graph.node:
        evidence[node.output[0]] = node.op_type == "Sigmoid" or any(evidence.get(value) for value in node.input)
    return evidence


def rounded_to_half(constant: onnx.TensorProto) -> onnx.TensorProto:
    with np.errstate(over="raise"):
        return numpy_helper.from_array(numpy_helper.to_array(constant).astype(np.float16), constant.name)


def in_half_precision(network: onnx.ModelProto) -> onnx.ModelProto:
    half = onnx.ModelProto()
    half.CopyFrom(network)
    graph = half.graph
    evidence = is_of_the_evidence(graph)
    window = graph.input[0].name
    constants = {constant.name: constant for constant in graph.initializer}
    nodes = [cast(window, HALF, f"{window}_half")]
    for node in graph.node:
        for at, value in enumerate(node.input):
            if evidence[node.output[0]]:
                if evidence.get(value) is False:
                    nodes.append(cast(value, SINGLE, f"{value}_single"))
                    node.input[at] = f"{value}_single"
            elif value == window:
                node.input[at] = f"{window}_half"
            elif value in constants and node.op_type == "Conv":
                constants[value].CopyFrom(rounded_to_half(constants[value]))
        nodes.append(node)
    replace_nodes(half, nodes)
    return half


def with_roundings_written_out(half: onnx.ModelProto) -> onnx.ModelProto:
    """In single precision, each value of the network in half precision rounded to half as soon as it is computed."""
    single = onnx.ModelProto()
    single.CopyFrom(half)
    graph = single.graph
    evidence = is_of_the_evidence(graph)
    for constant in graph.initializer:
        if constant.data_type == HALF:
            constant.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(constant).astype(np.float32), constant.name))
    nodes = []
    for node in graph.node:
        name = node.output[0]
        if node.op_type == "Cast":
            node = helper.make_node("Identity", node.input, node.output, name=f"{name}_Identity")
        nodes.append(node)
        if not evidence[name]:
            node.output[0] = f"{name}_exact"
            nodes += [cast(f"{name}_exact", HALF, f"{name}_rounded"), cast(f"{name}_rounded", SINGLE, name)]
    replace_nodes(single, nodes)
    return single


def replace_nodes(network: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del network.graph.node[:]
    network.graph.node.extend(nodes)
    onnx.checker.check_model(network, full_check=True)


def write(network: onnx.ModelProto, package: Path, alone: bool = False) -> None:
    content = network.SerializeToString(deterministic=True)
    sha256 = hashlib.sha256(content).hexdigest()
    file, manifest = package / ("model.onnx" if alone else NAME), package / "model.toml"
    file.write_bytes(content)
    text = ANY_TABLE.sub("", manifest.read_text())
    if alone:
        text = re.sub(r'^sha256 = "[^"]*"', f'sha256 = "{sha256}"', text, count=1, flags=re.MULTILINE)
    else:
        text += TABLE.format(name=NAME, sha256=sha256)
    manifest.write_text(text)
    print(f"{file}: {len(content) / 1e6:.2f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, default=HERE.parent / "reference")
    parser.add_argument("--rounded", type=Path, metavar="FOLDER")
    parser.add_argument("--alone", action="store_true")
    arguments = parser.parse_args()
    if arguments.alone and not arguments.rounded:
        parser.error("--alone goes with --rounded")
    half = in_half_precision(onnx.load(arguments.package / "model.onnx"))
    if arguments.rounded:
        shutil.copytree(arguments.package, arguments.rounded)
        write(with_roundings_written_out(half), arguments.rounded, arguments.alone)
    else:
        write(half, arguments.package)


if __name__ == "__main__":
    main()
