"""Figures of a trained model: Dice on left-out volumes, and verdicts, running scores and slab AUC on full series.

    python evaluate.py --checkpoint runs/fold-a.pt --volumes medseg-4,medseg-8
    python evaluate.py --extra-series /somewhere/tumour

The full series are held out: they are read here and nowhere else (but screening-nlst, which is trained on).
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from data import place, slab_at
from export import load_model
from network import PIXEL_CM2, EvidenceHead, ReferenceModel, SegmentationNet
from preprocess import SLAB_MM, read_series, slabs_of, windows_of
from volumes import SCREENING, Volume, load_volumes

HERE = Path(__file__).resolve().parent
DEFAULT_DATA = HERE.parents[2] / "shared/data"
SERIES = ("covid-p001", "pneumonia-cap001", "normal-001", SCREENING)
LUNG_SLAB_CM2 = 10.0  # a slab contains lung from this area of the lung mask on
FEWEST_LUNG_SLABS = 8  # no running score before so many slabs with lung
SETTLED_LUNG_MM = 140.0


@dataclass(frozen=True)
class Evidence:
    """The table of one case in ascending z: soft areas in cm2 and the binary masks."""

    lung_cm2: np.ndarray
    lesion_cm2: np.ndarray
    lung: np.ndarray
    lesion: np.ndarray

    def has_lung(self) -> np.ndarray:
        return self.lung.sum((1, 2)) * PIXEL_CM2 >= LUNG_SLAB_CM2

    def attention_and_logit(self, head: EvidenceHead) -> tuple[np.ndarray, np.ndarray]:
        lung, lesion = torch.from_numpy(self.lung_cm2), torch.from_numpy(self.lesion_cm2)
        attention, logit = head.from_areas(lung, lesion)
        return attention.numpy(), logit.numpy()


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
    lung, lesion = draw(segmentation, windows)
    areas = EvidenceHead.areas_cm2(torch.from_numpy(lung[:, None]), torch.from_numpy(lesion[:, None]))
    lung_cm2, lesion_cm2 = (area.numpy()[:, 0] for area in areas)
    return Evidence(lung_cm2, lesion_cm2, lung >= 0.5, lesion >= 0.5)


def fold(attention: np.ndarray, logit: np.ndarray) -> float:
    """Case logit: sum softmax(attention)_i logit_i."""
    weight = np.exp(attention - attention.max())
    return float((weight * logit).sum() / weight.sum())


def probability(case_logit: float, calibration: dict) -> float:
    return 1 / (1 + np.exp(-(calibration["slope"] * case_logit + calibration["intercept"])))


def running_logits(
    evidence: Evidence, head: EvidenceHead, upwards: bool, fewest: int = FEWEST_LUNG_SLABS
) -> np.ndarray:
    """The case logit after every slab from the one on that makes `fewest` slabs with lung."""
    attention, logit = evidence.attention_and_logit(head)
    has_lung = evidence.has_lung()
    if not upwards:
        attention, logit, has_lung = attention[::-1], logit[::-1], has_lung[::-1]
    enough = np.flatnonzero(np.cumsum(has_lung) >= fewest)
    return np.array([fold(attention[: k + 1], logit[: k + 1]) for k in enough])


def roc_auc(score: np.ndarray, truth: np.ndarray) -> float:
    positive, negative = score[truth], score[~truth]
    return float(((positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)).mean())


def slab_truth(data: Path, series: str, slabs) -> np.ndarray | None:
    """Per slab: does any of its slices carry the radiologists' infection label."""
    with open(data / "series/slice-labels.csv") as file:
        labels = {int(row["instance_number"]): row["infection"] == "1" for row in csv.DictReader(file) if row["series"] == series}
    return np.array([any(labels[n] for n in slab.instance_numbers) for slab in slabs]) if labels else None


