"""DICOM: a file, or a folder with the files of one series, as an image in millimetres. It is read and never written."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_sslseg.errors import ImageError
from napari_sslseg.image import Image
from napari_sslseg.io.dicom_frames import Header, frames
from napari_sslseg.io.dicom_tiles import Tiles, tiled
from napari_sslseg.io.files import is_dicom
from napari_sslseg.io.layout import image_from, interval
from napari_sslseg.io.lazy import LazyArray
from napari_sslseg.io.reading import reading

UNEVEN = 0.05  # by how much distances between planes may differ, as a share of the usual one
TURNED = 0.01  # by how much directions of rows and columns may
ALIKE = ("Rows", "Columns", "SamplesPerPixel", "SeriesInstanceUID")


def read(path: Path, axes: str | None = None) -> Image:
    """Open a DICOM file, or all files of a folder as one stack, plane by plane as it is needed.

    Planes are put in order by where they lie in the patient, or else by their numbers. The tiles of a slide are put
    together as they are needed. Values are those that the scanner means, such as Hounsfield units. Nothing that names
    the patient is kept.

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
        If files are damaged, hold no pixels, are of several series or stacks, or lie at uneven distances.
    """
    series = _opened(path)
    source = Tiles(series.files[0], series.headers, series.dtype) if series.tiled else _Planes(series)
    pixels = LazyArray(source, path)
    sizes = dict(zip("ZYX", series.spacing, strict=True)) if series.spacing is not None else {}
    if "T" in series.axes and (time := series.headers[0]["FrameTime"]):
        sizes |= interval(float(time), "ms")
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
    """What is said of the planes, in their order, and the distance between these."""

    path: Path
    files: list[Path]  # one for each plane, or one that holds all of them
    headers: list[Header]
    spacing: tuple[float, float, float] | None  # Z, Y, X
    axes: str
    dtype: np.dtype[Any]
    tiled: bool = False  # whether frames are tiles of one plane

    @property
    def shape(self) -> tuple[int, ...]:
        head, planes = self.headers[0], len(self.headers)
        lengths = {"Z": planes, "T": planes, "Y": head["Rows"], "X": head["Columns"], "S": head["SamplesPerPixel"]}
        return tuple(int(lengths[a]) for a in self.axes)

    def affine(self) -> npt.NDArray[np.float64] | None:
        turned, first = (self.headers[0][name] for name in ("ImageOrientationPatient", "ImagePositionPatient"))
        if not first or not turned or self.spacing is None:
            return None
        across, down, first = np.array(turned[:3], float), np.array(turned[3:], float), np.array(first, float)
        through, places = np.cross(across, down) * self.spacing[0], [h["ImagePositionPatient"] for h in self.headers]
        if "Z" in self.axes and len(places) > 1 and all(places):  # a tilted gantry moves planes aside
            through = (np.array(places[-1], float) - first) / (len(places) - 1)
        steps = [across * self.spacing[2], down * self.spacing[1], through, first]
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
        files, headers, kind = self._series.files, self._series.headers, self.dtype
        if len(files) == 1:
            part: npt.NDArray[Any] = _values(files[0], headers, self.shape, kind)[key]
            return part
        which, single = key[0], isinstance(key[0], int)
        wanted = [which] if single else range(self.shape[0])[which]
        planes = [_values(files[z], headers[z : z + 1], self.shape[1:], kind)[key[1:]] for z in wanted]
        return planes[0] if single else np.stack(planes)


def _values(file: Path, headers: list[Header], shape: tuple[int, ...], kind: np.dtype[Any]) -> npt.NDArray[Any]:
    """What the scanner means by the pixels of a file, its frames in the order of `headers`."""
    import pydicom

    with reading(file, "DICOM"):
        pixels = np.asarray(pydicom.dcmread(file).pixel_array).reshape(shape)
        order = [head["Frame"] for head in headers]
        if order != sorted(order):
            pixels = pixels[order]
        scales = np.array([_scale(head) for head in headers])
        if (scales != (1, 0)).any():
            many = (-1,) + (1,) * (len(shape) - 1) if len(headers) > 1 else ()
            pixels = pixels * scales[:, 0].reshape(many) + scales[:, 1].reshape(many)
        found: npt.NDArray[Any] = pixels.astype(kind, copy=False)
        return found


def _scale(head: Header) -> tuple[float, float]:
    slope, intercept = (head["RescaleSlope"], head["RescaleIntercept"])
    return float(slope or 1), float(intercept or 0)


def _opened(path: Path) -> _Series:
    files = [path] if path.is_file() else sorted(p for p in path.iterdir() if is_dicom(p))
    held = [frames(file) for file in files]
    with reading(path, "DICOM"):
        if any(map(tiled, held)):
            return _slide(path, files, held)
        _check_alike(path, held)
        headers = [head for found in held for head in found]
        order, distance = _order(path, headers, len(files))
        headers = [headers[k] for k in order]
        files = [files[k] for k in order] if len(files) > 1 else files
        colours = "S" if int(headers[0]["SamplesPerPixel"] or 1) > 1 else ""
        depth = ("Z" if distance else "T") if len(headers) > 1 else ""
        return _Series(path, files, headers, _spacing(headers[0], distance), depth + "YX" + colours, _dtype(headers))


def _slide(path: Path, files: list[Path], held: list[list[Header]]) -> _Series:
    if len(files) > 1:
        largest = max(zip(files, held, strict=True), key=lambda one: int(one[1][0]["TotalPixelMatrixRows"] or 0))[0]
        raise ImageError(
            f"{path} holds {len(files)} DICOM files of a slide, which show it at several sizes",
            "An image here is one of them",
            f"Name one, such as {largest.name}, which is the largest",
        )
    (headers,) = held
    colours = "S" if int(headers[0]["SamplesPerPixel"] or 1) > 1 else ""
    return _Series(path, files, headers, _spacing(headers[0], None), "YX" + colours, _dtype(headers[:1]), True)


def _check_alike(path: Path, held: list[list[Header]]) -> None:
    for name in ALIKE:
        found = {str(headers[0][name]) for headers in held}
        if len(found) > 1:
            what = "series" if name == "SeriesInstanceUID" else f"values of {name}"
            raise ImageError(
                f"{path} holds {len(held)} DICOM files of {len(found)} {what}",
                "The files of a folder are the planes of one stack",
                "Put each series into a folder of its own",
            )
    if len(held) > 1 and any(len(headers) > 1 for headers in held):
        raise ImageError(
            f"{path} holds {len(held)} DICOM files, each of several planes",
            "Either one file holds all planes, or each file one",
            "Name one of the files",
        )


def _order(path: Path, headers: list[Header], files: int) -> tuple[list[int], float | None]:
    """Planes from the first to the last, and the distance between them in millimetres; None if they are no stack."""
    _check_one_stack(path, headers, files)
    turned, places = headers[0]["ImageOrientationPatient"], [h["ImagePositionPatient"] for h in headers]
    numbers = [int(h.get("TemporalPositionIndex") or h["InstanceNumber"] or 0) for h in headers]
    order = sorted(range(len(headers)), key=numbers.__getitem__)
    if len(headers) == 1 or not turned or not all(places):
        return order, _between(headers[0])
    normal = np.cross(np.array(turned[:3], float), np.array(turned[3:], float))
    along = np.array([np.array(p, float) @ normal for p in places])
    if files == 1 and np.ptp(along) == 0:  # one plane, looked at again and again
        return order, None
    order = [int(k) for k in np.argsort(along, kind="stable")]
    gaps = np.diff(along[order])
    usual = float(np.median(gaps))
    if usual <= 0 or np.abs(gaps - usual).max() > UNEVEN * usual:
        of, own = ("files of a folder", "folder") if files > 1 else ("frames of a file", "file")
        raise ImageError(
            f"The planes in {path} lie {gaps.min():.2f} to {gaps.max():.2f} mm apart",
            f"The {of} are the planes of one stack, evenly spaced",
            f"Put what belongs to another stack, such as a survey or a second echo, into a {own} of its own",
        )
    return order, usual


def _check_one_stack(path: Path, headers: list[Header], files: int) -> None:
    stacks, times = ({h.get(name) for h in headers} for name in ("StackID", "TemporalPositionIndex"))
    turned = np.array([h["ImageOrientationPatient"] for h in headers if h["ImageOrientationPatient"]], float)
    places = {str(h["ImagePositionPatient"]) for h in headers}
    said = ""
    if len(stacks) > 1:
        said = f"holds {len(stacks)} stacks"
    elif len(turned) and np.ptp(turned, axis=0).max() > TURNED:
        said = "holds planes that are turned in several ways"
    elif 1 < len(places) < len(headers) and len(times) > 1:
        said = f"holds a stack at {len(times)} times"
    if said:
        own = "Put each into a folder of its own" if files > 1 else "Save each as a file of its own"
        raise ImageError(f"{path} {said}", "An image here is one stack at one time", own)


def _between(head: Header) -> float | None:
    """Distance between planes that do not say where they lie."""
    return abs(float(head["SpacingBetweenSlices"] or 0)) or None


def _spacing(head: Header, distance: float | None) -> tuple[float, float, float] | None:
    found = head["PixelSpacing"] or head["ImagerPixelSpacing"]
    if not found:
        return None
    depth = distance or _between(head) or float(head["SliceThickness"] or 0) or 1.0
    return float(depth), float(found[0]), float(found[1])


def _dtype(headers: list[Header]) -> np.dtype[Any]:
    """The smallest type that holds all values: whole numbers unless they are scaled by a fraction."""
    bits, signed = int(headers[0]["BitsAllocated"] or 16), bool(headers[0]["PixelRepresentation"])
    if bits > 16:
        return np.dtype(np.float32)
    scales = {_scale(h) for h in headers}
    if scales == {(1.0, 0.0)}:
        return np.dtype(f"{'int' if signed else 'uint'}{max(8, bits)}")
    if any(not v.is_integer() for v in itertools.chain(*scales)):
        return np.dtype(np.float32)
    used = int(headers[0]["BitsStored"] or bits)
    low, high = (-(2 ** (used - 1)), 2 ** (used - 1)) if signed else (0, 2**used)
    ends = [end * slope + intercept for slope, intercept in scales for end in (low, high)]
    return np.dtype(np.int16 if min(ends) >= -(2**15) and max(ends) <= 2**15 else np.float32)
