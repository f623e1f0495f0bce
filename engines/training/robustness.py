"""Does the verdict stand when a scan is spoilt? Spoils real series in the ways scanners and networks do, and asks the program.

    python robustness.py --program ../../target/release/tableside --extra-series FOLDER_OF_DICOM

Prints a Markdown table: a row a spoiling, a column a series, each cell the verdict and the case probability. Exits with 1
if a verdict changed to another verdict (a change to "not analysed" or "abnormal" with its reason is no error: it is said).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import JPEG2000, ExplicitVRLittleEndian, generate_uid
from scipy import ndimage

from evaluate import DEFAULT_DATA, HERE, SERIES

Slices = list[pydicom.Dataset]
STATED = ("suspected", "not_suspected")


def read(folder: Path) -> Slices:
    """The series in ascending z, pixels decoded."""
    slices = [pydicom.dcmread(path) for path in folder.glob("*.dcm")]
    for each in slices:
        if each.file_meta.TransferSyntaxUID.is_compressed:
            each.decompress()
    return sorted(slices, key=lambda each: float(each.ImagePositionPatient[2]))


def hounsfield(each: pydicom.Dataset) -> np.ndarray:
    return each.pixel_array.astype(np.float32) * float(each.RescaleSlope) + float(each.RescaleIntercept)


def with_hounsfield(each: pydicom.Dataset, hu: np.ndarray) -> pydicom.Dataset:
    """A copy of the slice that shows these Hounsfield units."""
    copy = deepcopy(each)
    copy.Rows, copy.Columns = hu.shape
    copy.RescaleSlope, copy.RescaleIntercept = 1, -1024
    copy.BitsAllocated, copy.BitsStored, copy.HighBit, copy.PixelRepresentation = 16, 16, 15, 1
    for tag in ("PixelPaddingValue", "SmallestImagePixelValue", "LargestImagePixelValue"):
        if tag in copy:
            del copy[tag]
    copy.PixelData = np.clip(np.round(hu + 1024), -32768, 32767).astype(np.int16).tobytes()
    copy["PixelData"].VR = "OW"
    copy.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return copy


def each_slice(change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Callable[[Slices], Slices]:
    def spoil(slices: Slices) -> Slices:
        rng = np.random.default_rng(1)
        return [with_hounsfield(each, change(hounsfield(each), rng)) for each in slices]

    return spoil


def noise(deviation: float):
    return each_slice(lambda hu, rng: hu + deviation * rng.standard_normal(hu.shape, dtype=np.float32))


def sharpen(hu: np.ndarray, _) -> np.ndarray:
    return hu + 1.0 * (hu - ndimage.gaussian_filter(hu, 1.0))


def upside_down(slices: Slices) -> Slices:
    """The order of positions along z reversed: feet where the head was."""
    positions = [each.ImagePositionPatient for each in slices]
    turned = [with_hounsfield(each, hounsfield(each)) for each in slices]
    for each, position in zip(turned, reversed(positions)):
        each.ImagePositionPatient = position
    return turned


def mirrored_with_header(slices: Slices) -> Slices:
    """Columns stored from left to right, and the header says so: the same patient."""
    turned = [with_hounsfield(each, hounsfield(each)[:, ::-1]) for each in slices]
    for each in turned:
        along_row = np.array(each.ImageOrientationPatient[:3], float)
        width = float(each.PixelSpacing[1]) * (each.Columns - 1)
        each.ImagePositionPatient = [float(v) for v in np.array(each.ImagePositionPatient, float) + along_row * width]
        each.ImageOrientationPatient = [float(v) for v in (*-along_row, *each.ImageOrientationPatient[3:])]
    return turned


def coarse_pixels(slices: Slices) -> Slices:
    coarse = []
    for each in slices:
        factor = float(each.PixelSpacing[0]) / 2.0
        hu = ndimage.zoom(ndimage.gaussian_filter(hounsfield(each), 0.4 / factor), factor, order=1)
        changed = with_hounsfield(each, hu)
        changed.PixelSpacing = [2.0, 2.0]
        coarse.append(changed)
    return coarse


def thick_slices(slices: Slices) -> Slices:
    """Slices of 5 mm: the mean of what lies in each, by linear shares."""
    z = np.array([float(each.ImagePositionPatient[2]) for each in slices])
    volume = np.stack([hounsfield(each) for each in slices])
    spacing = float(np.median(np.diff(z)))
    if spacing >= 5.0:
        return slices
    thick = []
    for k, centre in enumerate(np.arange(z[0] + 2.5, z[-1] - 2.5 + 0.01, 5.0)):
        share = np.clip((np.minimum(z + spacing / 2, centre + 2.5) - np.maximum(z - spacing / 2, centre - 2.5)), 0, None)
        each = slices[int(np.abs(z - centre).argmin())]
        changed = with_hounsfield(each, np.tensordot(share / share.sum(), volume, 1))
        changed.ImagePositionPatient = [*each.ImagePositionPatient[:2], float(centre)]
        changed.SliceThickness = 5.0
        changed.InstanceNumber = k + 1
        changed.SOPInstanceUID = changed.file_meta.MediaStorageSOPInstanceUID = generate_uid(
            entropy_srcs=[each.SOPInstanceUID, str(k)]
        )
        thick.append(changed)
    return thick


def lossy(slices: Slices) -> Slices:
    compressed = []
    for each in slices:
        changed = with_hounsfield(each, np.clip(hounsfield(each), -1024, 3071))
        changed.PixelRepresentation = 0
        changed.BitsStored, changed.HighBit = 12, 11
        changed.compress(JPEG2000, j2k_cr=[10], encoding_plugin="pylibjpeg", generate_instance_uid=False)
        compressed.append(changed)
    return compressed


def body_and_lung(hu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The body with what it encloses, and the larger air spaces in it."""
    labels, count = ndimage.label(ndimage.binary_opening(hu > -350, iterations=3))
    if not count:
        return np.zeros(hu.shape, bool), np.zeros(hu.shape, bool)
    body = ndimage.binary_fill_holes(labels == 1 + np.argmax(np.bincount(labels.ravel())[1:]))
    return body, ndimage.binary_opening((hu < -500) & body, iterations=3)


