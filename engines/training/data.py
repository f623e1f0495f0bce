"""Training samples: slabs of labelled volumes, what is pasted into them, and how they are varied.

Everything is in input units, (HU + 1150) / 1300 in [0, 1]. A sample is a window (3, rows, columns), its masks
(2, rows, columns: lung, lesion) and the weight of every pixel of each mask (0 where the truth is unknown).
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional as F

from healthy import beat, breathe_out, raise_dome
from pasting import (
    any_site,
    drape_lesions,
    drawn_chest,
    paste_dependent_consolidation,
    paste_mass,
    paste_opacity,
    transplant_lesions,
)
from preprocess import PIXEL_MM, SIDE, SLAB_MM
from volumes import HU_RANGE, Donor, Volume, units

LESION_SHARE = {"medseg-6": 0.4}  # of a volume with lesions among such, 1 if not given
WITH_LESIONS_SHARE = 0.42
DRAWN_SHARE = 0.04
LESION_SLICE_SHARE = 0.65
LUNG_SLICE_SHARE = 0.8  # of a volume without lesions; the others lie above and below the lungs
MASS_SHARE = 0.12
BREATHED_OUT_SHARE, BEATING_SHARE = 0.35, 0.12
DOME_SHARE = {False: 0.15, True: 0.3}  # by whether slices may stand far apart
FAR_APART_SHARE = 0.5  # of the windows, where slices may stand far apart
FARTHEST_MM = 10.0  # the appliance takes no wider distance for a neighbour
PASSED_DOME_SHARE = 0.7  # of the domes: not to be seen on one of the neighbours
WHOLE = (SIDE, SIDE)
PART = (160, 192)  # most of both lungs in less than half the pixels: twice the samples in the same time
WHOLE_EVERY = 5  # batches; the others show parts
LEAST_LUNG_PX = 600


def slab_at(volume: Volume, k: int, rng: np.random.Generator, far_apart: bool = False) -> np.ndarray:
    """(6, rows, columns): slab below, slab, slab above, the slab's lung and lesion shares, and where its lesions are known."""
    low, high = volume.slices_per_slab
    count, last = int(rng.integers(low, high + 1)), len(volume.image) - 1
    distance = count
    if far_apart and rng.random() < FAR_APART_SHARE:
        distance = int(rng.integers(count, max(count, int(FARTHEST_MM / volume.slice_mm)) + 1))

    def mean(array: np.ndarray, start: int) -> np.ndarray:
        if count == 1:
            return array[min(max(start, 0), last)].astype(np.float32)
        chosen = np.clip(np.arange(start, start + count), 0, last)
        return array[chosen].mean(0, dtype=np.float32)

    centre = mean(volume.image, k)
    neighbours = []
    for direction in (-1, 1):
        neighbour = mean(volume.image, k + direction * distance)
        if volume.slice_mm > 1.5 * SLAB_MM:  # slices lie further apart than slabs: the neighbour is nearer in the appliance
            nearness = rng.uniform(0.3, 1.0)
            neighbour = nearness * neighbour + (1 - nearness) * centre
        neighbours.append(centre if rng.random() < 0.06 else neighbour)
    if rng.random() < 0.5:
        neighbours.reverse()
    masks = (mean(mask, k) for mask in (volume.lung, volume.lesion, volume.lesion_known))
    return np.stack([neighbours[0], centre, neighbours[1], *masks])


def place(planes: np.ndarray, pixel_mm: float, rng: np.random.Generator, shape: tuple[int, int] = WHOLE) -> np.ndarray:
    """Resample to the window's pixels with a random scale, rotation, shift and left-right flip.

    A `shape` smaller than the whole window is cut from about its middle."""
    scale = np.exp(rng.uniform(-0.18, 0.18))
    angle = rng.normal(0, np.radians(6))
    flip = -1.0 if rng.random() < 0.5 else 1.0
    shift = rng.normal(0, 0.05, 2)
    room = (SIDE - np.array(shape)) / 2
    middle = np.clip(rng.normal(0, (14, 10)), -room, room)
    steps = 2 * PIXEL_MM / (planes.shape[-1] * pixel_mm * scale)  # of one window pixel in the source's [-1, 1]
    rows = ((np.arange(shape[0]) - (shape[0] - 1) / 2 + middle[0]) * steps)[:, None]
    columns = ((np.arange(shape[1]) - (shape[1] - 1) / 2 + middle[1]) * steps)[None]
    x = flip * np.cos(angle) * columns - np.sin(angle) * rows + shift[0]
    y = flip * np.sin(angle) * columns + np.cos(angle) * rows + shift[1]
    grid = torch.from_numpy(np.stack([x, y], -1).astype(np.float32))[None]
    return F.grid_sample(torch.from_numpy(planes)[None], grid, align_corners=False)[0].numpy()


