"""Objects in masks are found and measured as one would by hand."""

import numpy as np
import pytest

from napari_sslseg.cli import main
from napari_sslseg.errors import ImageError, LabelError, StorageError
from napari_sslseg.image import Image
from napari_sslseg.io import write_image, write_labels
from napari_sslseg.job import Stop, run
from napari_sslseg.measuring import measure_files, measure_objects, write_table


def masks():
    found = np.ones((10, 12), np.uint32)
    found[1:3, 1:5] = 2  # 8 pixels
    found[6:9, 6:9] = 2  # 9 pixels
    found[9, 9] = 2  # touches it at a corner
    found[5, 0:2] = 4
    return found


def test_connected_parts_of_each_class_are_objects():
    table = measure_objects(masks(), "semantic", names={2: "cell"})
    assert table.columns["object"].tolist() == [1, 2, 3]
    assert table.columns["class"].tolist() == ["cell", "cell", "class 4"]
    assert table.columns["area (px)"].tolist() == [8, 10, 2]
    assert table.columns["y (px)"].tolist() == pytest.approx([1.5, 7.2, 5.0])
    assert table.columns["x (px)"].tolist() == pytest.approx([2.5, 7.2, 0.5])
    assert table.boxes[1].tolist() == [[6, 6], [10, 10]]
    assert table.numbered[9, 9] == 2
    assert table.numbered[0, 0] == 0


def test_sizes_and_places_are_in_the_unit_of_the_image():
    table = measure_objects(masks(), "semantic", spacing=(0.5, 0.25), unit="µm")
    assert table.columns["area (µm²)"].tolist() == pytest.approx([1.0, 1.25, 0.25])
    assert table.columns["y (µm)"].tolist() == pytest.approx([0.75, 3.6, 2.5])
    assert table.columns["x (µm)"].tolist() == pytest.approx([0.625, 1.8, 0.125])


def test_each_channel_has_its_mean():
    channels = np.stack([np.full((10, 12), 7), np.arange(120).reshape(10, 12)]).astype(np.uint8)
    table = measure_objects(masks(), "semantic", channels=channels)
    assert table.columns["mean of channel 1"].tolist() == [7, 7, 7]
    assert table.columns["mean of channel 2"][0] == pytest.approx(np.arange(120).reshape(10, 12)[1:3, 1:5].mean())
    assert "mean brightness" in measure_objects(masks(), "semantic", channels=channels[:1]).columns


def test_numbers_are_objects():
    numbers = np.ones((6, 6), np.uint32)
    numbers[0:2, 0:2], numbers[4:6, 4:6], numbers[0, 5] = 7, 9, 7  # in two parts: still one object
    table = measure_objects(numbers, "instance")
    assert table.columns["object"].tolist() == [7, 9]
    assert table.columns["area (px)"].tolist() == [5, 4]
    assert "class" not in table.columns


@pytest.mark.parametrize("task", ["instance", "semantic"])
def test_numbers_may_be_very_large(task):
    found = np.ones((10, 12), np.uint32)
    found[1:3, 1:5], found[6:9, 6:9] = 4_000_000_000, 300
    table = measure_objects(found, task)
    assert table.columns["area (px)"].tolist() == [9, 8]
    if task == "instance":
        assert table.columns["object"].tolist() == [300, 4_000_000_000]
    else:
        assert table.columns["class"].tolist() == ["class 300", "class 4000000000"]


def test_objects_without_any_background_are_found():
    table = measure_objects(np.array([[2, 2], [3, 3]]), "instance")
    assert table.columns["object"].tolist() == [2, 3]
    assert table.numbered.tolist() == [[1, 1], [2, 2]]


def test_objects_of_a_stack_have_volumes():
    stack = np.ones((4, 6, 6), np.uint32)
    stack[1:3, 2:4, 2:4] = 2
    table = measure_objects(stack, "instance", spacing=(3.0, 0.5, 0.5), unit="µm", channels=stack[None])
    assert table.columns["volume (µm³)"].tolist() == pytest.approx([6.0])
    assert [table.columns[f"{a} (µm)"].item() for a in "zyx"] == pytest.approx([4.5, 1.25, 1.25])
    assert table.columns["mean brightness"].tolist() == [2]


def frames():
    """An object that moves, and one that leaves."""
    series = np.ones((3, 6, 6), np.uint32)
    series[0, 0:2, 0:2], series[1, 1:3, 0:2], series[2, 1:4, 0:2] = 7, 7, 7
    series[0, 4:6, 4:6] = 300
    return series


