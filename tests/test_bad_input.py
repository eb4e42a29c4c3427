"""What a user can do wrong on the command line: each is told in one clear message, without a traceback, exit code 2."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scenes import disks, paint

from napari_sslseg import cli
from napari_sslseg.contents import FILE, VERSION
from napari_sslseg.io import write_labels
from napari_sslseg.project import Project

SMALL = ("--steps", "2", "--encoder", "unet", "--set", "crop=32", "--set", "batch=4")
TRUTH = disks(64)[1]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder to work in, an image and its strokes beside it."""
    monkeypatch.chdir(tmp_path)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    tifffile.imwrite("images/a.tif", disks(64)[0].data[0])
    write_labels(tmp_path / "labels" / "a.tif", paint(TRUTH, strokes=10))
    return tmp_path


@pytest.fixture
def command(capsys):
    """Run the command line in this process; returns its exit code, standard output and standard error."""

    def run(words, *more):
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main([*words.split(), *more])
        said = capsys.readouterr()
        return end.value.code, said.out, said.err

    return run


@pytest.fixture
def refused(command):
    """Run a command that must be refused; returns what it says."""

    def run(words, *more):
        code, out, err = command(words, *more)
        assert (code, out) == (2, "")
        assert "Traceback" not in err
        return " ".join(err.split())

    return run


PRETRAIN, TRAIN = "pretrain images --project p", "train labels --images images --project p"


def write(path, pixels):
    tifffile.imwrite(path, np.asarray(pixels), photometric="minisblack")


def labels(values):
    write_labels(Path("labels/a.tif"), np.asarray(values, np.uint16))


# ---------------------------------------------------------------- images
def test_a_missing_file(refused, place):
    said = refused("pretrain images/b.tif --project p", *SMALL)
    assert "images/b.tif does not exist. An existing file or folder is needed. Did you mean a.tif?" in said
    assert not (place / "p").exists()


def test_an_empty_folder(refused, place):
    (place / "empty").mkdir()
    said = refused("pretrain empty --project p", *SMALL)
    assert "The folder empty holds no image." in said
    assert "Name the folder in which the images lie." in said
    assert not (place / "p").exists()


def test_a_folder_of_other_files(refused, place):
    (place / "notes").mkdir()
    (place / "notes" / "a.docx").write_text("x")
    assert "holds no image (there are 1 other files or folders)" in refused("pretrain notes --project p", *SMALL)


@pytest.mark.parametrize("content", [b"", b"no tiff at all", b"II*\0\x08\0\0\0"])
def test_an_unreadable_tiff(refused, place, content):
    (place / "images" / "b.tif").write_bytes(content)
    said = refused(PRETRAIN, *SMALL)
    assert "images/b.tif cannot be read as TIFF (" in said
    assert "Copy it again from where it came" in said


