"""The pretext tasks of the self-supervised methods, checked pixel by pixel."""

import numpy as np
import pytest
import torch

from napari_sslseg import pretraining, views
from napari_sslseg.errors import ConfigError
from napari_sslseg.image import Image
from napari_sslseg.job import Metric, Notice, Picture, run
from napari_sslseg.methods import METHODS, recall
from napari_sslseg.methods import distil as distillation
from napari_sslseg.methods.colorize import greyed
from napari_sslseg.methods.denoise import CELL, REACH, blind_spots, neighbours
from napari_sslseg.methods.jigsaw import GRID, shuffled
from napari_sslseg.methods.sigreg import epps_pulley
from napari_sslseg.methods.simclr import nt_xent
from napari_sslseg.model import Network
from napari_sslseg.pretraining import pretrain
from napari_sslseg.settings import PretrainConfig


def method(name, channels=1, side=32):
    torch.manual_seed(0)
    kind = METHODS.load(name)
    return kind(Network((*kind.encoders, "unet")[0], "fpn", channels), side)


def test_each_whole_cell_has_one_blind_spot():
    spots = blind_spots(3, 4 * CELL)
    cells = spots.reshape(3, 4, CELL, 4, CELL).sum((2, 4))
    assert (cells == 1).all()
    assert not torch.equal(spots[0], spots[1])


def test_a_blind_spot_shows_a_near_pixel_and_never_its_own():
    height, width = 20, 30
    numbered = torch.arange(height * width, dtype=torch.float32).reshape(1, 1, height, width).repeat(40, 2, 1, 1)
    found = neighbours(numbered)
    assert torch.equal(found[:, 0], found[:, 1])
    y, x = found[:, 0] // width, found[:, 0] % width
    dy, dx = (y - torch.arange(height)[:, None]).abs(), (x - torch.arange(width)).abs()
    assert int(torch.maximum(dy, dx).max()) == REACH
    inner = np.s_[:, REACH:-REACH, REACH:-REACH]  # at the border a mirrored neighbour may be the pixel itself
    assert int((dy + dx)[inner].min()) == 1


def test_denoising_is_scored_at_blind_spots_only():
    denoise = method("denoise")
    torch.manual_seed(0)
    batch = denoise.prepare(torch.randn(4, 1, 48, 48))
    found = denoise.output(denoise.network.features(batch["seen"])).detach().numpy()
    at = np.broadcast_to(batch["spots"].numpy(), found.shape)
    expected = np.mean((found[at] - batch["noisy"].numpy()[at]) ** 2)
    assert float(denoise(batch)["loss"].detach()) == pytest.approx(expected, rel=1e-5)
    assert torch.equal(batch["seen"][~batch["spots"]], batch["noisy"][~batch["spots"]])


def test_the_pieces_of_a_jigsaw_come_to_their_places():
    images = torch.randn(2, 3, 8 * GRID, 8 * GRID)
    order = torch.stack([torch.randperm(GRID * GRID) for _ in range(2)])
    found = shuffled(images, order)
    for i in range(2):
        for place, piece in enumerate(order[i].tolist()):
            (a, b), (c, d) = divmod(place, GRID), divmod(piece, GRID)
            moved = found[i, :, 8 * a : 8 * a + 8, 8 * b : 8 * b + 8]
            assert torch.equal(moved, images[i, :, 8 * c : 8 * c + 8, 8 * d : 8 * d + 8])


def test_what_is_hidden_is_the_mean_of_the_visible_channels():
    images = torch.randn(3, 3, 4, 5)
    hidden = torch.tensor([[True, False, False], [False, False, True], [True, True, True]])[:, :, None, None]
    found = greyed(images, hidden)
    assert torch.allclose(found[0, 0], images[0, 1:].mean(0))
    assert torch.equal(found[0, 1:], images[0, 1:])
    assert torch.allclose(found[1, 2], images[1, :2].mean(0))
    assert torch.allclose(found[2], images[2].mean(0).expand(3, 4, 5))


def test_colours_cannot_be_learnt_from_grey_images():
    grey = Image.from_array(np.random.default_rng(0).random((40, 40)), name="grey")
    with pytest.raises(ConfigError, match="'colorize' predicts channels from each other and these images have 1"):
        run(pretrain([grey], PretrainConfig(method="colorize", encoder="unet", start="random", steps=1)))


