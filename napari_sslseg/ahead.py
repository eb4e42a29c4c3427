"""Ahead: the next batches, prepared by other threads while a step computes."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

import torch

from napari_sslseg.objective import Batch

NAME = "napari-sslseg batches"


class Ahead:
    """Prepares the batches that come next; used as a context, at the end of which its threads are gone.

    A batch is a function of its step alone, so what is prepared early is what would have been prepared late. An error
    is raised when the step of its batch comes.

    Parameters
    ----------
    batches : callable
        From the step to its batch; with `workers` above 0 it must be safe to call from several threads at once.
    workers : int
        Threads; 0 prepares each batch when it is asked for.
    """

    def __init__(self, batches: Callable[[int], Batch], workers: int) -> None:
        self._batches, self._workers = batches, workers
        self._pool: ThreadPoolExecutor | None = None
        self._coming: dict[int, Future[Batch]] = {}

    def __enter__(self) -> Self:
        if self._workers:
            # one thread for each operation: a worker fills a core that is free, and takes none from the step
            self._pool = ThreadPoolExecutor(self._workers, NAME, torch.set_num_threads, (1,))
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
            self._coming.clear()
            torch.set_num_threads(torch.get_num_threads())  # threads started from now on get as many as this one

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step, and see to those of the next ones: one for each worker, and one more.

        Parameters
        ----------
        step : int
            The step.

        Returns
        -------
        mapping of str to torch.Tensor
            Its batch.
        """
        if self._pool is None:
            return self._batches(step)
        wanted = range(step, step + self._workers + 2)
        for earlier in self._coming.keys() - set(wanted):
            self._coming.pop(earlier).cancel()
        for number in wanted:
            if number not in self._coming:
                self._coming[number] = self._pool.submit(self._batches, number)
        return self._coming.pop(step).result()
