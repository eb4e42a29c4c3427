"""Memory: decoded chunks of files that are read in part, so that neighbouring crops decode a chunk once."""

import functools
import itertools
import math
import threading
import weakref
from collections import OrderedDict
from typing import Any

import numpy as np
import numpy.typing as npt

LIMIT = 256 * 2**20  # bytes kept for all images together
WHOLE = 2  # a part that needs more than this fraction of the limit is not kept: it would push out everything else

Array = npt.NDArray[Any]
Key = tuple[int, tuple[int, ...]]


class Memory:
    """Keeps the chunks used last, up to a number of bytes; safe to use from several threads.

    Parameters
    ----------
    limit : int
        Bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.held = limit, 0
        self._chunks: OrderedDict[Key, Array] = OrderedDict()
        self._lock, self._arrays = threading.Lock(), itertools.count()

    def add(self) -> int:
        """Give a number to an array.

        Returns
        -------
        int
            Another one each time.
        """
        return next(self._arrays)

    def get(self, key: Key) -> Array | None:
        """Look up a chunk.

        Parameters
        ----------
        key : (int, tuple of int)
            Which array, and which of its chunks.

        Returns
        -------
        numpy.ndarray, optional
            The chunk; None if it is not held.
        """
        with self._lock:
            if key in self._chunks:
                self._chunks.move_to_end(key)
            return self._chunks.get(key)

    def put(self, key: Key, chunk: Array) -> None:
        """Keep a chunk, and let go of those used longest ago.

        Parameters
        ----------
        key : (int, tuple of int)
            Which array, and which of its chunks.
        chunk : numpy.ndarray
            Its pixels.
        """
        with self._lock:
            before = self._chunks.pop(key, None)
            self.held += chunk.nbytes - (0 if before is None else before.nbytes)
            self._chunks[key] = chunk
            while self.held > self.limit:
                self.held -= self._chunks.popitem(last=False)[1].nbytes

    def forget(self, number: int) -> None:
        """Let go of all chunks of an array.

        Parameters
        ----------
        number : int
            Which array.
        """
        with self._lock:
            for key in [k for k in self._chunks if k[0] == number]:
                self.held -= self._chunks.pop(key).nbytes


@functools.cache
def shared() -> Memory:
    """Return the memory that all images of this process share.

    Returns
    -------
    Memory
        Always the same.
    """
    return Memory(LIMIT)


class Remembered:
    """An array on disk whose chunks are decoded once as long as they are remembered.

    Parameters
    ----------
    source : array
        What reads pixels when sliced, with `shape`, `dtype` and `chunks`.
    memory : Memory
        Where chunks are kept.
    """

    def __init__(self, source: Any, memory: Memory) -> None:
        self._source, self._memory, self._number = source, memory, memory.add()
        self.shape, self.ndim, self.dtype = tuple(source.shape), len(source.shape), source.dtype
        self.chunks = tuple(source.chunks)
        weakref.finalize(self, memory.forget, self._number)

    def __getitem__(self, key: tuple[slice | int, ...]) -> Array:
        spans = [range(k, k + 1) if isinstance(k, int) else range(n)[k] for k, n in zip(key, self.shape, strict=True)]
        if any(s.step != 1 for s in spans) or not 0 < self.decoded(spans) <= self._memory.limit // WHOLE:
            return np.asarray(self._source[key])
        found = np.empty([len(s) for s in spans], self.dtype)
        for corner in itertools.product(*map(_cells, spans, self.chunks)):
            starts = [i * c for i, c in zip(corner, self.chunks, strict=True)]
            bounds = [(max(s.start, a), min(s.stop, a + c)) for s, a, c in zip(spans, starts, self.chunks, strict=True)]
            inside = tuple(slice(low - a, high - a) for (low, high), a in zip(bounds, starts, strict=True))
            place = tuple(slice(low - s.start, high - s.start) for (low, high), s in zip(bounds, spans, strict=True))
            found[place] = self._chunk(corner)[inside]
        return found[tuple(0 if isinstance(k, int) else slice(None) for k in key)]

    def decoded(self, spans: list[range]) -> int:
        """Count the bytes that must be decoded to read a part.

        Parameters
        ----------
        spans : list of range
            The part, one range an axis.

        Returns
        -------
        int
            Those of all chunks under it.
        """
        cells = math.prod(len(_cells(s, c)) for s, c in zip(spans, self.chunks, strict=True))
        return int(cells * math.prod(self.chunks) * np.dtype(self.dtype).itemsize)

    def _chunk(self, corner: tuple[int, ...]) -> Array:
        chunk = self._memory.get((self._number, corner))
        if chunk is None:
            where = (slice(i * c, min((i + 1) * c, n)) for i, c, n in zip(corner, self.chunks, self.shape, strict=True))
            chunk = np.asarray(self._source[tuple(where)])
            self._memory.put((self._number, corner), chunk)
        return chunk


def _cells(span: range, chunk: int) -> range:
    """Numbers of the chunks under a part of an axis."""
    return range(min(span) // chunk, max(span) // chunk + 1) if span else range(0)


def remembered(source: Any) -> Any:
    """Remember the chunks of an array, if it has any.

    Parameters
    ----------
    source : array
        What reads pixels when sliced.

    Returns
    -------
    array
        The same pixels.
    """
    try:
        chunks = source.chunks
    except (AttributeError, NotImplementedError):  # no chunks, or chunks of different sizes
        return source
    regular = chunks and all(isinstance(c, int) and c > 0 for c in chunks) and len(chunks) == len(source.shape)
    return Remembered(source, shared()) if regular and not isinstance(source, Remembered) else source
