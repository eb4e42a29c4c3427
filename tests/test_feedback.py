"""Feedback: live mode on a project folder."""

import numpy as np
import pytest
from scenes import balls, disks, objects, paint

from napari_sslseg import feedback, instances
from napari_sslseg.annotation import LabelClass
from napari_sslseg.errors import LabelError
from napari_sslseg.feedback import Feedback, _Sparse
from napari_sslseg.image import Image
from napari_sslseg.job import Notice, Progress, Stop, run
from napari_sslseg.live import Where
from napari_sslseg.overlay import Box, Stroke
from napari_sslseg.project import Project
from napari_sslseg.regions import Region
from napari_sslseg.settings import FinetuneConfig, PretrainConfig, RuntimeConfig
from napari_sslseg.workflow import pretrain_project

SMALL = FinetuneConfig(encoder="unet", start="random")
CPU = RuntimeConfig(device="cpu")
ALL = Box(0, 0, 10_000, 10_000)


def made():
    return Feedback(SMALL)


def ask(answering, project, id="disks0", z=0, box=ALL, heard=None, **more):
    job = answering.refresh(project, id=id, z=z, box=box, runtime=CPU, **more)
    return run(job, (heard if heard is not None else []).append)


@pytest.fixture
def project(tmp_path):
    project = Project.create(tmp_path / "p.sslseg")
    for seed in (0, 1):
        project.add_image(disks(seed=seed)[0])
    project.write_labels("disks0", paint(disks()[1], strokes=20))
    return project


def agreement(overlay, truth):
    return float((overlay.labels == truth).mean())


def test_the_strokes_on_the_disk_tell_of_every_image(project):
    answering = Feedback()  # with the encoder that it has if nothing else is said
    for id, seed in (("disks0", 0), ("disks1", 1)):
        overlay = ask(answering, project, id)
        assert (overlay.image, overlay.z, overlay.box) == (id, 0, Box(0, 0, 96, 96))
        assert agreement(overlay, disks(seed=seed)[1]) > 0.92
        assert overlay.unsure is None  # it was not asked for


def test_it_is_unsure_where_it_errs(project):
    overlay = ask(made(), project, doubts=True)
    assert overlay.unsure.shape == (96, 96)
    assert 0 <= overlay.unsure.min() <= overlay.unsure.max() <= 1
    wrong = overlay.labels != disks()[1]
    assert overlay.unsure[wrong].mean() > overlay.unsure[~wrong].mean() + 0.2


def test_it_answers_before_it_has_looked_at_all_strokes_and_goes_on_with_the_next_question(project):
    project.add_image(disks(seed=2)[0])
    for seed in (1, 2):
        project.write_labels(f"disks{seed}", paint(disks(seed=seed)[1], strokes=20))
    hasty, answers = made(), []
    while not answers or answers[-1].known < 1:
        answers.append(ask(hasty, project, patience=0.0))
    assert len(answers) == 3
    assert 0.2 < answers[0].known < 0.5 < answers[1].known < 0.8
    assert all(agreement(a, disks()[1]) > 0.9 for a in answers)
    assert (ask(made(), project).labels == answers[-1].labels).mean() > 0.99


def test_only_what_is_looked_at_is_answered(project):
    answering = made()
    whole, part = ask(answering, project), ask(answering, project, box=Box(10, 20, 40, 96))
    assert np.array_equal(part.labels, whole.labels[10:40, 20:])


def test_a_stroke_that_is_told_counts_as_one_on_the_disk(project):
    told, read = made(), made()
    ask(told, project)
    labels = project.labels("disks0")
    labels[30:60, 10:50] = paint(disks()[1], strokes=30, seed=5)[30:60, 10:50]
    stroke = Stroke("disks0", (slice(30, 60), slice(10, 50)), labels[30:60, 10:50].copy())
    found = ask(told, project, strokes=[stroke])
    project.write_labels("disks0", labels)
    assert (found.labels == ask(read, project).labels).mean() > 0.995
    points = {w: (p.points.tolist(), p.targets.tolist()) for w, p in told._live._painted.items()}
    assert points == {w: (p.points.tolist(), p.targets.tolist()) for w, p in read._live._painted.items()}