@pytest.mark.parametrize("name", METHODS.names())
def test_every_method_shows_a_picture_in_range_or_none(name):
    channels = METHODS.load(name).least_channels
    made = method(name, channels)
    picture = made.picture(made.prepare(torch.randn(4, channels, 48, 48)))
    assert picture is None or (picture.ndim == 2 and picture.min() >= 0 and picture.max() <= 1)


def test_pictures_do_not_change_what_is_learnt(monkeypatch):
    grey = Image.from_array(np.random.default_rng(0).random((60, 60)), name="grey")
    config = PretrainConfig(method="restore", encoder="unet", start="random", steps=4, crop=32, batch=2)
    heard, found = [], []
    for seconds in (1000.0, 0.0):
        monkeypatch.setattr(pretraining, "PICTURE_SECONDS", seconds)
        found.append(run(pretrain([grey], config), heard.append).weights)
    assert any(isinstance(e, Picture) for e in heard)
    assert all(torch.equal(v, found[1][k]) for k, v in found[0].items())


def test_the_cloud_of_normal_values_is_round_and_others_are_not():
    torch.manual_seed(0)
    normal, flat, narrow = torch.randn(4000, 50), 4 * torch.rand(4000, 50) - 2, 0.2 * torch.randn(4000, 50)
    expected = np.sqrt(2 * np.pi) * (1 - np.sqrt(1 / 3))  # of the integral, for values that are normal
    assert float(epps_pulley(normal)) == pytest.approx(expected, rel=0.15)
    assert float(epps_pulley(flat)) > 20
    assert float(epps_pulley(narrow)) > 200
    assert float(epps_pulley(torch.zeros(4000, 50))) > float(epps_pulley(narrow))


def test_the_statistic_is_that_of_numpy():
    values = torch.randn(30, 4, dtype=torch.float64) * 1.3
    knots = np.linspace(-5, 5, 17)
    characteristic = np.exp(1j * values.numpy()[..., None] * knots).mean(0)
    weight = np.exp(-(knots**2) / 2)
    expected = 30 * np.trapezoid(np.abs(characteristic - weight) ** 2 * weight, knots).mean()
    assert float(epps_pulley(values)) == pytest.approx(expected, rel=1e-5)


def test_nt_xent_is_that_of_numpy():
    features, memory = (torch.nn.functional.normalize(torch.randn(n, 5), dim=1) for n in (6, 4))
    rows = []
    for i in range(6):
        similar = np.exp(np.concatenate([features, memory]) @ features[i].numpy() / 0.2)
        rows.append(-np.log(similar[(i + 3) % 6] / (similar.sum() - similar[i])))
    assert float(nt_xent(features, memory)) == pytest.approx(np.mean(rows), rel=1e-4)


def test_earlier_crops_count_from_the_next_step_on_and_the_oldest_are_forgotten():
    simclr = method("simclr")
    batch = simclr.prepare(torch.randn(4, 1, 48, 48))
    with torch.no_grad():
        first = float(simclr(batch)["loss"])
        assert float(simclr(batch)["loss"]) == pytest.approx(first, rel=1e-4)
        simclr.begin(0.0, {})
        assert float(simclr(batch)["loss"]) > first
        for _ in range(40):
            simclr(batch)
        simclr.begin(0.0, {})
    assert int(simclr.written) == 43 * 8
    assert torch.allclose(simclr.memory.norm(dim=1), torch.ones(len(simclr.memory)), atol=1e-5)


def test_the_averaged_network_teaches_and_is_left_alone():
    distil = method("distil")
    batch = distil.prepare(torch.randn(4, 1, 48, 48))
    own = float(distil(batch)["loss"].detach())
    average = {k: v.clone() for k, v in distil.state_dict().items()}
    distil.centre.zero_()
    distil.begin(0.0, average)
    assert float(distil(batch)["loss"].detach()) == pytest.approx(own, rel=1e-4)
    distil.centre.zero_()
    other = {k: torch.randn_like(v) * 0.1 if v.dtype.is_floating_point else v for k, v in average.items()}
    before = {k: v.clone() for k, v in other.items()}
    distil.begin(0.1, other)
    assert float(distil(batch)["loss"].detach()) != pytest.approx(own, rel=1e-4)
    assert all(torch.equal(v, before[k]) for k, v in other.items())


