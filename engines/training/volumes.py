"""Labelled volumes: image in input units, (HU + 1150) / 1300 in [0, 1], and masks, slices in ascending z."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import ndimage

from preprocess import read_series, resample

HU_RANGE = 1300.0
LUNG_WIDTH_MM = 280.0  # widest extent of both lungs of an adult; gives the volumes of unknown spacing a scale
SCREENING = "screening-nlst"
SCREENING_SIDE, SCREENING_PIXEL_MM = 320, 1.2
MEDSEG = (1, 3, 4, 6, 7, 8)
FEWEST_LESION_VOXELS = 1000  # volume 6 has 54: none to learn from


def units(hu: float) -> float:
    return (hu + 1150.0) / HU_RANGE


@dataclass(frozen=True)
class Volume:
    """Slices in ascending z: image in input units (float32), masks as bool, in-plane pixel in mm.

    `slices_per_slab` says how many slices make a slab; 1 for volumes whose slices are thicker than a slab.
    """

    name: str
    image: np.ndarray
    lung: np.ndarray
    lesion: np.ndarray
    pixel_mm: float
    slices_per_slab: tuple[int, int]
    lesion_slices: np.ndarray = field(init=False)
    has_lesions: bool = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "lesion_slices", np.flatnonzero(self.lesion.any((1, 2))))
        object.__setattr__(self, "has_lesions", bool(self.lesion.sum() > FEWEST_LESION_VOXELS))


def load_medseg(data: Path, number: int) -> Volume:
    arrays = np.load(data / f"lesions/medseg-{number}.npz")
    image, lung, lesion = (arrays[name] for name in ("image", "lung", "lesion"))
    if number == 1:  # runs in z against the others
        image, lung, lesion = image[::-1], lung[::-1], lesion[::-1]
    grey = image.astype(np.float32)
    hu = 5.36 * grey - 1155 if number == 8 else grey / 255 * 1500 - 1350
    lung_width = max(np.ptp(np.flatnonzero(plane.any(0))) for plane in lung if plane.any())
    return Volume(
        f"medseg-{number}",
        np.clip((hu + 1150) / HU_RANGE, 0, 1),
        lung > 0,
        lesion > 0,
        LUNG_WIDTH_MM / lung_width,
        (2, 6) if number == 3 else (1, 1),
    )


def lung_by_threshold(image: np.ndarray) -> np.ndarray:
    """Lungs of a volume without disease: large air spaces inside the body, windpipe left out, vessels filled in."""
    air = image < units(-450)
    inside = np.zeros_like(air)
    for k, plane in enumerate(ndimage.binary_opening(~air, np.ones((1, 5, 5)))):
        inside[k] = ndimage.binary_fill_holes(plane)
    labels, _ = ndimage.label(ndimage.binary_opening(air & inside, np.ones((1, 3, 3))))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    lung = np.isin(labels, np.flatnonzero(sizes > 0.15 * sizes.max()))
    disc = ndimage.generate_binary_structure(2, 1)
    for k, plane in enumerate(lung):
        parts, count = ndimage.label(plane)
        for part in range(1, count + 1):
            area = parts == part
            if area.sum() * SCREENING_PIXEL_MM**2 < 700 and image[k][area].mean() < units(-920):
                plane = plane & ~area
        closed = ndimage.binary_closing(np.pad(plane, 8), disc, 5)[8:-8, 8:-8]
        lung[k] = ndimage.binary_fill_holes(closed)
    return lung


def load_screening(data: Path) -> Volume:
    slices = read_series(data / "series" / SCREENING)
    image = np.stack([resample(each.hu, each.spacing, SCREENING_SIDE, SCREENING_PIXEL_MM) for each in slices])
    lung = lung_by_threshold(image)
    return Volume(SCREENING, image, lung, np.zeros_like(lung), SCREENING_PIXEL_MM, (1, 3))


def load_volumes(data: Path, left_out: tuple[str, ...] = ()) -> list[Volume]:
    volumes = [load_medseg(data, number) for number in MEDSEG if f"medseg-{number}" not in left_out]
    if SCREENING not in left_out:
        volumes.append(load_screening(data))
    return volumes
