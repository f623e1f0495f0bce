"""What is pasted into a window (3, rows, columns) to show the network more than the volumes hold: masses, opacities,
another patient's lesions, and a drawn chest. All change the window in place, inside the lung (rows, columns)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional as F

from volumes import Donor, units

CONSOLIDATED_HU = (-20.0, 80.0)  # lower, and fat would be taught as lesion


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], sigma: float) -> np.ndarray:
    """A random field of mean 0 and deviation 1 whose structures are about `sigma` pixels wide."""
    coarse = [max(4, int(side / sigma)) for side in shape]
    field = torch.from_numpy(rng.standard_normal((1, 1, *coarse), dtype=np.float32))
    return F.interpolate(field, shape, mode="bilinear", align_corners=False)[0, 0].numpy() * 1.5


def blob(
    rng: np.random.Generator,
    shape: tuple[int, int],
    centre: tuple[int, int],
    radius: float,
    roughness: float,
    height: float | None = None,
) -> np.ndarray:
    """(3, rows, columns) signed depth in pixels below the surface of a rough ellipsoid cut by the three slabs.

    `height` is how far above the ellipsoid's centre the middle slab lies, in pixels; any if not given."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    aspect = np.exp(rng.normal(0, 0.25))
    distance = np.hypot((rows - centre[0]) * aspect, (columns - centre[1]) / aspect).astype(np.float32)
    distance = distance + roughness * radius * smooth_noise(rng, shape, max(3.0, 0.4 * radius))
    if height is None:
        height = rng.uniform(-0.7, 0.7) * radius
    heights = height + np.array([-2.0, 0.0, 2.0], np.float32)  # slabs are 3 mm apart: 2 pixels
    radii = np.sqrt(np.maximum(0.0, radius**2 - heights**2)).astype(np.float32)
    return radii[:, None, None] - distance


