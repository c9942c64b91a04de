"""What a collection hands over and takes in: backups, rankings, matches, rulings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lmr.library.homes import FilePath
from lmr.library.targets import Writing, existing, root_of

if TYPE_CHECKING:
    from lmr.jobs.correct.rulings import Ruled
    from lmr.jobs.exchange.colmap import ForReconstruction
    from lmr.jobs.exchange.matches import Imported
    from lmr.jobs.exchange.rankings import Form


class Keeping(Writing):
    """An open collection, as far as it exchanges files. What is the user's is never replaced: UsageError."""

    def backup(self, file: FilePath) -> int:
        """Write the ledger, from which everything else is made, as one file; returns its bytes. See `lmr.restore`.

        An older backup of this collection is replaced.

        >>> c.backup("photos.lmr") > 0
        True
        """
        from lmr.jobs.care import backup, backups_of
        from lmr.outputs import check

        target = Path(file)
        check(target, home=self.home, ours=backups_of(self._stores.ledger.backend))
        return backup(self._stores, target)

    def export_ranking(
        self,
        file: FilePath,
        *,
        top: int | None = None,
        form: Form = "plain",
        ground_truth: FilePath | None = None,
    ) -> int:
        """Write the ranking of every query photo (.csv: query, rank, image, reached; or .json); returns how many.

        top: the most results a query (None: all). form: "revisitop", an array (images, queries) of numbers as .npy, in
        the order of a ground truth of Revisited Oxford or Paris, or of names that are written beside it; "ilias", JSON
        {query: {name: score}}; "vpr", a folder with a text file a query, as VPR-methods-evaluation saves its
        predictions. `lmr.score` reads them all again. Raises UsageError for a name that a form cannot hold.

        >>> c.export_ranking("ranking.csv", top=100)
        1
        >>> c.export_ranking("ranks.npy", form="revisitop")
        1
        """
        from lmr.jobs.exchange.rankings import check_form, export_ranking, names_beside

        truth = None if ground_truth is None else existing(ground_truth)
        check_form(form, Path(file), truth)
        if form == "revisitop" and truth is None:
            for beside in names_beside(Path(file)):
                self._target(beside)
        target = self._folder(file) if form == "vpr" else self._target(file)
        return export_ranking(self._stores, target, form=form, top=top, truth=truth)

    def export_submission(self, file: FilePath) -> int:
        """Write the Google Landmarks retrieval submission (CSV): for each query the 100 best by name; how many queries.

        >>> c.export_submission("submission.csv")
        1
        """
        from lmr.method.evaluation.rankings import SUBMITTED, write_submission
        from lmr.retrieval.rankings import rankings_of_queries

        rows = rankings_of_queries(self._stores, top=SUBMITTED)
        return write_submission(self._target(file), ((query, [name for name, _ in found]) for query, found in rows))

    def export_recognition(self, file: FilePath) -> int:
        """Write the Google Landmarks recognition submission (CSV): a landmark and a confidence a query; how many.

        >>> c.export_recognition("recognition.csv")
        1
        """
        from lmr.method.evaluation.rankings import write_predictions
        from lmr.retrieval.recognition import predictions

        return write_predictions(self._target(file), predictions(self._stores))

    def export_edges(self, file: FilePath) -> int:
        """Write all verified matches (.csv, .parquet or .graphml), those that take no part with the reason; how many.

        >>> c.export_edges("matches.csv") > 0
        True
        """
        from lmr.jobs.exchange.graph import export_edges

        check_edges(file)
        return export_edges(self._stores, self._target(file))

    def import_edges(self, file: FilePath, *, bare: bool = False) -> Imported:
        """Take verified matches from elsewhere: CSV (a, b, inliers), .parquet, EGT's `id,neighbour weight …` lines, or
        the two-view geometries of a COLMAP database (.db).

        Names stand for stored photos as in labels. bare: let unknown names be images without photos. The same file
        again changes nothing. Raises UsageError, and takes nothing, where the file is wrong.

        >>> c.import_edges("matches.csv").matches  # they are known
        0
        """
        from lmr.jobs.exchange.matches import import_edges

        return import_edges(self._stores, existing(file), bare=bare)

    def export_pairs(
        self, file: FilePath, *, photos: FilePath | None = None, place: str | None = None
    ) -> ForReconstruction:
        """Write the pairs that take part, two names a line, as hloc and COLMAP read them; see `export_colmap`.

        >>> c.export_pairs("pairs.txt").pairs > 0
        True
        """
        from lmr.jobs.exchange.colmap import write_pairs

        return write_pairs(self._stores, self._target(file), root=root_of(photos), of=self._of_place(place))

    def export_colmap(
        self,
        file: FilePath,
        *,
        photos: FilePath | None = None,
        place: str | None = None,
        upright: FilePath | None = None,
    ) -> ForReconstruction:
        """Write a database of COLMAP: cameras, images, keypoints, matches, and inliers as two-view geometries.

        photos: the folder that COLMAP will be given; without it the one that holds all of them, which is told. place:
        the id of a cluster, whose photos alone are wanted. upright: a folder to be made of the photos as lmr sees them,
        as JPEGs, for COLMAP instead of those. Needs pycolmap (the extra `colmap`). Raises UsageError.

        >>> c.export_colmap("colmap.db").photos > 0
        True
        """
        from lmr.jobs.exchange.colmap import write_colmap

        folder = None if upright is None else self._folder(upright)
        target, of = self._target(file), self._of_place(place)
        return write_colmap(self._stores, target, root=root_of(photos), of=of, upright=folder)

    def export_rulings(self, file: FilePath) -> int:
        """Write what was confirmed and rejected (CSV), by names and contents that other collections know; how many.

        >>> c.export_rulings("rulings.csv") >= 0
        True
        """
        from lmr.jobs.correct.rulings import export_rulings

        return export_rulings(self._stores, self._target(file))

    def import_rulings(self, file: FilePath) -> Ruled:
        """Take what was confirmed and rejected elsewhere, or before; the later word on two photos counts.

        What is said of photos that are not here is kept until they come. Raises UsageError where the file is wrong.

        >>> c.import_rulings("rulings.csv").taken  # they are known
        0
        """
        from lmr.jobs.correct.rulings import import_rulings

        return import_rulings(self._stores, existing(file))


def check_edges(file: FilePath) -> None:
    """Raise UsageError for a suffix by which matches are not written."""
    from lmr.jobs.exchange.graph import check_form

    check_form(Path(file))


def check_ranking(file: FilePath, form: str, ground_truth: FilePath | None) -> None:
    """Raise UsageError for a form of rankings that there is not, or another suffix than it has."""
    from lmr.jobs.exchange.rankings import check_form

    check_form(form, Path(file), None if ground_truth is None else Path(ground_truth))