def test_objects_of_a_time_series_have_an_area_in_each_frame():
    channels = np.stack([np.full((6, 6), t) for t in range(3)])[None]
    place = {"spacing": (1.0, 0.5, 0.5), "unit": "µm", "axes": "TYX"}
    table = measure_objects(frames(), "instance", channels=channels, **place)
    assert list(table.columns) == ["object", "area (µm²)", "t", "y (µm)", "x (µm)", "mean brightness"]
    assert table.columns["object"].tolist() == [7, 7, 7, 300]
    assert table.columns["area (µm²)"].tolist() == pytest.approx([1.0, 1.0, 1.5, 1.0])
    assert table.columns["t"].tolist() == table.columns["mean brightness"].tolist() == [0, 1, 2, 0]
    assert table.columns["y (µm)"].tolist() == pytest.approx([0.25, 0.75, 1.0, 2.25])
    assert [table.numbered[t, 1, 0] for t in range(3)] == [1, 2, 3]
    table = measure_objects(np.minimum(frames(), 2), "semantic", **place)
    assert table.columns["t"].tolist() == [0, 0, 1, 2]
    assert table.columns["area (µm²)"].tolist() == pytest.approx([1.0, 1.0, 1.0, 1.5])
    assert len(measure_objects(np.ones((3, 6, 6), np.uint32), "instance", **place)) == 0


def test_files_of_a_time_series_are_measured_frame_by_frame(tmp_path):
    write_labels(tmp_path / "a.tif", frames(), spacing=(1.0, 0.5, 0.5), unit="µm", axes="TYX")
    run(measure_files([tmp_path / "a.tif"], tmp_path / "t.csv", task="instance", stop=Stop()))
    lines = (tmp_path / "t.csv").read_text(encoding="utf-8-sig").splitlines()
    assert lines[:2] == ["image,object,area (µm²),t,y (µm),x (µm)", "a.tif,7,1,0,0.25,0.25"]


def test_a_plane_of_a_stack_is_named():
    table = measure_objects(masks(), "semantic", plane=3)
    assert table.columns["plane"].tolist() == [3, 3, 3]


def test_masks_without_objects_make_an_empty_table():
    for task in ("semantic", "instance"):
        table = measure_objects(np.ones((5, 5), np.uint32), task, channels=np.ones((2, 5, 5)))
        assert len(table) == 0
        assert "mean of channel 2" in table.columns


def test_tables_are_written_as_one_file(tmp_path):
    tables = {"a": measure_objects(masks(), "semantic"), "b": measure_objects(masks()[:5], "semantic")}
    write_table(tmp_path / "t.csv", tables)
    lines = (tmp_path / "t.csv").read_text(encoding="utf-8-sig").splitlines()
    assert lines[0] == "image,object,class,area (px),y (px),x (px)"
    assert lines[2] == "a,2,class 2,10,7.2,7.2"
    assert lines[4] == "b,1,class 2,8,1.5,2.5"
    assert len(lines) == 5


def test_two_files_of_one_name_are_told(tmp_path):
    for folder in ("x", "y"):
        write_labels(tmp_path / folder / "a.tif", masks())
    folders, out = [tmp_path / "x", tmp_path / "y"], tmp_path / "t.csv"
    with pytest.raises(LabelError, match="Two files of masks are called a.tif"):
        run(measure_files(folders, out, stop=Stop()))
    with pytest.raises(ImageError, match="are both called 'a'"):
        run(measure_files(folders[:1], out, folders, stop=Stop()))
    assert not out.exists()


def test_files_are_measured_with_their_images(tmp_path, capsys):
    write_labels(tmp_path / "masks" / "a.tif", masks(), spacing=(1.0, 1.0), unit="pixel")
    pixels = np.full((10, 12), 3, np.uint8)
    write_image(tmp_path / "images" / "a.tif", Image(pixels[None], (0.5, 0.5), "µm", "a"))
    out, stop = tmp_path / "t.csv", Stop()
    arguments = [str(tmp_path / "masks"), "--images", str(tmp_path / "images"), "--out", str(out)]
    with pytest.raises(SystemExit) as ended:
        main(["measure", *arguments])
    assert ended.value.code == 0
    assert f"3 objects: {out}" in capsys.readouterr().out
    assert out.read_text(encoding="utf-8-sig").splitlines()[1] == "a.tif,1,class 2,2,0.75,1.25,3"
    with pytest.raises(StorageError, match="exists already"):
        run(measure_files([tmp_path / "masks"], out, stop=stop))
    write_labels(tmp_path / "masks" / "b.tif", masks(), spacing=(1.0, 1.0), unit="pixel")
    with pytest.raises(LabelError, match="b.tif belong to no image"):
        run(measure_files([tmp_path / "masks"], tmp_path / "u.csv", [tmp_path / "images"], stop=stop))
    write_labels(tmp_path / "images" / "b.tif", masks()[:5], spacing=(1.0, 1.0), unit="pixel")
    with pytest.raises(LabelError, match="Their image has shape"):
        run(measure_files([tmp_path / "masks"], tmp_path / "u.csv", [tmp_path / "images"], stop=stop))
    stop.request()
    run(measure_files([tmp_path / "masks"], tmp_path / "u.csv", stop=stop))
    assert not (tmp_path / "u.csv").exists()
