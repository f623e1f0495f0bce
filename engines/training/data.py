"""Training samples: labelled volumes, what is pasted into them, and how they are varied.

Everything is in input units, (HU + 1150) / 1300 in [0, 1]. A sample is a window (3, 256, 256), its masks
(2, 256, 256: lung, lesion) and the weight of every pixel of each mask (0 where the truth is unknown).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional as F

from preprocess import PIXEL_MM, SIDE, read_series, resample

HU_RANGE = 1300.0
LUNG_WIDTH_MM = 280.0  # widest extent of both lungs of an adult; gives the volumes of unknown spacing a scale
SCREENING = "screening-nlst"
SCREENING_SIDE, SCREENING_PIXEL_MM = 320, 1.2
MEDSEG = (1, 3, 4, 6, 7, 8)
SHARE = {"medseg-1": 5, "medseg-3": 4, "medseg-4": 5, "medseg-6": 2, "medseg-7": 3, "medseg-8": 4, SCREENING: 5}
PHANTOM_SHARE = 0.05
LESION_SLICE_SHARE = 0.6


def units(hu: float) -> float:
    return (hu + 1150.0) / HU_RANGE


@dataclass(frozen=True)
class Volume:
    """Slices in ascending z: image in input units, masks as bool, in-plane pixel in mm.

    `slices_per_slab` says how many slices make a slab; 1 for volumes whose slices are thicker than a slab.
    """

    name: str
    image: np.ndarray
    lung: np.ndarray
    lesion: np.ndarray
    pixel_mm: float
    slices_per_slab: tuple[int, int]


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
        np.clip((hu + 1150) / HU_RANGE, 0, 1).astype(np.float16),
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
    planes = [resample(each.hu, each.spacing, SCREENING_SIDE, SCREENING_PIXEL_MM) for each in slices]
    image = np.stack(planes).astype(np.float16)
    lung = lung_by_threshold(image.astype(np.float32))
    return Volume(SCREENING, image, lung, np.zeros_like(lung), SCREENING_PIXEL_MM, (1, 3))


def load_volumes(data: Path, left_out: tuple[str, ...] = ()) -> list[Volume]:
    volumes = [load_medseg(data, number) for number in MEDSEG if f"medseg-{number}" not in left_out]
    if SCREENING not in left_out:
        volumes.append(load_screening(data))
    return volumes


def slab_at(volume: Volume, k: int, rng: np.random.Generator) -> np.ndarray:
    """(5, rows, columns): slab below, slab, slab above, and the slab's lung and lesion shares."""
    low, high = volume.slices_per_slab
    count, last = int(rng.integers(low, high + 1)), len(volume.image) - 1

    def mean(array: np.ndarray, start: int) -> np.ndarray:
        chosen = np.clip(np.arange(start, start + count), 0, last)
        return array[chosen].astype(np.float32).mean(0)

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


