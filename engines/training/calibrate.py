"""Fits the head and the early threshold on bags made of training data, each drawn by weights that have not seen its patient.

A bag is a labelled volume or part of it, varied in scale and look as one scan would be; of four scans one is breathed out and, where
there are no lesions, one holds a pasted mass. Writes calibration.json, which export.py puts into the package.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize

from crossvalidate import run_without
from data import place, slab_at
from evaluate import DEFAULT_DATA, FEWEST_LUNG_SLABS, HERE, SETTLED_LUNG_MM, gather, has_lung, probability, running_logits
from fold import Evidence, Head, case_logit
from healthy import breathe_out
from network import SegmentationNet
from pasting import MassSite, paste_mass, point_in
from preprocess import PIXEL_MM
from volumes import HU_RANGE, WITHOUT_LESION_TRUTH, Volume, load_volumes

LEAST_LESION_SHARE = 0.005  # a bag with less is neither positive nor negative
KINDS = ("plain", "mass", "plain", "breathed out")  # of scans, in turns; no mass where there are lesions
OTHER_DISEASE = ("lung1-001",)  # a mass with opacities around: neither of the two kinds that are told apart
EARLY_ALPHA = 0.1
LEAST_EARLY = 0.6  # an early flag interrupts the technician: never on less, whatever the few negatives allow
SLOPE_PENALTY = 0.002


@dataclass(frozen=True)
class Bag:
    """One pretended scan: its volume, whether it is ill, and the evidence of its slabs in ascending z."""

    volume: str
    kind: str
    ill: bool
    slab_mm: float
    evidence: Evidence


def part_of(evidence: Evidence, chosen: slice) -> Evidence:
    return Evidence(*(getattr(evidence, field)[chosen] for field in ("lung_cm2", "outstanding_cm2", "lung", "lesion")))


def another_scan(window: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The calibration and dose of another scan: milder than training's variety, which is meant to be harder than life."""
    shift, deviation = rng.normal(0, 8), rng.uniform(0, 25)
    noise = deviation * rng.standard_normal(window.shape)
    return np.clip(window + (shift + noise) / HU_RANGE, 0, 1)


