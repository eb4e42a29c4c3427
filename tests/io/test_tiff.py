"""TIFF and OME-TIFF: axes, pixel size, compressions, large files read in part, damaged files told."""

import gc
import logging
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_sslseg.errors import ImageError
from napari_sslseg.image import Image
from napari_sslseg.io import read_image
from napari_sslseg.io.lazy import LazyArray

RANDOM = np.random.default_rng(0)
STACK = RANDOM.integers(0, 255, (5, 64, 48), np.uint8)
COLOUR = RANDOM.integers(0, 255, (64, 48, 3), np.uint8)


def reread(path: Path, pixels: np.ndarray, **how: Any) -> Image:
    tifffile.imwrite(path, pixels, **how)
    return read_image(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cells.tif"


@pytest.fixture
def nothing_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file counts as one too large to be read whole."""
    monkeypatch.setattr("napari_sslseg.io.tiff.SMALL", 0)
    monkeypatch.setattr("napari_sslseg.io.layout.SMALL", 0)


def bytes_read() -> int:
    counted = Path("/proc/self/io")
    if not counted.exists():
        pytest.skip("only Linux counts what is read")
    return int(counted.read_text().split()[1])


def is_open(path: Path) -> bool:
    handles = Path("/proc/self/fd")
    if not handles.exists():
        pytest.skip("only Linux lists open files")
    return any(handle.exists() and handle.resolve() == path.resolve() for handle in handles.iterdir())


# ---------------------------------------------------------------- axes
@pytest.mark.parametrize(
    ("shape", "how", "axes", "rgb"),
    [
        ((64, 48), {}, "CYX", False),
        ((5, 64, 48), {}, "CZYX", False),
        ((5, 64, 48), {"metadata": None, "photometric": "minisblack"}, "CZYX", False),
        ((1, 64, 48), {}, "CYX", False),
        ((64, 48, 3), {}, "CYX", True),
        ((64, 48, 4), {}, "CYX", True),
        ((3, 64, 48), {"photometric": "rgb"}, "CYX", True),
        ((64, 48, 3), {"photometric": "minisblack"}, "CYX", True),
        ((5, 64, 48, 3), {}, "CZYX", True),
        ((5, 2, 64, 48), {"imagej": True, "metadata": {"axes": "ZCYX"}}, "CZYX", False),
        ((2, 5, 64, 48), {"ome": True, "metadata": {"axes": "CZYX"}}, "CZYX", False),
        ((5, 2, 64, 48), {"ome": True, "metadata": {"axes": "ZCYX"}}, "CZYX", False),
        ((5, 64, 48), {"ome": True, "metadata": {"axes": "TYX"}}, "CTYX", False),
        ((1, 5, 64, 48), {"photometric": "minisblack", "metadata": {"axes": "QZYX"}}, "CZYX", False),
        ((64, 48, 2), {"planarconfig": "contig", "photometric": "minisblack", "extrasamples": [0]}, "CYX", False),
    ],
)
def test_axes_are_told_from_the_file(
    path: Path, shape: tuple[int, ...], how: dict[str, Any], axes: str, rgb: bool
) -> None:
    image = reread(path, np.zeros(shape, np.uint8), **how)
    assert (image.axes, image.rgb, image.shape[-2:]) == (axes, rgb, (64, 48))


def test_channels_come_first_with_their_own_pixels(path: Path) -> None:
    pixels = RANDOM.integers(0, 999, (5, 2, 64, 48), np.uint16)
    image = reread(path, pixels, imagej=True, metadata={"axes": "ZCYX"})
    np.testing.assert_array_equal(image.read(3), pixels[3])


def test_colours_keep_their_order(path: Path) -> None:
    np.testing.assert_array_equal(reread(path, COLOUR).read(0), COLOUR.transpose(2, 0, 1))


def test_axes_that_the_user_names_win(path: Path) -> None:
    tifffile.imwrite(path, STACK)
    assert read_image(path, "CYX").channels == 5
    assert read_image(path, "TYX").axes == "CTYX"


def test_axes_that_nobody_explains_are_asked_for(path: Path) -> None:
    with pytest.raises(ImageError, match=r"axes that its file does not explain \(QQYX\).*Name the axes"):
        reread(path, np.zeros((2, 3, 64, 48), np.uint8), photometric="minisblack")


def test_the_first_series_is_read_at_full_resolution(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        writer.write(STACK[0], subifds=1)
        writer.write(STACK[0, ::2, ::2], subfiletype=1)
        writer.write(np.zeros((7, 9), np.float32))
    np.testing.assert_array_equal(read_image(path).read(0)[0], STACK[0])


def test_the_image_is_named_after_the_file(path: Path) -> None:
    assert reread(path, STACK).name == "cells"


# ---------------------------------------------------------------- pixel size
def test_pixel_size_comes_from_ome_xml(path: Path) -> None:
    sizes = {"PhysicalSizeX": 0.2, "PhysicalSizeY": 0.3, "PhysicalSizeZ": 1.5}
    image = reread(path, STACK, ome=True, metadata={"axes": "ZYX", **sizes})
    assert (image.spacing, image.unit) == ((1.5, 0.3, 0.2), "µm")


def test_ome_sizes_in_several_units_are_brought_to_that_of_x(path: Path) -> None:
    sizes = {"PhysicalSizeX": 200.0, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.2, "PhysicalSizeYUnit": "µm"}
    image = reread(path, STACK[0], ome=True, metadata={"axes": "YX", **sizes})
    assert image.spacing == pytest.approx((200, 200))
    assert image.unit == "nm"


@pytest.mark.parametrize("unit", ["um", "micron", "\\u00B5m"])
def test_pixel_size_comes_from_imagej(path: Path, unit: str) -> None:
    described = {"axes": "ZYX", "spacing": 2.0, "unit": unit}
    image = reread(path, STACK, imagej=True, resolution=(4, 5), metadata=described)
    assert image.spacing == pytest.approx((2.0, 0.2, 0.25))
    assert image.unit == "µm"


def test_imagej_without_a_unit_means_pixels(path: Path) -> None:
    image = reread(path, STACK, imagej=True, resolution=(72, 72), metadata={"axes": "ZYX"})
    assert (image.spacing, image.unit) == ((1, 1, 1), "pixel")


def test_a_resolution_in_centimetres_is_pixel_size(path: Path) -> None:
    image = reread(path, STACK[0], resolution=(20000, 40000), resolutionunit="CENTIMETER")
    assert image.spacing == pytest.approx((0.25, 0.5))
    assert image.unit == "µm"


def test_a_resolution_in_inches_is_for_printing_and_not_used(path: Path) -> None:
    image = reread(path, STACK[0], resolution=(300, 300), resolutionunit="INCH")
    assert (image.spacing, image.unit) == ((1, 1), "pixel")


def test_a_pixel_size_of_zero_is_not_believed(path: Path) -> None:
    image = reread(path, STACK[0], ome=True, metadata={"axes": "YX", "PhysicalSizeX": 0.0, "PhysicalSizeY": 0.0})
    assert (image.spacing, image.unit) == ((1, 1), "pixel")


# ---------------------------------------------------------------- compressions and byte orders
@pytest.mark.parametrize("compression", ["lzw", "zlib", "deflate", "zstd", "packbits", "lzma", "jpeg2000"])
@pytest.mark.parametrize("tile", [None, (16, 32)])
def test_compressions_without_loss_give_the_same_pixels(path: Path, compression: str, tile: Any) -> None:
    image = reread(path, STACK, compression=compression, tile=tile)
    np.testing.assert_array_equal(image.data[0], STACK)


def test_jpeg_compression_gives_nearly_the_same_colours(path: Path) -> None:
    smooth = np.indices((64, 48, 3)).sum(axis=0).astype(np.uint8)
    image = reread(path, smooth, compression="jpeg")
    assert np.abs(image.read(0).transpose(1, 2, 0).astype(int) - smooth).max() < 12


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.usefixtures("nothing_is_small")
def test_big_endian_pixels_are_read_right(path: Path, compression: Any) -> None:
    pixels = STACK.astype(np.uint16) * 7
    image = reread(path, pixels, byteorder=">", compression=compression)
    np.testing.assert_array_equal(image.read(2)[0], pixels[2])
    assert image.read(2).dtype.isnative


def test_two_colour_images_keep_whole_values(path: Path) -> None:
    image = reread(path, STACK > 100, photometric="minisblack")
    np.testing.assert_array_equal(image.data[0].astype(bool), STACK > 100)


# ---------------------------------------------------------------- large files
@pytest.mark.parametrize("how", [{"tile": (128, 128)}, {"rowsperstrip": 16}])
@pytest.mark.usefixtures("nothing_is_small")
def test_a_crop_of_a_large_compressed_file_reads_little_of_it(path: Path, how: dict[str, Any]) -> None:
    pixels = RANDOM.integers(0, 255, (3, 2048, 1024), np.uint8)
    tifffile.imwrite(path, pixels, compression="zlib", photometric="minisblack", **how)
    before = bytes_read()
    image = read_image(path)
    crop = image.read(1, slice(1000, 1064), slice(500, 564))
    assert bytes_read() - before < path.stat().st_size / 20
    np.testing.assert_array_equal(crop[0], pixels[1, 1000:1064, 500:564])


@pytest.mark.usefixtures("nothing_is_small")
def test_a_large_uncompressed_file_is_mapped_into_memory(path: Path) -> None:
    before = bytes_read()
    image = reread(path, np.broadcast_to(STACK[:, :1, :1], (5, 2048, 1024)))
    assert image.read(4, slice(9), slice(9)).max() == STACK[4, 0, 0]
    assert bytes_read() - before < path.stat().st_size / 20


def test_a_small_file_is_read_at_once_and_closed(path: Path) -> None:
    image = reread(path, STACK, compression="lzw")
    path.unlink()
    np.testing.assert_array_equal(image.data[0], STACK)


@pytest.mark.usefixtures("nothing_is_small")
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_large_file_is_closed_with_its_image(path: Path, compression: Any) -> None:
    image = reread(path, STACK, compression=compression)
    assert isinstance(image.data, LazyArray)
    np.asarray(image.data)
    assert is_open(path)
    del image
    gc.collect()
    assert not is_open(path)


@pytest.mark.usefixtures("nothing_is_small")
def test_several_threads_read_one_file_at_once(path: Path) -> None:
    image = reread(path, STACK, compression="zlib", tile=(16, 16))
    right = []

    def look(plane: int) -> None:
        right.extend(bool((image.read(plane)[0] == STACK[plane]).all()) for _ in range(10))

    threads = [threading.Thread(target=look, args=(plane,)) for plane in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 40


# ---------------------------------------------------------------- damage
@pytest.mark.parametrize(
    "content", [b"", b"this is text, not an image", b"II*\x00", b"II*\x00\x08\x00\x00\x00\xff\xff"]
)
def test_a_file_that_is_no_tiff_is_told(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"cells\.tif cannot be read as TIFF.*undamaged file is needed.*Copy it again"):
        read_image(path)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"compression": "lzw"},
        {"compression": "zlib", "tile": (16, 16)},
        {"metadata": None},
        {"ome": True, "compression": "zlib"},
        {"imagej": True},
        {"bigtiff": True, "compression": "lzw"},
    ],
)
@pytest.mark.parametrize("lazy", [False, True])
def test_a_file_cut_short_anywhere_is_told(
    path: Path, how: dict[str, Any], lazy: bool, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    if lazy:
        request.getfixturevalue("nothing_is_small")
    caplog.set_level(logging.CRITICAL, "tifffile")
    tifffile.imwrite(path, STACK, photometric="minisblack", **how)
    whole = path.read_bytes()
    for share in (0.01, 0.3, 0.7, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ImageError, match=r"cells\.tif"):
            read_image(path)


def in_parts(folder: Path) -> list[Path]:
    """An OME-TIFF of three planes, each in a file of its own that describes all of them."""
    files = [folder / f"cells_{k}.ome.tif" for k in range(3)]
    ids = [f"urn:uuid:00000000-0000-0000-0000-00000000000{k}" for k in range(3)]
    planes = "".join(
        f'<TiffData IFD="0" FirstZ="{k}" PlaneCount="1"><UUID FileName="{file.name}">{id}</UUID></TiffData>'
        for k, (file, id) in enumerate(zip(files, ids, strict=True))
    )
    for k, (file, id) in enumerate(zip(files, ids, strict=True)):
        described = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{id}"><Image ID="Image:0">'
            '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="48" SizeY="64" SizeZ="3" SizeC="1" '
            f'SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>{planes}</Pixels></Image></OME>'
        )
        tifffile.imwrite(file, STACK[k], description=described, metadata=None)
    return files


def test_an_ome_tiff_in_several_files_is_one_stack(tmp_path: Path) -> None:
    files = in_parts(tmp_path)
    for file in files:
        np.testing.assert_array_equal(np.asarray(read_image(file).data)[0], STACK[:3])
    renamed = files[0].rename(tmp_path / "other.ome.tif")
    np.testing.assert_array_equal(np.asarray(read_image(renamed).data)[0], STACK[:3])


@pytest.mark.parametrize("lacking", [0, 2])
def test_a_missing_part_of_an_ome_tiff_is_told(tmp_path: Path, lacking: int) -> None:
    files = in_parts(tmp_path)
    files[lacking].unlink()
    with pytest.raises(ImageError, match=rf"cells_1\.ome\.tif.* cells_{lacking}\.ome\.tif.*not there") as told:
        read_image(files[1])
    assert "cannot be read" not in str(told.value)


@pytest.mark.parametrize("cut", [1, 2])
def test_a_part_of_an_ome_tiff_that_is_cut_short_is_told(
    tmp_path: Path, cut: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "tifffile")
    files = in_parts(tmp_path)
    whole = files[cut].read_bytes()
    for share in (0.01, 0.1, 0.4, 0.9):
        files[cut].write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ImageError, match=rf"cells_{cut}\.ome\.tif cannot be read"):
            read_image(files[0])


def test_damaged_pixels_are_told(path: Path) -> None:
    tifffile.imwrite(path, STACK, compression="zlib")
    raw = bytearray(path.read_bytes())
    raw[600:700] = bytes(100)
    path.write_bytes(raw)
    with pytest.raises(ImageError, match="cannot be read as TIFF"):
        read_image(path)


def test_complex_pixels_are_told(path: Path) -> None:
    with pytest.raises(ImageError, match="pixels of type complex64"):
        reread(path, np.zeros((9, 9), np.complex64))


def test_a_file_that_may_not_be_read_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(b"")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "denied")

    monkeypatch.setattr(tifffile, "TiffFile", refuse)
    with pytest.raises(ImageError, match=r"no permission to read .*cells\.tif"):
        read_image(path)