def test_a_tiff_that_is_cut_short(refused, place):
    whole = (place / "images" / "a.tif").read_bytes()
    (place / "images" / "a.tif").write_bytes(whole[: len(whole) // 2])
    assert "images/a.tif cannot be read as TIFF (" in refused(PRETRAIN, *SMALL)


def test_only_nan_pixels(refused, place):
    write("images/a.tif", np.full((64, 64), np.nan, np.float32))
    assert "a has a channel of NaN or infinite pixels only" in refused(PRETRAIN, *SMALL)


@pytest.mark.parametrize("wild", [np.nan, np.inf, -np.inf])
def test_some_nan_or_infinite_pixels_are_learnt_around(command, place, wild):
    pixels = disks(64)[0].data[0].astype(np.float32)
    pixels[5:9, 5:9] = wild
    write("images/a.tif", pixels)
    code, _, err = command(PRETRAIN, *SMALL)
    assert code == 0
    assert "a has NaN or infinite pixels; they are treated as its mean value." in err


def test_an_image_of_only_nan_is_left_out_beside_a_good_one(command, place):
    write("images/b.tif", np.full((64, 64), np.nan, np.float32))
    code, _, err = command(PRETRAIN, *SMALL)
    assert code == 0
    assert "b has a channel of NaN or infinite pixels only." in err


def test_a_constant_image(refused, place):
    write("images/a.tif", np.full((64, 64), 7, np.uint8))
    said = refused(PRETRAIN, *SMALL)
    assert "a has the same value everywhere, so there is nothing to learn from it." in said
    assert "Choose other images." in said


def test_a_one_pixel_image(refused, place):
    write("images/a.tif", np.full((1, 1), 7, np.uint8))
    assert "a is 1 x 1 pixels; planes of at least 8 x 8 are needed." in refused(PRETRAIN, *SMALL)


def test_images_of_different_channels(refused, place):
    tifffile.imwrite("images/b.tif", np.zeros((64, 64, 3), np.uint8), photometric="rgb")
    assert "a.tif has 1 channel(s) and b.tif has 3." in refused(PRETRAIN, *SMALL)


def test_a_mistake_with_images_can_be_put_right(command, refused, place):
    tifffile.imwrite("images/b.tif", np.zeros((64, 64, 3), np.uint8), photometric="rgb")
    refused(PRETRAIN, *SMALL)
    (place / "images" / "b.tif").unlink()
    assert command(PRETRAIN, *SMALL)[0] == 0


def test_an_image_unlike_those_trained_on(command, refused, place):
    command(TRAIN, *SMALL)
    tifffile.imwrite("b.tif", np.zeros((64, 64, 3), np.uint8), photometric="rgb")
    assert "b has 3 channel(s). The network was trained on images of 1." in refused(
        "predict b.tif --project p --out out"
    )


# ---------------------------------------------------------------- labels
def test_labels_of_another_shape(refused, place):
    labels(TRUTH[:60])
    said = refused(TRAIN, *SMALL)
    assert "The labels a.tif have shape (60, 64). Their image has shape (64, 64)." in said


def test_labels_with_no_class(refused, place):
    labels(np.zeros((64, 64)))
    assert "Nothing is labelled yet. At least two classes are needed" in refused(TRAIN, *SMALL)


@pytest.mark.parametrize("value", [1, 2])
def test_labels_with_only_one_class(refused, place, value):
    labels(np.where(np.isin(TRUTH, value), TRUTH, 0))
    said = refused(TRAIN, *SMALL)
    assert f"Only one class is labelled (value {value}). At least two classes are needed" in said
    assert "Paint a few strokes of each class." in said


def test_objects_without_background(refused, place):
    labels(np.where(np.isin(TRUTH, 2), TRUTH, 0))
    assert "The labels hold no background." in refused(TRAIN, "--task", "instance", *SMALL)


def test_labels_of_an_unknown_image(refused, place):
    (place / "labels" / "a.tif").rename(place / "labels" / "b.tif")
    said = refused(TRAIN, *SMALL)
    assert "The labels b.tif belong to an image called 'b', which the project does not have. Its images: a." in said


def test_labels_without_any_image(refused, place):
    assert "Its images: none. Add the image with --images" in refused("train labels --project p", *SMALL)


def test_an_image_in_place_of_labels(refused, place):
    tifffile.imwrite("labels/a.tif", np.full((64, 64), 0.5, np.float32))
    assert "labels/a.tif holds numbers that are not whole" in refused(TRAIN, *SMALL)


def test_a_mistake_with_labels_can_be_put_right(command, refused, place):
    labels(TRUTH[:60])
    refused(TRAIN, *SMALL)
    labels(paint(TRUTH))
    assert command(TRAIN, *SMALL)[0] == 0


def test_true_labels_that_say_nothing(refused, place):
    labels(np.zeros((64, 64)))
    assert "labels holds no label but 0, which means unlabelled." in refused("score labels --truth labels")


def test_a_prediction_without_truth(refused, place):
    write_labels(place / "out" / "b.tif", TRUTH)
    assert "There are no true labels for b.tif. labels holds: a." in refused("score out --truth labels")


# ---------------------------------------------------------------- parameters
@pytest.mark.parametrize(
    "options, said",
    [
        (
            "--method resore",
            "Unknown method 'resore'. There are: adapt, colorize, denoise, dense, distil, jigsaw, mae, recall, "
            "restore, sigreg, simclr; did you mean 'restore'?",
        ),
        (
            "--encoder u-net",
            "Unknown encoder 'u-net'. There are: convnext_tiny, efficientnet_lite0, resnet18, unet, unet3d, vit, "
            "timm/NAME; did you mean 'unet'?",
        ),
        ("--start nothing", "There is no checkpoint nothing."),
        (
            "--encoder unet --start imagenet",
            "The encoder 'unet' cannot start from 'imagenet'. It can start from: random",
        ),
        ("--minutes 0", "minutes is 0.0. It must be from 0.01 to 100000 min."),
        ("--minutes nan", "minutes is nan. It must be from 0.01 to 100000 min."),
        ("--steps 0", "steps is 0. It must be from 1."),
        ("--set crop", "--set crop. It must be name=value. For example --set batch=16."),
        ("--set corp=64", "'corp' is not a parameter of PretrainConfig. There are: method,"),
        ("--set crop=small", "crop is 'small'. It must be of type int."),
        ("--device cuda --set steps=1", "The device 'cuda' was asked for. This machine has: "),
    ],
)
def test_a_parameter_that_cannot_be(refused, place, options, said, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert said in refused(PRETRAIN, *options.split())


def test_an_unknown_method_leaves_no_project_behind(refused, place):
    refused(PRETRAIN, "--method", "nothing")
    assert not (place / "p").exists()


# ---------------------------------------------------------------- the project
def test_a_project_of_a_newer_version(refused, place):
    Project.create("p")
    raw = json.loads((place / "p" / FILE).read_text())
    (place / "p" / FILE).write_text(json.dumps(raw | {"version": VERSION + 1}))
    for words in (PRETRAIN, TRAIN, "predict images --project p --out out", "info p"):
        said = refused(words)
        assert f"p was written by a newer version (project format {VERSION + 1})." in said
        assert "Update with: pip install -U napari-sslseg." in said


def test_a_damaged_project(refused, place):
    Project.create("p")
    (place / "p" / FILE).write_text("{")
    assert "project.json is damaged" in refused("info p")


@pytest.mark.parametrize("verb", ["info nowhere", "predict images --project nowhere --out out"])
def test_a_missing_project(refused, place, verb):
    assert "nowhere has no project.json. A project is a folder with that file." in refused(verb)


def test_a_folder_of_other_things_as_project(refused, place):
    assert "images is not empty. A new project needs a folder of its own." in refused(
        "pretrain images --project images"
    )


def test_predicting_before_training(refused, place):
    Project.create("p")
    assert "p has not been trained yet." in refused("predict images --project p --out out")


def test_an_unknown_name_to_predict(command, refused, place):
    command(TRAIN, *SMALL)
    said = refused("predict images --project p --out out --ids a,c")
    assert "There is no image 'c'. The images given are: a." in said


def test_an_image_file_that_was_moved(command, refused, place):
    command(TRAIN, *SMALL)
    (place / "images" / "a.tif").rename(place / "a.tif")
    assert "images/a.tif is gone." in refused("train labels --project p", *SMALL)
    assert command("train labels --images a.tif --project p", *SMALL)[0] == 0


def test_predicting_onto_the_images(command, refused, place):
    command(TRAIN, *SMALL)
    said = refused("predict images --project p --out images")
    assert (
        "What is made of images/a.tif would replace an image. It needs another folder. Choose one with --out." in said
    )


# ---------------------------------------------------------------- the disk
DISK = [
    pytest.param("fsync", errno.ENOSPC, "is full", "Make room or choose a folder on another disk.", id="full"),
    pytest.param("replace", errno.EACCES, "no permission to write", "Choose another folder", id="no permission"),
]


def fail(monkeypatch, step, number, name=""):
    """Let a call of the operating system fail, for all files or for those with a name in their path."""
    call = getattr(os, step)

    def refuse(first, *rest):
        path = Path(f"/proc/self/fd/{first}").readlink() if name and isinstance(first, int) else first
        if name in str(path):
            raise OSError(number, os.strerror(number), str(path))
        return call(first, *rest)

    monkeypatch.setattr(os, step, refuse)


@pytest.mark.parametrize("step, number, said, how", DISK)
def test_a_project_that_cannot_be_written(refused, place, monkeypatch, step, number, said, how):
    fail(monkeypatch, step, number)
    message = refused(PRETRAIN, *SMALL)
    assert said in message
    assert how in message


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="this system does not name open files")
@pytest.mark.parametrize("name", ["unfinished", "checkpoints"])
@pytest.mark.parametrize("step, number, said, how", DISK)
def test_a_checkpoint_that_cannot_be_written_leaves_the_project_as_it_was(
    command, refused, place, monkeypatch, step, number, said, how, name
):
    command(PRETRAIN, *SMALL)
    before = Project.open("p").pretrained
    fail(monkeypatch, step, number, name)
    assert said in refused(PRETRAIN, "--seed", "1", *SMALL)
    assert Project.open("p").pretrained == before
    assert before.is_file()


@pytest.mark.parametrize("step, number, said, how", DISK)
def test_predictions_that_cannot_be_written(command, refused, place, monkeypatch, step, number, said, how):
    command(TRAIN, *SMALL)
    fail(monkeypatch, step, number)
    assert said in refused("predict images --project p --out out")
    assert list((place / "out").iterdir()) == []


def test_a_file_in_place_of_the_output_folder(command, refused, place):
    command(TRAIN, *SMALL)
    (place / "out").write_text("x")
    assert "out/a.tif cannot be written" in refused("predict images --project p --out out")
