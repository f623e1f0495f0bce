"""From a slab's masks to attention and logit, and from these to the case: the twin of the appliance's `triage::aeration`.

A lesion's pixel counts towards the score only if it is denser than healthy lung of the same height (row) by ABOVE_LUNG_HU, and by
ABOVE_DENSE_LUNG for each HU that this lung is denser than well inflated lung: what the lungs' inflation explains lies evenly
along each height, and the less air there is the more it explains. With A the lung area and L the area that counts, cm2,

    extent    = log((L + 0.01 A + 0.1) / (A + 10))
    attention = 1.5 log(A + 0.01)
    logit     = gain (extent + offset)

so that slabs of neck and abdomen weigh nothing and the case logit is close to a mean over the lungs: it grows with the number of
slabs that are ill as with how ill they are. gain and offset are fitted by calibrate.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from network import PIXEL_CM2
from preprocess import HU_HIGH, HU_LOW

ABOVE_LUNG_HU, ABOVE_DENSE_LUNG = 60.0, 1.0
ROWS_AROUND = 3
ADDED_PIXELS, WELL_INFLATED_HU = 30.0, -850.0


@dataclass(frozen=True)
class Head:
    gain: float
    offset: float


@dataclass(frozen=True)
class Evidence:
    """The table of one case in ascending z: areas in cm2, and the lung and lesion masks (slabs, rows, columns)."""

    lung_cm2: np.ndarray
    outstanding_cm2: np.ndarray
    lung: np.ndarray
    lesion: np.ndarray

    def attention_and_logit(self, head: Head) -> tuple[np.ndarray, np.ndarray]:
        ill = self.outstanding_cm2 + 0.01 * self.lung_cm2 + 0.1
        extent = np.log(ill / (self.lung_cm2 + 10.0))
        return 1.5 * np.log(self.lung_cm2 + 0.01), head.gain * (extent + head.offset)


def outstanding_cm2(plane: np.ndarray, lung: np.ndarray, lesion: np.ndarray) -> float:
    """Area of the lesion that stands out; `plane` is the slab's, in input units."""
    hu = HU_LOW + plane.astype(np.float64) * (HU_HIGH - HU_LOW)
    healthy = lung & ~lesion
    around = np.ones(2 * ROWS_AROUND + 1)
    sums = np.convolve((hu * healthy).sum(1), around, "same") + ADDED_PIXELS * WELL_INFLATED_HU
    counts = np.convolve(healthy.sum(1), around, "same") + ADDED_PIXELS
    limits = sums / counts
    limits = limits + ABOVE_LUNG_HU + ABOVE_DENSE_LUNG * np.maximum(0, limits - WELL_INFLATED_HU)
    return float((lesion & (hu >= limits[:, None])).sum() * PIXEL_CM2)


def evidence_of(windows: np.ndarray, lung: np.ndarray, lesion: np.ndarray) -> Evidence:
    """From windows (slabs, 3, rows, columns) and the probabilities that were drawn on them (slabs, rows, columns)."""
    lung = lung >= 0.5
    lesion = (lesion >= 0.5) & lung
    areas = [outstanding_cm2(*slab) for slab in zip(windows[:, 1], lung, lesion)]
    return Evidence(lung.sum((1, 2)) * PIXEL_CM2, np.array(areas), lung, lesion)


def case_logit(attention: np.ndarray, logit: np.ndarray) -> float:
    """sum softmax(attention)_i logit_i."""
    weight = np.exp(attention - attention.max())
    return float((weight * logit).sum() / weight.sum())
