"""What a collection hands to people's programs and to other research code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lmr.library.homes import FilePath
from lmr.library.targets import Writing, existing, root_of

if TYPE_CHECKING:
    from lmr.jobs.exchange.colmap import ForReconstruction
    from lmr.jobs.exchange.folders import Albums
    from lmr.jobs.exchange.immich import Shared
    from lmr.jobs.exchange.matches import Imported
    from lmr.outputs import Kept


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

    def export_immich(
        self, address: str, key: str, *, place: str | None = None, apply: bool = False, upload: bool = False
    ) -> Shared:
        """Tell, or with `apply` do, what makes an album of each place's photos on your own immich server (2 or 3).

        Photos are found there by the SHA-1 of their files. An album of the place's name is made, or yours completed;
        nothing is taken out of one. place: the id of one cluster, which alone is wanted. upload: send photos that the
        server lacks. Needs httpx (the extra `client`). Raises UsageError and ServerError.

        >>> c.export_immich("http://photos.example.org", key="...")
        Traceback (most recent call last):
        ...
        lmr.errors.UsageError: photos.example.org is asked over http, where the key could be read: use https
        """
        from lmr.jobs.exchange.immich import export_immich

        return export_immich(self._stores, address, key, place=place, apply=apply, upload=upload)

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

    def export_geojson(self, file: FilePath, *, place: str | None = None) -> tuple[int, int]:
        """Write photos and places that have a position as GeoJSON, for maps; how many of each.

        place: the id of one cluster, which alone is wanted. Raises UsageError.

        >>> c.export_geojson("photos.geojson")  # none of these photos has a position
        (0, 0)
        """
        from lmr.jobs.exchange.geojson import check_geojson, export_geojson

        check_geojson(Path(file))
        return export_geojson(self._stores, self._target(file), place=place)

    def export_sidecars(self, folder: FilePath, *, photos: FilePath | None = None, place: str | None = None) -> Kept:
        """Make a folder hold an XMP sidecar with keywords for each photo of a place: `sub/photo.jpg.xmp`.

        photos: the folder that all photos are in; without it the one that holds all of them. place: the id of one
        cluster, which alone is wanted. Nothing is written beside the photos. The folder must be new or lmr's own, which
        is brought up to date: UsageError for any other, and where there are no places.

        >>> c.export_sidecars("sidecars").written > 0
        True
        """
        from lmr.jobs.exchange.sidecars import export_sidecars

        return export_sidecars(self._stores, self._folder(folder), root=root_of(photos), place=place)

    def export_graph(self, folder: FilePath) -> tuple[int, int]:
        """Write vertices.parquet (id, ...) and edges.parquet (src, dst, ...) into a folder, made if it is new.

        Returns how many of each. Raises UsageError.

        >>> c.export_graph("graph")[0] == len(c)
        True
        """
        from lmr.jobs.exchange.graph import EDGES, VERTICES, export_graph

        target = self._made(folder)
        for name in (VERTICES, EDGES):
            self._target(target / name)
        return export_graph(self._stores, target)

    def export_page(self, file: FilePath, place: str, *, top: int = 200) -> int:
        """Write a place as one HTML file with its pictures in it, which needs no lmr; how many photos it shows.

        place: the id of a cluster, or its beginning. Where photos were taken is left out. Raises UsageError.

        >>> change = c.cluster("components", min_weight=25)
        >>> c.export_page("town-hall.html", c.clusters()[0].id) > 2
        True
        """
        from lmr.outputs import replacing
        from lmr.reports.place import place_page
        from lmr.retrieval.places import place as place_of

        target, found = self._target(file), place_of(self._stores, place)
        with replacing(target) as part:
            text = place_page(self._stores, found, top).html()
            part.write_text(text, "utf-8", errors="backslashreplace")
        return min(len(found.images), top)

    def import_features(self, features: FilePath, matches: FilePath | None = None) -> Imported:
        """Compare photos by anybody's keypoints and descriptors, in hloc's HDF5, and take what agrees as matches.

        matches: hloc's file of matches; without it all pairs that were compared before without a match that takes part
        are compared by the descriptors. The collection keeps its own features. Needs h5py (the extra `hloc`). Raises
        UsageError, and takes nothing, where a file is wrong.

        >>> found = c.export_hloc("to-compare")
        >>> c.import_features("to-compare/features.h5", "to-compare/matches.h5").matches  # they are known
        0
        """
        from lmr.jobs.exchange.features import import_features

        return import_features(self._stores, existing(features), None if matches is None else existing(matches))
