"""NIfTI files: volumes of MRI and CT in millimetres, and masks that lie where their image lies in the patient."""

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_sslseg.image import Image
from napari_sslseg.io.atomic import replacing
from napari_sslseg.io.layout import METRES, SECONDS, image_from, interval, same_unit
from napari_sslseg.io.lazy import LazyArray
from napari_sslseg.io.reading import reading, unreadable

UNITS = {"meter": "m", "mm": "mm", "micron": "µm"}
LARGEST = 2**15 - 1  # of an axis, in the first version of the format


def read(path: Path, axes: str | None = None) -> Image:
    """Open a NIfTI-1 or NIfTI-2 file in the order of its voxels; an unpacked one is mapped into memory.

    The first axis of the file is X, the second Y, the third Z. A fourth one is time where there is one plane only and
    its unit is one of time, as it is of what is written here, and else, of times of volumes or contrasts, the channels.
    A fifth one are channels. It is not turned into another orientation, so that masks have the voxels of the file.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    axes : str, optional
        One letter an axis, in the order of the Image and without those of length 1, instead of what the file says.

    Returns
    -------
    Image
        The image, in millimetres unless the file says otherwise.

    Raises
    ------
    ImageError
        If the file is damaged or holds what an Image cannot be.
    """
    with reading(path, "NIfTI"):
        file = _opened(path)
        pixels, declared = _voxels(file, path)
        (unit, time), steps = file.header.get_xyzt_units(), file.header.get_zooms()
        unit = UNITS.get(unit, "mm")  # where it is not said, every program takes it for mm
        sizes, unit = same_unit({a: (float(s), unit) for a, s in zip("XYZ", steps, strict=False)})
        sizes |= interval(float(steps[3]), time) if "T" in declared else {}
    return image_from(pixels, path, axes, declared=declared, sizes=sizes, unit=unit)


def write(
    path: Path,
    data: npt.NDArray[Any],
    axes: str,
    spacing: Mapping[str, float],
    unit: str,
    *,
    placed: "Placed | None" = None,
) -> None:
    """Write a NIfTI file, packed if its name ends in .gz; whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
        The file; replaced if it exists.
    data : numpy.ndarray
        Pixels.
    axes : str
        One letter an axis out of C, T, Z, Y, X.
    spacing : mapping of str to float
        Pixel size by axis, and of T the seconds from frame to frame; empty if unknown.
    unit : str
        Unit of `spacing`.
    placed : Placed, optional
        Where it lies in the patient; else only its voxel size is told.

    Raises
    ------
    StorageError
        If the disk is full or the place may not be written to.
    """
    import nibabel

    volume = data if "Z" in axes else np.expand_dims(data, -3)
    kind: Any = nibabel.Nifti1Image if max(volume.shape) <= LARGEST else nibabel.Nifti2Image
    millimetre = METRES.get(unit, METRES["mm"]) / METRES["mm"]
    placed = placed or Placed(np.diag([*(spacing.get(a, 1.0) * millimetre for a in "XYZ"), 1.0]))
    image: Any = kind(volume.T, placed.affine)
    image.header.set_xyzt_units("mm", "sec" if "T" in axes else None)
    if "T" in axes:
        image.header.set_zooms((*image.header.get_zooms()[:3], spacing.get("T", 1.0), *[1.0] * (volume.ndim - 4)))
    image.set_sform(placed.affine, placed.code)
    image.set_qform(placed.affine, placed.code)
    if "Z" in spacing and _slanted(placed.affine):
        image.header["pixdim"][3] = spacing["Z"] * millimetre
    packed = path.name.lower().endswith(".gz")
    with replacing(path, data.nbytes) as temporary:
        payload = image.to_bytes()
        temporary.write_bytes(gzip.compress(payload, 6, mtime=0) if packed else payload)


def placed(path: Path) -> "Placed":
    """Read where an image lies in the patient.

    Parameters
    ----------
    path : pathlib.Path
        A NIfTI file.

    Returns
    -------
    Placed
        Its place.
    """
    with reading(path, "NIfTI"):
        source = _opened(path)
        code = int(source.header["sform_code"]) or int(source.header["qform_code"]) or 1
        return Placed(source.affine, code)


class Placed(NamedTuple):
    """Where an image lies in the patient.

    Parameters
    ----------
    affine : numpy.ndarray
        (4, 4): from X, Y and Z in voxels to millimetres to the right, front and top.
    code : int, optional
        What these are of: 1 the scanner, 2 another image, 3 and 4 an atlas.
    """

    affine: npt.NDArray[np.floating[Any]]
    code: int = 1


def _slanted(affine: npt.NDArray[np.floating[Any]]) -> bool:
    """Whether planes lie aside of each other, so that the way from one to the next is longer than their distance."""
    across, down, through = affine[:3, :3].T
    normal = np.cross(across, down)
    distance = abs(through @ normal) / np.linalg.norm(normal)
    return not np.isclose(distance, np.linalg.norm(through), rtol=1e-4)


def _opened(path: Path) -> Any:
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        file = nibabel.load(path)
    except (ImageFileError, HeaderDataError) as error:
        raise unreadable(path, "NIfTI", str(error)) from error
    if not isinstance(file, nibabel.Nifti1Pair):  # the second version is one too
        raise unreadable(path, "NIfTI", f"it is {type(file).__name__}")
    return file


def _voxels(file: Any, path: Path) -> tuple[Any, str]:
    """The array with its axes as an Image has them, those of length 1 left out, and their letters."""
    found = np.asanyarray(file.dataobj)
    if found.dtype.names:  # red, green and blue as one number
        colours = np.stack([found[name] for name in found.dtype.names], -1)
        return colours.transpose(), "SZYX" if found.ndim == 3 else "SYX"
    if found.dtype == np.float64:  # whole numbers that were scaled
        found = found.astype(np.float32)
    flat, fourth, fifth = (1 if found.ndim <= k else int(found.shape[k]) for k in (2, 3, 4))
    single = found.ndim == 4 and fourth == 1 == flat and _timed(file)  # a series of one frame
    times = single or (fourth > 1 and (fifth > 1 or (flat == 1 and _timed(file))))
    letters = "XYZ" + ("T" if times else "C") + "CUV"
    kept = tuple(slice(None) if k < 2 or n > 1 or (single and k == 3) else 0 for k, n in enumerate(found.shape))
    declared = "".join(a for a, at in zip(letters, kept, strict=False) if at != 0)
    voxels = LazyArray(found, path) if isinstance(found, np.memmap) else found
    return voxels[kept].transpose(), declared[::-1]


def _timed(file: Any) -> bool:
    """Whether the unit along the fourth axis is one of time, and not of frequency or none."""
    return file.header.get_xyzt_units()[1] in SECONDS