def vary_look(window: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Kernel, dose, calibration and field of view of another scanner."""
    if rng.random() < 0.5:
        window[window < 0.01] = rng.uniform(0, 0.13)
    if rng.random() < 0.6:
        amount = rng.uniform(0.4, 1.1)
        soft = ndimage.gaussian_filter(window, (0, amount, amount), truncate=2.5)
        window = soft if rng.random() < 0.5 else window + rng.uniform(0.2, 1.2) * (window - soft)
    window = (window - units(-1000)) * rng.normal(1, 0.03) + units(-1000 + rng.normal(0, 22))
    if rng.random() < 0.7:
        noise = rng.standard_normal(window.shape, dtype=np.float32) * rng.uniform(0, 60) / HU_RANGE
        if rng.random() < 0.6:
            grain = rng.uniform(0.4, 0.9)
            noise = ndimage.gaussian_filter(noise, (0, grain, grain), truncate=2.5) * (1 + 2.2 * grain)
        window = window + noise
    if rng.random() < 0.12:
        rows, columns = np.ogrid[: window.shape[1], : window.shape[2]]
        middle = (np.array(window.shape[1:]) - 1) / 2
        outside = np.hypot(rows - middle[0], columns - middle[1]) > rng.uniform(105, 128)
        window[:, outside] = rng.uniform(0, 0.11)
    if rng.random() < 0.1:
        window = np.round(window * 255 / 6) * 6 / 255
    return np.clip(window, 0, 1)


def placed_slab(
    volume: Volume, lesion_slice_share: float, shape: tuple[int, int], far_apart: bool, rng: np.random.Generator
) -> np.ndarray:
    """A slab of the volume on the window's pixels, (6, rows, columns); with this probability one that has a lesion."""
    if volume.has_lesions:
        k = rng.choice(volume.lesion_slices) if rng.random() < lesion_slice_share else rng.integers(len(volume.image))
    else:
        k = rng.choice(volume.lung_slices) if rng.random() < LUNG_SLICE_SHARE else rng.integers(len(volume.image))
    return place(slab_at(volume, int(k), rng, far_apart), volume.pixel_mm, rng, shape)


def any_volume(volumes: list[Volume], rng: np.random.Generator) -> Volume:
    ill = rng.random() < WITH_LESIONS_SHARE
    chosen = [each for each in volumes if each.has_lesions == ill]
    shares = np.array([LESION_SHARE.get(each.name, 1.0) for each in chosen])
    return chosen[rng.choice(len(chosen), p=shares / shares.sum())]


def make_sample(
    volumes: list[Volume], donors: list[Donor], shape: tuple[int, int], far_apart: bool, rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    if rng.random() < DRAWN_SHARE:
        window, lung = drawn_chest(rng, shape)
        lesion, lesion_known = np.zeros(shape, bool), np.ones(shape, bool)
        lung_known, lesion_free = np.ones(shape, bool), True
    else:
        planes = placed_slab(any_volume(volumes, rng), LESION_SLICE_SHARE, shape, far_apart, rng)
        window, (lung_share, lesion_share, known_share) = planes[:3].copy(), planes[3:]
        lung, lesion = lung_share > 0.5, lesion_share > 0.5
        lung_known = np.abs(lung_share - 0.5) > 0.2
        lesion_known = (np.abs(lesion_share - 0.5) > 0.2) & ((known_share > 0.99) | ~lung)
        lesion_free = not lesion.any()

    if lung.sum() > LEAST_LUNG_PX:
        if rng.random() < DOME_SHARE[far_apart]:
            passed = far_apart and rng.random() < PASSED_DOME_SHARE
            planes = (slice(1, 3) if rng.random() < 0.5 else slice(2)) if passed else slice(3)
            dome, mixed = raise_dome(window, lung, planes, rng)
            lung_known &= ~mixed
            lesion_known &= ~(mixed & lesion)
            lung, lesion = lung & ~dome, lesion & ~dome
    if lung.sum() > LEAST_LUNG_PX:
        if rng.random() < BREATHED_OUT_SHARE:
            breathe_out(window, lung, rng)
        draw = rng.random()
        patch = np.zeros_like(window[0])
        if draw < (0.12 if lesion_free else 0.06):
            patch = paste_opacity(window, lung, rng)
        elif draw < (0.2 if lesion_free else 0.14):
            patch = paste_dependent_consolidation(window, lung, rng)
        elif draw < (0.36 if lesion_free else 0.24):
            patch = drape_lesions(window, lung, donors[rng.integers(len(donors))], rng)
        elif draw < (0.48 if lesion_free else 0.34):
            ill = [volume for volume in volumes if volume.has_lesions]
            giver = placed_slab(ill[rng.integers(len(ill))], 1.0, shape, far_apart, rng)
            patch = transplant_lesions(window, lung, giver, rng)
        lesion = lesion | (patch > 0.4)
        # What covers a place of unknown disease makes it known.
        lesion_known = (lesion_known | (patch > 0.55)) & ((patch < 0.2) | (patch > 0.55))
        if rng.random() < MASS_SHARE:
            mass = paste_mass(window, lung, any_site(lung, rng), rng)
            lesion_known &= ~(mass & lesion)
            lesion = lesion & ~mass
        if rng.random() < BEATING_SHARE:
            mixed = beat(window, lung, rng)
            lung_known &= ~mixed
            lesion_known &= ~(mixed & lesion)
    window = vary_look(window, rng)
    masks = np.stack([lung, lesion]).astype(np.float32)
    known = np.stack([lung_known, lesion_known]).astype(np.float32)
    return window.astype(np.float32), masks, known


class Batches(torch.utils.data.Dataset):
    """Endless variety, the same for the same seed: batch i depends on the seed, on i and on `far_apart` alone."""

    def __init__(
        self, volumes: list[Volume], donors: list[Donor], count: int, size: int, seed: int, far_apart: bool
    ):
        self.volumes, self.donors, self.count, self.size, self.seed = volumes, donors, count, size, seed
        self.far_apart = far_apart

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> list[torch.Tensor]:
        shape = WHOLE if index % WHOLE_EVERY == 0 else PART
        samples = [
            make_sample(
                self.volumes, self.donors, shape, self.far_apart, np.random.default_rng([self.seed, index, each])
            )
            for each in range(self.size)
        ]
        return [torch.from_numpy(np.stack(parts)) for parts in zip(*samples)]