def varied_windows(volume: Volume, seed: int, kind: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Windows, true masks and slab spacing of the whole volume, every slab varied by the same draws."""
    step = int(np.random.default_rng([seed, 0]).integers(volume.slices_per_slab[0], volume.slices_per_slab[1] + 1))
    slab_mm = step * volume.slice_mm
    placed = [
        place(slab_at(volume, k, np.random.default_rng([seed, 0])), volume.pixel_mm, np.random.default_rng([seed, 1]))
        for k in range(0, len(volume.image), step)
    ]
    masks = np.stack([planes[3:5] > 0.5 for planes in placed])
    rng = np.random.default_rng([seed, 2])
    lung_slabs = np.flatnonzero(masks[:, 0].sum((1, 2)) > 4000)
    seat = int(rng.choice(lung_slabs))
    centre, radius = point_in(masks[seat, 0], rng), rng.uniform(5, 20)
    windows = []
    for k, planes in enumerate(placed):
        window = planes[:3].copy()
        height = (k - seat) * slab_mm / PIXEL_MM
        if kind == "breathed out" and masks[k, 0].any():
            breathe_out(window, masks[k, 0], np.random.default_rng([seed, 6]))
        if kind == "mass" and abs(height) < radius and masks[k, 0].any():
            paste_mass(window, masks[k, 0], MassSite(centre, radius, height), np.random.default_rng([seed, 3]))
        windows.append(another_scan(window, np.random.default_rng([seed, 4])))
    return np.stack(windows).astype(np.float32), masks, slab_mm


def parts(count: int, seed: int) -> list[slice]:
    """The whole scan and two random parts of it."""
    rng = np.random.default_rng([seed, 5])
    chosen = [slice(0, count)]
    for _ in range(2):
        length = int(count * rng.uniform(0.5, 0.9))
        start = int(rng.integers(0, count - length + 1))
        chosen.append(slice(start, start + length))
    return chosen


def bags_of(volume: Volume, segmentation: SegmentationNet, seeds: range) -> list[Bag]:
    bags = []
    for seed in seeds:
        kind = KINDS[seed % len(KINDS)]
        if kind == "mass" and volume.lesion.sum() >= 100:
            kind = "plain"
        windows, masks, slab_mm = varied_windows(volume, seed, kind)
        evidence = gather(segmentation, windows)
        for chosen in parts(len(windows), seed):
            part = part_of(evidence, chosen)
            lesion, lung = masks[chosen, 1].sum(), masks[chosen, 0].sum()
            if has_lung(part).sum() < FEWEST_LUNG_SLABS:
                continue
            ill = lesion > LEAST_LESION_SHARE * lung
            if ill or lesion < 100:
                bags.append(Bag(volume.name, kind, bool(ill), slab_mm, part))
    return bags


def logit_of(bag: Bag, head: Head) -> float:
    return case_logit(*bag.evidence.attention_and_logit(head))


def logistic_fit(score: np.ndarray, ill: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of a weighted logistic regression; the penalty keeps the slope finite."""
    middle, side = score.mean(), np.where(ill, 1.0, -1.0)

    def loss(parameters: np.ndarray) -> float:
        slope, intercept = parameters
        margin = side * (slope * (score - middle) + intercept)
        return float((weight * np.logaddexp(0, -margin)).sum() + SLOPE_PENALTY * slope**2)

    slope, intercept = minimize(loss, [1.0, 0.0]).x
    return float(slope), float(intercept - slope * middle)


def fit_head(bags: list[Bag]) -> Head:
    """Every volume counts the same within its class, both classes count the same."""
    ill = np.array([bag.ill for bag in bags])
    groups = [(bag.volume, bag.kind, bag.ill) for bag in bags]
    weight = np.array([1 / groups.count(group) for group in groups])
    for value in (True, False):
        weight[ill == value] /= weight[ill == value].sum()
    extent = Head(gain=1.0, offset=0.0)
    score = np.array([logit_of(bag, extent) for bag in bags])
    slope, intercept = logistic_fit(score, ill, weight)
    return Head(gain=round(slope, 3), offset=round(intercept / slope, 3))


def conformal_threshold(maxima: np.ndarray, alpha: float) -> float:
    """The ceil((n+1)(1-alpha))-th smallest of n path maxima."""
    rank = math.ceil((len(maxima) + 1) * (1 - alpha))
    if rank > len(maxima):
        raise SystemExit(f"{len(maxima)} negative paths are too few for alpha {alpha}")
    return float(np.sort(maxima)[rank - 1])


def path_maximum(bag: Bag, head: Head) -> float | None:
    """The larger of the running score's maxima for a scan from the feet and one from the head; None if the bag has
    too little lung for a running score."""
    fewest = math.ceil(SETTLED_LUNG_MM / bag.slab_mm)
    if has_lung(bag.evidence).sum() < fewest:
        return None
    return max(running_logits(bag.evidence, head, upwards, fewest).max() for upwards in (True, False))


def print_bags(bags: list[Bag], head: Head) -> None:
    for group in sorted({(bag.volume, bag.kind, bag.ill) for bag in bags}):
        chances = [
            probability(logit_of(bag, head))
            for bag in bags
            if (bag.volume, bag.kind, bag.ill) == group
        ]
        print(*group, len(chances), f"min {min(chances):.3f} median {np.median(chances):.3f} max {max(chances):.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--runs", type=Path, default=HERE / "runs")
    parser.add_argument("--output", type=Path, default=HERE / "calibration.json")
    parser.add_argument("--varieties", type=int, default=4, help="scans made of every volume")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    bags: list[Bag] = []
    for volume in load_volumes(arguments.data):
        if volume.name in (*WITHOUT_LESION_TRUTH, *OTHER_DISEASE):
            continue
        segmentation = SegmentationNet()
        segmentation.load_state_dict(torch.load(arguments.runs / f"{run_without(volume.name)}.pt", weights_only=True))
        bags += bags_of(volume, segmentation, range(arguments.varieties))
    head = fit_head(bags)
    print_bags(bags, head)
    negatives = [bag for bag in bags if not bag.ill]
    maxima = [path_maximum(bag, head) for bag in negatives]
    maxima = np.array([value for value in maxima if value is not None])
    print("negative path maxima:", *(f"{probability(value):.3f}" for value in np.sort(maxima)))
    conformal = probability(conformal_threshold(maxima, EARLY_ALPHA))
    print(f"conformal early threshold {conformal:.4f}, used {max(conformal, LEAST_EARLY):.4f}")
    volumes = len({bag.volume for bag in negatives})
    calibration = {
        "head": asdict(head),
        "suspected": 0.5,
        "early": round(float(max(conformal, LEAST_EARLY)), 4),
        "early_min_lung_mm": SETTLED_LUNG_MM,
        "early_alpha": EARLY_ALPHA,
        "note": f"early: for running scores over at least {SETTLED_LUNG_MM:.0f} mm of lung. Not below {LEAST_EARLY}; split "
        f"conformal over path maxima of {len(maxima)} pretended\n# negative scans made of {volumes} patients of the "
        f"training data gave {conformal:.2f}. Scans of one patient are not independent: alpha is a wish, not a guarantee.",
    }
    arguments.output.write_text(json.dumps(calibration, indent=2) + "\n")
    print(json.dumps(calibration, indent=2))


if __name__ == "__main__":
    main()
