"""Leave-one-patient-out over the labelled volumes, with several seeds: what the segmentation does on patients it has not seen.

    python crossvalidate.py --seeds 2         trains what is missing, then writes crossvalidation.json and prints the table
    python crossvalidate.py --seeds 2 --jobs 1 --only medseg-8

A fold is `runs/left-out-VOLUME-SEED.pt`; one that is there is not trained again. Every fold sees the volumes as the
appliance would: only lesions inside the lung count, and none below 0.1 ml.
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

from evaluate import DEFAULT_DATA, HERE, dice, draw, volume_windows
from network import SegmentationNet
from preprocess import PIXEL_MM
from train import FIRST_SEED, STEPS
from volumes import MEDSEG, SCREENING, Volume, load_medseg, load_screening

SLAB_MM = {"medseg-3": 3.0, SCREENING: 4.0}  # of four and of two slices; the others' lie 6 to 8 mm apart, by eye
THICK_SLAB_MM = 7.0
PATIENTS = (*(f"medseg-{number}" for number in MEDSEG), SCREENING)
LEAST_LESION_ML = 0.5
NOISE_ML = 0.1  # smaller components are not listed by the appliance either


def components(mask: np.ndarray, slab_mm: float, least_ml: float) -> list[np.ndarray]:
    """3D components of at least this volume, as masks."""
    labels, _ = ndimage.label(mask, ndimage.generate_binary_structure(3, 2))
    volumes_ml = np.bincount(labels.ravel()) * PIXEL_MM**2 * slab_mm / 1000
    return [labels == k for k in range(1, len(volumes_ml)) if volumes_ml[k] >= least_ml]


def run_without(name: str, seed: int = FIRST_SEED) -> str:
    """The run that has not seen this volume."""
    return f"left-out-{name}-{seed}"


def load(data: Path, name: str) -> Volume:
    return load_screening(data) if name == SCREENING else load_medseg(data, int(name.split("-")[1]))


def figures_of(data: Path, name: str, checkpoint: Path, threshold: float) -> dict:
    segmentation = SegmentationNet()
    segmentation.load_state_dict(torch.load(checkpoint, weights_only=True))
    volume = load(data, name)
    windows, truth = volume_windows(volume)
    slab_mm = SLAB_MM.get(name, THICK_SLAB_MM)
    lung, lesion = draw(segmentation, windows)
    lung, lesion = lung >= 0.5, (lesion >= threshold) & (lung >= 0.5)
    lesion = np.logical_or.reduce([np.zeros_like(lesion), *components(lesion, slab_mm, NOISE_ML)])
    drawn = components(lesion, slab_mm, LEAST_LESION_ML)
    real = components(truth[:, 1], slab_mm, LEAST_LESION_ML)
    figures = {
        "slabs": len(windows),
        "lung_dice": dice(lung, truth[:, 0]),
        "lesion_share_true": float(truth[:, 1].sum() / truth[:, 0].sum()),
        "lesion_share_drawn": float(lesion.sum() / lung.sum()),
        "lesions": len(real),
        "lesions_found": sum(bool((each & lesion).any()) for each in real),
        "false_lesions": sum(not (each & truth[:, 1]).any() for each in drawn),
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
    columns = ("lung_dice", "lesion_dice", "lesion_share_true", "lesion_share_drawn", "lesions", "lesions_found", "false_lesions")
    lines = ["| volume | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, runs in figures.items():
        cells = []
        for column in columns:
            values = [run[column] for run in runs if column in run]
            spread = f" ({min(values):.3f}-{max(values):.3f})" if values and column.endswith("dice") else ""
            cells.append(f"{np.mean(values):.3f}{spread}" if values else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for column in columns[:2]:
        means = np.array([np.mean([run[column] for run in runs]) for runs in figures.values() if column in runs[0]])
        low, high = interval(means)
        lines.append(f"\n{column}: mean {means.mean():.3f} over {len(means)} patients, 95 % interval {low:.3f}-{high:.3f}, least {means.min():.3f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--runs", type=Path, default=HERE / "runs")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--jobs", type=int, default=2, help="folds at the same time, one thread each")
    parser.add_argument("--only", default="", help="volumes, separated by commas")
    parser.add_argument("--threshold", type=float, default=0.5, help="lesion probability that counts as lesion")
    parser.add_argument("--output", type=Path, default=HERE / "crossvalidation.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    wanted = [name for name in PATIENTS if not arguments.only or name in arguments.only.split(",")]
    arguments.runs.mkdir(parents=True, exist_ok=True)

    def train_fold(job: tuple[str, int]) -> None:
        name, seed = job
        run = run_without(name, seed)
        if not (arguments.runs / f"{run}.pt").exists():
            with open(arguments.runs / f"{run}.log", "w") as log:
                subprocess.run(
                    [sys.executable, HERE / "train.py", "--data", arguments.data, "--runs", arguments.runs, "--name", run,
                     "--leave-out", name, "--steps", str(arguments.steps), "--seed", str(seed), "--threads", "1"],
                    stdout=log, check=True,
                )  # fmt: skip

    jobs = [(name, FIRST_SEED + k) for k in range(arguments.seeds) for name in wanted]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(train_fold, jobs))
    figures: dict[str, list[dict]] = {}
    for name, seed in jobs:
        checkpoint = arguments.runs / f"{run_without(name, seed)}.pt"
        figures.setdefault(name, []).append({"seed": seed, **figures_of(arguments.data, name, checkpoint, arguments.threshold)})
        print(name, json.dumps(figures[name][-1]), flush=True)
    arguments.output.write_text(json.dumps(figures, indent=1) + "\n")
    print(table(figures))


if __name__ == "__main__":
    main()
