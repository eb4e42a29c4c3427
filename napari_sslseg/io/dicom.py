"""DICOM: a file, or a folder with the files of one series, as an image in millimetres. It is read and never written."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_sslseg.errors import ImageError
from napari_sslseg.image import Image
from napari_sslseg.io.files import is_dicom
from napari_sslseg.io.layout import image_from
from napari_sslseg.io.lazy import LazyArray
from napari_sslseg.io.reading import reading, unreadable

UNEVEN = 0.05  # by how much distances between planes may differ, as a share of the usual one
ALIKE = ("Rows", "Columns", "SamplesPerPixel", "SeriesInstanceUID")
HEADER = [
    *ALIKE, "NumberOfFrames", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "ImagerPixelSpacing",
    "SpacingBetweenSlices", "SliceThickness", "GridFrameOffsetVector", "SharedFunctionalGroupsSequence",
    "RescaleSlope", "RescaleIntercept", "BitsAllocated", "BitsStored", "PixelRepresentation", "InstanceNumber",
]  # fmt: skip


def read(path: Path, axes: str | None = None) -> Image:
    """Open a DICOM file, or all files of a folder as one stack, plane by plane as it is needed.

    Planes are put in order by where they lie in the patient, or else by their numbers. Values are those that the
    scanner means, such as Hounsfield units. Nothing that names the patient is kept.

    Parameters
    ----------
    path : pathlib.Path
        The file or folder.
    axes : str, optional
        One letter an axis, instead of what the files say.

    Returns
    -------
    Image
        The image.

    Raises
    ------
    ImageError
        If files are damaged, hold no pixels, are of several series or lie at uneven distances.
    """
    series = _opened(path)
    pixels = LazyArray(_Planes(series), path)
    sizes = dict(zip("ZYX", series.spacing, strict=True)) if series.spacing is not None else {}
    with reading(path, "DICOM"):
        return image_from(pixels, path, axes, declared=series.axes, sizes=sizes, unit="mm")


def write(path: Path, *unused: Any) -> None:
    """Refuse to write.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    *unused : object
        What would be written.

    Raises
    ------
    ImageError
        Always.
    """
    raise ImageError(f"{path.name} would be a DICOM file", "Those are read and not written", "Write .nii.gz or .tif")


def affine(path: Path) -> npt.NDArray[np.float64] | None:
    """Say where an image lies in the patient.

    Parameters
    ----------
    path : pathlib.Path
        What `read` reads.

    Returns
    -------
    numpy.ndarray, optional
        (4, 4): from X, Y and Z in voxels to millimetres to the right, front and top, as NIfTI counts them; None if the
        files do not say.
    """
    return _opened(path).affine()


@dataclass(frozen=True, eq=False)
class _Series:
    """Headers in the order of the planes, and the distance between these."""

    path: Path
    files: list[Path]
    headers: list[Any]
    spacing: tuple[float, float, float] | None  # Z, Y, X
    axes: str
    dtype: np.dtype[Any]
    first: Any = None  # corner of the first plane

    @property
    def shape(self) -> tuple[int, ...]:
        head = self.headers[0]
        planes = len(self.headers) if len(self.headers) > 1 else int(head.get("NumberOfFrames") or 1)
        lengths = {"Z": planes, "T": planes, "Y": head.Rows, "X": head.Columns, "S": head.get("SamplesPerPixel")}
        return tuple(int(lengths[a]) for a in self.axes)

    def affine(self) -> npt.NDArray[np.float64] | None:
        turned = self.headers[0].get("ImageOrientationPatient")
        if self.first is None or not turned or self.spacing is None:
            return None
        across, down = np.array(turned[:3], float), np.array(turned[3:], float)
        steps = [across * self.spacing[2], down * self.spacing[1], np.cross(across, down) * self.spacing[0], self.first]
        found = np.eye(4)
        found[:3] = np.stack(steps, 1)
        right: npt.NDArray[np.float64] = np.diag([-1.0, -1, 1, 1]) @ found  # DICOM counts to the left and to the back
        return right


class _Planes:
    """Reads the planes that are asked for, in the unit of the scanner."""

    def __init__(self, series: _Series) -> None:
        self._series, self.shape, self.dtype = series, series.shape, series.dtype
        self.ndim, many = len(self.shape), series.axes[0] in "ZT"
        self.chunks = (1, *self.shape[1:]) if many and len(series.files) > 1 else self.shape

    def __getitem__(self, key: tuple[Any, ...]) -> npt.NDArray[Any]:
        if len(self._series.files) == 1:
            part: npt.NDArray[Any] = _values(self._series.files[0], self._series, self.shape)[key]
            return part
        which, single = key[0], isinstance(key[0], int)
        wanted = [which] if single else range(self.shape[0])[which]
        planes = [_values(self._series.files[z], self._series, self.shape[1:])[key[1:]] for z in wanted]
        return planes[0] if single else np.stack(planes)


def _values(file: Path, series: _Series, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    import pydicom

    with reading(file, "DICOM"):
        head = pydicom.dcmread(file)
        pixels = np.asarray(head.pixel_array).reshape(shape)
        slope, intercept = _scale(head)
        if (slope, intercept) != (1, 0):
            pixels = pixels * slope + intercept
        found: npt.NDArray[Any] = pixels.astype(series.dtype, copy=False)
        return found


def _scale(head: Any) -> tuple[float, float]:
    return float(head.get("RescaleSlope", None) or 1), float(head.get("RescaleIntercept", None) or 0)


def _opened(path: Path) -> _Series:
    files = [path] if path.is_file() else sorted(p for p in path.iterdir() if is_dicom(p))
    headers = [_header(file) for file in files]
    with reading(path, "DICOM"):
        _check_alike(path, headers)
        order, distance = _order(path, headers)
        files, headers = [files[k] for k in order], [headers[k] for k in order]
        spacing = _spacing(headers[0], distance)
        many = len(headers) > 1 or int(headers[0].get("NumberOfFrames") or 1) > 1
        colours = "S" if int(headers[0].get("SamplesPerPixel") or 1) > 1 else ""
        depth = ("Z" if distance or _between(headers[0]) else "T") if many else ""
        axes = depth + "YX" + colours
        first = headers[0].get("ImagePositionPatient")
        return _Series(path, files, headers, spacing, axes, _dtype(headers), first and np.array(first, float))


def _header(file: Path) -> Any:
    import pydicom
    from pydicom.errors import InvalidDicomError

    with reading(file, "DICOM"):
        try:
            head = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=HEADER)
        except InvalidDicomError as error:
            raise unreadable(file, "DICOM", "it does not begin as one") from error
        if "Rows" not in head or "Columns" not in head:
            raise ImageError(f"{file} is a DICOM file without an image", "One with pixels is needed", "Move it away")
    return head


def _check_alike(path: Path, headers: list[Any]) -> None:
    for name in ALIKE:
        found = {str(h.get(name)) for h in headers}
        if len(found) > 1:
            what = "series" if name == "SeriesInstanceUID" else f"values of {name}"
            raise ImageError(
                f"{path} holds {len(headers)} DICOM files of {len(found)} {what}",
                "The files of a folder are the planes of one stack",
                "Put each series into a folder of its own",
            )
    if len(headers) > 1 and any(int(h.get("NumberOfFrames") or 1) > 1 for h in headers):
        raise ImageError(
            f"{path} holds {len(headers)} DICOM files, each of several planes",
            "Either one file holds all planes, or each file one",
            "Name one of the files",
        )


def _order(path: Path, headers: list[Any]) -> tuple[list[int], float | None]:
    """Planes from the first to the last, and the distance between them in millimetres if it is known."""
    turned = headers[0].get("ImageOrientationPatient")
    places = [h.get("ImagePositionPatient") for h in headers]
    if len(headers) == 1 or not turned or not all(places):
        return sorted(range(len(headers)), key=lambda k: int(headers[k].get("InstanceNumber") or 0)), None
    normal = np.cross(np.array(turned[:3], float), np.array(turned[3:], float))
    along = np.array([np.array(p, float) @ normal for p in places])
    order = np.argsort(along, kind="stable")
    gaps = np.diff(along[order])
    usual = float(np.median(gaps))
    if usual <= 0 or np.abs(gaps - usual).max() > UNEVEN * usual:
        raise ImageError(
            f"The planes in {path} lie {gaps.min():.2f} to {gaps.max():.2f} mm apart",
            "The files of a folder are the planes of one stack, evenly spaced",
            "Put what belongs to another stack, such as a survey or a second echo, into a folder of its own",
        )
    return [int(k) for k in order], usual


def _between(head: Any) -> float | None:
    """Distance between the planes of one file."""
    offsets = head.get("GridFrameOffsetVector")
    if offsets is not None and len(offsets) > 1:
        return abs(float(offsets[1]) - float(offsets[0]))
    measures = _measures(head)
    found = head.get("SpacingBetweenSlices") or measures.get("SpacingBetweenSlices")
    return float(found) if found else None


def _measures(head: Any) -> Any:
    """What files of several frames say of all of them."""
    shared = head.get("SharedFunctionalGroupsSequence")
    measures = shared[0].get("PixelMeasuresSequence") if shared else None
    return measures[0] if measures else {}


def _spacing(head: Any, distance: float | None) -> tuple[float, float, float] | None:
    found = head.get("PixelSpacing") or _measures(head).get("PixelSpacing") or head.get("ImagerPixelSpacing")
    if not found:
        return None
    depth = distance or _between(head) or float(head.get("SliceThickness") or 0) or 1.0
    return float(depth), float(found[0]), float(found[1])


def _dtype(headers: list[Any]) -> np.dtype[Any]:
    """The smallest type that holds all values: whole numbers unless they are scaled by a fraction."""
    bits, signed = int(headers[0].get("BitsAllocated") or 16), bool(headers[0].get("PixelRepresentation"))
    if bits > 16:
        return np.dtype(np.float32)
    scales = {_scale(h) for h in headers}
    if scales == {(1.0, 0.0)}:
        return np.dtype(f"{'int' if signed else 'uint'}{max(8, bits)}")
    if any(not v.is_integer() for v in itertools.chain(*scales)):
        return np.dtype(np.float32)
    used = int(headers[0].get("BitsStored") or bits)
    low, high = (-(2 ** (used - 1)), 2 ** (used - 1)) if signed else (0, 2**used)
    ends = [end * slope + intercept for slope, intercept in scales for end in (low, high)]
    return np.dtype(np.int16 if min(ends) >= -(2**15) and max(ends) <= 2**15 else np.float32)
