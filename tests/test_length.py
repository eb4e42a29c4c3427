"""How long objects are learnt: each is looked at so often and no more, where the starter knows objects already."""

import numpy as np
import pytest
from scenes import disks
from scipy import ndimage

from napari_sslseg import loop
from napari_sslseg.annotation import Annotation
from napari_sslseg.finetuning import finetune
from napari_sslseg.job import Notice, run
from napari_sslseg.loop import Schedule
from napari_sslseg.settings import FinetuneConfig, RuntimeConfig


def numbered():
    """An image of disks, its ground 1 and each disk a number of its own."""
    image, truth = disks()
    numbers, count = ndimage.label(truth > 1)
    return image, Annotation((numbers + 1).astype(np.uint16), "instance"), count


def trained(annotation, heard=None, **options):
    config = FinetuneConfig(minutes=10.0, crop=32, batch=4, pixels=0.0, hold_out=0.0, **options)
    job = finetune([(disks()[0], annotation)], config, runtime=RuntimeConfig(device="cpu"))
    return run(job, (heard if heard is not None else []).append).history


def test_objects_are_looked_at_so_often_and_no_more_from_the_starter():
    _, annotation, count = numbered()
    heard = []
    history = trained(annotation, heard, start="starter", looks=12 / count)  # 3 steps of 4
    assert (history["steps"], history["finished"]) == (3, True)
    (said,) = [e.text for e in heard if isinstance(e, Notice) and "by heart" in e.text]
    assert said.startswith(f"Training ended before its time: {count} objects are painted")
    assert trained(annotation, start="starter", looks=12 / count, steps=5)["steps"] == 5  # what is asked for is done


@pytest.mark.parametrize(("start", "kind"), [("random", "instance"), ("starter", "semantic")])
def test_nothing_else_ends_before_its_time(monkeypatch, start, kind):
    _, annotation, _ = numbered()
    if kind == "semantic":
        annotation = Annotation(np.minimum(annotation.labels, 2).astype(np.uint16))
    made = []
    monkeypatch.setattr(loop, "Schedule", lambda *given, **named: made.append(named) or Schedule(*given, **named))
    trained(annotation, start=start, looks=1.0, steps=1, encoder="efficientnet_lite0")
    assert made == [{"most": None}]


def test_a_run_ends_when_either_time_or_looks_are_over():
    schedule = loop.Schedule(1e-3, 1.0, most=10)
    assert (schedule.fraction(5, 6.0), schedule.fraction(1, 30.0), schedule.fraction(10, 0.0)) == (0.5, 0.5, 1.0)