def breathed_out(hu: np.ndarray, _) -> np.ndarray:
    """Lung denser by 60 HU in front and by 240 at the back, as at the end of expiration; vessels stay what they are."""
    _, lung = body_and_lung(hu)
    if not lung.any():
        return hu
    rows = np.flatnonzero(lung.any(1))
    height = np.clip((np.arange(len(hu)) - rows[0]) / max(1, rows[-1] - rows[0]), 0, 1)[:, None]
    added = (60 + 180 * height**1.5) * ndimage.gaussian_filter(lung.astype(np.float32), 1.5)
    return hu + added * np.clip((0 - hu) / 850, 0, 1)


def off_centre(slices: Slices) -> Slices:
    """The patient 80 mm to the side, in a field that is wider by as much."""
    moved = []
    for each in slices:
        pixels = int(80 / float(each.PixelSpacing[1]))
        hu = np.pad(hounsfield(each), ((pixels // 2, pixels - pixels // 2), (pixels, 0)), constant_values=-1000)
        moved.append(with_hounsfield(each, hu))
    return moved


def raised_arms(slices: Slices) -> Slices:
    """Arms of 9 cm beside the head and the shoulders, on the upper sixth of the slices, where there is air."""
    raised = []
    for k, each in enumerate(slices):
        hu = hounsfield(each)
        if k > len(slices) * 5 / 6:
            rows, columns = np.ogrid[: hu.shape[0], : hu.shape[1]]
            body, _ = body_and_lung(hu)
            middle = np.argwhere(body).mean(0) if body.any() else np.array(hu.shape) / 2
            for side in (-1, 1):
                at = middle[1] + side * 135 / float(each.PixelSpacing[1])
                distance = np.hypot(rows - middle[0], columns - at) * float(each.PixelSpacing[0])
                arm = np.where(distance < 12, 500, np.where(distance < 38, 55, -100)) + 12 * np.sin(rows + columns)
                hu = np.where((distance < 45) & ~body, arm, hu)
        raised.append(with_hounsfield(each, hu))
    return raised


SPOILINGS: dict[str, Callable[[Slices], Slices]] = {
    "as it is": lambda slices: slices,
    "+40 HU": each_slice(lambda hu, _: hu + 40),
    "-40 HU": each_slice(lambda hu, _: hu - 40),
    "noise 40 HU": noise(40),
    "noise 90 HU": noise(90),
    "blur, 1 pixel": each_slice(lambda hu, _: ndimage.gaussian_filter(hu, 1.0)),
    "sharpen, 1 pixel": each_slice(sharpen),
    "mirrored, header right": mirrored_with_header,
    "mirrored left to right": each_slice(lambda hu, _: hu[:, ::-1]),
    "turned front to back": each_slice(lambda hu, _: hu[::-1]),
    "turned head to feet": upside_down,
    "pixels of 2 mm": coarse_pixels,
    "slices of 5 mm": thick_slices,
    "every second slice missing": lambda slices: slices[::2],
    "JPEG 2000 lossy, 10:1": lossy,
    "breathed out": each_slice(breathed_out),
    "80 mm off centre": off_centre,
    "arms raised": raised_arms,
}
SLAB_MM = {"slabs of 1.5 mm": 1.5, "slabs of 6 mm": 6.0}


def ask(program: Path, folder: Path, config: Path) -> tuple[str, str]:
    """The program's verdict on the folder and a cell of the table."""
    answer = subprocess.run(
        [program, "triage", folder, "--json", "--config", config], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    if not answer.stdout:
        return "failed", answer.stderr.decode().strip()[-120:]
    report = json.loads(answer.stdout)
    score = "" if report["score"] is None else f" {report['score']:.3f}"
    why = "" if report["verdict"] in STATED else f": {report['reason']}"
    return report["verdict"], f"{report['verdict'].replace('_', ' ')}{score}{why}"


def config_with(folder: Path, package: Path, name: str, slab_mm: float | None = None) -> Path:
    """A configuration that uses the package, its slabs changed if asked."""
    model = package
    if slab_mm:
        model = folder / f"package-{slab_mm}"
        model.mkdir(exist_ok=True)
        for file in package.iterdir():
            (model / file.name).write_bytes(file.read_bytes())
        manifest = (package / "model.toml").read_text()
        (model / "model.toml").write_text(manifest.replace("slab_mm = 3.0", f"slab_mm = {slab_mm}"))
    config = folder / f"{name}.toml"
    config.write_text(f'[engine]\nmodel = "{model.resolve()}"\n')
    return config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA)
    parser.add_argument("--program", type=Path, default=HERE.parents[1] / "target/release/tableside")
    parser.add_argument("--package", type=Path, default=HERE.parent / "reference")
    parser.add_argument("--extra-series", type=Path, action="append", default=[], help="a further folder of DICOM files")
    arguments = parser.parse_args()
    folders = [arguments.data / "series" / name for name in SERIES] + arguments.extra_series
    rows: dict[str, list[str]] = {name: [] for name in (*SPOILINGS, *SLAB_MM)}
    changed = False
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        plain = config_with(scratch, arguments.package, "plain")
        for folder in folders:
            slices, truth = read(folder), None
            for name in rows:
                spoilt = scratch / "series"
                spoilt.mkdir()
                for k, each in enumerate(SPOILINGS.get(name, lambda same: same)(slices)):
                    each.save_as(spoilt / f"{k:04}.dcm", enforce_file_format=True)
                config = config_with(scratch, arguments.package, "slabs", SLAB_MM[name]) if name in SLAB_MM else plain
                verdict, cell = ask(arguments.program, spoilt, config)
                truth = truth or verdict
                moved = verdict in STATED and verdict != truth or verdict == "failed"
                changed |= moved
                rows[name].append(f"**{cell}**" if moved else cell)
                print(f"{folder.name}: {name}: {cell}", file=sys.stderr, flush=True)
                subprocess.run(["rm", "-r", spoilt], check=True)
    print("| | " + " | ".join(folder.name for folder in folders) + " |")
    print("|---" * (len(folders) + 1) + "|")
    for name, cells in rows.items():
        print(f"| {name} | " + " | ".join(cells) + " |")
    raise SystemExit(1 if changed else 0)


if __name__ == "__main__":
    main()
