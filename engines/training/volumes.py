"""Labelled volumes: image in input units, (HU + 1150) / 1300 in [0, 1], and masks, slices in ascending z.

Three kinds: COVID-19 patients with drawn lesions, patients without known pneumonia, and donors, whose grey values are no
Hounsfield units: only their lesions' shapes and grain are used.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from preprocess import PIXEL_MM, SLAB_MM, Slice, read_series, resample

HU_RANGE = 1300.0
LUNG_WIDTH_MM = 280.0  # widest extent of both lungs of an adult; gives the volumes of unknown spacing a scale
MEDSEG = (1, 3, 4, 6, 7, 8)
FEWEST_LESION_VOXELS = 1000  # volume 6 has 54: none to learn from
SCREENING = "screening-nlst"
FREE_BREATHING = tuple(f"lctsc-00{number}" for number in range(6))
LESION_FREE = (SCREENING, *FREE_BREATHING, "lung1-001", "luna-normal-1")
WITHOUT_LESION_TRUTH = ("lctsc-005",)  # shows consolidation that nobody has drawn
WITHOUT_DISEASE = (SCREENING, "luna-normal-1")
WITHOUT_SPACING = ("luna-normal-1",)
SIDE, WIDE = 288, 400  # pixels of a plane around the body and of the whole field, 432 and 600 mm
# A mass, haze around it or a collapsed part is real disease that nobody has drawn: nothing is learnt about lesions in what is
# solid over more than twice this radius inside the lungs' outline, and around it.
SOLID_RADIUS_PX, SOLID_AROUND_PX = 5, 8
SOLID_HU = -350.0
BODY_PX = 8  # tissue pixels a slice that make a row or column one of the body
PATIENTS = (  # what belongs to one patient is never on two sides of a split
    ("medseg-1", "radiopaedia_7_85703_0"),
    ("medseg-3", "radiopaedia_10_85902_3"),
    ("medseg-4", "radiopaedia_4_85506_1"),
    ("medseg-6", "medseg-7"),
)


def units(hu: float) -> float:
    return (hu + 1150.0) / HU_RANGE


@dataclass(frozen=True)
class Volume:
    """Slices in ascending z: image in input units (float32), masks as bool, in-plane pixel and distance of the slices in mm.

    `lesion_known` is where `lesion` is the truth. `slices_per_slab` says how many slices make a slab; 1 for volumes whose
    slices are as thick as a slab or thicker.
    """

    name: str
    image: np.ndarray
    lung: np.ndarray
    lesion: np.ndarray
    lesion_known: np.ndarray
    pixel_mm: float
    slice_mm: float
    slices_per_slab: tuple[int, int]
    lesion_slices: np.ndarray = field(init=False)
    has_lesions: bool = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "lesion_slices", np.flatnonzero(self.lesion.any((1, 2))))
        object.__setattr__(self, "has_lesions", bool(self.lesion.sum() > FEWEST_LESION_VOXELS))

    @cached_property
    def lung_slices(self) -> np.ndarray:
        return np.flatnonzero(self.lung.any((1, 2)))


@dataclass(frozen=True)
class Donor:
    """A COVID-19 patient's slices of 256 x 256 in ascending z: grey values of no unit, lungs and lesions; back at the bottom."""

    name: str
    grey: np.ndarray
    lung: np.ndarray
    lesion: np.ndarray
    lesion_slices: np.ndarray


def width_px(lung: np.ndarray) -> int:
    return max(int(np.ptp(np.flatnonzero(plane.any(0)))) for plane in lung if plane.any())


def load_medseg(data: Path, number: int) -> Volume:
    arrays = np.load(data / f"lesions/medseg-{number}.npz")
    image, lung, lesion = (arrays[name] for name in ("image", "lung", "lesion"))
    if number == 1:  # runs in z against the others
        image, lung, lesion = image[::-1], lung[::-1], lesion[::-1]
    grey = image.astype(np.float32)
    hu = 5.36 * grey - 1155 if number == 8 else grey / 255 * 1500 - 1350
    return Volume(
        f"medseg-{number}",
        np.clip((hu + 1150) / HU_RANGE, 0, 1),
        lung > 0,
        lesion > 0,
        np.ones(lesion.shape, bool),
        LUNG_WIDTH_MM / width_px(lung),
        0.75 if number == 3 else 7.0,
        (2, 6) if number == 3 else (1, 1),
    )


def body_of(image: np.ndarray) -> np.ndarray:
    """The largest thing of tissue in every plane, its holes filled."""
    body = np.zeros(image.shape, bool)
    for k, plane in enumerate(ndimage.binary_opening(image > units(-350), np.ones((1, 5, 5)))):
        labels, count = ndimage.label(plane)
        if count:
            body[k] = ndimage.binary_fill_holes(labels == 1 + np.argmax(np.bincount(labels.ravel())[1:]))
    return body


def lung_by_threshold(image: np.ndarray, pixel_mm: float) -> np.ndarray:
    """Lungs of a volume that holds no consolidation: large air spaces inside the body, windpipe left out, vessels filled in."""
    body = body_of(image)
    middles = [np.flatnonzero(plane.any(0)).mean() if plane.any() else 0.0 for plane in body]
    air = (image < units(-450)) & body
    labels, _ = ndimage.label(ndimage.binary_opening(air, np.ones((1, 3, 3))))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    lung = np.isin(labels, np.flatnonzero(sizes > 0.15 * sizes.max()))
    disc = ndimage.generate_binary_structure(2, 1)
    for k, plane in enumerate(lung):
        parts, count = ndimage.label(plane)
        closed = np.zeros_like(plane)
        for part in range(1, count + 1):
            area = parts == part
            aside = abs(np.flatnonzero(area.any(0)).mean() - middles[k]) * pixel_mm
            if area.sum() * pixel_mm**2 < 700 and (aside < 25 or image[k][area].mean() < units(-920)):
                continue
            # Each part for itself: closed together they would take in the heart.
            closed |= ndimage.binary_fill_holes(ndimage.binary_closing(np.pad(area, 8), disc, 5)[8:-8, 8:-8])
        lung[k] = closed
    return lung


