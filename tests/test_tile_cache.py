"""The cache of tiles: bounds, the disk, and what is gone is not missed."""

import torch

from napari_sslseg.tile_cache import TileCache

SIZE = 2 * (300 + 48)  # bytes of `tensors`


def tensors(number):
    numbers = torch.arange(348, dtype=torch.float32).half() / 7 + number
    return [numbers[:300].view(3, 10, 10), numbers[300:].view(3, 4, 4)]


def same(found, number):
    return found is not None and all(torch.equal(a, b) for a, b in zip(found, tensors(number), strict=True))


def test_all_is_kept_in_memory_while_there_is_room(tmp_path):
    cache = TileCache(3 * SIZE, folder=tmp_path)
    for k in range(3):
        cache[k] = tensors(k)
    assert cache.in_memory == 3 * SIZE
    assert cache.on_disk == 0
    assert all(same(cache.get(k), k) for k in range(3))
    assert cache.get(3) is None
    assert 3 not in cache


def test_what_was_not_used_for_longest_goes_to_the_disk_and_comes_back(tmp_path):
    cache = TileCache(2 * SIZE, folder=tmp_path)
    for k in range(2):
        cache[k] = tensors(k)
    cache.get(0)
    cache[2] = tensors(2)  # 1 has to go
    assert len(list(tmp_path.glob("*/*.tile"))) == 1
    assert cache.in_memory == 2 * SIZE
    assert 1 in cache
    assert same(cache.get(1), 1)
    assert cache.in_memory == 2 * SIZE  # and 0 is on the disk now
    assert len(list(tmp_path.glob("*/*.tile"))) == 1
    assert all(same(cache.get(k), k) for k in range(3))


def test_the_disk_has_a_bound_too(tmp_path):
    cache = TileCache(SIZE, 2 * SIZE, folder=tmp_path)
    for k in range(8):
        cache[k] = tensors(k)
        assert cache.on_disk <= 2 * SIZE
        assert sum(f.stat().st_size for f in tmp_path.glob("*/*.tile")) == cache.on_disk
    assert cache.get(0) is None
    assert same(cache.get(7), 7)
    assert same(cache.get(6), 6)


def test_without_a_disk_it_is_forgotten(tmp_path):
    cache = TileCache(SIZE, 0, folder=tmp_path)
    cache[0], cache[1] = tensors(0), tensors(1)
    assert cache.get(0) is None
    assert not list(tmp_path.glob("*/*.tile"))


def test_one_that_is_larger_than_the_bound_is_kept_while_it_is_at_hand(tmp_path):
    cache = TileCache(1, 0, folder=tmp_path)
    cache[0] = tensors(0)
    assert same(cache.get(0), 0)


def test_a_file_that_is_gone_or_damaged_is_not_missed(tmp_path):
    cache = TileCache(SIZE, folder=tmp_path)
    for k in range(3):
        cache[k] = tensors(k)
    gone, damaged = sorted(tmp_path.glob("*/*.tile"))
    gone.unlink()
    damaged.write_bytes(b"nothing of ours")
    assert cache.get(0) is None
    assert cache.get(1) is None
    assert cache.on_disk == 0
    assert 0 not in cache


def test_a_newer_one_takes_its_place(tmp_path):
    cache = TileCache(SIZE, folder=tmp_path)
    cache[0], cache[1], cache[0] = tensors(0), tensors(1), tensors(5)
    assert same(cache.get(0), 5)
    assert cache.in_memory == SIZE


def test_its_folder_goes_with_it(tmp_path):
    cache = TileCache(SIZE, folder=tmp_path)
    cache[0], cache[1] = tensors(0), tensors(1)
    assert list(tmp_path.iterdir())
    del cache
    assert not list(tmp_path.iterdir())
