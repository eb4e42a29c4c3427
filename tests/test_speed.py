"""What makes steps fast changes nothing: batches ahead, random numbers of a thread, bfloat16, compiling, cores."""

import threading

import pytest
import torch
from scenes import annotated, disks
from torch import nn

from napari_sslseg import ahead, augment, cores, precision, pretraining
from napari_sslseg.ahead import Ahead
from napari_sslseg.augment import Geometry
from napari_sslseg.batches import Batches
from napari_sslseg.errors import ConfigError, ImageError
from napari_sslseg.finetuning import finetune
from napari_sslseg.image import Image
from napari_sslseg.job import Metric, Stop, run
from napari_sslseg.labelled import collect
from napari_sslseg.methods import METHODS
from napari_sslseg.objective import Objective
from napari_sslseg.pretraining import pretrain
from napari_sslseg.runtime import Runtime
from napari_sslseg.settings import FinetuneConfig, PretrainConfig, RuntimeConfig

SMALL = {"encoder": "unet", "start": "random", "crop": 32, "batch": 4}
CPU = torch.device("cpu")


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def with_workers(monkeypatch, count):
    monkeypatch.setattr(Runtime, "workers", property(lambda self: count))


def left():
    return [t.name for t in threading.enumerate() if t.name.startswith(ahead.NAME)]


def numbered(step):
    return {"step": torch.tensor(step)}


# ---------------------------------------------------------------- random numbers of one thread
@pytest.mark.parametrize(
    "draw",
    [
        lambda: torch.rand(5),
        lambda: torch.randn(40),
        lambda: torch.randint(9, (7,)),
        lambda: torch.randint(3, 9, (7,)),
        lambda: torch.randperm(30),
        lambda: torch.rand_like(torch.zeros(3, 4)),
        lambda: torch.randn_like(torch.zeros(2, 3, 8, 8).to(memory_format=torch.channels_last)),
        lambda: torch.empty(3).uniform_(2, 4),
        lambda: nn.functional.dropout(torch.ones(50)),
        lambda: torch.multinomial(torch.ones(9), 4),
        lambda: nn.Linear(5, 4).weight.detach(),
    ],
)
def test_numbers_of_a_thread_are_those_of_the_global_state(draw):
    machine = Runtime(CPU, 3)
    with machine.torch_numbers(1, 2):
        expected = [draw(), draw()]
    with machine.thread_numbers(1, 2):
        found = [draw(), draw()]
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


def test_numbers_of_a_thread_leave_the_global_state_alone():
    before = torch.get_rng_state()
    with Runtime(CPU, 0).thread_numbers(0):
        torch.rand(3), nn.functional.dropout(torch.ones(9))
    assert torch.equal(torch.get_rng_state(), before)


def test_two_threads_do_not_disturb_each_other():
    machine, meet = Runtime(CPU, 0), threading.Barrier(2)
    found = {}

    def other():
        with machine.thread_numbers(1):
            meet.wait()
            found["other"] = torch.cat([torch.rand(1000) for _ in range(200)])

    thread = threading.Thread(target=other)
    thread.start()
    with machine.torch_numbers(2):
        meet.wait()
        found["main"] = torch.cat([torch.rand(1000) for _ in range(200)])
    thread.join()
    for key, name in ((1, "other"), (2, "main")):
        with machine.torch_numbers(key):
            assert torch.equal(torch.cat([torch.rand(1000) for _ in range(200)]), found[name])


def test_an_operation_that_takes_no_generator_is_refused():
    with Runtime(CPU, 0).thread_numbers(0), pytest.raises(RuntimeError, match="takes no generator"):
        torch.native_dropout(torch.ones(3), 0.5, True)