@pytest.mark.parametrize("told", ["told", "read"])
def test_a_stroke_over_accepted_masks_counts_for_as_much_as_they(project, told):
    answering, every = made(), (slice(0, 96), slice(0, 96))
    project.write_labels("disks0", np.zeros((96, 96), np.uint16))
    accepted, at = disks()[1].astype(np.uint16), (slice(40, 43), slice(50, 60))
    corrected = accepted.copy()
    corrected[at] = 3
    strokes = [Stroke("disks0", every, accepted), Stroke("disks0", at, corrected[at])]
    if told == "told":
        ask(answering, project, strokes=strokes)
    else:  # live mode was off meanwhile
        project.note_accepted("disks0", accepted, every)
        project.write_labels("disks0", corrected)
        ask(answering, project)
    painted = answering._live._painted[Where("disks0", 0)]
    ones, twos, threes = (painted.turn[painted.targets == c] >> np.uint64(32) for c in range(3))
    assert len(threes) == 30
    assert threes.max() == 29  # as if there were no others
    assert len(ones) == len(twos) == 400
    back = np.ones((3, 10), np.uint16)  # and again: it is ground after all
    ask(answering, project, strokes=[Stroke("disks0", at, back)])
    painted = answering._live._painted[Where("disks0", 0)]
    inside = ((painted.points >= (40, 50)) & (painted.points < (43, 60))).all(1)
    assert (painted.turn[inside] >> np.uint64(32)).max() == 29
    assert set(painted.targets[inside]) == {0}


def test_what_lies_in_a_validation_box_is_not_learnt_from(project):
    answering = made()
    before = ask(answering, project)
    labels = project.labels("disks0")
    wrong = labels.copy()
    wrong[:48] = np.where(labels[:48] > 0, 3 - labels[:48], 0)
    project.set_regions("disks0", [Region((0, 1), (0, 48), (0, 96), validation=True)])
    boxed = ask(answering, project)
    assert not np.array_equal(boxed.labels, before.labels)
    fresh = ask(made(), project)
    project.write_labels("disks0", wrong)
    assert np.array_equal(ask(made(), project).labels, fresh.labels)  # whatever is painted there
    assert (boxed.labels == fresh.labels).mean() > 0.995


def test_what_is_erased_is_told_too_and_everything_can_be_read_again(project):
    answering = made()
    ask(answering, project)
    gone = Stroke("disks0", (slice(0, 96), slice(0, 96)), np.zeros((96, 96), np.uint16))
    assert ask(answering, project, strokes=[gone]).labels is None
    assert ask(answering, project).labels is None
    assert ask(answering, project, reread=True).labels is not None


def test_without_two_classes_there_is_nothing_to_show(project):
    project.write_labels("disks0", np.zeros((96, 96), np.uint16))
    answering = made()
    assert ask(answering, project).labels is None
    one = np.zeros((96, 96), np.uint16)
    one[:5] = 1
    assert ask(answering, project, strokes=[Stroke("disks0", (slice(0, 96), slice(0, 96)), one)]).labels is None


def test_values_need_not_follow_each_other_and_a_new_class_is_found(project):
    truth = disks()[1]
    project.set_classes([*project.classes, LabelClass(7, "bright", "#00ff00")])
    labels = project.labels("disks0")
    project.write_labels("disks0", np.where(labels == 2, 7, labels))
    answering = made()
    assert agreement(ask(answering, project), np.where(truth == 2, 7, 1)) > 0.92
    labels = np.where(labels == 2, 7, labels)
    labels[80:, :40] = 2  # a corner is said to be a third class
    overlay = ask(answering, project, strokes=[Stroke("disks0", (slice(0, 96), slice(0, 96)), labels)])
    assert set(np.unique(overlay.labels)) == {1, 2, 7}
    assert (overlay.labels[85:, :35] == 2).mean() > 0.8


def test_planes_of_a_stack_learn_from_each_other(tmp_path):
    image, truth = disks(planes=4)
    project = Project.create(tmp_path / "p.sslseg")
    project.add_image(image)
    labels = np.zeros(image.shape, np.uint16)
    labels[1] = paint(truth[1], strokes=20)
    project.write_labels("disks0", labels)
    answering = made()
    assert agreement(ask(answering, project, z=3), truth[3]) > 0.92
    part = paint(truth[2], strokes=5, seed=3)[None]
    stroke = Stroke("disks0", (slice(2, 3), slice(0, 96), slice(0, 96)), part)
    assert agreement(ask(answering, project, z=3, strokes=[stroke]), truth[3]) > 0.92
    assert {w.z for w in answering._live._painted} == {1, 2}


