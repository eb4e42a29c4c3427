"""What DICOM files say of each of their planes, wherever they say it: of the whole file, or in functional groups."""

from pathlib import Path
from typing import Any

import numpy as np

from napari_sslseg.errors import ImageError
from napari_sslseg.io.reading import reading, unreadable

Header = dict[str, Any]
PLAIN = [
    "Rows", "Columns", "SamplesPerPixel", "SeriesInstanceUID", "ImagePositionPatient", "ImageOrientationPatient",
    "PixelSpacing", "ImagerPixelSpacing", "SpacingBetweenSlices", "SliceThickness", "GridFrameOffsetVector",
    "RescaleSlope", "RescaleIntercept", "BitsAllocated", "BitsStored", "PixelRepresentation", "InstanceNumber",
    "FrameTime", "TotalPixelMatrixRows", "TotalPixelMatrixColumns", "DimensionOrganizationType",
    "NumberOfOpticalPaths", "TotalPixelMatrixFocalPlanes",
]  # fmt: skip
GROUPS = {
    "PixelMeasuresSequence": ("PixelSpacing", "SpacingBetweenSlices", "SliceThickness"),
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
    "FrameContentSequence": ("StackID", "TemporalPositionIndex"),
    "PlanePositionSlideSequence": (
        "RowPositionInTotalImagePixelMatrix",
        "ColumnPositionInTotalImagePixelMatrix",
        "ZOffsetInSlideCoordinateSystem",
    ),
    "OpticalPathIdentificationSequence": ("OpticalPathIdentifier",),
    "DetectorInformationSequence": ("ImagePositionPatient", "ImageOrientationPatient"),
}
SHARED, EACH = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
READ = [*PLAIN, "NumberOfFrames", "DetectorInformationSequence", SHARED, EACH]


def frames(file: Path) -> list[Header]:
    """Read what a file says of each of its frames, without pixels and without anything that names the patient.

    Parameters
    ----------
    file : pathlib.Path
        A DICOM file.

    Returns
    -------
    list of dict
        Values by keyword, and under ``Frame`` which frame it is.

    Raises
    ------
    ImageError
        If the file is damaged or holds no pixels.
    """
    import pydicom
    from pydicom.errors import InvalidDicomError

    with reading(file, "DICOM"):
        try:
            head = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=READ)
        except InvalidDicomError as error:
            raise unreadable(file, "DICOM", "it does not begin as one") from error
        if "Rows" not in head or "Columns" not in head:
            raise ImageError(f"{file} is a DICOM file without an image", "One with pixels is needed", "Move it away")
        count = int(head.get("NumberOfFrames") or 1)
        shared, each = head.get(SHARED) or [{}], head.get(EACH)
        said = {name: head.get(name) for name in PLAIN} | _grouped(head) | _grouped(shared[0])
        if each and len(each) < count:
            raise unreadable(file, "DICOM", f"it describes {len(each)} of {count} frames")
        found = [said | _grouped(group) for group in each[:count]] if each else _laid(said, count)
        return [head | {"Frame": k} for k, head in enumerate(found)]


def _grouped(group: Any) -> Header:
    """What functional groups (DICOM PS3.3, C.7.6.16) or the detector of a camera (C.8.4.11) say."""
    found: Header = {}
    for sequence, names in GROUPS.items():
        items = group.get(sequence)
        found |= {name: items[0].get(name) for name in names if name in items[0]} if items else {}
    return found


def _laid(said: Header, count: int) -> list[Header]:
    """Where frames lie of which a file says the place of the first and the distances, which may be below 0."""
    offsets = np.arange(count) * float(said["SpacingBetweenSlices"] or 0)
    if said["GridFrameOffsetVector"] is not None:
        grid = np.atleast_1d(np.array(said["GridFrameOffsetVector"], float))
        if len(grid) < count:
            raise ValueError(f"it says of {len(grid)} of {count} frames where they lie")
        said, offsets = said | {"SpacingBetweenSlices": np.ptp(grid[:2])}, grid[:count]
    turned, place = said["ImageOrientationPatient"], said["ImagePositionPatient"]
    if count == 1 or not turned or not place:
        return [said] * count
    normal = np.cross(np.array(turned[:3], float), np.array(turned[3:], float))
    along = offsets - offsets[0]
    if offsets[0]:  # they are heights in the patient and not distances along the normal (C.8.8.3.2)
        along *= normal[2]
    places = np.array(place, float) + along[:, None] * normal
    return [said | {"ImagePositionPatient": place} for place in places.tolist()]


__all__ = ["Header", "frames"]