def test_batches_are_drawn_while_the_global_state_stays_as_it_is(monkeypatch):
    """Also in the middle of it, or a step that computes in another thread would draw other numbers."""
    before, seen, intensity = torch.get_rng_state(), [], augment.intensity

    def looking(*args):
        result = intensity(*args)
        seen.append(torch.get_rng_state())
        return result

    monkeypatch.setattr(augment, "intensity", looking)
    machine, (image, annotation, _) = Runtime(CPU, 0), annotated()
    config = PretrainConfig(method="restore", **SMALL)
    pretraining._batch(pretraining._method([image], config, machine), [image], config, machine, 0)
    labelled = collect([(image, annotation)], 0.2)
    Batches(labelled, [image], FinetuneConfig(**SMALL), machine).around(labelled.train, [])(0)
    assert len(seen) == 2
    assert all(torch.equal(state, before) for state in seen)


# ---------------------------------------------------------------- batches ahead
@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_come_in_the_order_of_the_steps(workers):
    with Ahead(numbered, workers) as prepared:
        assert [int(prepared(s)["step"]) for s in range(5, 25)] == list(range(5, 25))


def test_only_a_few_batches_are_prepared_ahead():
    made = []

    def batch(step):
        made.append(step)
        return numbered(step)

    with Ahead(batch, 2) as prepared:
        prepared(0)
        prepared(1)
    assert set(made) <= set(range(5))


def test_no_thread_is_left_and_the_number_of_threads_is_as_before():
    before = torch.get_num_threads()
    with Ahead(numbered, 2) as prepared:
        prepared(0)
        assert left()
    assert not left()
    assert torch.get_num_threads() == before


def test_leaving_waits_for_no_batch_that_was_not_begun():
    begun, go = [], threading.Event()

    def batch(step):
        begun.append(step)
        if step:
            go.wait(10)
        return numbered(step)

    with Ahead(batch, 1) as prepared:
        prepared(0)
        go.set()
    assert len(begun) <= 3
    assert not left()


def test_an_error_arrives_with_its_message_at_its_step():
    def batch(step):
        if step == 3:
            raise ImageError("a.zarr has gone", "It is needed", "Bring it back")
        return numbered(step)

    with pytest.raises(ImageError, match="a.zarr has gone"), Ahead(batch, 2) as prepared:
        for step in range(5):
            assert int(prepared(step)["step"]) == step < 3
    assert not left()


@pytest.mark.parametrize("name", METHODS.names())
def test_pretraining_with_batches_ahead_is_bit_for_bit_that_without(name, monkeypatch):
    kind = METHODS.load(name)
    encoder = (*kind.encoders, "unet")[0]
    images = [disks(channels=kind.least_channels)[0]]
    results = []
    for workers in (0, 2):
        with_workers(monkeypatch, workers)
        config = PretrainConfig(method=name, steps=3, **SMALL | {"encoder": encoder})
        results.append(run(pretrain(images, config)))
    assert same(results[0].weights, results[1].weights)
    assert results[0].history["losses"] == results[1].history["losses"]


