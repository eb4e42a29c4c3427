"""TIFF and OME-TIFF files: any compression, strips or tiles; a large one is read piece by piece."""

import math
import struct
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import tifffile
import zarr

from napari_sslseg.errors import ImageError
from napari_sslseg.image import Image
from napari_sslseg.io.atomic import replacing
from napari_sslseg.io.layout import METRES, image_from, interval, same_unit
from napari_sslseg.io.lazy import SMALL, LazyArray
from napari_sslseg.io.reading import reading, unreadable

SMALLEST_BIG = 2**31  # bytes from which on offsets in a file have 64 bits
IMAGEJ = {"m": "m", "cm": "cm", "mm": "mm", "µm": "um", "nm": "nm"}  # units as it writes them


def read(path: Path, axes: str | None = None) -> Image:
    """Open a TIFF file: its first series, at full resolution.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    axes : str, optional
        One letter an axis, instead of what the file says.

    Returns
    -------
    Image
        The image. Pixel size comes from OME-XML, ImageJ's or this project's description, or a resolution in
        centimetres; a resolution in inches says how to print, and is not used.

    Raises
    ------
    ImageError
        If the file is no TIFF, is damaged, or holds what an Image cannot be.
    """
    with reading(path, "TIFF"):
        file = tifffile.TiffFile(path)
        try:
            others = _other_parts(file, path)
            series = file.series[0].levels[0]
            _check_complete(file, series, path, others)
            sizes, unit = _pixel_size(file)
            pixels, declared = _pixels(file, series, path), series.axes
        except BaseException:
            file.close()
            raise
    return image_from(pixels, path, axes, declared=declared, sizes=sizes, unit=unit)


def write(path: Path, data: npt.NDArray[Any], axes: str, spacing: Mapping[str, float], unit: str) -> None:
    """Write a zlib-compressed TIFF, or an OME-TIFF if the name says so; whole or not at all.

    A stack or a series of a known pixel size is described as ImageJ does it where that can be, so that whoever reads
    its files knows the distance of planes too.

    Parameters
    ----------
    path : pathlib.Path
        The file; replaced if it exists.
    data : numpy.ndarray
        Pixels of any shape that `axes` describes.
    axes : str
        One letter an axis out of C, T, Z, Y, X.
    spacing : mapping of str to float
        Pixel size by axis, and of T the seconds from frame to frame; empty if unknown.
    unit : str
        Unit of `spacing`.

    Raises
    ------
    StorageError
        If the disk is full or the place may not be written to.
    """
    ome = path.name.lower().endswith((".ome.tif", ".ome.tiff"))
    imagej = not ome and _suits_imagej(data, axes) and bool(spacing) and unit in IMAGEJ
    metadata: dict[str, Any] = {"axes": axes}
    options: dict[str, Any] = {}
    if spacing and ome:
        for axis in "XYZ":
            if axis in spacing:
                metadata[f"PhysicalSize{axis}"] = spacing[axis]
                metadata[f"PhysicalSize{axis}Unit"] = unit if unit in METRES else "pixel"
        if "T" in spacing:
            metadata |= {"TimeIncrement": spacing["T"], "TimeIncrementUnit": "s"}
    elif imagej:
        metadata |= {"spacing": spacing["Z"]} if "Z" in spacing else {}
        metadata |= {"unit": IMAGEJ[unit]}
        metadata |= {"finterval": spacing["T"]} if "T" in spacing else {}
        options = {"resolution": tuple(1 / spacing[a] for a in "XY")}
    elif spacing:
        metadata |= {"spacing": [spacing[a] for a in axes if a in spacing and a != "T"], "unit": unit}
        metadata |= {"interval": spacing["T"]} if "T" in spacing else {}
        if unit in METRES:
            options = {
                "resolution": tuple(METRES["cm"] / (METRES[unit] * spacing[a]) for a in "XY"),
                "resolutionunit": "CENTIMETER",
            }
    with replacing(path, data.nbytes) as temporary:
        tifffile.imwrite(
            temporary,
            data,
            ome=ome,
            imagej=imagej,
            bigtiff=data.nbytes >= SMALLEST_BIG,
            photometric="minisblack",
            compression="zlib",
            metadata=metadata,
            **options,
        )


def _suits_imagej(data: npt.NDArray[Any], axes: str) -> bool:
    """Whether ImageJ has a form for such pixels; it knows no axis of length 1, and no file above 4 GB."""
    stack = axes in ("ZYX", "TYX") and len(data) > 1
    return stack and data.dtype.name in ("uint8", "uint16", "float32") and data.nbytes < SMALLEST_BIG


def _pixels(file: tifffile.TiffFile, series: tifffile.TiffPageSeries, path: Path) -> npt.NDArray[Any] | LazyArray:
    """Read a small image whole; map an uncompressed one into memory; read any other by strip or tile when needed."""
    if series.nbytes <= SMALL:
        pixels = np.asarray(series.asarray())
        file.close()
        return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    if series.dataoffset is not None and series.dtype is not None and series.keyframe.is_memmappable:
        kind = series.dtype.newbyteorder(file.byteorder)
        file.close()
        return LazyArray(np.memmap(path, kind, "r", series.dataoffset, series.shape), path)
    array = zarr.open_array(series.aszarr(level=0), mode="r")
    weakref.finalize(array, file.close)
    return LazyArray(array, path)