def point_in(mask: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    places = np.flatnonzero(mask)
    return tuple(int(each) for each in np.unravel_index(places[rng.integers(len(places))], mask.shape))


def rim(lung: np.ndarray, pixels: int) -> np.ndarray:
    """The lung's outermost pixels; the whole lung where it is no wider."""
    edge = lung & (ndimage.uniform_filter(lung.astype(np.float32), 2 * pixels + 1) < 0.999)
    return edge if edge.any() else lung


@dataclass(frozen=True)
class MassSite:
    """Where a mass sits: its centre and radius in pixels, and the middle slab's height above the centre."""

    centre: tuple[int, int]
    radius: float
    height: float | None = None


def any_site(lung: np.ndarray, rng: np.random.Generator) -> MassSite:
    """Anywhere in the lung; every other one at its border, against pleura or mediastinum."""
    at = rim(lung, 3) if rng.random() < 0.5 else lung
    return MassSite(point_in(at, rng), rng.uniform(3.5, 23))


def paste_mass(window: np.ndarray, lung: np.ndarray, site: MassSite, rng: np.random.Generator) -> np.ndarray:
    """A solid mass of 1 to 7 cm with haze on one side of it: a tumour, no pneumonia. Returns where it touches the slab."""
    shape = lung.shape
    depth = blob(rng, shape, site.centre, site.radius, rng.uniform(0.03, 0.15), site.height)
    solid = np.clip(depth / rng.uniform(1.0, 3.0) + 0.5, 0, 1) * lung
    if site.radius < 8 or rng.random() < 0.4:
        reach, strength = rng.uniform(1.5, 6.0), rng.uniform(0, 0.22)
    else:
        reach, strength = rng.uniform(4.0, 18.0), rng.uniform(0.15, 0.42)
    one_sided = np.clip(1 + smooth_noise(rng, shape, 2 * site.radius + 10), 0, 1)
    texture = 1 + 0.2 * smooth_noise(rng, shape, rng.uniform(2, 5))
    haze = np.clip(1.3 + depth * 1.3 / reach, 0, 1) * (depth > -reach) * one_sided * texture * lung * strength
    tissue = units(rng.uniform(-30, 80)) + rng.normal(0, 0.02, window.shape).astype(np.float32)
    hazy = window + haze * np.clip(1.1 - window / units(0), 0, 1)
    window[:] = np.maximum(window, hazy * (1 - solid) + tissue * solid)
    return (solid[1] > 0.02) | (haze[1] > 0.02)


def paste_opacity(window: np.ndarray, lung: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One to five patches, mostly at the pleura: ground glass that leaves the vessels visible, consolidation with rough
    edges that hides them, or haze over much of a lung. Returns the patches' strength (rows, columns)."""
    kind = rng.choice(["ground glass", "consolidation", "diffuse"], p=[0.5, 0.3, 0.2])
    strength = np.zeros_like(window)
    for _ in range(1 if kind == "diffuse" else rng.integers(1, 6)):
        seeds = rim(lung, 8) if rng.random() < 0.7 else lung
        radius = rng.uniform(28, 70) if kind == "diffuse" else rng.uniform(4, 24)
        roughness = rng.uniform(0.25, 0.5) if kind == "consolidation" else rng.uniform(0.05, 0.35)
        depth = blob(rng, lung.shape, point_in(seeds, rng), radius, roughness)
        softness = rng.uniform(4, 12) if kind == "diffuse" else rng.uniform(1.5, 7)
        strength = np.maximum(strength, np.clip(depth / softness + 0.5, 0, 1))
    patch = strength * lung
    if kind == "consolidation":
        texture = 1 + rng.uniform(0.02, 0.12) * smooth_noise(rng, lung.shape, rng.uniform(2, 6))
        covered = units(rng.uniform(*CONSOLIDATED_HU)) * texture + 0.1 * (window - units(-850))
    else:
        texture = 1 + rng.uniform(0, 0.15) * smooth_noise(rng, lung.shape, rng.uniform(2, 5))
        covered = units(rng.uniform(-700, -250)) * texture + 0.35 * (window - units(-850))
    window[:] = np.maximum(window, window * (1 - patch) + covered * patch)
    return patch[1]


def paste_dependent_consolidation(window: np.ndarray, lung: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The lower part of one lung or of both, mostly the back, filled to the density of soft tissue up to a front that runs
    across it: it stays lung, and all of it is lesion. Returns its strength (rows, columns)."""
    sides, count = ndimage.label(lung)
    areas = np.bincount(sides.ravel(), minlength=count + 1)[1:]
    largest = 1 + np.argsort(areas)[::-1][: rng.integers(1, 3)]
    strength = np.zeros_like(window)
    for side in largest:
        rows, columns = np.nonzero(sides == side)
        angle = rng.normal(0, 0.6)
        heights = rows * np.cos(angle) + columns * np.sin(angle)  # towards the back where the angle is 0
        front = np.quantile(heights, 1 - np.exp(rng.uniform(np.log(0.04), np.log(0.6))))
        lean = rng.normal(0, 3.0) * np.array([-1.0, 0.0, 1.0], np.float32)
        wavy = rng.uniform(0.5, 6.0) * smooth_noise(rng, lung.shape, rng.uniform(4, 16))[rows, columns]
        depth = (heights - front + wavy)[None] + lean[:, None]
        strength[:, rows, columns] = np.clip(depth / rng.uniform(1.0, 5.0) + 0.5, 0, 1)
    texture = 1 + rng.uniform(0, 0.06) * smooth_noise(rng, lung.shape, rng.uniform(2, 6))
    covered = units(rng.uniform(*CONSOLIDATED_HU)) * texture
    if rng.random() < 0.4:  # air in the bronchi, a network of dark spots
        open_airways = np.clip(smooth_noise(rng, lung.shape, rng.uniform(1.5, 4)) - 1.2, 0, 1)
        covered = covered - rng.uniform(0.1, 0.6) * open_airways
    window[:] = np.maximum(window, window * (1 - strength) + covered * strength)
    return strength[1]


def transplant_lesions(window: np.ndarray, lung: np.ndarray, donor: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Puts lesions of another patient's slab (5, rows, columns) into this lung, near the place where they were.
    Returns their strength (rows, columns)."""
    parts, count = ndimage.label(donor[4] > 0.5)
    if count == 0:
        return np.zeros_like(window[0])
    chosen = rng.random(count + 1) < rng.uniform(0.3, 1.0)
    chosen[0] = False
    shift = tuple(np.round(rng.normal(0, 10, 2)).astype(int))
    mask = np.roll(chosen[parts], shift, (0, 1)) & lung
    patch = ndimage.gaussian_filter(mask.astype(np.float32), rng.uniform(0.5, 1.2)) * lung
    window[:] = window * (1 - patch) + np.roll(donor[:3], shift, (1, 2)) * patch
    return patch


def outline_of(mask: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns that a mask takes up."""
    return tuple(slice(int(at.min()), int(at.max()) + 1) for at in (np.flatnonzero(mask.any(axis)) for axis in (1, 0)))


def drape_lesions(window: np.ndarray, lung: np.ndarray, donor: Donor, rng: np.random.Generator) -> np.ndarray:
    """Lays a donor's lesions over this lung as they lie in the donor's: shape, place and grain are the donor's, the density is
    drawn, since the donor's has no unit. Returns their strength (rows, columns)."""
    k = int(rng.choice(donor.lesion_slices))
    strides = np.clip(k + int(rng.integers(1, 3)) * np.array([-1, 0, 1]), 0, len(donor.lesion) - 1)
    there, here = outline_of(donor.lung[k]), outline_of(lung)
    flip = -1 if rng.random() < 0.5 else 1
    both = np.stack([*donor.lesion[strides].astype(np.float32), *donor.grey[strides]])[:, *there][:, :, ::flip]
    shape = tuple(int(side.stop - side.start) for side in here)
    laid = F.interpolate(torch.from_numpy(both.copy())[None], shape, mode="bilinear", align_corners=False)[0].numpy()
    strength, grey = np.zeros_like(window), np.zeros_like(window)
    strength[:, *here], grey[:, *here] = laid[:3], laid[3:]
    softness = rng.uniform(0.4, 2.5)
    strength = ndimage.gaussian_filter(strength, (0, softness, softness)) * lung
    inside = grey[1][strength[1] > 0.5]
    if len(inside) < 10:
        return np.zeros_like(window[0])
    grain = np.clip((grey - inside.mean()) / (inside.std() + 1.0), -2.5, 2.5)
    hu = rng.uniform(-680, -250) if rng.random() < 0.75 else rng.uniform(-250, 20)
    covered = units(hu) + grain * rng.uniform(40, 170) / 1300 + 0.25 * (window - units(-850))
    covered = np.minimum(covered, units(90))
    window[:] = np.maximum(window, window * (1 - strength) + covered * strength)
    return strength[1]


def drawn_chest(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A drawn chest without disease: window and lung. For images with flat, noisy or no texture."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]

    def ellipse(row: float, column: float, half_rows: float, half_columns: float) -> np.ndarray:
        return ((rows - row) / half_rows) ** 2 + ((columns - column) / half_columns) ** 2 < 1

    row, column = rng.normal((np.array(shape) - 1) / 2, 5)
    body_rows, body_columns = rng.uniform(65, 95), rng.uniform(95, 125)
    plane = np.full(shape, rng.choice([0.0, units(-1024), units(-1000)]), np.float32)
    plane[ellipse(row, column, body_rows, body_columns)] = units(rng.uniform(-20, 70))
    lung = np.zeros(shape, bool)
    for side in (-1, 1):
        centre = column + side * body_columns * rng.uniform(0.42, 0.52)
        lung |= ellipse(row, centre, body_rows * rng.uniform(0.35, 0.75), body_columns * rng.uniform(0.2, 0.38))
    plane[lung] = units(rng.uniform(-900, -800))
    window = np.repeat(plane[None], 3, 0)
    for _ in range(rng.integers(0, 40)):
        vessel = ellipse(*point_in(lung, rng), rng.uniform(0.8, 3), rng.uniform(0.8, 3))
        window[rng.integers(0, 3) :, vessel & lung] = units(rng.uniform(-300, 50))
    return window, lung
