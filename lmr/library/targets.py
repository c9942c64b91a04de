"""Where a collection writes files for others."""

from __future__ import annotations

from pathlib import Path

from lmr.errors import UsageError
from lmr.library.held import Held
from lmr.library.homes import FilePath


class Writing(Held):
    """An open collection, as far as it writes files. What is the user's is never replaced: UsageError."""

    def _target(self, file: FilePath) -> Path:
        """A file to write, before any work for it."""
        from lmr.outputs import check

        check(Path(file), home=self.home)
        return Path(file)

    def _folder(self, folder: FilePath) -> Path:
        """A folder to write, before any work for it: new, empty, or lmr's own."""
        from lmr.outputs import check_tree

        check_tree(Path(folder), home=self.home)
        return Path(folder)

    def _of_place(self, id: str | None) -> list[int] | None:
        """Numbers of the images of a cluster, by its id or the beginning of it."""
        if id is None:
            return None
        from lmr.retrieval.places import place

        return [image.number for image in place(self._stores, id).images]

    def _made(self, folder: FilePath) -> Path:
        """A folder in which files are written, made if it is new; others in it stay. Raises UsageError."""
        from lmr.outputs import check

        target = Path(folder)
        if not target.is_dir():
            check(target, home=self.home)
            target.mkdir()
        return target


def root_of(photos: FilePath | None) -> Path | None:
    """The folder in which names begin. Raises UsageError where there is no such folder."""
    if photos is None:
        return None
    if not Path(photos).is_dir():
        raise UsageError(f"{photos}: no such folder")
    return Path(photos).resolve()


def existing(file: FilePath) -> Path:
    """A file to read. Raises UsageError where there is none."""
    if not Path(file).is_file():
        raise UsageError(f"{file}: no such file")
    return Path(file)
