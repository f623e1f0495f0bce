"""From DICOM slices to windows: the Python twin of the appliance's preprocessing.

Coordinates are LPS in mm. A plane is (rows, columns): rows run anterior to posterior (+y), columns patient right
to left (+x).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pydicom

HU_LOW, HU_HIGH = -1150.0, 150.0
SIDE = 256
PIXEL_MM = 1.5
SLAB_MM = 3.0


@dataclass(frozen=True)
class Slice:
    """One axial image: Hounsfield units, (row, column) spacing and centre position along +z, both in mm."""

    hu: np.ndarray
    spacing: tuple[float, float]
    z: float
    instance_number: int


@dataclass(frozen=True)
class Slab:
    """The mean of the slices in one bin of the absolute z grid, resampled to the window's pixels, in [0, 1]."""

    index: int
    plane: np.ndarray
    instance_numbers: tuple[int, ...]


def read_slice(path: Path) -> Slice:
    data = pydicom.dcmread(path)
    hu = data.pixel_array.astype(np.float32) * float(data.RescaleSlope) + float(data.RescaleIntercept)
    orientation = np.array(data.ImageOrientationPatient, float)
    along_row, along_column = orientation[:3], orientation[3:]
    if abs(along_row[0]) < 0.9 or abs(along_column[1]) < 0.9:
        raise ValueError(f"{path.name}: not an axial image, ImageOrientationPatient {orientation}")
    if along_row[0] < 0:
        hu = hu[:, ::-1]
    if along_column[1] < 0:
        hu = hu[::-1]
    normal = np.cross(along_row, along_column)
    if normal[2] < 0:
        normal = -normal
    z = float(np.dot(np.array(data.ImagePositionPatient, float), normal))
    rows_mm, columns_mm = (float(value) for value in data.PixelSpacing)
    return Slice(hu, (rows_mm, columns_mm), z, int(data.InstanceNumber))


def read_series(folder: Path) -> list[Slice]:
    """Slices of a series in ascending z."""
    return sorted((read_slice(path) for path in folder.glob("*.dcm")), key=lambda each: each.z)


def to_unit(hu: np.ndarray) -> np.ndarray:
    return (np.clip(hu, HU_LOW, HU_HIGH) - HU_LOW) / (HU_HIGH - HU_LOW)


@lru_cache(maxsize=16)
def resampling_matrix(count: int, spacing: float, side: int = SIDE, pixel_mm: float = PIXEL_MM) -> np.ndarray:
    """(side, count) weights of the triangle filter; weights that fall outside the image are left out of the
    matrix but not out of the normalisation, so that what is outside counts as 0, which is air."""
    half_width = max(1.0, pixel_mm / spacing)
    matrix = np.zeros((side, count))
    for j in range(side):
        u = (j - (side - 1) / 2) * pixel_mm / spacing + (count - 1) / 2
        taps = np.arange(math.floor(u - half_width), math.ceil(u + half_width) + 1)
        weights = np.maximum(0.0, 1.0 - np.abs(taps - u) / half_width)
        weights /= weights.sum()
        inside = (taps >= 0) & (taps < count)
        matrix[j, taps[inside]] = weights[inside]
    return matrix.astype(np.float32)


def resample(hu: np.ndarray, spacing: tuple[float, float], side: int = SIDE, pixel_mm: float = PIXEL_MM) -> np.ndarray:
    """A plane of HU as (side, side) values in [0, 1], centred on the image's centre."""
    rows = resampling_matrix(hu.shape[0], spacing[0], side, pixel_mm)
    columns = resampling_matrix(hu.shape[1], spacing[1], side, pixel_mm)
    return rows @ to_unit(hu) @ columns.T


def body_offset(slices: list[Slice]) -> tuple[int, int]:
    """How far the body's middle lies from the image's centre, (rows, columns) in the window's pixels: the middle of what is tissue on
    most slices. (The appliance finds the largest piece of tissue of each slice.)"""
    side = 400
    tissue = sum((resample(each.hu, each.spacing, side) > to_unit(-350.0)).astype(int) for each in slices[:: max(1, len(slices) // 40)])
    rows, columns = (np.flatnonzero((tissue > tissue.max() / 2).sum(axis) > 8) for axis in (1, 0))
    return tuple(int((each.min() + each.max() + 1) / 2) - side // 2 if len(each) else 0 for each in (rows, columns))


def slabs_of(slices: list[Slice]) -> list[Slab]:
    """The slabs that exist, in ascending z, about the body."""
    below, aside = body_offset(slices)
    wide = SIDE + 2 * max(abs(below), abs(aside))
    first = (wide - SIDE) // 2

    def plane(each: Slice) -> np.ndarray:
        whole = resample(each.hu, each.spacing, wide)
        return whole[first + below : first + below + SIDE, first + aside : first + aside + SIDE]

    bins: dict[int, list[Slice]] = {}
    for each in slices:
        bins.setdefault(math.floor(each.z / SLAB_MM), []).append(each)
    return [
        Slab(
            index,
            np.mean([plane(each) for each in bins[index]], axis=0),
            tuple(each.instance_number for each in bins[index]),
        )
        for index in sorted(bins)
    ]


def windows_of(slabs: list[Slab]) -> np.ndarray:
    """(slabs, 3, 256, 256): the slab below, the slab, the slab above; a missing neighbour is the slab itself."""
    planes = np.stack([slab.plane for slab in slabs])
    below = np.concatenate([planes[:1], planes[:-1]])
    above = np.concatenate([planes[1:], planes[-1:]])
    return np.stack([below, planes, above], axis=1).astype(np.float32)
