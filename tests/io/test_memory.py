"""Decoded chunks are remembered, up to a limit; a huge OME-Zarr is learnt from without reading much of it."""

import gc
import itertools
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from napari_sslseg import image as images
from napari_sslseg import intensity
from napari_sslseg.image import check_usable
from napari_sslseg.io import memory, read_image
from napari_sslseg.io.lazy import LazyArray
from napari_sslseg.io.memory import Memory, Remembered, remembered
from napari_sslseg.job import Metric, run
from napari_sslseg.pretraining import pretrain
from napari_sslseg.settings import PretrainConfig, RuntimeConfig

PIXELS = np.arange(5 * 7 * 11, dtype=np.uint16).reshape(5, 7, 11)


class File:
    """Stands for a chunked file: counts what is read of it."""

    def __init__(self, pixels: Any = PIXELS, chunks: tuple[int, ...] = (2, 3, 4)) -> None:
        self._pixels, self.chunks, self.reads = pixels, chunks, list[Any]()
        self.shape, self.ndim, self.dtype = pixels.shape, pixels.ndim, pixels.dtype

    def __getitem__(self, key: Any) -> Any:
        self.reads.append(key)
        return self._pixels[key]


PARTS = [
    (slice(0, 5), slice(0, 7), slice(0, 11)),
    (1, slice(2, 4), slice(3, 9)),
    (slice(1, 2), 6, slice(10, 11)),
    (4, 6, 10),
    (slice(0, 5, 2), slice(0, 7), slice(0, 11)),
    (slice(0, 0), slice(0, 7), slice(0, 11)),
]


@pytest.mark.parametrize("limit", [10, 200, 2000, 10**6])
def test_what_is_remembered_is_what_is_in_the_file(limit: int) -> None:
    array = Remembered(File(), Memory(limit))
    for part in [*PARTS, *PARTS]:
        np.testing.assert_array_equal(array[part], PIXELS[part])


def test_a_chunk_is_decoded_once() -> None:
    file = File()
    array = Remembered(file, Memory(10**6))
    array[0, slice(1, 5), slice(2, 6)]
    assert len(file.reads) == 4
    array[1, slice(0, 6), slice(0, 8)]
    assert len(file.reads) == 4


def test_the_chunk_used_longest_ago_is_let_go_of() -> None:
    file, held = File(), Memory(3 * 48)
    array = Remembered(file, held)
    a, b, c, d = ((0, 0, 0), (0, 0, 4), (0, 3, 0), (2, 0, 0))
    for place in (a, b, c, a, d, a, c):
        array[place]
    assert len(file.reads) == 4  # d pushed b out
    array[b]
    assert len(file.reads) == 5
    assert held.held <= held.limit


def test_a_part_that_would_push_out_everything_is_read_at_once_and_not_kept() -> None:
    file, held = File(), Memory(200)
    np.testing.assert_array_equal(Remembered(file, held)[PARTS[0]], PIXELS)
    assert (file.reads, held.held) == ([PARTS[0]], 0)


def test_chunks_are_forgotten_with_their_array() -> None:
    held = Memory(10**6)
    array = Remembered(File(), held)
    array[0, 0, 0]
    assert held.held == 48
    del array
    gc.collect()
    assert held.held == 0


def test_what_is_handed_out_can_be_changed_without_harm() -> None:
    array = Remembered(File(), Memory(10**6))
    array[0, slice(0, 2), slice(0, 2)][...] = 999
    np.testing.assert_array_equal(array[0, slice(0, 2), slice(0, 2)], PIXELS[0, :2, :2])