def softmax(values):
    e = np.exp(values - values.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_every_view_learns_from_each_whole_view_but_itself():
    distil = method("distil").eval()
    torch.manual_seed(1)
    batch = distil.prepare(torch.randn(3, 1, 48, 48))
    distil.centre.normal_(0, 0.1)
    with torch.no_grad():
        found = float(distil(batch)["loss"])
        whole = distil.scores(batch["views"], batch["places"]).numpy().reshape(2, -1, distillation.PROTOTYPES)
        small = distil.scores(batch["small"], batch["small_places"]).numpy()
    small = small.reshape(distillation.SMALL, -1, distillation.PROTOTYPES)
    places = [p.numpy().reshape(-1, 2) for p in (*batch["places"].chunk(2), *batch["small_places"].chunk(4))]
    shown = [np.abs(p).max(1) < 1 for p in places]
    pairs = []
    for k, teacher in enumerate(whole):
        aim = softmax((teacher - distil.centre.numpy()) / distillation.TEACHER)
        for i, student in enumerate((*whole, *small)):
            if i != k:
                each = (aim * np.log((aim + 1e-30) / softmax(student / distillation.STUDENT))).sum(1)
                pairs.append(each[shown[k] & shown[i]].mean())
    assert len(pairs) == 2 * (1 + distillation.SMALL)
    assert found == pytest.approx(np.mean(pairs), rel=1e-4)


def test_the_teacher_sees_whole_views_only_and_the_small_ones_cost_little():
    distil = method("distil", side=64)
    seen = {True: [], False: []}
    distil.network.encoder.register_forward_pre_hook(lambda m, given: seen[m.training].append(tuple(given[0].shape)))
    distil(distil.prepare(torch.randn(2, 1, 96, 96)))
    assert seen[False] == [(4, 1, 64, 64)]
    assert seen[True] == [(4, 1, 64, 64), (2 * distillation.SMALL, 1, 32, 32)]


def test_the_spots_of_small_views_are_those_of_the_whole_ones():
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    ramps = torch.stack([torch.cos(x / 30), torch.cos(y / 30)]).repeat(8, 1, 1, 1) * 2  # two ramps name each spot

    def unchanged(views, strength=1.0):
        return views

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_sslseg.views.augment.intensity", unchanged)
        batch = method("distil", 2, 64).prepare(ramps)
    whole, again = views.at([batch["views"]], batch["places"]).unflatten(0, (2, -1))
    inside = batch["inside"]
    assert torch.allclose(whole[inside], again[inside], atol=0.05)
    for views_, places in zip(batch["small"].chunk(4), batch["small_places"].chunk(4), strict=True):
        shown = inside & (places.abs().amax(-1) < 1).flatten()
        assert int(shown.sum()) > 30
        assert torch.allclose(views.at([views_], places)[shown], whole[shown], atol=0.05)


def test_a_collapse_is_told_once(monkeypatch):
    monkeypatch.setattr(distillation, "COLLAPSED", 2.0)  # everything counts as a collapse
    grey = Image.from_array(np.random.default_rng(0).random((60, 60)), name="grey")
    config = PretrainConfig(method="distil", encoder="unet", start="random", steps=8, crop=32, batch=2)
    heard = []
    run(pretrain([grey], config), heard.append)
    assert [e.text for e in heard if isinstance(e, Notice)] == [distillation.Distil.alarm(None, "used", 0.0)]
    assert {e.name for e in heard if isinstance(e, Metric)} == {"loss", "used", "probe", "rank"}


def test_a_run_that_goes_well_is_not_alarming():
    assert method("distil").alarm("used", 0.5) is None
    assert method("distil").alarm("loss", 0.0) is None


def test_a_masked_autoencoder_cannot_see_what_is_hidden():
    mae = method("mae").eval()
    batch = mae.prepare(torch.randn(4, 1, 48, 48))
    with torch.no_grad():
        drawn, pixels = mae._drawn(batch)
        noise = torch.where(pixels, batch["clean"], torch.randn_like(batch["clean"]))
        again, _ = mae._drawn({**batch, "clean": noise})
    assert float(pixels.float().mean()) == 0.25
    assert torch.equal(drawn, again)


def test_a_masked_autoencoder_is_scored_on_what_is_hidden():
    mae = method("mae")
    batch = mae.prepare(torch.randn(4, 1, 48, 48))
    drawn, pixels = (t.detach().numpy() for t in mae._drawn(batch))
    expected = ((drawn - batch["clean"].numpy()) ** 2)[~pixels].mean()
    assert float(mae(batch)["loss"].detach()) == pytest.approx(expected, rel=1e-5)


def test_a_masked_autoencoder_needs_a_transformer():
    grey = Image.from_array(np.random.default_rng(0).random((60, 60)), name="grey")
    with pytest.raises(ConfigError, match="'mae' cannot train the encoder 'unet'.*--encoder vit"):
        run(pretrain([grey], PretrainConfig(method="mae", encoder="unet", start="random", steps=1)))


def test_adapting_is_anchored_to_the_features_at_the_start_only_if_they_were_trained():
    adapt = method("adapt")
    batch = adapt.prepare(torch.randn(4, 1, 48, 48))
    assert "drift" not in method("adapt")(batch)
    adapt.frozen_norm = True
    adapt.train()
    assert float(adapt(batch)["drift"].detach()) == pytest.approx(0, abs=1e-5)
    with torch.no_grad():
        for weight in adapt.network.encoder.parameters():
            weight += 0.1 * torch.randn_like(weight)
    losses = adapt(batch)
    assert float(losses["drift"].detach()) > 0.01
    losses["loss"].backward()
    assert all(p.grad is not None for p in adapt.parameters())
    assert not any(p.requires_grad for p in adapt._start[0].parameters())


def trained(name):
    """A method over a network that starts from trained weights, and a batch in which nothing is corrupted."""
    made = method(name)
    made.frozen_norm = True
    made.train()
    made.network.eval()
    batch = dict(made.prepare(torch.randn(4, 1, 48, 48)))
    return made, {**batch, "seen": batch["clean"]}


def test_nothing_is_to_be_recalled_of_random_weights():
    made = method("recall")
    losses = made(made.prepare(torch.randn(4, 1, 48, 48)))
    assert losses.keys() == {"loss"}


def test_the_network_at_its_start_recalls_all_of_what_is_not_corrupted():
    made, batch = trained("recall")
    assert float(made(batch)["recall"].detach()) == pytest.approx(0, abs=1e-5)
    corrupted = {**batch, "seen": torch.randn_like(batch["clean"])}
    assert float(made(corrupted)["recall"].detach()) > 0.1


def test_what_is_recalled_is_that_of_numpy():
    made, batch = trained("recall")
    batch["seen"] = torch.randn_like(batch["clean"])
    losses, start, now = made(batch), made._start[0], made.network
    with torch.no_grad():
        known, maps = start.encoder(batch["clean"]), now.encoder(batch["seen"])
        wanted, found = start.head(batch["clean"], known).numpy(), now.head(batch["seen"], maps).numpy()
    turned = []
    for a, b in zip((m.numpy() for m in maps), (m.numpy() for m in known), strict=True):
        norms = np.sqrt((a * a).sum(1)) * np.sqrt((b * b).sum(1))
        turned.append(1 - ((a * b).sum(1) / norms).mean())
    error = np.abs(found - wanted)
    moved = np.where(error < 1, 0.5 * error**2, error - 0.5).mean()
    assert float(losses["recall"].detach()) == pytest.approx(np.mean(turned) + moved, rel=1e-4)
    assert float(losses["loss"].detach()) == pytest.approx(
        float((losses["restoration"] + recall.RECALL * losses["recall"]).detach()), rel=1e-6
    )


def test_recalling_teaches_encoder_and_head_and_leaves_the_teacher_alone():
    made, batch = trained("recall")
    batch["seen"] = torch.randn_like(batch["clean"])
    before = {k: v.clone() for k, v in made._start[0].state_dict().items()}
    made(batch)["recall"].backward()
    assert all(p.grad is not None for p in made.network.parameters())
    assert not any(p.requires_grad for p in made._start[0].parameters())
    assert all(torch.equal(v, before[k]) for k, v in made._start[0].state_dict().items())
    assert not any("_start" in k for k in made.state_dict())
