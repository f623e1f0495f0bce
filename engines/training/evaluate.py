"""Figures of a trained model: Dice on left-out volumes, and scores, running scores and slab AUC on full series.

    python evaluate.py --checkpoint runs/fold-a.pt --volumes medseg-4,medseg-8
    python evaluate.py --extra-series /somewhere/tumour

The full series are held out: they are read here and nowhere else (but screening-nlst, which is trained on).
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from pathlib import Path

import numpy as np
import torch

from data import place, slab_at
from fold import Evidence, Head, case_logit, evidence_of
from network import PIXEL_CM2, SegmentationNet
from preprocess import SLAB_MM, read_series, slabs_of, windows_of
from volumes import SCREENING, Volume, load_volumes

HERE = Path(__file__).resolve().parent
DEFAULT_DATA = HERE.parents[2] / "shared/data"
SERIES = ("covid-p001", "pneumonia-cap001", "normal-001", SCREENING)
LUNG_SLAB_CM2 = 10.0  # a slab contains lung from this area of the lung mask on
FEWEST_LUNG_SLABS = 8  # a bag of fewer slabs with lung is none
SETTLED_LUNG_MM = 140.0


def has_lung(evidence: Evidence) -> np.ndarray:
    return evidence.lung_cm2 >= LUNG_SLAB_CM2


@torch.no_grad()
def draw(segmentation: SegmentationNet, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lung and lesion probabilities of the windows, each (windows, 256, 256)."""
    masks = [
        torch.sigmoid(segmentation(torch.from_numpy(windows[start : start + 8]))).numpy()
        for start in range(0, len(windows), 8)
    ]
    masks = np.concatenate(masks)
    return masks[:, 0], masks[:, 1]


def gather(segmentation: SegmentationNet, windows: np.ndarray) -> Evidence:
    return evidence_of(windows, *draw(segmentation, windows))


def probability(logit: float) -> float:
    return 1 / (1 + np.exp(-logit))


def running_logits(evidence: Evidence, head: Head, upwards: bool, fewest: int) -> np.ndarray:
    """The case logit after every slab from the one on that makes `fewest` slabs with lung."""
    attention, logit = evidence.attention_and_logit(head)
    lung = has_lung(evidence)
    if not upwards:
        attention, logit, lung = attention[::-1], logit[::-1], lung[::-1]
    enough = np.flatnonzero(np.cumsum(lung) >= fewest)
    return np.array([case_logit(attention[: k + 1], logit[: k + 1]) for k in enough])


def roc_auc(score: np.ndarray, truth: np.ndarray) -> float:
    positive, negative = score[truth], score[~truth]
    return float(((positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)).mean())


def slab_truth(data: Path, series: str, slabs) -> np.ndarray | None:
    """Per slab: does any of its slices carry the radiologists' infection label."""
    with open(data / "series/slice-labels.csv") as file:
        labels = {int(row["instance_number"]): row["infection"] == "1" for row in csv.DictReader(file) if row["series"] == series}
    return np.array([any(labels[n] for n in slab.instance_numbers) for slab in slabs]) if labels else None


def report_series(name: str, folder: Path, data: Path, segmentation: SegmentationNet, head: Head) -> dict:
    slabs = slabs_of(read_series(folder))
    evidence = gather(segmentation, windows_of(slabs))
    attention, logit = evidence.attention_and_logit(head)
    slab_spacing = SLAB_MM * (slabs[-1].index - slabs[0].index) / (len(slabs) - 1)
    pixel_ml = PIXEL_CM2 * slab_spacing / 10
    figures = {
        "slabs": len(slabs),
        "lung_ml": round(float(evidence.lung.sum() * pixel_ml)),
        "lesion_ml": round(float(evidence.lesion.sum() * pixel_ml), 1),
        "outstanding_ml": round(float(evidence.outstanding_cm2.sum() * slab_spacing / 10), 1),
        "probability": round(probability(case_logit(attention, logit)), 4),
    }
    fewest = math.ceil(SETTLED_LUNG_MM / slab_spacing)
    for direction in ("upwards", "downwards"):
        path = running_logits(evidence, head, direction == "upwards", fewest)
        figures[f"path_maximum_{direction}"] = round(probability(path.max()), 4) if len(path) else None
    truth = slab_truth(data, name, slabs)
    if truth is not None:
        inside = has_lung(evidence)
        lesion_cm2 = evidence.lesion.sum((1, 2)) * PIXEL_CM2
        figures["infected_slabs"] = int(truth.sum())
        figures["slab_auc_lesion_area"] = round(roc_auc(lesion_cm2[inside], truth[inside]), 3)
        share = lesion_cm2[inside] / evidence.lung_cm2[inside]
        figures["slab_auc_lesion_share"] = round(roc_auc(share, truth[inside]), 3)
    return figures


class Unvaried:
    """Answers every draw of `place` and `slab_at` with the middle of its range: no flip, no shift."""

    integers = staticmethod(lambda low, high: (low + high - 1) // 2)
    uniform = staticmethod(lambda low, high: (low + high) / 2)
    normal = staticmethod(lambda mean, deviation, size=None: mean if size is None else np.full(size, mean))
    random = staticmethod(lambda: 0.75)


def unvaried_step(volume: Volume) -> int:
    """Slices from slab to slab."""
    return Unvaried.integers(volume.slices_per_slab[0], volume.slices_per_slab[1] + 1)


def volume_windows(volume: Volume, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A labelled volume as windows and masks at the window's grid, unvaried."""

    step = unvaried_step(volume)
    planes = [place(slab_at(volume, k, Unvaried), volume.pixel_mm, Unvaried) for k in range(0, len(volume.image), step)]
    planes = np.stack(planes)
    return planes[:, :3].astype(np.float32), planes[:, 3:5] > 0.5


def dice(drawn: np.ndarray, truth: np.ndarray) -> float:
    return float(2 * (drawn & truth).sum() / max(1, drawn.sum() + truth.sum()))


def report_volume(volume: Volume, segmentation: SegmentationNet) -> dict:
    windows, masks = volume_windows(volume)
    evidence = gather(segmentation, windows)
    return {
        "slabs": len(windows),
        "lung_dice": round(dice(evidence.lung, masks[:, 0]), 3),
        "lesion_dice": round(dice(evidence.lesion, masks[:, 1]), 3),
        "lesion_share_true": round(float(masks[:, 1].sum() / masks[:, 0].sum()), 4),
        "lesion_share_drawn": round(float(evidence.lesion.sum() / evidence.lung.sum()), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--checkpoint", type=Path, default=HERE / "runs/final.pt")
    parser.add_argument("--calibration", type=Path, default=HERE / "calibration.json")
    parser.add_argument("--volumes", default="", help="labelled volumes to score instead of the series")
    parser.add_argument("--extra-series", type=Path, action="append", default=[], help="a further folder of DICOM files")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    segmentation = SegmentationNet()
    segmentation.load_state_dict(torch.load(arguments.checkpoint, weights_only=True))
    wanted = [name for name in arguments.volumes.split(",") if name]
    if wanted:
        for volume in load_volumes(arguments.data):
            if volume.name in wanted:
                print(volume.name, json.dumps(report_volume(volume, segmentation)), flush=True)
        return
    head = Head(**json.loads(arguments.calibration.read_text())["head"])
    folders = {name: arguments.data / "series" / name for name in SERIES}
    folders |= {folder.name: folder for folder in arguments.extra_series}
    for name, folder in folders.items():
        print(name, json.dumps(report_series(name, folder, arguments.data, segmentation, head)), flush=True)


if __name__ == "__main__":
    main()