class Forgetful(nn.Module):
    """An encoder with dropout, as of somebody else's package."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder, self.channels, self.strides = encoder, encoder.channels, encoder.strides
        self.dimensions = encoder.dimensions

    def forward(self, image):
        return [nn.functional.dropout(m, 0.3, self.training) for m in self.encoder(image)]


def forgetful(monkeypatch):
    whole = pretraining.model.build

    def build(*args, **kwargs):
        network = whole(*args, **kwargs)
        network.encoder = Forgetful(network.encoder)
        return network

    monkeypatch.setattr(pretraining.model, "build", build)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_network_with_dropout_resumes_bit_for_bit_whatever_else_draws(workers, monkeypatch):
    forgetful(monkeypatch)
    images, config = [disks()[0]], PretrainConfig(method="restore", steps=6, **SMALL)
    with_workers(monkeypatch, 0)
    whole = run(pretrain(images, config))
    with_workers(monkeypatch, workers)
    stop, kept = Stop(), []
    for event in pretrain(images, config, stop=stop, keep=kept.append):
        torch.rand(7)  # somebody else draws too
        if isinstance(event, Metric) and event.name == "loss":
            stop.request()
    assert 0 < kept[-1].history["steps"] < 6
    resumed = run(pretrain(images, config, resume=kept[-1]))
    assert same(resumed.weights, whole.weights)
    assert resumed.history["losses"] == whole.history["losses"]


@pytest.mark.parametrize("teacher", [0.0, 1.0])
def test_training_with_batches_ahead_is_bit_for_bit_that_without(teacher, monkeypatch):
    image, annotation, _ = annotated()
    results = []
    for workers in (0, 2):
        with_workers(monkeypatch, workers)
        results.append(run(finetune([(image, annotation)], FinetuneConfig(steps=4, teacher=teacher, **SMALL))))
    assert same(results[0].weights, results[1].weights)


def test_a_job_that_is_closed_leaves_no_thread(monkeypatch):
    with_workers(monkeypatch, 2)
    job = pretrain([disks()[0]], PretrainConfig(method="restore", steps=50, **SMALL))
    for event in job:
        if isinstance(event, Metric) and event.name == "loss":
            break
    assert left()
    job.close()
    assert not left()


def test_damage_found_ahead_ends_the_job_with_its_message(monkeypatch):
    with_workers(monkeypatch, 1)
    image = disks()[0]
    monkeypatch.setattr(Image, "read", broken(Image.read))
    with pytest.raises(ImageError, match="disks0 is gone"):
        run(pretrain([image], PretrainConfig(method="restore", steps=9, **SMALL)))
    assert not left()


def broken(read):
    count = [0]

    def reading(self, *args):
        count[0] += 1
        if count[0] > 12:
            raise ImageError(f"{self.name} is gone", "It is needed")
        return read(self, *args)

    return reading


# ---------------------------------------------------------------- all crops at once
@pytest.mark.parametrize("side, options", [(32, {}), (33, {}), (64, {"turn": 45.0, "zoom": (0.6, 1.5)})])
def test_crops_are_turned_at_once_as_torchvision_turns_them_one_by_one(side, options):
    geometry, batch = Geometry(side, **options), torch.randn(5, 2, int(1.5 * side), int(1.5 * side))
    blank = torch.zeros(batch.shape[-2:], dtype=torch.long)
    with Runtime(CPU, 0).torch_numbers(0):
        expected, after = torch.stack([geometry(image, blank)[0] for image in batch]), torch.rand(1)
    with Runtime(CPU, 0).torch_numbers(0):
        assert torch.allclose(geometry.images(batch), expected, atol=1e-3)
        assert torch.equal(torch.rand(1), after)


# ---------------------------------------------------------------- cores
def topology(folder, siblings):
    for number, text in siblings.items():
        (folder / f"cpu{number}" / "topology").mkdir(parents=True)
        (folder / f"cpu{number}" / "topology" / "thread_siblings_list").write_text(text + "\n")
    return folder


def test_hyper_threads_of_a_core_count_once(tmp_path):
    folder = topology(tmp_path, {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"})
    assert cores.physical({0, 1, 2, 3}, folder) == 2
    assert cores.physical({0, 1}, folder) == 2
    assert cores.physical({0, 2}, folder) == 1


def test_where_nothing_is_said_every_processor_is_a_core(tmp_path):
    assert cores.physical({0, 1, 5}, tmp_path) == 3


@pytest.mark.parametrize(
    "device, processors, threads, workers",
    [("cpu", 2, 2, 0), ("cpu", 1, 1, 0), ("cpu", 8, 4, 1), ("cpu", 2, 4, 0), ("cuda", 16, 8, 4), ("cuda", 1, 1, 1)],
)
def test_batches_are_prepared_ahead_where_cores_are_free(device, processors, threads, workers, monkeypatch):
    monkeypatch.setattr(cores, "usable", lambda: set(range(processors)))
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert Runtime(torch.device(device), 0).workers == workers


@pytest.mark.parametrize("said, used", [("", 3), ("7", 8)])
def test_one_thread_a_core_unless_the_user_said_otherwise(said, used, monkeypatch):
    set_to = [8]
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    monkeypatch.setattr(cores, "physical", lambda processors: 3)
    monkeypatch.setattr(torch, "get_num_threads", lambda: set_to[-1])
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    Runtime.make(RuntimeConfig(device="cpu"))
    assert set_to[-1] == used


# ---------------------------------------------------------------- bfloat16
class Fit(Objective):
    """A convolution with running statistics."""

    def __init__(self, work=lambda x: x):
        super().__init__()
        self.layers, self.work = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3)), work

    def groups(self, rate):
        return [{"params": list(self.parameters()), "lr": rate}]

    def forward(self, batch):
        return {"loss": self.work(self.layers(batch["image"])).float().square().mean()}


def clock(objective, whole, half):
    """Passes take these seconds; which one is under way shows in the type of what comes out."""
    now, kinds = [0.0], []
    objective.layers.register_forward_hook(lambda m, i, out: kinds.append(out.dtype))

    def tell():
        if kinds:
            now[0] += half if kinds.pop() is torch.bfloat16 else whole
        return now[0]

    return tell


def chosen(objective, whole, half):
    with Runtime(CPU, 0).torch_numbers(0):
        batch = {"image": torch.randn(2, 1, 16, 16)}
        return precision.faster(objective, batch, CPU, clock(objective, whole, half))


def test_the_faster_type_is_chosen():
    assert chosen(Fit(), whole=2.0, half=1.0) is torch.bfloat16
    assert chosen(Fit(), whole=1.0, half=1.0) is torch.float32
    assert chosen(Fit(), whole=1.0, half=3.0) is torch.float32


def test_choosing_leaves_weights_statistics_and_gradients_as_they_were():
    objective = Fit()
    before = {k: v.clone() for k, v in objective.state_dict().items()}
    chosen(objective, 2.0, 1.0)
    assert same(objective.state_dict(), before)
    assert all(p.grad is None for p in objective.parameters())


def test_a_type_that_gives_another_loss_is_not_chosen():
    assert chosen(Fit(lambda x: x * (3 if x.dtype is torch.bfloat16 else 1)), 2.0, 1.0) is torch.float32


def test_a_type_that_an_operation_does_not_take_is_not_chosen():
    def work(x):
        return torch.zeros(3, *x.shape).index_put((torch.tensor([0]),), x[None])

    assert chosen(Fit(work), 2.0, 1.0) is torch.float32


def test_a_cpu_computes_in_float32(monkeypatch):
    monkeypatch.setattr(precision, "faster", lambda *_: torch.bfloat16)
    assert precision.choose(Fit(), {}, CPU) is torch.float32


# ---------------------------------------------------------------- compiling
def test_a_machine_that_cannot_compile_says_so(monkeypatch):
    def fails(*args, **kwargs):
        raise RuntimeError("No working C++ compiler found.\nmore")

    monkeypatch.setattr(torch, "compile", fails)
    config = PretrainConfig(method="restore", steps=1, **SMALL)
    with pytest.raises(ConfigError, match=r"cannot \(No working C\+\+ compiler found\).*leave out --compile"):
        run(pretrain([disks()[0]], config, runtime=RuntimeConfig(device="cpu", compile=True)))


def test_nothing_is_compiled_unless_asked_for(monkeypatch):
    monkeypatch.setattr(nn.Module, "compile", lambda self: pytest.fail("compiled"))
    run(pretrain([disks()[0]], PretrainConfig(method="restore", steps=1, **SMALL)))


def test_encoder_and_head_are_compiled_and_stored_under_their_names(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda f, *_, **__: f)
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(type(self).__name__))
    config = PretrainConfig(method="restore", steps=2, **SMALL)
    results = [run(pretrain([disks()[0]], config, runtime=RuntimeConfig(compile=c))) for c in (False, True)]
    assert len(compiled) == 2
    assert same(results[0].weights, results[1].weights)