def _check_complete(file: tifffile.TiffFile, series: tifffile.TiffPageSeries, path: Path, others: list[Path]) -> None:
    """Raise ImageError if pages are missing or end beyond their file, where a decoder would fill in zeros."""
    held = file.filehandle.size
    if series.dataoffset is not None:
        whole = series.dataoffset + series.nbytes <= held
    else:
        ends = [page for page in (series[0], *(series if series.kind == "ome" else series[-1:])) if page is not None]
        pages = [*ends[:1], *{id(page.parent): page for page in ends}.values()]  # the first, and the last of each file
        whole = any(page.dataoffsets for page in pages)
        for page in pages:
            part, segments = page.parent.filehandle, zip(page.dataoffsets, page.databytecounts, strict=False)
            if any(offset + count > part.size for offset, count in segments):
                raise _cut_short(path.with_name(part.name), part.size)
        for other in others:
            if not any(page.parent.filename == other.name for page in pages):
                raise unreadable(other, "TIFF", f"{path.name} is to have planes of it")
    pages_said = int((file.imagej_metadata or {}).get("images", 1))
    size_said = math.prod((file.shaped_metadata or ({},))[0].get("shape", ()))
    fewer = series.size < max(pages_said * series.keyframe.size, size_said)
    if not whole or fewer or (series.kind not in ("shaped", "imagej") and _next_page(file) > held):
        raise _cut_short(path, held)


def _cut_short(path: Path, held: int) -> ImageError:
    return unreadable(path, "TIFF", f"it is cut short: {held} bytes are not all of it")


def _other_parts(file: tifffile.TiffFile, path: Path) -> list[Path]:
    """Find the other files that an OME-TIFF has planes in; raise ImageError if one is missing."""
    if not file.ome_metadata:
        return []
    root = ElementTree.fromstring(file.ome_metadata)
    image, own = root.find("{*}Image"), root.get("UUID")
    parts = image.iterfind("{*}Pixels/{*}TiffData/{*}UUID") if image is not None else ()
    names = {part.get("FileName", path.name): None for part in parts if part.text != own}
    others = [path.parent / name for name in names if name.lower() != path.name.lower()]
    for part in others:
        if not part.is_file():
            raise ImageError(
                f"{path} is a part of an image, and another, {part.name}, is not there",
                "All parts of an OME-TIFF lie in one folder, under the names they were given",
                "Copy it there, or save the image anew as one file",
            )
    return others


def _next_page(file: tifffile.TiffFile) -> int:
    """Find where the page after the last one that was read should begin; 0 if that was the last (TIFF 6.0, page 14)."""
    form, source, page = file.tiff, file.filehandle, file.pages[-1]
    source.seek(page.offset)
    (tags,) = struct.unpack(form.tagnoformat, source.read(form.tagnosize))
    source.seek(page.offset + form.tagnosize + tags * form.tagsize)
    (following,) = struct.unpack(form.offsetformat, source.read(form.offsetsize))
    return int(following)


def _pixel_size(file: tifffile.TiffFile) -> tuple[dict[str, float], str]:
    if file.ome_metadata:
        return _ome_pixel_size(file.ome_metadata)
    if file.imagej_metadata is not None:
        return _imagej_pixel_size(file, file.imagej_metadata)
    described = (file.shaped_metadata or ({},))[0]
    if isinstance(described.get("spacing"), list):
        letters = [a for a in described.get("axes", "") if a in "ZYX"]
        unit, time = described.get("unit"), interval(float(described.get("interval", math.nan)), "s")
        sizes, unit = same_unit({a: (float(s), unit) for a, s in zip(letters, described["spacing"], strict=True)})
        return sizes | time, unit
    page = file.pages.first
    if page.resolutionunit != tifffile.RESUNIT.CENTIMETER:
        return {}, "pixel"
    sizes, _ = same_unit({a: (1e4 / r if r else math.nan, "µm") for a, r in zip("XY", page.resolution, strict=True)})
    return sizes, "µm" if sizes else "pixel"


def _ome_pixel_size(text: str) -> tuple[dict[str, float], str]:
    """Find the pixel size of the first image in OME-XML (Goldberg et al. 2005)."""
    pixels = ElementTree.fromstring(text).find(".//{*}Pixels")
    found = {} if pixels is None else pixels.attrib
    sizes, unit = same_unit(
        {
            axis: (float(found[f"PhysicalSize{axis}"]), found.get(f"PhysicalSize{axis}Unit", "µm"))
            for axis in "XYZ"
            if f"PhysicalSize{axis}" in found
        }
    )
    return sizes | interval(float(found.get("TimeIncrement", math.nan)), found.get("TimeIncrementUnit", "s")), unit


def _imagej_pixel_size(file: tifffile.TiffFile, described: Mapping[str, Any]) -> tuple[dict[str, float], str]:
    """Find the pixel size in ImageJ's description: resolution in pixels per unit, plane distance as spacing."""
    page, unit = file.pages.first, described.get("unit")
    if not unit or "XResolution" not in page.tags:
        return {}, "pixel"
    sizes = {a: (_size(r), str(unit)) for a, r in zip("XY", page.resolution, strict=True)}
    if "spacing" in described:
        sizes["Z"] = (abs(float(described["spacing"])), str(described.get("zunit", unit)))
    known, unit = same_unit(sizes)
    return known | interval(float(described.get("finterval", math.nan)), str(described.get("tunit", "s"))), unit


def _size(resolution: float) -> float:
    """Pixels a unit as the side of a pixel, without what the fraction that a TIFF holds has lost or added."""
    return float(f"{1 / resolution:.8g}") if resolution else math.nan
