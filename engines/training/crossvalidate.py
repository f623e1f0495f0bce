"""Cross-fitting by patient: what the segmentation does on patients it has not seen.

    python crossvalidate.py                     trains what is missing, then writes crossvalidation.json and prints the table
    python crossvalidate.py --jobs 1 --only d

Each fold leaves out one patient with drawn lesions and one or two without pneumonia. A fold is `runs/fold-NAME-SEED.pt`; one
that is there is not trained again, one that was stopped goes on. Every fold sees the volumes as the appliance would: only
lesions inside the lung count, and none below 0.1 ml.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from scipy.stats import t as student

from evaluate import DEFAULT_DATA, HERE, dice, draw, unvaried_step, volume_windows
from network import SegmentationNet
from preprocess import PIXEL_MM
from train import FIRST_SEED
from volumes import Volume, load_lesion_free, load_medseg

FOLDS = {
    "a": ("medseg-1", "lctsc-000", "lctsc-004"),
    "b": ("medseg-3", "lctsc-001", "screening-nlst"),
    "c": ("medseg-4", "lctsc-002", "luna-normal-1"),
    "d": ("medseg-6", "medseg-7", "lctsc-003"),
    "e": ("medseg-8", "lung1-001", "lctsc-005"),
}
ONE_PATIENT = ("medseg-6", "medseg-7")
LEAST_LESION_ML = 0.5
NOISE_ML = 0.1  # smaller components are not listed by the appliance either


def components(mask: np.ndarray, slab_mm: float, least_ml: float) -> list[np.ndarray]:
    """3D components of at least this volume, as masks."""
    labels, _ = ndimage.label(mask, ndimage.generate_binary_structure(3, 2))
    volumes_ml = np.bincount(labels.ravel()) * PIXEL_MM**2 * slab_mm / 1000
    return [labels == k for k in range(1, len(volumes_ml)) if volumes_ml[k] >= least_ml]


def run_of(fold: str, seed: int = FIRST_SEED) -> str:
    return f"fold-{fold}-{seed}"


def run_without(name: str, seed: int = FIRST_SEED) -> str:
    """The run that has not seen this volume."""
    return next(run_of(fold, seed) for fold, left_out in FOLDS.items() if name in left_out)


def load(data: Path, name: str) -> Volume:
    return load_medseg(data, int(name.split("-")[1])) if name.startswith("medseg") else load_lesion_free(data, name)


def figures_of(data: Path, name: str, checkpoint: Path, threshold: float) -> dict:
    segmentation = SegmentationNet()
    segmentation.load_state_dict(torch.load(checkpoint, weights_only=True))
    volume = load(data, name)
    windows, truth = volume_windows(volume)
    slab_mm = volume.slice_mm * unvaried_step(volume)
    lung, lesion = draw(segmentation, windows)
    lung, lesion = lung >= 0.5, (lesion >= threshold) & (lung >= 0.5)
    lesion = np.logical_or.reduce([np.zeros_like(lesion), *components(lesion, slab_mm, NOISE_ML)])
    drawn = components(lesion, slab_mm, LEAST_LESION_ML)
    real = components(truth[:, 1], slab_mm, LEAST_LESION_ML)
    figures = {
        "fold": next(fold for fold, left_out in FOLDS.items() if name in left_out),
        "slabs": len(windows),
        "lung_dice": dice(lung, truth[:, 0]),
        "lesion_share_true": float(truth[:, 1].sum() / truth[:, 0].sum()),
        "lesion_share_drawn": float(lesion.sum() / lung.sum()),
        "lesions": len(real),
        "lesions_found": sum(bool((each & lesion).any()) for each in real),
        "false_lesions": sum(not (each & truth[:, 1]).any() for each in drawn),
        "lesion_ml_drawn": float(lesion.sum() * PIXEL_MM**2 * slab_mm / 1000),
    }
    if volume.has_lesions:
        figures["lesion_dice"] = dice(lesion, truth[:, 1])
    return figures


def interval(values: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean over patients by Student's t."""
    reach = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - reach), float(values.mean() + reach)


def table(figures: dict[str, list[dict]]) -> str:
    """Markdown: a row a volume with the mean over seeds, then the mean over volumes with its interval."""
    columns = ("lung_dice", "lesion_dice", "lesion_share_true", "lesion_share_drawn", "lesions", "lesions_found", "false_lesions", "lesion_ml_drawn")
    lines = ["| volume | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, runs in figures.items():
        cells = []
        for column in columns:
            values = [run[column] for run in runs if column in run]
            spread = f" ({min(values):.3f}-{max(values):.3f})" if values and column.endswith("dice") else ""
            cells.append(f"{np.mean(values):.3f}{spread}" if values else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for column in columns[:2]:
        of_patients: dict[str, list[float]] = {}
        for name, runs in figures.items():
            if column in runs[0] and name.startswith("medseg"):
                of_patients.setdefault(ONE_PATIENT[0] if name in ONE_PATIENT else name, []).extend(run[column] for run in runs)
        means = np.array([np.mean(values) for values in of_patients.values()])
        low, high = interval(means)
        lines.append(f"\n{column}: mean {means.mean():.3f} over {len(means)} patients, 95 % interval {low:.3f}-{high:.3f}, least {means.min():.3f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--runs", type=Path, default=HERE / "runs")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="folds at the same time, one thread each")
    parser.add_argument("--only", default="", help="folds, separated by commas")
    parser.add_argument("--threshold", type=float, default=0.5, help="lesion probability that counts as lesion")
    parser.add_argument("--output", type=Path, default=HERE / "crossvalidation.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    wanted = [fold for fold in FOLDS if not arguments.only or fold in arguments.only.split(",")]
    arguments.runs.mkdir(parents=True, exist_ok=True)

    def train_fold(job: tuple[str, int]) -> None:
        fold, seed = job
        run = run_of(fold, seed)
        if not (arguments.runs / f"{run}.pt").exists():
            with open(arguments.runs / f"{run}.log", "a") as log:
                subprocess.run(
                    [sys.executable, HERE / "train.py", "--data", arguments.data, "--runs", arguments.runs, "--name", run,
                     "--leave-out", ",".join(FOLDS[fold]), "--seed", str(seed), "--threads", "1"],
                    stdout=log, check=True,
                )  # fmt: skip

    jobs = [(fold, FIRST_SEED + k) for k in range(arguments.seeds) for fold in wanted]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(train_fold, jobs))
    figures: dict[str, list[dict]] = {}
    for name, seed in sorted((name, seed) for fold, seed in jobs for name in FOLDS[fold]):
        checkpoint = arguments.runs / f"{run_without(name, seed)}.pt"
        figures.setdefault(name, []).append({"seed": seed, **figures_of(arguments.data, name, checkpoint, arguments.threshold)})
        print(name, json.dumps(figures[name][-1]), flush=True)
    arguments.output.write_text(json.dumps(figures, indent=1) + "\n")
    print(table(figures))


if __name__ == "__main__":
    main()
