"""Receipts: which files of a folder are unchanged predictions, so that nothing else is replaced."""

import hashlib
import json
from pathlib import Path

from napari_sslseg.errors import StorageError
from napari_sslseg.io.atomic import write_text
from napari_sslseg.io.locks import alone

FILES = {"predicted": ".napari-sslseg-predictions.json", "denoised": ".napari-sslseg-denoised.json"}
BLOCK = 2**20  # bytes read at once


class Receipts:
    """What was written into a folder, kept beside it in a hidden file.

    Parameters
    ----------
    folder : Path
        The folder; need not exist.
    done : str, optional
        What was done: ``predicted`` or ``denoised``. The one does not replace the other.
    """

    def __init__(self, folder: Path, done: str = "predicted") -> None:
        self.folder, self.done = folder, done
        self._known: dict[str, str] = _read(folder / FILES[done])

    def check(self, target: Path) -> None:
        """Refuse to replace what somebody else wrote or changed.

        Parameters
        ----------
        target : Path
            A file or folder about to be written.

        Raises
        ------
        StorageError
            If there is something that was not written by the same verb, or was changed since.
        """
        if not target.exists() or self._known.get(target.name) == fingerprint(target):
            return
        changed = target.name in self._known
        raise StorageError(
            f"{target} is there already and was {'changed since it was' if changed else 'not'} {self.done}",
            f"Only files that were {self.done} and that nobody has changed are replaced",
            "Choose another folder with --out, or move that file away",
        )

    def note(self, target: Path) -> None:
        """Remember what was just written.

        Parameters
        ----------
        target : Path
            A file or folder inside the folder.
        """
        place, found = self.folder / FILES[self.done], fingerprint(target)
        with alone(self.folder, self.done):  # another command may write into the same folder
            self._known = {**_read(place), target.name: found}
            write_text(place, json.dumps(self._known, indent=1, sort_keys=True))


def fingerprint(path: Path) -> str:
    """Tell one content from another.

    Parameters
    ----------
    path : Path
        A file or a folder.

    Returns
    -------
    str
        BLAKE2 sum of the names and bytes.
    """
    total = hashlib.blake2b(digest_size=16)
    for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        total.update(file.relative_to(path).as_posix().encode())
        with file.open("rb") as stream:
            while block := stream.read(BLOCK):
                total.update(block)
    return total.hexdigest()


def _read(path: Path) -> dict[str, str]:
    """A receipt that cannot be read is none: then nothing is replaced."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in said.items()} if isinstance(said, dict) else {}
