"""What is done to crops before they are restored: windows, bent intensities, channels left out."""

import numpy as np
import pytest
import torch

from napari_sslseg import corruption
from napari_sslseg.corruption import bend, corrupted, restoration
from napari_sslseg.methods import METHODS
from napari_sslseg.model import Network


@pytest.fixture
def only(monkeypatch):
    """Choose the share of the crops to which each of the rarer corruptions is done."""

    def choose(outpainted=0.0, bent=0.0, dropped=0.0):
        for name, share in (("OUTPAINTED", outpainted), ("BENT", bent), ("DROPPED", dropped)):
            monkeypatch.setattr(corruption, name, share)

    return choose


def is_rectangle(mask):
    rows, columns = mask.any(1), mask.any(0)
    filled = bool(mask[rows][:, columns].all())
    return filled and all(np.diff(np.flatnonzero(line)).max(initial=1) == 1 for line in (rows, columns))


def test_outpainting_leaves_windows_of_the_stated_sizes(monkeypatch):
    monkeypatch.setattr(corruption, "WINDOWS", 1)
    torch.manual_seed(0)
    seen = ~corruption.around_windows(50, 64)[:, 0].numpy()
    assert all(is_rectangle(s) for s in seen)
    sides = np.array([(s.any(1).sum(), s.any(0).sum()) for s in seen])
    least, most = corruption.WINDOW
    assert sides.min() >= 64 * least - 1
    assert sides.max() <= 64 * most + 1
    assert sides.std() > 3


def test_outpainting_leaves_one_to_three_windows():
    torch.manual_seed(0)
    seen = ~corruption.around_windows(60, 64)[:, 0].numpy()
    single = [is_rectangle(s) for s in seen]
    assert 0.2 < np.mean(single) < 0.6  # a third has one window; others may cover each other
    assert 0.1 < seen.mean() < 0.6


def test_only_the_stated_share_of_crops_is_outpainted(only):
    only(outpainted=0.25)
    torch.manual_seed(0)
    mask = corrupted(torch.randn(200, 1, 64, 64))[1]
    outside = mask[:, 0, [0, 0, -1, -1], [0, -1, 0, -1]].all(1) & (mask.float().mean((1, 2, 3)) > 0.55)
    assert float(outside.float().mean()) == pytest.approx(0.2, abs=0.08)  # a window may reach into a corner


def test_bent_intensities_keep_their_order_and_range():
    torch.manual_seed(0)
    images = torch.randn(40, 2, 16, 16)
    bent = bend(images)
    for before, after in zip(images.flatten(1), bent.flatten(1), strict=True):
        order = before.argsort()
        assert bool((after[order].diff() >= -1e-5).all())
        assert float(after.min()) == pytest.approx(float(before.min()), abs=1e-4)
        assert float(after.max()) == pytest.approx(float(before.max()), abs=1e-4)
    assert float((bent - images).abs().amax((1, 2, 3)).median()) > 0.3


def test_all_channels_are_bent_alike():
    torch.manual_seed(0)
    grey = torch.randn(10, 1, 16, 16).repeat(1, 3, 1, 1)
    bent = bend(grey)
    assert torch.equal(bent[:, 0], bent[:, 1])
    assert torch.equal(bent[:, 0], bent[:, 2])


def test_the_curve_is_that_of_bezier():
    torch.manual_seed(3)
    images = torch.rand(1, 1, 8, 8)
    bent = bend(images).numpy().ravel()
    torch.manual_seed(3)
    torch.rand(1, 1, 8, 8)
    (x1, x2), (y1, y2) = np.sort(torch.rand(1, 2, 2).numpy()[0], 0).T
    values = images.numpy().ravel().astype(float)
    low, high = values.min(), values.max()
    t = np.linspace(0, 1, 20001)
    weights = 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3
    x, y = (weights[0] * a + weights[1] * b + weights[2] for a, b in ((x1, x2), (y1, y2)))
    expected = np.interp((values - low) / (high - low), x, y) * (high - low) + low
    np.testing.assert_allclose(bent, expected, atol=0.01)


def test_constant_crops_stay_constant():
    assert torch.equal(bend(torch.ones(2, 1, 8, 8)), torch.ones(2, 1, 8, 8))


def test_a_channel_that_is_left_out_is_masked_and_no_other_one_is_touched(only):
    crops = torch.randn(60, 3, 64, 64)
    only()
    torch.manual_seed(0)
    before, mask = corrupted(crops)
    only(dropped=0.5)
    torch.manual_seed(0)
    seen, hidden = corrupted(crops)
    gone = hidden.flatten(2).all(2)
    assert sorted(set(gone.sum(1).tolist())) == [0, 1]
    assert float(gone.any(1).float().mean()) == pytest.approx(0.5, abs=0.2)
    assert set(gone.nonzero()[:, 1].tolist()) == {0, 1, 2}
    assert bool((seen[gone] == 0).all())
    assert torch.equal(seen[~gone], before[~gone])
    assert torch.equal(hidden[~gone], mask.expand(-1, 3, -1, -1)[~gone])


def test_the_only_channel_is_never_left_out(only):
    only(dropped=1.0)
    seen, mask = corrupted(torch.randn(20, 1, 32, 32))
    assert mask.shape == (20, 1, 32, 32)
    assert float(mask.float().mean()) < 0.6
    assert bool(seen.flatten(1).std(1).min() > 0)


def test_the_channel_left_out_has_to_be_predicted(only):
    only(dropped=1.0)
    torch.manual_seed(0)
    clean = torch.randn(4, 2, 32, 32)
    mask = corrupted(clean)[1]
    found = torch.randn(4, 2, 32, 32)
    error = np.abs((found - clean).numpy())
    each = np.where(error < 1, 0.5 * error**2, error - 0.5)
    hidden = mask.numpy()
    expected = 0.5 * each[hidden].mean() + 0.5 * each[~hidden].mean()
    assert hidden.shape == each.shape
    assert float(restoration(found, clean, mask)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["restore", "adapt", "recall"])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_restored_is_the_crop_before_any_corruption(only, name, channels):
    only(outpainted=1.0, bent=1.0, dropped=1.0)
    torch.manual_seed(0)
    method = METHODS.load(name)(Network("unet", "fpn", channels), 32)
    crops = torch.randn(4, channels, 48, 48)
    torch.manual_seed(1)
    batch = method.prepare(crops)
    torch.manual_seed(1)
    assert torch.equal(batch["clean"], method.moved(crops))
    assert bool(torch.isfinite(method(batch)["loss"]))


def test_pixels_are_shuffled_within_windows_whatever_the_sides():
    torch.manual_seed(0)
    images = torch.arange(2 * 34 * 39.0).view(1, 2, 34, 39)
    shuffled = corruption.shuffle(images)
    assert (shuffled != images).any()
    assert torch.equal(shuffled[..., 32:, :], images[..., 32:, :])
    assert torch.equal(shuffled[..., 36:], images[..., 36:])
    for y in range(0, 32, 4):
        for x in range(0, 36, 4):
            ours, theirs = (i[..., y : y + 4, x : x + 4].flatten(2).sort().values for i in (shuffled, images))
            assert torch.equal(ours, theirs)
