"""TileCache: descriptions of tiles, the newest in memory, older ones compressed on disk, neither beyond its bounds."""

import shutil
import tempfile
import weakref
from collections import OrderedDict
from collections.abc import Hashable
from pathlib import Path

import numpy as np
import torch
from numcodecs import Blosc
from torch import Tensor

MEMORY, DISK = 1 << 30, 8 << 30  # bytes


class TileCache:
    """Keeps lists of tensors by key; of too many the ones not used for longest go to the disk, and then away.

    Parameters
    ----------
    memory, disk : int, optional
        Most bytes in memory and on disk; 0 for none.
    folder : Path, optional
        Where a folder for the files is made, which goes when the cache does; the system's place for such if not given.
    """

    def __init__(self, memory: int = MEMORY, disk: int = DISK, folder: Path | None = None) -> None:
        self._most_memory, self._most_disk = memory, disk
        self._near: OrderedDict[Hashable, list[Tensor]] = OrderedDict()
        self._far: OrderedDict[Hashable, tuple[Path, list[torch.Size], int]] = OrderedDict()
        self._within, self._folder = folder, ""  # made when it is needed
        self._codec = Blosc("lz4", clevel=1, shuffle=Blosc.BITSHUFFLE)
        self._number = 0
        self.in_memory = self.on_disk = 0  # bytes

    def __contains__(self, key: Hashable) -> bool:
        return key in self._near or key in self._far

    def __setitem__(self, key: Hashable, tensors: list[Tensor]) -> None:
        self._leave(key)
        self._near[key] = tensors
        self.in_memory += _size(tensors)
        while self.in_memory > self._most_memory and len(self._near) > 1:  # the one at hand stays
            oldest, old = self._near.popitem(last=False)
            self.in_memory -= _size(old)
            self._put_away(oldest, old)

    def get(self, key: Hashable) -> list[Tensor] | None:
        """Return what is kept; what was on disk is in memory from then on.

        Parameters
        ----------
        key : hashable
            The key.

        Returns
        -------
        list of torch.Tensor, optional
            None if nothing is.
        """
        if key in self._near:
            self._near.move_to_end(key)
            return self._near[key]
        if key not in self._far:
            return None
        path, shapes, _ = self._far[key]
        try:
            flat = np.frombuffer(self._codec.decode(path.read_bytes()), np.float16)
        except (OSError, RuntimeError):  # somebody tidied up, or the disk is at fault: it is made again
            self._leave(key)
            return None
        ends = np.cumsum([s.numel() for s in shapes])
        parts = np.split(flat, ends[:-1])
        found = [torch.from_numpy(p.copy()).view(s) for p, s in zip(parts, shapes, strict=True)]
        self[key] = found
        return found

    def _put_away(self, key: Hashable, tensors: list[Tensor]) -> None:
        if not self._most_disk:
            return
        packed = self._codec.encode(np.concatenate([t.numpy().reshape(-1) for t in tensors]))
        self._number += 1
        try:
            path = Path(self._place()) / f"{self._number}.tile"
            path.write_bytes(packed)
        except OSError:  # a full disk: it is made again when it is needed
            return
        self._far[key] = (path, [t.shape for t in tensors], len(packed))
        self.on_disk += len(packed)
        while self.on_disk > self._most_disk:
            self._leave(next(iter(self._far)))

    def _place(self) -> str:
        if not self._folder:
            self._folder = tempfile.mkdtemp(prefix="napari-sslseg-", dir=self._within)
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder

    def _leave(self, key: Hashable) -> None:
        if key in self._near:
            self.in_memory -= _size(self._near.pop(key))
        if key in self._far:
            path, _, size = self._far.pop(key)
            self.on_disk -= size
            path.unlink(missing_ok=True)


def _size(tensors: list[Tensor]) -> int:
    return sum(t.nbytes for t in tensors)
