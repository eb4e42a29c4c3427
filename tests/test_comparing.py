"""With and without pretraining on the same labels: what is said, and that the project stays as it is."""

import pytest
from scenes import disks, paint

from napari_sslseg.comparing import Comparison, compare_project
from napari_sslseg.errors import LabelError, ProjectError
from napari_sslseg.evidence import Difference
from napari_sslseg.job import Progress, Stop, run
from napari_sslseg.project import Project
from napari_sslseg.settings import FinetuneConfig, PretrainConfig
from napari_sslseg.workflow import pretrain_project

pytestmark = pytest.mark.usefixtures("briefly")
SMALL = {"encoder": "unet", "start": "random", "crop": 32, "batch": 4}
CONFIG = FinetuneConfig(steps=2, pixels=0.0, **SMALL)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Pretrained for some steps, and painted."""
    project, (image, truth) = Project.create(tmp_path_factory.mktemp("c") / "p"), disks(64)
    project.add_image(image)
    project.write_labels("disks0", paint(truth, strokes=10))
    run(pretrain_project(project, PretrainConfig(steps=2, **SMALL)))
    return project


def test_both_ways_are_tried_as_often_and_the_project_stays(project):
    before = sorted(p.name for p in project.path.rglob("*"))
    events = []
    found = run(compare_project(project, CONFIG, trials=2), events.append)
    assert len(found.with_ssl) == len(found.without_ssl) == 2
    assert found.held_out >= 4
    assert found.difference is not None
    low, high = found.difference.interval
    assert low <= high
    assert sorted(p.name for p in project.path.rglob("*")) == before
    progress = [e.fraction for e in events if isinstance(e, Progress)]
    assert progress == sorted(progress)
    texts = {e.text for e in events if isinstance(e, Progress)}
    assert {
        "training 1 of 4, with learning from the images",
        "training 4 of 4, without learning from the images",
    } <= texts


def test_a_stop_keeps_the_pairs_that_are_done(project):
    stop = Stop()

    def at_the_third(event):
        if isinstance(event, Progress) and event.text.startswith("training 3 of 4"):
            stop.request()

    assert len(run(compare_project(project, CONFIG, trials=2, stop=stop), at_the_third).with_ssl) == 1
    with pytest.raises(ProjectError, match="before the first pair"):
        run(compare_project(project, CONFIG, stop=stop))


def test_there_must_be_something_to_compare(tmp_path):
    project, (image, truth) = Project.create(tmp_path / "p"), disks(64)
    project.add_image(image)
    project.write_labels("disks0", paint(truth, strokes=1))
    with pytest.raises(ProjectError, match="not been pretrained"):
        run(compare_project(project, CONFIG))
    run(pretrain_project(project, PretrainConfig(steps=1, **SMALL)))
    with pytest.raises(LabelError, match="At least four separate strokes"):
        run(compare_project(project, CONFIG))


@pytest.mark.parametrize(
    ("difference", "used", "said"),
    [
        (Difference(0.1, (0.05, 0.15), 0.99), True, "makes it better (99% sure): score with pretraining 0.800"),
        (Difference(-0.1, (-0.15, -0.05), 0.99), True, "Pretraining makes it worse"),
        (Difference(0.01, (-0.05, 0.07), 0.6), True, "No difference beyond chance"),
        (None, True, "too little is kept apart to say how sure"),
        (None, False, "pretraining helps by no more than chance, if at all"),
    ],
)
def test_it_says_which_is_better_and_how_surely(difference, used, said):
    found = Comparison((0.8,), (0.7,), 5, difference, used)
    assert said in found.text()
    assert found.to_dict()["text"] == found.text()


@pytest.mark.parametrize(
    ("difference", "used", "said"),
    [
        (Difference(0.04, (0.01, 0.07), 0.99), True, "images first helped: score +0.04 (+0.01 to +0.07)"),
        (Difference(-0.04, (-0.07, -0.01), 0.99), True, "first made it worse: score -0.04 (-0.07 to -0.01)"),
        (Difference(0.002, (-0.01, 0.02), 0.6), True, "no difference that can be told: score +0.002"),
        (None, True, "Too few strokes"),
        (None, False, "helped by no more than chance, if at all"),
    ],
)
def test_the_window_says_it_in_plain_words(difference, used, said):
    assert said in Comparison((0.8,), (0.7,), 5, difference, used).plain()
