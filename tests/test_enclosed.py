"""What an outline closes in is filled; what none closes in is not."""

import numpy as np
import pytest
from skimage.draw import circle_perimeter, line

from napari_sslseg.enclosed import enclosed
from napari_sslseg.errors import LabelError


def ring(size: int = 100, centre: tuple[int, int] = (50, 50), radius: int = 20) -> np.ndarray:
    """A plane with a thin circle, which runs diagonally in places."""
    plane = np.zeros((size, size), np.uint16)
    plane[circle_perimeter(*centre, radius, shape=plane.shape)] = 2
    return plane


def test_a_thin_outline_closes_an_area_in() -> None:
    rows, columns = enclosed(ring(), 55, 45)
    y, x = np.mgrid[:100, :100]
    filled = np.zeros((100, 100), bool)
    filled[rows, columns] = True
    distance = np.hypot(y - 50, x - 50)
    assert filled[distance < 19].all()
    assert not filled[distance > 20.5].any()


def test_strokes_inside_stay_what_they_are() -> None:
    plane = ring()
    plane[48:52, 48:52] = 1
    rows, columns = enclosed(plane, 40, 45)
    assert not plane[rows, columns].any()


def test_the_border_of_the_image_closes_the_outline_of_what_it_cuts() -> None:
    plane = ring(centre=(0, 50))
    rows, _ = enclosed(plane, 3, 50)
    assert rows.max() < 20
    assert 600 < len(rows) < 700


@pytest.mark.parametrize("size", [100, 3000])
def test_an_outline_with_a_gap_fills_nothing(size: int) -> None:
    plane = ring(size)
    plane[68:73, 48:53] = 0
    with pytest.raises(LabelError, match="no outline closes"):
        enclosed(plane, 50, 50)


def test_a_line_across_the_image_closes_nothing_in() -> None:
    plane = np.zeros((100, 100), np.uint16)
    plane[line(30, 0, 30, 99)] = 1
    with pytest.raises(LabelError, match="at its border"):
        enclosed(plane, 10, 10)


def test_what_is_painted_already_is_not_filled() -> None:
    with pytest.raises(LabelError, match="painted already"):
        enclosed(ring(), 30, 50)
    with pytest.raises(LabelError, match="outside"):
        enclosed(ring(), -1, 50)


def test_a_large_object_is_filled_whole() -> None:
    plane = ring(1000, (500, 500), 250)
    rows, _ = enclosed(plane, 500, 500)
    assert np.pi * 248**2 < len(rows) < np.pi * 250**2
