"""Training samples: slabs of labelled volumes, what is pasted into them, and how they are varied.

Everything is in input units, (HU + 1150) / 1300 in [0, 1]. A sample is a window (3, rows, columns), its masks
(2, rows, columns: lung, lesion) and the weight of every pixel of each mask (0 where the truth is unknown).
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional as F

from pasting import (
    any_site,
    drawn_chest,
    paste_dependent_consolidation,
    paste_mass,
    paste_opacity,
    transplant_lesions,
)
from preprocess import PIXEL_MM, SIDE
from volumes import HU_RANGE, SCREENING, Volume, units

SHARE = {"medseg-1": 5, "medseg-3": 4, "medseg-4": 5, "medseg-6": 2, "medseg-7": 4, "medseg-8": 5, SCREENING: 5}
DRAWN_SHARE = 0.04
LESION_SLICE_SHARE = 0.65
MASS_SHARE = 0.12
WHOLE = (SIDE, SIDE)
PART = (160, 192)  # most of both lungs in less than half the pixels: twice the samples in the same time
WHOLE_EVERY = 5  # batches; the others show parts


def slab_at(volume: Volume, k: int, rng: np.random.Generator) -> np.ndarray:
    """(5, rows, columns): slab below, slab, slab above, and the slab's lung and lesion shares."""
    low, high = volume.slices_per_slab
    count, last = int(rng.integers(low, high + 1)), len(volume.image) - 1

    def mean(array: np.ndarray, start: int) -> np.ndarray:
        if count == 1:
            return array[min(max(start, 0), last)].astype(np.float32)
        chosen = np.clip(np.arange(start, start + count), 0, last)
        return array[chosen].mean(0, dtype=np.float32)

    centre = mean(volume.image, k)
    neighbours = []
    for direction in (-1, 1):
        neighbour = mean(volume.image, k + direction * count)
        if high == 1:  # slices lie further apart than slabs: the neighbour is nearer in the appliance
            nearness = rng.uniform(0.3, 1.0)
            neighbour = nearness * neighbour + (1 - nearness) * centre
        neighbours.append(centre if rng.random() < 0.06 else neighbour)
    if rng.random() < 0.5:
        neighbours.reverse()
    return np.stack([neighbours[0], centre, neighbours[1], mean(volume.lung, k), mean(volume.lesion, k)])


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


def placed_slab(volume: Volume, lesion_slice_share: float, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A slab of the volume on the window's pixels, (5, rows, columns); with this probability one that has a lesion."""
    ill = len(volume.lesion_slices) and rng.random() < lesion_slice_share
    k = rng.choice(volume.lesion_slices) if ill else rng.integers(len(volume.image))
    return place(slab_at(volume, int(k), rng), volume.pixel_mm, rng, shape)


def make_sample(volumes: list[Volume], shape: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    if rng.random() < DRAWN_SHARE:
        window, lung = drawn_chest(rng, shape)
        lesion, lesion_known = np.zeros(shape, bool), np.ones(shape, bool)
        lung_known, lesion_free = np.ones(shape, bool), True
    else:
        shares = np.array([SHARE[volume.name] for volume in volumes], float)
        volume = volumes[rng.choice(len(volumes), p=shares / shares.sum())]
        planes = placed_slab(volume, LESION_SLICE_SHARE, shape, rng)
        window, (lung_share, lesion_share) = planes[:3].copy(), planes[3:]
        lung, lesion = lung_share > 0.5, lesion_share > 0.5
        lung_known = np.abs(lung_share - 0.5) > 0.2
        lesion_known = np.abs(lesion_share - 0.5) > 0.2
        lesion_free = not lesion.any()

    if lung.sum() > 600:
        draw = rng.random()
        patch = np.zeros_like(window[0])
        if draw < (0.28 if lesion_free else 0.08):
            patch = paste_opacity(window, lung, rng)
        elif draw < (0.42 if lesion_free else 0.2):
            patch = paste_dependent_consolidation(window, lung, rng)
        elif draw < (0.68 if lesion_free else 0.34):
            donors = [volume for volume in volumes if volume.has_lesions]
            donor = placed_slab(donors[rng.integers(len(donors))], 1.0, shape, rng)
            patch = transplant_lesions(window, lung, donor, rng)
        lesion = lesion | (patch > 0.4)
        lesion_known &= (patch < 0.2) | (patch > 0.55)
        if rng.random() < MASS_SHARE:
            mass = paste_mass(window, lung, any_site(lung, rng), rng)
            lesion_known &= ~(mass & lesion)
            lesion = lesion & ~mass
    window = vary_look(window, rng)
    masks = np.stack([lung, lesion]).astype(np.float32)
    known = np.stack([lung_known, lesion_known]).astype(np.float32)
    return window.astype(np.float32), masks, known


class Batches(torch.utils.data.Dataset):
    """Endless variety, the same for the same seed: batch i depends on the seed and i alone."""

    def __init__(self, volumes: list[Volume], count: int, size: int, seed: int):
        self.volumes, self.count, self.size, self.seed = volumes, count, size, seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> list[torch.Tensor]:
        shape = WHOLE if index % WHOLE_EVERY == 0 else PART
        samples = [
            make_sample(self.volumes, shape, np.random.default_rng([self.seed, index, each]))
            for each in range(self.size)
        ]
        return [torch.from_numpy(np.stack(parts)) for parts in zip(*samples)]
