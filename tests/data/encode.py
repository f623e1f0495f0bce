"""Draws two synthetic slices and encodes them as JPEG 2000 and HTJ2K, which dcmtk cannot. Run once; its output is here.

    pip install pydicom==3.0.2 imagecodecs==2026.3.6 numpy==2.4.6
    python tests/data/encode.py
"""

from pathlib import Path

import imagecodecs
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    CTImageStorage,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
)

HERE = Path(__file__).parent
SIDE = 96  # pixels of 4 mm
STUDY = "2.25.318263172846190018236473829102"


def jpeg2000(pixels, **options):
    return imagecodecs.jpeg2k_encode(pixels, codecformat="j2k", bitspersample=12, **options)


# OpenJPH orders its packets by resolution, position, component, layer; with TLM markers that is what RPCL asks for.
ENCODINGS = {
    "plain": (ExplicitVRLittleEndian, None),
    "jpeg2000-lossless": (JPEG2000Lossless, lambda pixels: jpeg2000(pixels, level=0, reversible=True)),
    "jpeg2000": (JPEG2000, lambda pixels: jpeg2000(pixels, level=50, reversible=False)),
    "htj2k-lossless": (HTJ2KLossless, lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=True)),
    "htj2k-lossless-rpcl": (HTJ2KLosslessRPCL, lambda pixels: imagecodecs.htj2k_encode(pixels, reversible=True, tlm=True)),
    "htj2k": (HTJ2K, lambda pixels: imagecodecs.htj2k_encode(pixels, 0.002, reversible=False)),
}


def draw(number):
    """A body of water, two lungs of air with a denser spot, a little texture. Stored values: HU + 1024."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] - SIDE / 2 + 0.5
    hu = np.full((SIDE, SIDE), -1000.0)
    hu[(x / 44) ** 2 + (y / 32) ** 2 < 1] = 40
    for side in (-1, 1):
        hu[((x - 20 * side) / 15) ** 2 + ((y + 2) / 22) ** 2 < 1] = -850
    spot = ((x - 20) / 6) ** 2 + ((y - 8 - 2 * number) / 5) ** 2
    hu += 500 * np.exp(-spot) * (hu == -850)
    hu += np.random.default_rng(number).normal(0, 6, hu.shape)
    return np.clip(np.round(hu) + 1024, 0, 4095).astype(np.uint16)


def slice_of(number, syntax, pixels, encode):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = f"{STUDY}.{number + 1}"
    meta.TransferSyntaxUID = syntax
    data = Dataset()
    data.file_meta = meta
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID, data.SeriesInstanceUID = STUDY, f"{STUDY}.9"
    data.PatientName, data.PatientID, data.Modality = "SYNTHETIC", "SYNTHETIC", "CT"
    data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data.InstanceNumber = number + 1
    data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    data.ImagePositionPatient = [-190, -190, 5 * number]
    data.PixelSpacing, data.SliceThickness = [4, 4], 5
    data.RescaleSlope, data.RescaleIntercept = 1, -1024
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows = data.Columns = SIDE
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.PixelData = encapsulate([encode(pixels)]) if encode else pixels.tobytes()
    data["PixelData"].is_undefined_length = encode is not None
    data["PixelData"].VR = "OB" if encode else "OW"
    return data


for name, (syntax, encode) in ENCODINGS.items():
    (HERE / name).mkdir(exist_ok=True)
    for number in range(2):
        path = HERE / name / f"{number}.dcm"
        slice_of(number, syntax, draw(number), encode).save_as(path, enforce_file_format=True)