def test_objects_are_told_apart(tmp_path):
    image, truth = objects(96)
    project = Project.create(tmp_path / "p.sslseg", task="instance")
    project.add_image(image)
    labels = np.where(truth <= 8, truth, 0).astype(np.uint16)
    labels[::2] = np.where(labels[::2] == 1, 0, labels[::2])
    project.write_labels(image.name, labels)
    overlay = ask(made(), project, image.name)
    assert overlay.labels.min() == 1
    count = len(np.unique(truth)) - 1
    assert abs(len(np.unique(overlay.labels)) - 1 - count) <= 2
    assert ((overlay.labels > 1) == (truth > 1)).mean() > 0.9


def test_objects_at_the_border_of_what_is_painted_have_contours(tmp_path):
    image, truth = objects(96)
    project = Project.create(tmp_path / "p.sslseg", task="instance")
    project.add_image(image)
    project.write_labels(image.name, np.where(truth == 5, 5, 0).astype(np.uint16))  # a single one: its box ends with it
    answering = made()
    ask(answering, project, image.name)
    (painted,) = answering._live._painted.values()
    assert set(painted.targets) == {1, 2}


def test_very_small_images_are_magnified_and_answered_in_their_own_size(tmp_path):
    image, truth = disks(40)
    project = Project.create(tmp_path / "p.sslseg")
    project.add_image(image)
    project.write_labels("disks0", paint(truth, strokes=20))
    overlay = ask(made(), project)
    assert overlay.labels.shape == truth.shape
    assert agreement(overlay, truth) > 0.85


def test_the_pretrained_encoder_is_used_as_soon_as_there_is_one(project):
    answering = made()
    before = ask(answering, project, doubts=True)
    first = answering._live
    config = PretrainConfig(steps=2, method="restore", encoder="unet", start="random", crop=32, batch=2)
    run(pretrain_project(project, config, runtime=RuntimeConfig(device="cpu", seed=1)))
    after = ask(answering, project, doubts=True)
    assert answering._live is not first
    assert after.labels is not None
    assert not np.array_equal(before.unsure, after.unsure)


def test_after_learning_from_volumes_an_encoder_of_planes_serves(tmp_path):
    image, truth = balls(8, 48)
    project = Project.create(tmp_path / "p.sslseg")
    project.add_image(image)
    config = PretrainConfig(steps=1, method="restore", encoder="unet3d", start="random", crop=32, batch=2)
    run(pretrain_project(project, config, runtime=CPU))
    project.write_labels(image.name, np.stack([paint(t) for t in truth]))
    heard = []
    overlay = ask(made(), project, image.name, z=2, heard=heard)
    assert any(isinstance(e, Notice) and "looks at volumes" in e.text for e in heard)
    assert agreement(overlay, truth[2]) > 0.8


def test_images_of_other_channels_are_left_out(project):
    image, truth = disks(channels=3, seed=4)
    project.add_image(image)
    project.write_labels("disks4", paint(truth, strokes=20))
    answering = made()
    assert agreement(ask(answering, project), disks()[1]) > 0.92
    assert {w.image for w in answering._live._painted} == {"disks0"}
    assert agreement(ask(answering, project, "disks4"), truth) > 0.92
    assert {w.image for w in answering._live._painted} == {"disks4"}


def test_another_project_begins_anew(project, tmp_path):
    answering = made()
    ask(answering, project)
    other = Project.create(tmp_path / "other.sslseg")
    other.add_image(disks()[0])
    assert ask(answering, other).labels is None


def test_a_stop_is_heeded_and_the_next_question_is_answered(project, monkeypatch):
    answering, stop = made(), Stop()
    stop.request()
    assert ask(answering, project, stop=stop).labels is None
    assert ask(answering, project).labels is not None


def test_it_stops_while_labels_are_read_and_reads_them_anew(project):
    for seed in (0, 1):
        project.write_labels(f"disks{seed}", paint(disks(seed=seed)[1], strokes=20))
    answering, stop, heard = made(), Stop(), []
    job = answering.refresh(project, id="disks0", z=0, box=ALL, runtime=CPU, stop=stop)
    for event in job:
        heard.append(event.text)
        if event.text == feedback.READING:
            stop.request()
    assert heard.count(feedback.READING) == 1
    assert (ask(answering, project).labels == ask(made(), project).labels).all()