def place(planes: np.ndarray, pixel_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Resample to the window's grid with a random scale, rotation, shift and left-right flip."""
    scale = np.exp(rng.uniform(-0.18, 0.18))
    angle = rng.normal(0, np.radians(6))
    source_side = planes.shape[-1]
    reach = SIDE * PIXEL_MM / (source_side * pixel_mm * scale)
    flip = -1.0 if rng.random() < 0.5 else 1.0
    cosine, sine = np.cos(angle) * reach, np.sin(angle) * reach
    shift = rng.normal(0, 0.05, 2)
    theta = torch.tensor([[[cosine * flip, -sine, shift[0]], [sine * flip, cosine, shift[1]]]], dtype=torch.float32)
    grid = F.affine_grid(theta, [1, 1, SIDE, SIDE], align_corners=False)
    return F.grid_sample(torch.from_numpy(planes)[None], grid, align_corners=False)[0].numpy()


def smooth_noise(rng: np.random.Generator, sigma: float) -> np.ndarray:
    """A (256, 256) random field of mean 0 and deviation 1 whose structures are about `sigma` pixels wide."""
    coarse = max(4, int(SIDE / sigma))
    field = torch.from_numpy(rng.standard_normal((1, 1, coarse, coarse)).astype(np.float32))
    return F.interpolate(field, (SIDE, SIDE), mode="bicubic", align_corners=False)[0, 0].numpy() * 1.4


def blob(
    rng: np.random.Generator, centre: tuple[int, int], radius: float, roughness: float, height: float | None = None
) -> np.ndarray:
    """(3, 256, 256) signed depth in pixels below the surface of a rough ellipsoid cut by the three slabs.

    `height` is how far above the ellipsoid's centre the middle slab lies, in pixels; any if not given."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    aspect = np.exp(rng.normal(0, 0.25))
    distance = np.hypot((rows - centre[0]) * aspect, (columns - centre[1]) / aspect)
    distance = distance + roughness * radius * smooth_noise(rng, max(3.0, 0.4 * radius))
    if height is None:
        height = rng.uniform(-0.7, 0.7) * radius
    heights = height + np.array([-2.0, 0.0, 2.0])  # slabs are 3 mm apart: 2 pixels
    radii = np.sqrt(np.maximum(0.0, radius**2 - heights**2))
    return radii[:, None, None] - distance


def point_in(mask: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    rows, columns = np.nonzero(mask)
    k = rng.integers(len(rows))
    return int(rows[k]), int(columns[k])


@dataclass(frozen=True)
class MassSite:
    """Where a mass sits: its centre and radius in pixels, and the middle slab's height above the centre."""

    centre: tuple[int, int]
    radius: float
    height: float | None = None


def any_site(lung: np.ndarray, rng: np.random.Generator) -> MassSite:
    """Anywhere in the lung; every other one at its border, against pleura or mediastinum."""
    border = lung & ~ndimage.binary_erosion(lung, iterations=3)
    at = border if rng.random() < 0.5 and border.any() else lung
    return MassSite(point_in(at, rng), rng.uniform(3.5, 23))


def paste_mass(window: np.ndarray, lung: np.ndarray, site: MassSite, rng: np.random.Generator) -> np.ndarray:
    """A solid mass of 1 to 7 cm with haze on one side of it: a tumour, no pneumonia. Returns where it touches the slab."""
    depth = blob(rng, site.centre, site.radius, rng.uniform(0.03, 0.15), site.height)
    solid = np.clip(depth / rng.uniform(1.0, 3.0) + 0.5, 0, 1) * lung
    if site.radius < 8 or rng.random() < 0.4:
        reach, strength = rng.uniform(1.5, 6.0), rng.uniform(0, 0.22)
    else:
        reach, strength = rng.uniform(4.0, 18.0), rng.uniform(0.15, 0.42)
    one_sided = np.clip(1 + smooth_noise(rng, 2 * site.radius + 10), 0, 1)
    texture = 1 + 0.2 * smooth_noise(rng, rng.uniform(2, 5))
    haze = np.clip(1.3 + depth * 1.3 / reach, 0, 1) * (depth > -reach) * one_sided * texture * lung * strength
    tissue = units(rng.uniform(-30, 80)) + rng.normal(0, 0.02, window.shape).astype(np.float32)
    hazy = window + haze * np.clip(1.1 - window / units(0), 0, 1)
    window[:] = np.maximum(window, hazy * (1 - solid) + tissue * solid)
    return (solid[1] > 0.02) | (haze[1] > 0.02)


def paste_ground_glass(window: np.ndarray, lung: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One to five patches of ground glass that leave the vessels visible. Returns the patches' strength (256, 256)."""
    strength = np.zeros_like(window)
    for _ in range(rng.integers(1, 6)):
        edge = ndimage.binary_erosion(lung, iterations=8)
        seeds = lung & ~edge if rng.random() < 0.7 and (lung & ~edge).any() else lung
        radius = rng.uniform(4, 24)
        depth = blob(rng, point_in(seeds, rng), radius, rng.uniform(0.05, 0.35))
        strength = np.maximum(strength, np.clip(depth / rng.uniform(1.5, 7) + 0.5, 0, 1))
    texture = 1 + rng.uniform(0, 0.15) * smooth_noise(rng, rng.uniform(2, 5))
    raised = units(rng.uniform(-650, -250)) * texture
    patch = strength * lung
    window[:] = np.maximum(window, window * (1 - patch) + (raised + 0.35 * (window - units(-850))) * patch)
    return patch[1]


def phantom(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A drawn chest without disease: window and lung. For images with flat, noisy or no texture."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)

    def ellipse(row: float, column: float, half_rows: float, half_columns: float) -> np.ndarray:
        return ((rows - row) / half_rows) ** 2 + ((columns - column) / half_columns) ** 2 < 1

    row, column = rng.normal(127.5, 5, 2)
    body_rows, body_columns = rng.uniform(65, 95), rng.uniform(95, 125)
    plane = np.full((SIDE, SIDE), rng.choice([0.0, units(-1024), units(-1000)]), np.float32)
    plane[ellipse(row, column, body_rows, body_columns)] = units(rng.uniform(-20, 70))
    lung = np.zeros((SIDE, SIDE), bool)
    for side in (-1, 1):
        centre = column + side * body_columns * rng.uniform(0.42, 0.52)
        lung |= ellipse(row, centre, body_rows * rng.uniform(0.35, 0.75), body_columns * rng.uniform(0.2, 0.38))
    plane[lung] = units(rng.uniform(-900, -800))
    window = np.repeat(plane[None], 3, 0)
    for _ in range(rng.integers(0, 40)):
        vessel_row, vessel_column = point_in(lung, rng)
        vessel = ellipse(vessel_row, vessel_column, rng.uniform(0.8, 3), rng.uniform(0.8, 3))
        window[rng.integers(0, 3) :, vessel & lung] = units(rng.uniform(-300, 50))
    return window, lung


def vary_look(window: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Kernel, dose, calibration and field of view of another scanner."""
    if rng.random() < 0.5:
        window[window < 0.01] = rng.uniform(0, 0.13)
    if rng.random() < 0.6:
        amount = rng.uniform(0.4, 1.1)
        soft = ndimage.gaussian_filter(window, (0, amount, amount))
        window = soft if rng.random() < 0.5 else window + rng.uniform(0.2, 1.2) * (window - soft)
    window = (window - units(-1000)) * rng.normal(1, 0.03) + units(-1000 + rng.normal(0, 20))
    if rng.random() < 0.7:
        noise = rng.standard_normal(window.shape, dtype=np.float32) * rng.uniform(0, 60) / HU_RANGE
        if rng.random() < 0.6:
            grain = rng.uniform(0.4, 0.9)
            noise = ndimage.gaussian_filter(noise, (0, grain, grain)) * (1 + 2.2 * grain)
        window = window + noise
    if rng.random() < 0.15:
        rows, columns = np.mgrid[:SIDE, :SIDE]
        window[:, np.hypot(rows - 127.5, columns - 127.5) > rng.uniform(105, 128)] = rng.uniform(0, 0.11)
    if rng.random() < 0.1:
        window = np.round(window * 255 / 6) * 6 / 255
    return np.clip(window, 0, 1)


def make_sample(volumes: list[Volume], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if rng.random() < PHANTOM_SHARE:
        window, lung = phantom(rng)
        lesion, lesion_known = np.zeros(lung.shape, bool), np.ones(lung.shape, bool)
        lung_known, lesion_free = np.ones(lung.shape, bool), True
    else:
        shares = np.array([SHARE[volume.name] for volume in volumes], float)
        volume = volumes[rng.choice(len(volumes), p=shares / shares.sum())]
        candidates = np.flatnonzero(volume.lesion.any((1, 2)))
        if not len(candidates) or rng.random() > LESION_SLICE_SHARE:
            candidates = np.arange(len(volume.image))
        planes = place(slab_at(volume, int(rng.choice(candidates)), rng), volume.pixel_mm, rng)
        window, (lung_share, lesion_share) = planes[:3].copy(), planes[3:]
        lung, lesion = lung_share > 0.5, lesion_share > 0.5
        lung_known = np.abs(lung_share - 0.5) > 0.2
        lesion_known = np.abs(lesion_share - 0.5) > 0.2
        lesion_free = not lesion.any()

    if lung.sum() > 600:
        draw = rng.random()
        if draw < (0.5 if lesion_free else 0.15):
            patch = paste_ground_glass(window, lung, rng)
            lesion = lesion | (patch > 0.4)
            lesion_known &= (patch < 0.2) | (patch > 0.55)
        if rng.random() < 0.25:
            mass = paste_mass(window, lung, any_site(lung, rng), rng)
            lesion_known &= ~(mass & lesion)
            lesion = lesion & ~mass
    window = vary_look(window, rng)
    masks = np.stack([lung, lesion]).astype(np.float32)
    known = np.stack([lung_known, lesion_known]).astype(np.float32)
    return window.astype(np.float32), masks, known


class Samples(torch.utils.data.Dataset):
    """Endless variety, the same for the same seed: sample i depends on the seed and i alone."""

    def __init__(self, volumes: list[Volume], count: int, seed: int):
        self.volumes, self.count, self.seed = volumes, count, seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int):
        return make_sample(self.volumes, np.random.default_rng([self.seed, index]))
