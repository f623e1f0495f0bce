"""What makes healthy lungs look ill: breathing out, lying on the back, the diaphragm's dome, the beating heart. All change the
window (3, rows, columns) in place; lung and lesions stay what they are."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from pasting import blob, point_in, rim, smooth_noise
from volumes import units

VESSEL = units(30)


def breathe_out(window: np.ndarray, lung: np.ndarray, rng: np.random.Generator) -> None:
    """Less air in the lungs: all of it denser, and more so towards where the patient lies, fading evenly. Ground glass ends
    somewhere; this does not."""
    rows, columns = np.nonzero(lung)
    angle = rng.normal(0, 0.3) + (np.pi if rng.random() < 0.08 else 0)
    heights = np.zeros(lung.shape, np.float32)
    along = rows * np.cos(angle) + columns * np.sin(angle)
    low, high = along.min(), along.max()
    heights[rows, columns] = (along - low) / max(1.0, high - low)
    everywhere = rng.uniform(0, 130) if rng.random() < 0.7 else rng.uniform(100, 260)
    dependent = rng.uniform(0, 260) * heights ** rng.uniform(1.0, 5.0)
    if rng.random() < 0.3:  # a thin seam along the pleura
        dependent = dependent + rng.uniform(100, 450) * heights ** rng.uniform(10.0, 25.0)
    mottled = 1 + rng.uniform(0, 0.25) * smooth_noise(rng, lung.shape, rng.uniform(6, 40))
    added = (everywhere + dependent) * mottled / 1300 * lung
    added = ndimage.gaussian_filter(added.astype(np.float32), 1.0) * lung
    window += added * np.clip((VESSEL - window) / (VESSEL - units(-850)), 0, 1.2)


def raise_dome(
    window: np.ndarray, lung: np.ndarray, planes: slice, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A dome of liver, spleen, stomach or fat that rises into the lung on these planes, its edge a mixture of both. Returns
    where it is more than half, and where it is neither (rows, columns)."""
    radius = rng.uniform(6, 40)
    seeds = rim(lung, 6) if rng.random() < 0.6 else lung
    depth = blob(rng, lung.shape, point_in(seeds, rng), radius, rng.uniform(0.0, 0.08), rng.uniform(0.3, 0.98) * radius)
    share = np.clip(depth / rng.uniform(1.5, 12.0) + 0.5, 0, 1) * ndimage.binary_dilation(lung, iterations=1)
    tissue = units(rng.uniform(-130, -30) if rng.random() < 0.4 else rng.uniform(-30, 90))
    risen = window * (1 - share) + tissue * share
    window[planes] = np.maximum(window, risen)[planes]
    return share[1] > 0.5, (share[1] > 0.15) & (share[1] < 0.85)


def beat(window: np.ndarray, lung: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Part of the slice is seen twice, where it was and where it moved to. Returns where lung and other tissue mix."""
    far = np.array([rng.normal(0, 3.0), rng.normal(0, 3.0)])
    moved = ndimage.shift(window, (0, *far), order=1, mode="nearest")
    moved_lung = ndimage.shift(lung.astype(np.float32), far, order=0) > 0.5
    part = np.clip(0.5 + smooth_noise(rng, lung.shape, rng.uniform(30, 80)), 0, 1) * rng.uniform(0.3, 0.6)
    window[:] = window * (1 - part) + moved * part
    return (moved_lung ^ lung) & (part > 0.1)
