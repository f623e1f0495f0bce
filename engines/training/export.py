"""Writes the model package: model.onnx and model.toml with its checksum, checked against torch.

    python export.py --checkpoint runs/final.pt --package ../reference
    python export.py --random-weights --package ../reference      (to build the appliance before training)

Where the real series are at hand, torch and the ONNX Runtime are held against each other on 100 of their windows.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from fold import ABOVE_DENSE_LUNG, ABOVE_LUNG_HU
from network import EvidenceHead, ReferenceModel, SegmentationNet
from onnx_graph import flops_per_window, to_onnx
from preprocess import read_series, slabs_of, windows_of

HERE = Path(__file__).resolve().parent
DEFAULT_DATA = HERE.parents[2] / "shared/data"
MOST_FLOPS = 1.5e9
MOST_BYTES = 10_000_000
TOLERANCE = 1e-4
WINDOWS_A_SERIES = 25

MANIFEST = """\
# Model package of the reference model. Written by engines/training/export.py; see MODEL_CARD.md.
format = 1
name = "reference"
version = "1.0.0"
weights = "model.onnx"
sha256 = "{sha256}"
card = "MODEL_CARD.md"
intended_use = "Research use only. Not a medical device. Flags chest CT in which pneumonia of the COVID-19 pattern \
is suspected, so that a person looks at once; it cannot tell COVID-19 from other pneumonia and excludes nothing."

[input]
name = "window"
slabs = 3
slab_mm = 3.0
rows = 256
columns = 256
pixel_mm = 1.5
hu_window = [-1150.0, 150.0]

[outputs]
lung = "lung"
lesion = "lesion"
attention = "attention"
logit = "logit"

[case]
bias = 0.0
calibration_slope = 1.0
calibration_intercept = 0.0

# Attention and logit of a slab, of its masks: see fold.py.
[case.lesions]
gain = {head[gain]}
offset = {head[offset]}
above_lung_hu = {above_lung_hu}
above_dense_lung = {above_dense_lung}

[operating_point]
# {note}
suspected = {suspected}
early = {early}
early_min_lung_mm = {early_min_lung_mm}
early_alpha = {early_alpha}
lung_probability = 0.5
lesion_probability = 0.5
"""

UNTRAINED = {
    "head": {"gain": 2.0, "offset": 3.5},
    "suspected": 0.5,
    "early": 0.9,
    "early_min_lung_mm": 120.0,
    "early_alpha": 0.1,
    "note": "random weights: no operating point",
}


def load_model(checkpoint: Path | None, calibration: dict) -> ReferenceModel:
    torch.manual_seed(0)
    segmentation = SegmentationNet()
    if checkpoint:
        segmentation.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True))
    return ReferenceModel(segmentation, EvidenceHead(**calibration["head"])).eval()


def made_windows() -> np.ndarray:
    """Three windows of noise, two of them smooth."""
    window = torch.rand(3, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    window[1:] = torch.nn.functional.avg_pool2d(window[1:], 9, 1, 4)
    return window.numpy()


def real_windows(data: Path) -> np.ndarray:
    """WINDOWS_A_SERIES windows of each real series, evenly along it."""
    chosen = []
    for folder in sorted(path for path in (data / "series").iterdir() if path.is_dir()):
        windows = windows_of(slabs_of(read_series(folder)))
        chosen.append(windows[np.linspace(0, len(windows) - 1, WINDOWS_A_SERIES).astype(int)])
    return np.concatenate(chosen)


@torch.no_grad()
def largest_difference(model: ReferenceModel, onnx_path: Path, windows: np.ndarray) -> float:
    """Between torch and the ONNX Runtime, over all outputs."""
    session = onnxruntime.InferenceSession(str(onnx_path), providers=["CPUExecutionProvider"])
    largest = 0.0
    for window in np.split(windows, len(windows)):
        expected = [output.numpy() for output in model(torch.from_numpy(window))]
        given = session.run(["lung", "lesion", "attention", "logit"], {"window": window})
        largest = max(largest, *(float(np.abs(a - b).max()) for a, b in zip(expected, given)))
    return largest


def write_package(model: ReferenceModel, calibration: dict, package: Path, data: Path) -> None:
    package.mkdir(parents=True, exist_ok=True)
    proto = to_onnx(model)
    flops = flops_per_window(proto)
    weights = proto.SerializeToString(deterministic=True)
    if flops > MOST_FLOPS or len(weights) > MOST_BYTES:
        raise SystemExit(f"model too large: {flops / 1e9:.2f} GFLOP, {len(weights)} bytes")
    onnx_path = package / "model.onnx"
    onnx_path.write_bytes(weights)
    windows = made_windows()
    if (data / "series").is_dir():
        windows = np.concatenate([windows, real_windows(data)])
    difference = largest_difference(model, onnx_path, windows)
    if difference > TOLERANCE:
        raise SystemExit(f"onnxruntime differs from torch by {difference:.2g} on {len(windows)} windows")
    manifest = MANIFEST.format(sha256=hashlib.sha256(weights).hexdigest(), above_lung_hu=ABOVE_LUNG_HU, above_dense_lung=ABOVE_DENSE_LUNG, **calibration)
    (package / "model.toml").write_text(manifest)
    print(f"{onnx_path}: {flops / 1e9:.2f} GFLOP a window, {len(weights) / 1e6:.2f} MB, torch within {difference:.1e} on {len(windows)} windows")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=HERE / "runs/final.pt")
    parser.add_argument("--calibration", type=Path, default=HERE / "calibration.json")
    parser.add_argument("--package", type=Path, default=HERE.parent / "reference")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--random-weights", action="store_true")
    arguments = parser.parse_args()
    if arguments.random_weights:
        model, calibration = load_model(None, UNTRAINED), UNTRAINED
    else:
        calibration = json.loads(arguments.calibration.read_text())
        model = load_model(arguments.checkpoint, calibration)
    write_package(model, calibration, arguments.package, arguments.data)


if __name__ == "__main__":
    main()