def test_a_class_that_is_taken_back_after_a_stop_leaves_no_other_plane_renumbered(project):
    project.add_image(disks(seed=2)[0])
    for seed in range(3):
        labels = paint(disks(seed=seed)[1], strokes=20)
        project.write_labels(f"disks{seed}", np.where(labels == 2, 3, labels))
    answering, stop = made(), Stop()
    ask(answering, project)
    corner = (slice(0, 4), slice(0, 4))
    new, old = np.full((4, 4), 2, np.uint16), project.labels("disks0")[corner]
    job = answering.refresh(
        project, id="disks0", z=0, box=ALL, strokes=[Stroke("disks0", corner, new)], runtime=CPU, stop=stop
    )
    for event in job:
        if event.text == feedback.READING:
            stop.request()
    assert max(p.targets.max() for p in answering._live._painted.values()) == 2
    ask(answering, project, strokes=[Stroke("disks0", corner, old)])
    assert [int(p.targets.max()) for p in answering._live._painted.values()] == [1, 1, 1]


def test_an_object_more_costs_its_own_plane_unless_contours_become_wider(tmp_path, monkeypatch):
    project = Project.create(tmp_path / "p.sslseg", task="instance")
    image, truth = objects(96)
    several = Image.from_array(np.stack([image.data[0]] * 3), axes="ZYX", name="s")
    project.add_image(several)
    drawn = np.stack([np.where(truth < 8, truth, 0), np.where(truth < 5, truth, 0), np.zeros_like(truth)])
    project.write_labels("s", drawn.astype(np.uint16))
    turned, to_targets = [], instances.to_targets
    monkeypatch.setattr(instances, "to_targets", lambda *what: (turned.append(what), to_targets(*what))[1])
    answering = made()
    ask(answering, project, "s")
    assert len(turned) == 2
    more = np.where(truth < 6, truth, 0).astype(np.uint16)
    whole = (slice(2, 3), slice(0, truth.shape[0]), slice(0, truth.shape[1]))
    ask(answering, project, "s", strokes=[Stroke("s", whole, more[None])])
    assert len(turned) == 3
    assert [w.z for w in answering._live._painted] == [0, 1, 2]
    large = np.full_like(more, 2)
    for z in range(3):
        ask(answering, project, "s", strokes=[Stroke("s", (slice(z, z + 1), *whole[1:]), large[None])])
    assert len(turned) > 3 + 3


def test_a_label_that_does_not_fit_is_one_clear_error(project, monkeypatch):
    labels = np.zeros((5, 5), np.uint16)
    monkeypatch.setattr(Project, "labels", lambda self, id: labels)
    with pytest.raises(LabelError, match="disks0"):
        ask(made(), project)


def test_progress_is_said_where_there_is_something_to_look_at(project, monkeypatch):
    answering, first, second = made(), [], []
    ask(answering, project, heard=first)
    ask(answering, project, heard=second)
    assert "looking at the image" in {e.text for e in first if isinstance(e, Progress)}
    assert {e.text for e in second} == {"done"}


def test_sparse_labels_are_what_was_painted_last():
    sparse, dense, rng = _Sparse(), np.zeros((3, 20, 30), np.uint16), np.random.default_rng(0)
    by = np.zeros(dense.shape, int)
    for number in range(30):
        z, y, x = (int(rng.integers(0, n - 1)) for n in dense.shape)
        region = (slice(z, z + 2), slice(y, y + int(rng.integers(1, 9))), slice(x, x + int(rng.integers(1, 9))))
        region = tuple(slice(r.start, min(r.stop, n)) for r, n in zip(region, dense.shape, strict=True))
        part = rng.integers(0, 3, dense[region].shape).astype(np.uint16)
        by[region] = np.where(part == dense[region], by[region], number)  # as it was: of the stroke that it was of
        dense[region] = part
        assert sparse.put(region, part, number) == {z, z + 1}
        for k in range(3):
            found, of = np.zeros((20, 30), np.uint16), by[k] * (dense[k] == 0)
            for y, x, value, stroke in sparse.planes.get(k, []):
                assert found[y, x] == 0
                found[y, x], of[y, x] = value, stroke
            assert np.array_equal(found, dense[k])
            assert np.array_equal(of, by[k])


def test_few_images_are_kept_at_hand(project, monkeypatch):
    assert feedback.IMAGES >= 2
    answering, opened = made(), []
    image = Project.image
    monkeypatch.setattr(Project, "image", lambda self, id: (opened.append(id), image(self, id))[1])
    ask(answering, project)
    opened.clear()
    ask(answering, project)
    assert not opened