def test_many_threads_read_the_same(tmp_path: Path) -> None:
    array, wrong = Remembered(File(), Memory(5 * 48)), []

    def read(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(300):
            part = tuple(slice(a, a + 3) for a in rng.integers(0, (3, 5, 9)))
            if not np.array_equal(array[part], PIXELS[part]):
                wrong.append(part)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_array_without_chunks_is_left_as_it_is() -> None:
    assert remembered(PIXELS) is PIXELS


def test_a_view_says_how_much_must_be_decoded() -> None:
    view = LazyArray(File(), Path("a.zarr"))
    assert view.transpose(2, 0, 1)[3:5, 0].decoded == 3 * 2 * 48
    assert LazyArray(PIXELS, Path("a.npy"))[0].decoded == PIXELS[0].nbytes


# ---------------------------------------------------------------- 100 GB
CHUNK = (1, 16, 256, 256)
SHAPE = (1, 1024, 7168, 7168)


@pytest.fixture
def huge(tmp_path: Path) -> Path:
    """An OME-Zarr of 105 GB of which a few chunks are written; the others are missing and so of one value."""
    path = tmp_path / "huge.ome.zarr"
    group = zarr.create_group(path)
    array = group.create_array("0", shape=SHAPE, dtype=np.uint16, chunks=CHUNK, fill_value=7)
    for z, y, x in itertools.product((64, 544), (2304, 4608), (2304, 4608)):
        block = np.random.default_rng(z + y + x).integers(0, 4000, CHUNK, np.uint16)
        array[:, z : z + 16, y : y + 256, x : x + 256] = block
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [{"axes": [{"name": a} for a in "czyx"], "datasets": [{"path": "0"}]}],
    }
    return path


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes decoded by each read of a zarr array."""
    sizes: list[int] = []
    read = zarr.Array.__getitem__

    def reading(self: Any, key: Any) -> Any:
        found = read(self, key)
        spans = [
            range(k, k + 1) if isinstance(k, int) else range(*k.indices(n))
            for k, n in zip(key, self.shape, strict=True)
        ]
        cells = [len({i // c for i in s}) * c for s, c in zip(spans, self.chunks, strict=True)]
        sizes.append(int(np.prod(cells)) * self.dtype.itemsize)
        return found

    monkeypatch.setattr(zarr.Array, "__getitem__", reading)
    return sizes


def test_a_huge_zarr_starts_its_first_step_having_read_little(huge: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = counted(monkeypatch)
    volume = read_image(huge)
    assert volume.data.nbytes > 100e9
    assert sizes == []
    config = PretrainConfig(method="restore", encoder="unet", start="random", crop=32, batch=4, steps=1)
    heard: list[Any] = []
    run(pretrain([volume], config, runtime=RuntimeConfig(device="cpu")), heard.append)
    assert any(isinstance(e, Metric) for e in heard)
    assert 0 < sum(sizes) < intensity.MOST + 100e6
    assert max(sizes) < 20e6


def test_a_huge_zarr_never_holds_more_than_the_limit(huge: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Memory(16 * 2**20)
    monkeypatch.setattr(memory, "shared", lambda: held)
    volume, most, rng = read_image(huge), 0, np.random.default_rng(0)
    for _ in range(40):
        z, y, x = (int(rng.integers(n - 200)) for n in SHAPE[1:])
        assert volume.read(z, slice(y, y + 192), slice(x, x + 192)).shape == (1, 192, 192)
        most = max(most, held.held)
    assert 8 * 2**20 < most <= held.limit


def test_a_float_volume_is_looked_at_for_nan_in_a_sample_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.zarr"
    array = zarr.create_array(path, shape=(64, 8192, 8192), dtype=np.float32, chunks=(16, 512, 512), fill_value=1.0)
    array[32:48, 3584:4096, 3584:4096] = np.random.default_rng(0).normal(size=(16, 512, 512))
    array[32:48, 3584:4096, 4000:4096] = np.nan
    monkeypatch.setattr(intensity, "MOST", 80_000_000)
    array.attrs["axes"] = "ZYX"
    sizes = counted(monkeypatch)
    volume = read_image(path)
    _, said = check_usable([volume])
    assert said == ["a has NaN or infinite pixels; they are treated as its mean value."]
    assert sum(sizes) <= intensity.MOST
    assert images.unusable(volume) == ""


def volume(chunks: tuple[int, ...]) -> tuple[File, LazyArray]:
    pixels = np.zeros((1, 160, 2048, 2048), np.uint16)
    pixels[:, 32, :200, :200] = 9
    file = File(pixels, chunks)
    return file, LazyArray(file, Path("a"))


def test_large_chunks_are_sampled_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intensity, "MOST", 60_000_000)
    sizes = []
    for chunks in ((1, 20, 256, 256), (1, 1, 64, 64)):
        _, view = volume(chunks)
        sizes.append(sum(pixels.size for pixels in intensity._sample(view[:, :29])))
    assert sizes[0] < sizes[1] == 16 * 16 * 256**2


def test_a_volume_that_is_mostly_empty_is_looked_at_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    _, view = volume((1, 20, 256, 256))
    monkeypatch.setattr(intensity, "MOST", 500_000_000)
    assert not intensity.measure(view, "a").constant
    monkeypatch.setattr(intensity, "MOST", 1)
    assert intensity.measure(view, "a").constant
