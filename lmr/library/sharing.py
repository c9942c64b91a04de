"""What a collection hands to people's programs and to other research code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lmr.library.homes import FilePath
from lmr.library.targets import Writing, root_of

if TYPE_CHECKING:
    from lmr.jobs.exchange.colmap import ForReconstruction
    from lmr.jobs.exchange.folders import Albums


class Sharing(Writing):
    """An open collection, as far as its photos and places are shown by other programs."""

    def export_folders(self, folder: FilePath, *, copy: bool = False, place: str | None = None) -> Albums:
        """Make a folder hold one folder a place, with links to its photos (copy: copies), from the centre outwards.

        place: the id of one cluster, which alone is wanted. The folder must be new or lmr's own, which is brought up to
        date: UsageError for any other, and where there are no places.

        >>> change = c.cluster("components", min_weight=25)
        >>> c.export_folders("albums").places
        2
        """
        from lmr.jobs.exchange.folders import export_folders

        return export_folders(self._stores, self._folder(folder), copy=copy, place=place)

    def export_descriptors(self, file: FilePath, *, refined: bool = False) -> tuple[int, int]:
        """Write all global descriptors (.npy), and what their rows are (.csv beside it); how many, and their length.

        Rows are float32 of length 1. refined: as ID-QE moved them, instead of as extracted. Raises UsageError.

        >>> count, length = c.export_descriptors("descriptors.npy")
        >>> count == len(c)
        True
        """
        from lmr.jobs.exchange.descriptors import export_descriptors, table_beside

        self._target(table_beside(Path(file)))
        return export_descriptors(self._stores, self._target(file), refined=refined)

    def export_hloc(
        self, folder: FilePath, *, photos: FilePath | None = None, place: str | None = None
    ) -> ForReconstruction:
        """Write features.h5, matches.h5 and pairs.txt into a folder, made if it is new, as hloc has them.

        photos, place: as for `export_colmap`. Needs h5py (the extra `hloc`). Raises UsageError.

        >>> c.export_hloc("hloc").pairs > 0
        True
        """
        from lmr.jobs.exchange.hloc import FEATURES, MATCHES, PAIRS, export_hloc, need_h5py

        need_h5py()
        target = self._made(folder)
        for name in (FEATURES, MATCHES, PAIRS):
            self._target(target / name)
        return export_hloc(self._stores, target, root=root_of(photos), of=self._of_place(place))
