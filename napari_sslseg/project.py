"""Project: the folder that holds all a user did: image references, labels, checkpoints, rounds; written atomically."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from napari_sslseg.contents import ImageEntry, Round
from napari_sslseg.errors import ProjectError
from napari_sslseg.image import Image
from napari_sslseg.job import Job, Stop, run
from napari_sslseg.masked import Masked
from napari_sslseg.verdict import replaces


class Project(Masked):
    """A project folder; use `create`, `open` or `open_or_create`.

    Parameters
    ----------
    path : Path
        The folder.
    contents : Contents
        What its ``project.json`` says.
    """

    # ---------------------------------------------------------------- axes
    def set_axes(self, id: str, image: Image, file: Path | None = None, read_as: str | None = None) -> ImageEntry:
        """Say what the axes of an image are, as long as nothing lies on it that has its shape.

        Parameters
        ----------
        id : str
            Its id, which it keeps.
        image : Image
            Its pixels, with other axes.
        file : Path, optional
            Its file, where that gives the image when it is read; a copy is kept if not given.
        read_as : str, optional
            Axes of the array in the file, instead of what the file says.

        Returns
        -------
        ImageEntry
            Its entry from now on.

        Raises
        ------
        ProjectError
            If something was painted, boxed or predicted on it.
        """
        return run(self.change_axes(id, image, file, read_as))

    def change_axes(
        self, id: str, image: Image, file: Path | None = None, read_as: str | None = None, *, stop: Stop | None = None
    ) -> Job[ImageEntry]:
        """Do what `set_axes` does as a job, for an image whose copying takes long; a copy that it had is removed.

        Parameters
        ----------
        id : str
            Its id.
        image : Image
            Its pixels, with other axes.
        file : Path, optional
            Its file, where that gives the image when it is read; a copy is made if not given.
        read_as : str, optional
            Axes of the array in the file.
        stop : Stop, optional
            Looked at several times a second.

        Yields
        ------
        Progress
            How much is copied.

        Returns
        -------
        ImageEntry
            Its entry from now on.

        Raises
        ------
        ProjectError
            If something was painted, boxed or predicted on it.
        StoppedError
            If it was stopped; then the project is as it was.
        """
        self.refresh()
        self.check_bare(id)

        def name(copy: Path | None) -> tuple[ImageEntry, ImageEntry]:
            self.check_bare(id)
            known = self.entry(id)
            if copy is not None:
                new = self._images.keep(id, image, copy, beside=True)
            else:
                assert file is not None, "else a copy was made"
                new = self._images.refer(id, image, file, read_as)
            if new.shape != known.shape:
                self._labels.drop(id)
                self._accepted.drop(id, empty=False)  # it was taken back
            return known, new

        return (yield from self._copied(image if file is None else None, name, stop or Stop()))

    def check_bare(self, id: str) -> None:
        """Check that nothing lies on an image that has its shape.

        Parameters
        ----------
        id : str
            Its id.

        Raises
        ------
        ProjectError
            If something was painted, boxed or predicted on it.
        """
        lies = {"strokes": self.painted_boxes(id), "boxes": self.regions(id), "masks": self.predicted(id)}
        if found := [name for name, there in lies.items() if there]:
            raise ProjectError(
                f"{id} has {' and '.join(found)}, which lie on its pixels as they are ordered now",
                "Other axes can be given to an image without any",
                "Take it out and use it again with other axes: what was painted comes back if it still fits",
            )

    # ---------------------------------------------------------------- what was learned
    @property
    def pretrained(self) -> Path | None:
        """Checkpoint of the pretrained encoder; None before pretraining."""
        return self.path / self._contents.pretrained if self._contents.pretrained else None

    def set_pretrained(self, checkpoint: Path) -> None:
        """Make a checkpoint the one that training starts from.

        Parameters
        ----------
        checkpoint : Path
            A file inside the project folder.
        """
        self._change(pretrained=checkpoint.relative_to(self.path).as_posix())

    @property
    def rounds(self) -> tuple[Round, ...]:
        """The training rounds so far, oldest first."""
        return self._contents.rounds

    @property
    def current_round(self) -> Round | None:
        """The round that predicts: the latest, unless an earlier one was chosen; None before training."""
        latest = self.rounds[-1] if self.rounds else None
        return next((r for r in self.rounds if r.number == self._contents.used), latest)

    @property
    def trained(self) -> Path | None:
        """Checkpoint of the round that predicts; None before training."""
        return self.path / self.current_round.checkpoint if self.current_round else None

    def add_round(self, round: Round) -> Round:
        """Append a training round, which predicts from now on unless it had hardly begun when it was stopped.

        Parameters
        ----------
        round : Round
            The round; its time is filled in, and the next number where another window or command has used its own.

        Returns
        -------
        Round
            The round as stored.
        """
        with self._newest():
            taken = any(r.number == round.number for r in self.rounds)
            number = self.next_round() if taken else round.number
            stored = replace(round, number=number, when=datetime.now(UTC).isoformat(timespec="seconds"))
            used = self.current_round
            kept = used.number if used is not None and not replaces(stored, used) else None
            self._change(rounds=(*self.rounds, stored), used=kept)
            return stored

    def use_round(self, number: int) -> None:
        """Predict with a round from now on, until there is a newer one; the others stay.

        Parameters
        ----------
        number : int
            Its number.

        Raises
        ------
        ProjectError
            If there is no such round, or its model is gone.
        """
        with self._newest():
            found = next((r for r in self.rounds if r.number == number), None)
            if found is None:
                raise ProjectError(
                    f"{self.name} has no round {number}",
                    "It has " + (", ".join(str(r.number) for r in self.rounds) or "not been trained yet"),
                )
            if not (self.path / found.checkpoint).is_file():
                raise ProjectError(f"The model of round {number} is gone", f"{self.path / found.checkpoint} is needed")
            self._change(used=None if found is self.rounds[-1] else number)

    def next_round(self) -> int:
        """Return the number of the next round.

        Returns
        -------
        int
            1 for the first.
        """
        self.refresh()
        return max((r.number for r in self.rounds), default=0) + 1
