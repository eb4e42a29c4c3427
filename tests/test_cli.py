"""The command line: what it writes where, its exit codes, Ctrl-C, and what it loads."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scenes import disks, paint

from napari_sslseg import __version__, cli, exchange, workflow
from napari_sslseg.io import read_labels, write_labels
from napari_sslseg.job import Progress
from napari_sslseg.project import Project

pytestmark = pytest.mark.usefixtures("briefly")
SMALL = ("--encoder", "unet", "--set", "crop=32", "--set", "batch=4")
VERBS = (
    "pretrain",
    "train",
    "predict",
    "denoise",
    "score",
    "split",
    "measure",
    "info",
    "use",
    "remove",
    "mark",
    "suggest",
    "compare",
    "demo",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folders of two images, their strokes and their true labels."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("images", "labels", "truth"):
        (folder / name).mkdir()
    for seed in (0, 1):
        image, truth = disks(64, seed=seed)
        tifffile.imwrite(folder / "images" / f"d{seed}.tif", image.data[0])
        write_labels(folder / "truth" / f"d{seed}.tif", truth)
        write_labels(folder / "labels" / f"d{seed}.tif", paint(truth, strokes=10, seed=seed))
    return folder


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """A project trained by the command line for some steps."""
    path = tmp_path_factory.mktemp("trained") / "p.sslseg"
    code = exit_code("train", data / "labels", "--images", data / "images", "--project", path, "--steps", 5, *SMALL)
    assert code == cli.DONE
    return path


@pytest.fixture
def command(capsys):
    """Run the command line in this process; returns its exit code, standard output and standard error."""

    def run(*arguments):
        capsys.readouterr()
        code = exit_code(*arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def exit_code(*arguments):
    with pytest.raises(SystemExit) as end:
        cli.main([str(a) for a in arguments])
    return end.value.code


def start(*arguments, stdout=subprocess.PIPE):
    """Start the command line in a process of its own."""
    words = [sys.executable, "-m", "napari_sslseg", *map(str, arguments)]
    return subprocess.Popen(words, stdout=stdout, stderr=subprocess.PIPE, text=True)


def parsed(out):
    """All lines as JSON; a number that JSON does not have is an error."""

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in out.splitlines()]


# ---------------------------------------------------------------- help and usage
def test_help_lists_the_verbs():
    process = start("--help")
    said, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    assert all(re.search(rf"\b{verb}\b", said) for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_has_help(command, verb, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    options = re.findall(r"^│[ *]+(--[a-z]+)(?: [A-Z]+)?(?:\.{3})?(.*)│$", command(verb, "--help")[1], re.MULTILINE)
    assert options or verb == "remove"  # which has none
    assert [name for name, said in options if not re.match(r" {2,}[A-Z]\w* \w+", said)] == []


def loaded(*arguments):
    code = (
        "import sys\nfrom napari_sslseg import cli\n"
        f"try:\n    cli.main({[str(a) for a in arguments]})\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "sys.stderr.write(' '.join({m.split('.')[0] for m in sys.modules}))"
    )
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr.split())


def test_help_loads_nothing_heavy():
    assert not loaded("--help") & {"torch", "zarr", "scipy", "skimage", "napari", "qtpy"}


def test_info_loads_no_torch(trained):
    assert "torch" not in loaded("info", trained)


def test_the_version_is_told(command):
    assert command("--version")[:2] == (0, f"{__version__}\n")


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["segment"], "segment"),
        (["pretrain"], "IMAGES"),
        (["pretrain", "x"], "--project"),
        (["pretrain", "x", "--project", "p", "--wrong", "1"], "--wrong"),
        (["pretrain", "x", "--project", "p", "--steps", "many"], "--steps"),
        (["train", "x", "--project", "p", "--task", "panoptic"], "--task"),
        (["predict", "x", "--project", "p"], "--out"),
        (["info", "a", "surplus"], "surplus"),
    ],
)
def test_wrong_usage_is_told_on_standard_error_and_exits_with_2(command, arguments, said):
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1


# ---------------------------------------------------------------- the verbs
def test_pretrain_says_what_it_learned_from_and_where_it_is(command, data, tmp_path):
    code, out, _ = command("pretrain", data / "images", "--project", tmp_path / "p", "--steps", 2, *SMALL)
    assert code == 0
    assert out == f"Learned from 2 images: {tmp_path / 'p' / 'checkpoints' / 'pretrained-001.safetensors'}\n"
    assert Project.open(tmp_path / "p").pretrained.is_file()


def test_train_starts_from_what_was_pretrained_and_says_its_score(command, data, tmp_path):
    command("pretrain", data / "images", "--project", tmp_path / "p", "--steps", 2, *SMALL)
    options = ("--steps", 4, "--set", "pixels=0", *SMALL)
    code, out, _ = command("train", data / "labels", "--project", tmp_path / "p", *options)
    assert code == 0
    between = r"(, [01]\.\d\d to [01]\.\d\d)?"
    assert re.fullmatch(
        rf"Round 1: 4 steps, score [01]\.\d{{3}}{between} \(mean IoU, on \d+ strokes kept apart\)\n", out
    )
    assert Project.open(tmp_path / "p").rounds[0].pretrained


def test_train_without_a_project_makes_one(trained):
    assert [e.id for e in Project.open(trained).images] == ["d0", "d1"]
    assert Project.open(trained).rounds[0].pretrained is False


def test_train_takes_images_and_labels_one_by_one(command, data, tmp_path):
    labels, images = sorted((data / "labels").iterdir()), sorted((data / "images").iterdir())
    options = ("--project", tmp_path / "p", "--steps", 1, *SMALL)
    assert command("train", *labels, "--images", *images, *options)[0] == 0
    assert Project.open(tmp_path / "p").labelled() == ("d0", "d1")


def test_train_takes_the_task(command, data, tmp_path):
    options = ("--project", tmp_path / "p", "--task", "instance", "--steps", 1, *SMALL)
    assert command("train", data / "truth", "--images", data / "images", *options)[0] == 0
    assert Project.open(tmp_path / "p").task == "instance"


def test_predict_writes_one_file_an_image_with_its_name_and_shape(command, data, trained, tmp_path):
    code, out, _ = command("predict", data / "images", "--project", trained, "--out", tmp_path / "out")
    assert code == 0
    assert re.fullmatch(rf"Wrote 2 files to {re.escape(str(tmp_path / 'out'))} in \d+ s\n", out)
    assert sorted(p.name for p in (tmp_path / "out").glob("[!.]*")) == ["d0.tif", "d1.tif"]
    found = read_labels(tmp_path / "out" / "d0.tif")
    assert found.shape == (64, 64)
    assert set(np.unique(found)) <= {1, 2}


def test_predict_takes_names_and_probabilities(command, data, trained, tmp_path):
    options = ("--ids", "d1", "--probabilities", "--set", "tile=64", "--set", "flips=false")
    code, _, _ = command("predict", data / "images", "--project", trained, "--out", tmp_path, *options)
    assert code == 0
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.tif")) == [
        "d1.tif",
        "probabilities/d1.tif",
    ]


def test_score_says_every_class_and_the_mean(command, data):
    code, out, _ = command("score", data / "truth", "--truth", data / "truth")
    assert code == 0
    assert out.splitlines() == [
        "class 1: IoU 1.000, Dice 1.000",
        "class 2: IoU 1.000, Dice 1.000",
        "mean of 2 files: IoU 1.000, Dice 1.000",
    ]


def test_score_says_distances_with_their_unit(command, tmp_path):
    for name, shift in (("t", 0), ("p", 4)):
        labels = np.ones((40, 40), np.uint8)
        labels[10:30, 10 + shift : 30 + shift] = 2
        write_labels(tmp_path / name / "a.tif", labels, spacing=(0.5, 0.5), unit="mm")
    out = command("score", tmp_path / "p", "--truth", tmp_path / "t", "--distances")[1]
    assert re.search(r"^class 2: .*, outlines 2 mm apart \(95 %\)$", out, re.MULTILINE)


def test_score_of_objects_is_one_json_object(command, data):
    code, out, _ = command("score", data / "truth", "--truth", data / "truth", "--task", "instance", "--json")
    (report,) = parsed(out)
    assert code == 0
    assert (report["files"], report["mean_iou"], report["precision"]["at_50"]) == (2, 1.0, 1.0)


def test_info_says_what_there_is(command, trained, data):
    code, out, _ = command("info", trained)
    assert code == 0
    assert f"d0: 64 x 64, 1 channel, {data / 'images' / 'd0.tif'}, labelled" in out
    assert "classes: 1 background, 2 class 2" in out
    assert "pretrained: no" in out
    assert re.search(r"round 1: score .*, \d+ labelled pixels, 5 steps\n", out)


def test_info_is_one_json_object(command, trained):
    code, out, _ = command("info", trained, "--json")
    (said,) = parsed(out)
    assert code == 0
    assert said["labelled"] == ["d0", "d1"]
    assert [r["steps"] for r in said["rounds"]] == [5]


def test_an_earlier_round_is_used_again(command, trained, tmp_path):
    path = shutil.copytree(trained, tmp_path / "p.sslseg")
    project = Project.open(path)
    project.add_round(replace(project.rounds[0], number=2, checkpoint="rounds/002/model.safetensors"))  # has no file
    assert command("predict", "--project", path, "--out", tmp_path / "out", "--ids", "d0")[0] == cli.FAILED
    assert command("use", path, "--round", 1) == (cli.DONE, "p.sslseg predicts with round 1 now\n", "")
    assert re.search(r"round 1: .*, in use\n(    .*\n)?  round 2: .* steps\n", command("info", path)[1])
    assert parsed(command("info", path, "--json")[1])[0]["used"] == 1
    code, _, said = command("use", path, "--round", 2)
    assert code == cli.FAILED
    assert "model of round 2 is gone" in said
    assert Project.open(path).current_round.number == 1


def test_an_image_is_taken_out_and_comes_back_with_its_file(command, data, trained, tmp_path):
    path = shutil.copytree(trained, tmp_path / "p.sslseg")
    labels = Project.open(path).labels("d0")
    assert command("remove", path, "d0", "d9")[0] == cli.FAILED
    code, _, errors = command("remove", path)
    assert code == cli.FAILED
    assert "No image was named" in errors
    assert "d0" in Project.open(path).labelled()  # none is taken out if one is unknown
    code, out, _ = command("remove", path, "d0", "d0")  # named twice, it is taken out once
    assert (code, out) == (0, "d0 is out of p.sslseg; its labels are kept\n")
    assert "d0: taken out; its labels are kept" in command("info", path)[1]
    assert parsed(command("info", path, "--json")[1])[0]["taken_out"] == ["d0"]
    exchange.add_images(Project.open(path), [data / "images" / "d0.tif"])
    np.testing.assert_array_equal(Project.open(path).labels("d0"), labels)


def test_info_tells_the_history_of_the_probe(command, data, tmp_path):
    path = tmp_path / "p.sslseg"
    code, out, _ = command(
        "pretrain", data / "images", "--project", path, "--steps", 2, "--method", "restore", "--events", "json", *SMALL
    )
    heard = [e["step"] for e in parsed(out) if e.get("name") == "probe"]
    assert (code, heard) == (cli.DONE, [0, 2])
    (said,) = parsed(command("info", path, "--json")[1])
    assert [k["step"] for k in said["probe"]["looks"]] == heard
    told = r"probe of the structure \(more is better\): .* at step 0, .* at step 2 \(kept\)\n"
    assert re.search(told, command("info", path)[1])


def test_demo_stays_without_a_window_if_headless(command, tmp_path, monkeypatch):
    from napari_sslseg import demo
    from napari_sslseg.contents import Round

    def scripted(out, runtime, stop):
        yield Progress(1.0)
        return demo.DemoResult(out, Round(1, "", 0.5, {}, 3, False, 1, 1, 1.0, True))

    monkeypatch.setattr(demo, "demo", scripted)
    monkeypatch.setattr(demo, "can_show", lambda: pytest.fail("looked for a display"))
    code, out, _ = command("demo", "--out", tmp_path, "--headless")
    assert code == 0
    assert "without pretraining  0.500" in out


# ---------------------------------------------------------------- options
def asked(monkeypatch):
    """Let pretraining do nothing; returns what it is asked for."""
    heard = []

    def job(project, config, *, runtime, stop):
        heard.append((config, runtime))
        yield Progress(1.0)

    monkeypatch.setattr(workflow, "pretrain_project", job)
    return heard


def test_set_reaches_the_parameters(command, data, tmp_path, monkeypatch):
    heard = asked(monkeypatch)
    options = ("--minutes", 2, "--set", "batch=6", "--set", "start=random", "--set", "rate=0.002", "--set", "minutes=3")
    command("pretrain", data / "images", "--project", tmp_path / "p", *options)
    ((config, _),) = heard
    assert (config.batch, config.start, config.rate, config.minutes) == (6, "random", 0.002, 3)


def test_seed_and_device_reach_the_job(command, data, tmp_path, monkeypatch):
    heard = asked(monkeypatch)
    command("pretrain", data / "images", "--project", tmp_path / "p", "--seed", 7, "--device", "cpu")
    ((_, runtime),) = heard
    assert (runtime.seed, runtime.device) == (7, "cpu")


def test_the_same_seed_gives_the_same_files(command, data, tmp_path):
    for name in ("a", "b"):
        command("pretrain", data / "images", "--project", tmp_path / name, "--steps", 2, "--seed", 3, *SMALL)
    first, second = (Project.open(tmp_path / name).pretrained.read_bytes() for name in ("a", "b"))
    assert first[-1000:] == second[-1000:]


def test_events_are_json_lines_with_a_result_at_the_end(command, data, tmp_path):
    options = ("--project", tmp_path / "p", "--steps", 3, "--events", "json", *SMALL)
    code, out, err = command("train", data / "labels", "--images", data / "images", *options)
    events = parsed(out)
    assert (code, err) == (0, "")
    assert {e["event"] for e in events[:-1]} <= {"device", "progress", "metric", "notice"}
    assert all(e["job"] == "Training" for e in events[:-1])
    assert (events[-1]["event"], events[-1]["steps"], events[-1]["stopped"]) == ("result", 3, False)


def test_progress_and_notices_go_to_standard_error(command, data, tmp_path):
    tifffile.imwrite(tmp_path / "flat.tif", np.full((64, 64), 7, np.uint8))
    options = ("--project", tmp_path / "p", "--steps", 1, *SMALL)
    code, out, err = command("pretrain", data / "images", tmp_path / "flat.tif", *options)
    assert code == 0
    assert "flat has the same value everywhere" in err
    assert len(out.splitlines()) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_what_cannot_be_said_is_told_without_a_traceback(data, trained):
    for words in (("info", trained), ("score", data / "truth", "--truth", data / "truth", "--json")):
        with Path("/dev/full").open("w") as full:
            process = start(*words, stdout=full)
            _, err = process.communicate(timeout=60)
        assert process.returncode == cli.FAILED
        assert err.startswith("What is said cannot be written to standard output (No space left on device).")


def test_a_command_whose_output_is_closed_does_its_work(trained):
    code = f"import sys\nfrom napari_sslseg import cli\nsys.stdout = None\ncli.main(['info', {str(trained)!r}])"
    assert subprocess.run([sys.executable, "-c", code]).returncode == cli.DONE


def test_a_job_that_nobody_listens_to_any_more_stops_and_keeps_what_it_learned(data, tmp_path):
    words = ("pretrain", data / "images", "--project", tmp_path / "p", "--steps", 5000, "--events", "json", *SMALL)
    with start(*words) as process:
        next(line for line in process.stdout if json.loads(line).get("name") == "loss")
        process.stdout.close()  # as head does
        assert (process.wait(timeout=60), process.stderr.read()) == (cli.FAILED, "")
    assert Project.open(tmp_path / "p").pretrained.is_file()


def test_masks_are_split_and_measured_without_torch(data, tmp_path):
    assert "torch" not in loaded("split", data / "truth", "--value", 2, "--out", tmp_path / "o")
    assert "torch" not in loaded("measure", data / "truth", "--out", tmp_path / "o.csv")


# ---------------------------------------------------------------- stop and go on
def test_ctrl_c_keeps_what_was_learned_and_the_same_command_goes_on(data, tmp_path, command):
    words = ("pretrain", data / "images", "--project", tmp_path / "p", "--steps", 60, "--events", "json", *SMALL)
    process = start(*words)
    next(line for line in process.stdout if json.loads(line).get("name") == "loss")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    events = parsed(out)
    assert process.returncode == 130
    assert "Stopping; what was learned is kept" in err
    assert "the same command again goes on from there" in err
    assert "Traceback" not in err
    assert (events[-1]["event"], events[-1]["stopped"]) == ("result", True)
    assert Project.open(tmp_path / "p").pretrained.is_file()
    code, out, _ = command(*words)
    (notice,) = (e["text"] for e in parsed(out) if e["event"] == "notice")
    assert code == 0
    assert 0 < int(re.fullmatch(r"Going on from step (\d+)\.", notice)[1]) < 30


def interrupted(monkeypatch, times):
    """A training that finds Ctrl-C pressed before its first step."""
    finetune = workflow.train_project

    def job(*arguments, **options):
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
        return (yield from finetune(*arguments, **options))

    monkeypatch.setattr(workflow, "train_project", job)


def test_ctrl_c_before_the_first_step_says_that_nothing_is_kept(command, data, tmp_path, monkeypatch):
    interrupted(monkeypatch, 1)
    options = ("--project", tmp_path / "p", "--steps", 5, *SMALL)
    code, out, err = command("train", data / "labels", "--images", data / "images", *options)
    assert (code, out) == (130, "")
    assert "stopped before its first step. There is nothing to keep" in err
    assert Project.open(tmp_path / "p").rounds == ()


def test_a_second_ctrl_c_breaks_off_at_once(command, data, tmp_path, monkeypatch):
    interrupted(monkeypatch, 2)
    options = ("--project", tmp_path / "p", "--steps", 5, *SMALL)
    code, out, err = command("train", data / "labels", "--images", data / "images", *options)
    assert (code, out) == (130, "")
    assert "Interrupted." in err


def test_ctrl_c_is_as_before_after_a_job(command, data, trained, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    command("predict", data / "images", "--project", trained, "--out", tmp_path)
    assert signal.getsignal(signal.SIGINT) is before


def test_boxes_are_marked_listed_and_forgotten(command, trained, tmp_path):
    path = shutil.copytree(trained, tmp_path / "p.sslseg")
    code, out, _ = command("mark", path, "--image", "d0", "--box", "0:20,10:40", "--validation", "--complete")
    assert (code, out) == (cli.DONE, "d0: 1 box\n  0:1,0:20,10:40 validation, complete\n")
    assert "    box 0:1,0:20,10:40 validation, complete\n" in command("info", path)[1]
    assert json.loads(command("info", path, "--json")[1])["regions"]["d0"][0]["x"] == [10, 40]
    assert command("mark", path, "--image", "d0", "--box", "0:99,0:9", "--validation")[0] == cli.FAILED
    again = command("mark", path, "--image", "d0", "--box", "0:20,10:40", "--validation")
    assert again[1] == "d0: 1 box\n  0:1,0:20,10:40 validation\n"
    assert command("mark", path, "--image", "d0", "--box", "0:20,10:41", "--complete")[1].startswith("d0: 2 boxes\n")
    assert command("mark", path, "--image", "d0", "--clear")[1] == "d0: 0 boxes\n"


def test_where_to_paint_next_is_said(command, trained, tmp_path):
    trained = shutil.copytree(trained, tmp_path / "p.sslseg")
    Project.open(trained).write_labels("d1", np.zeros((64, 64), np.uint16))
    code, out, _ = command("suggest", trained, "--number", 2, "--size", 32)
    assert code == cli.DONE
    unsure = r"unsure \(0\.\d\d; 0 is sure, 1 a guess\)"
    assert re.fullmatch(rf"(\d\. d[01], plane 0, rows \d+:\d+, columns \d+:\d+: {unsure}\n){{2}}", out)
    lines = [
        json.loads(line) for line in command("suggest", trained, "--number", 2, "--events", "json")[1].splitlines()
    ]
    assert next(line["rank"] for line in lines if line["event"] == "suggestion") == 1


@pytest.mark.parametrize("asked", [("--number", 0), ("--number", -3), ("--size", 0)])
def test_no_place_to_paint_is_no_answer(command, trained, asked):
    code, _, err = command("suggest", trained, *asked)
    assert code == cli.FAILED
    assert "were asked for. At least one part, of at least 8 px." in err


def test_a_project_that_was_not_pretrained_cannot_be_compared(command, trained):
    code, _, err = command("compare", trained)
    assert code == cli.FAILED
    assert "has not been pretrained" in err