def report_series(name: str, folder: Path, data: Path, model: ReferenceModel, calibration: dict) -> dict:
    slabs = slabs_of(read_series(folder))
    evidence = gather(model.segmentation, windows_of(slabs))
    attention, logit = evidence.attention_and_logit(model.head)
    pixel_ml = PIXEL_CM2 * SLAB_MM / 10
    figures = {
        "slabs": len(slabs),
        "slabs_with_lung": int(evidence.has_lung().sum()),
        "lung_litres": round(float(evidence.lung.sum() * pixel_ml / 1000), 2),
        "lesion_ml": round(float((evidence.lesion & evidence.lung).sum() * pixel_ml), 1),
        "lesion_outside_lung_ml": round(float((evidence.lesion & ~evidence.lung).sum() * pixel_ml), 1),
        "case_logit": round(fold(attention, logit), 3),
        "probability": round(probability(fold(attention, logit), calibration), 4),
    }
    slab_spacing = SLAB_MM * (slabs[-1].index - slabs[0].index) / (len(slabs) - 1)
    settled = math.ceil(SETTLED_LUNG_MM / slab_spacing)
    for direction in ("upwards", "downwards"):
        for rule, fewest in (("8_slabs", FEWEST_LUNG_SLABS), ("120_mm", settled)):
            path = running_logits(evidence, model.head, direction == "upwards", fewest)
            figures[f"path_maximum_{direction}_from_{rule}"] = round(probability(path.max(), calibration), 4)
    truth = slab_truth(data, name, slabs)
    if truth is not None:
        inside = evidence.has_lung()
        lesion_area = (evidence.lesion & evidence.lung).sum((1, 2)) * PIXEL_CM2
        figures["infected_slabs"] = int(truth.sum())
        figures["slab_auc_logit"] = round(roc_auc(logit[inside], truth[inside]), 3)
        figures["slab_auc_lesion_area"] = round(roc_auc(evidence.lesion_cm2[inside], truth[inside]), 3)
        figures["lesion_share_in_infected_slabs"] = round(float(lesion_area[truth].sum() / max(lesion_area.sum(), 1e-6)), 3)
    return figures


def volume_windows(volume: Volume, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A labelled volume as windows and masks at the window's grid, unvaried."""

    class Unvaried:
        """Answers every draw of `place` and `slab_at` with the middle of its range: no flip, no shift."""

        integers = staticmethod(lambda low, high: (low + high - 1) // 2)
        uniform = staticmethod(lambda low, high: (low + high) / 2)
        normal = staticmethod(lambda mean, deviation, size=None: mean if size is None else np.full(size, mean))
        random = staticmethod(lambda: 0.75)

    step = max(1, Unvaried.integers(volume.slices_per_slab[0], volume.slices_per_slab[1] + 1))
    planes = [place(slab_at(volume, k, Unvaried), volume.pixel_mm, Unvaried) for k in range(0, len(volume.image), step)]
    planes = np.stack(planes)
    return planes[:, :3].astype(np.float32), planes[:, 3:] > 0.5


def dice(drawn: np.ndarray, truth: np.ndarray) -> float:
    return float(2 * (drawn & truth).sum() / max(1, drawn.sum() + truth.sum()))


def report_volume(volume: Volume, segmentation: SegmentationNet) -> dict:
    windows, masks = volume_windows(volume)
    evidence = gather(segmentation, windows)
    return {
        "slabs": len(windows),
        "lung_dice": round(dice(evidence.lung, masks[:, 0]), 3),
        "lesion_dice": round(dice(evidence.lesion & evidence.lung, masks[:, 1]), 3),
        "lesion_share_true": round(float(masks[:, 1].sum() / masks[:, 0].sum()), 4),
        "lesion_share_drawn": round(float((evidence.lesion & evidence.lung).sum() / evidence.lung.sum()), 4),
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
    default = {"head": {}, "slope": 1.0, "intercept": 0.0}
    calibration = json.loads(arguments.calibration.read_text()) if arguments.calibration.exists() else default
    model = load_model(arguments.checkpoint, calibration)
    wanted = [name for name in arguments.volumes.split(",") if name]
    if wanted:
        for volume in load_volumes(arguments.data):
            if volume.name in wanted:
                print(volume.name, json.dumps(report_volume(volume, model.segmentation)), flush=True)
        return
    folders = {name: arguments.data / "series" / name for name in SERIES}
    folders |= {folder.name: folder for folder in arguments.extra_series}
    for name, folder in folders.items():
        print(name, json.dumps(report_series(name, folder, arguments.data, model, calibration)), flush=True)


if __name__ == "__main__":
    main()