def solid_inside(image: np.ndarray, lung: np.ndarray) -> np.ndarray:
    """What is solid over more than a vessel's width within the outline of each lung, and what lies around it. Solid with no
    lung anywhere below it is diaphragm or heart."""
    reach = np.arange(-SOLID_AROUND_PX, SOLID_AROUND_PX + 1)
    disc = np.hypot(*np.meshgrid(reach, reach)) <= SOLID_RADIUS_PX
    around = np.hypot(*np.meshgrid(reach, reach)) <= SOLID_AROUND_PX
    near = ndimage.gaussian_filter(image, (1, 1, 1)) > units(SOLID_HU)
    near &= np.logical_or.accumulate(lung, 0)
    found = np.zeros(image.shape, bool)
    for k, plane in enumerate(lung):
        if plane.any():
            outline = np.zeros_like(plane)
            parts, count = ndimage.label(plane)
            for part in range(1, count + 1):
                outline |= ndimage.binary_closing(np.pad(parts == part, 24), iterations=20)[24:-24, 24:-24]
            solid = ndimage.binary_opening(near[k] & outline, disc)
            found[k] = ndimage.binary_dilation(solid, around)
    return found


def around_the_body(slices: list[Slice], pixel_mm: float) -> tuple[np.ndarray, tuple[int, int]]:
    """(slices, SIDE, SIDE) in input units, centred on the body's middle over all slices; and the row and column of a plane of
    `WIDE` pixels where it begins."""
    wide = np.stack([resample(each.hu, each.spacing, WIDE, pixel_mm) for each in slices])
    rows, columns = (np.flatnonzero((wide > units(-350)).sum(axis) > 60 * len(wide) / 8) for axis in ((0, 2), (0, 1)))
    middle = [int((each.min() + each.max()) / 2) if len(each) else WIDE // 2 for each in (rows, columns)]
    first = [min(max(at - SIDE // 2, 0), WIDE - SIDE) for at in middle]
    return np.ascontiguousarray(wide[:, first[0] : first[0] + SIDE, first[1] : first[1] + SIDE]), tuple(first)


def load_lesion_free(data: Path, name: str) -> Volume:
    folder = data / "series" / name
    if not folder.is_dir():
        folder = data / "other-lungs/train" / name
    slices = read_series(folder)
    image, first = around_the_body(slices, PIXEL_MM)
    pixel_mm, slice_mm = PIXEL_MM, float(np.median(np.diff([each.z for each in slices])))
    drawn = folder.with_name(f"{name}.lung.npz")
    if drawn.exists():
        planes = np.load(drawn)["lung"] > 0
        lung = np.zeros(image.shape, bool)
        corner = [first[axis] - (WIDE - planes.shape[1 + axis]) // 2 for axis in (0, 1)]
        for k, plane in enumerate(planes):
            row, column = (SIDE + at for at in corner)
            lung[k] = np.pad(plane, SIDE)[row : row + SIDE, column : column + SIDE]
    else:
        lung = lung_by_threshold(image, pixel_mm)
    if name in WITHOUT_SPACING:
        pixel_mm = LUNG_WIDTH_MM / width_px(lung)
    known = np.ones_like(lung)
    if name in WITHOUT_LESION_TRUTH:
        known = np.zeros_like(lung)
    elif name not in WITHOUT_DISEASE:
        known = ~solid_inside(image, lung)
    return Volume(name, image, lung, np.zeros_like(lung), known, pixel_mm, slice_mm, (1, 2))


def load_donor(file: Path) -> Donor:
    arrays = np.load(file)
    ends = arrays["offset"]
    pictures = [arrays["webp"][low:high].tobytes() for low, high in zip(ends[:-1], ends[1:])]
    grey = np.stack([np.array(Image.open(io.BytesIO(each)).convert("L")) for each in pictures])
    grey = ndimage.gaussian_filter(grey.astype(np.float32), (0, 0.7, 0.7))
    lung, lesion = (np.unpackbits(arrays[name], axis=2) > 0 for name in ("lung", "lesion"))
    if file.stem.startswith("radiopaedia"):  # upside down
        grey, lung, lesion = grey[:, ::-1], lung[:, ::-1], lesion[:, ::-1]
    return Donor(file.stem, grey, lung | lesion, lesion, np.flatnonzero(lesion.sum((1, 2)) > 20))


def of_the_same_patients(names: set[str]) -> set[str]:
    return names.union(*(patient for patient in PATIENTS if names.intersection(patient)))


def load_volumes(data: Path, left_out: tuple[str, ...] = ()) -> list[Volume]:
    out = of_the_same_patients(set(left_out))
    volumes = [load_medseg(data, number) for number in MEDSEG if f"medseg-{number}" not in out]
    return volumes + [load_lesion_free(data, name) for name in LESION_FREE if name not in out]


def load_donors(data: Path, left_out: tuple[str, ...] = ()) -> list[Donor]:
    out = of_the_same_patients(set(left_out))
    return [load_donor(file) for file in sorted((data / "lesions2d").glob("*.npz")) if file.stem not in out]
