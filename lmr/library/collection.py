"""A collection in Python: the same jobs and searches as the command line's, with values instead of tables."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lmr.errors import UsageError
from lmr.library.result import Explanation, Image, SearchResult
from lmr.progress import Advance, Progress, Silent
from lmr.settings import Settings, load
from lmr.values import PhotoFile, Question

if TYPE_CHECKING:
    from lmr.jobs.correct.corrections import Corrected
    from lmr.jobs.ingest.plan import Ingested
    from lmr.jobs.link.link import Linked
    from lmr.method.spanning.bridges import Bridge
    from lmr.method.spanning.clusters import Cluster, ClusterChange
    from lmr.retrieval.evaluate import Evaluation
    from lmr.store.stores import Stores

_PATHS = (str, os.PathLike)
_IN_PNG = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")  # of these modes pixels are judged as their file is


def open(
    home: str | os.PathLike[str] | None = None,
    *,
    create: bool = True,
    progress: Progress | Callable[[str, int, int], None] | None = None,
    **settings: Any,
) -> Collection:
    """The collection in a folder, made if it is new; None: LMR_HOME, else `.lmr` in the current folder.

    settings: by their names in `lmr config`, such as preset="classic", workers=2, neo4j_uri="bolt://host:7687". What
    is not given comes from the environment, the folder's lmr.toml, or the default. progress: called with a task's
    name, what is done of it and how much there is. Raises UsageError for a setting that does not exist,
    CollectionError where there is no collection (create=False), or it was made with other settings.

        c = lmr.open("paris", progress=lambda task, done, total: print(task, done, total))
    """
    from lmr.store.stores import Stores

    known = {spec.name for spec in fields(Settings)} - {"home"}
    if unknown := sorted(settings.keys() - known):
        raise UsageError(f"there is no setting {unknown[0]!r}; there are: {', '.join(sorted(known))}")
    values = load({"home": None if home is None else Path(home), **settings})[0]
    shown = progress if hasattr(progress, "task") else Silent() if progress is None else _Called(progress)
    return Collection(Stores.open(values, shown, create=create))  # type: ignore[arg-type]


class Collection:
    """A collection of photos; see `lmr.open`. Use it as a context manager, or close it.

    It may be kept open for weeks and used by several threads: each search sees one state of the collection, whatever
    is written meanwhile, here or by other processes. One writes at a time: the others raise BusyError.

    Where a photo is asked for, give its path, its bytes, a PIL image, an array (H, W, 3) uint8 RGB, or the `ImageId`
    of a stored image. A text is always a path: an id is an `ImageId`.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def __enter__(self) -> Collection:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Collection {str(self.home)!r}: {len(self):,} images>"

    def close(self) -> None:
        """Close all connections; the local databases go on running, see `lmr down`."""
        self._stores.close()

    @property
    def home(self) -> Path:
        """The collection's folder."""
        return self._stores.home

    # ------------------------------------------------------------ what it holds

    def __len__(self) -> int:
        """How many images it holds."""
        return self._stores.ledger.count("images")

    def images(self) -> Iterator[Image]:
        """All images, by id."""
        from lmr.library.result import image_of

        for id in sorted(image.id for image in self._stores.ledger.images.all()):
            yield image_of(self._stores, id)

    def image(self, photo: Any) -> Image:
        """The stored image of a photo, or of an id or its beginning. Raises UsageError where there is none."""
        from lmr.library.result import image_of
        from lmr.retrieval.search import stored_image

        return image_of(self._stores, stored_image(self._stores, self._question(photo)))

    # ------------------------------------------------------------ jobs

    def ingest(
        self,
        *photos: str | os.PathLike[str],
        labels: str | os.PathLike[str] | Literal["folders"] | None = None,
        split: Literal["index", "query"] | None = None,
        prune: bool = False,
    ) -> Ingested:
        """Take in photos and folders of them; nothing of them is changed. What is taken in already is not read again.

        labels: a CSV file, or "folders" where each landmark has a folder. Raises UsageError for a path that does not
        exist, BusyError.

            c.ingest("photos", "scans/1931").new
        """
        from lmr.jobs.ingest.ingest import ingest
        from lmr.jobs.ingest.labels import labels_from_csv, labels_from_folders

        given = None
        if labels is not None:
            given = labels_from_folders() if labels == "folders" else labels_from_csv(Path(labels))
        return ingest(self._stores, [Path(one) for one in photos], labels=given, split=split, prune=prune)

    def link(self, *, rounds: int | None = None, bridge_queries: bool | None = None) -> Linked:
        """Propose, match and verify in rounds of ID-QE, and bring the spanning forest up to date.

        rounds: None: until one adds few matches, at most 4. Interrupted, the same call goes on.
        """
        from lmr.jobs.link.link import link

        return link(self._stores, rounds=rounds, bridge_queries=bridge_queries)

    def train(self) -> int:
        """Learn the vocabulary and whitening again from the present photos; how many were learned from."""
        from lmr.jobs.train.describe import train

        return train(self._stores)

    def cluster(
        self, method: Literal["leiden", "components"] = "leiden", *, min_weight: float | None = None
    ) -> ClusterChange:
        """Write clusters: Leiden's communities, or components over matches of at least a weight (None: proposed)."""
        from lmr.jobs.exchange.clusters import cluster

        if method not in ("leiden", "components"):
            raise UsageError(f"method is {method!r}; it takes 'leiden' or 'components'")
        if method == "leiden" and min_weight is not None:
            raise UsageError("min_weight is for components: add method='components'")
        return cluster(self._stores, method, min_weight)[0]

    def remove(self, *photos: Any) -> Corrected:
        """Take images out of the collection; their files stay where they are."""
        from lmr.jobs.correct.corrections import remove
        from lmr.retrieval.search import stored_image

        return remove(self._stores, [stored_image(self._stores, self._question(photo)) for photo in photos])

    def confirm(self, a: Any, b: Any, why: str | None = None) -> Corrected:
        """Say that two stored images show the same place, whatever the tests say. The last word on a pair counts."""
        return self._judged(a, b, "confirmed", why)

    def reject(self, a: Any, b: Any, why: str | None = None) -> Corrected:
        """Say that two stored images do not show the same place."""
        return self._judged(a, b, "rejected", why)

    def _judged(self, a: Any, b: Any, verdict: Literal["confirmed", "rejected"], why: str | None) -> Corrected:
        from lmr.jobs.correct.corrections import judge
        from lmr.retrieval.search import stored_image

        first, second = (stored_image(self._stores, self._question(photo)) for photo in (a, b))
        return judge(self._stores, first, second, verdict, why)

    # ------------------------------------------------------------ questions

    def search(
        self,
        photo: Any,
        *,
        top: int | None = 20,
        max_depth: int | None = None,
        min_weight: float = 0.0,
        verified_only: bool = False,
        query_images: bool = False,
        near: tuple[float, float] | None = None,
        within: float = 1000.0,
        taken_from: str | None = None,
        taken_to: str | None = None,
        rounds: int = 3,
        seconds: float | None = None,
    ) -> SearchResult:
        """All images of the place in a photo, verified ones first in the order in which they join. Nothing is stored.

        top: None: all. max_depth: hops in the forest; min_weight: of matches that ways pass over. near (latitude,
        longitude in degrees), within (metres), taken_from and taken_to ("1990", "1990-07-14") choose what is listed.
        rounds and seconds limit what a photo outside the forest is compared with. Raises PhotoError, UsageError.

            c.search("one.jpg", top=50).hits[0].image.paths
        """
        from lmr.retrieval.query import Patience
        from lmr.retrieval.search import search
        from lmr.where import Where

        where = Where.checked(near, within, taken_from, taken_to)
        found = search(
            self._stores,
            self._question(photo),
            top=top,
            max_depth=max_depth,
            min_weight=min_weight,
            verified_only=verified_only,
            query_images=query_images,
            patience=Patience(rounds, seconds),
            where=where,
        )
        return SearchResult(self._stores, found, where)

    def explain(self, a: Any, b: Any) -> Explanation:
        """Why a photo and a stored one belong together: the strongest way of verified matches between them.

        [hop.inliers for hop in c.explain("front.jpg", "side.jpg").path or ()]
        """
        from lmr.retrieval.search import explain

        start, hops = explain(self._stores, self._question(a), self._question(b))
        return Explanation(None if hops is None else tuple(hops), self._stores, start)

    def clusters(self, limit: int = 50) -> list[Cluster]:
        """The clusters that `cluster` wrote, greatest first: size, most central image, shares of labels."""
        from lmr.method.spanning.clusters import list_clusters
        from lmr.retrieval.search import undisturbed

        return undisturbed(self._stores, lambda: list_clusters(self._stores.graph, limit))

    def review(self, limit: int = 20) -> list[Bridge]:
        """Matches worth a look, the most doubtful first: those that alone hold two groups of photos together."""
        from lmr.reports.report import worth_a_look

        return worth_a_look(self._stores, limit)

    def evaluate(self) -> Evaluation:
        """Quality of the rankings by the collection's own labels; queries are labelled images of the query split."""
        from lmr.retrieval.evaluate import evaluate

        return evaluate(self._stores)

    def cypher(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        """Rows of a named query for analysts, in read mode; `lmr query` lists them. Raises UsageError.

        c.cypher("analyst/strongest-bridges", limit=20)
        """
        from lmr.retrieval.analysis import run_named

        return run_named(self._stores.graph, name.removeprefix("analyst/"), parameters)

    def _question(self, photo: Any) -> Question:
        """What is given, as bytes in hand or an id."""
        from lmr.method.photos.decode import read

        if isinstance(photo, Question):
            return photo
        if isinstance(photo, bytes | bytearray | memoryview):
            return PhotoFile(bytes(photo))
        if isinstance(photo, _PATHS):
            path = Path(photo)
            if not path.is_file():
                raise UsageError(f"there is no file {path}; the id of a stored image is given as lmr.ImageId(...)")
            return PhotoFile(read(path, self._stores.settings.max_bytes), str(path), path)
        return PhotoFile(_encoded(photo))


def _encoded(pixels: Any) -> bytes:
    """A PIL image or an array as the bytes of a PNG, without loss."""
    import numpy as np
    from PIL import Image as Pillow
    from PIL import ImageOps

    if isinstance(pixels, np.ndarray):
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise UsageError(f"an array is (H, W, 3) uint8 RGB, not {pixels.shape} {pixels.dtype}")
        if not pixels.size:
            raise UsageError(f"an array of {pixels.shape} has no pixels")
        pixels = Pillow.fromarray(pixels)
    if not isinstance(pixels, Pillow.Image):
        raise UsageError(
            f"{type(pixels).__name__} is no photo: give a path, bytes, a PIL image, an array or an ImageId"
        )
    upright = ImageOps.exif_transpose(pixels)
    if upright.mode not in _IN_PNG:
        upright = upright.convert("RGB")
    out = io.BytesIO()
    upright.save(out, "PNG", compress_level=1)
    return out.getvalue()


class _Called:
    """Progress that is told to a function: task, done, total."""

    def __init__(self, tell: Callable[[str, int, int], None]) -> None:
        self._tell = tell

    @contextmanager
    def task(self, label: str, total: int, unit: str = "") -> Iterator[Advance]:
        """See Progress."""
        done = 0

        def advance(more: int) -> None:
            nonlocal done
            done += more
            self._tell(label, done, total)

        self._tell(label, 0, total)
        yield advance

    def note(self, text: str) -> None:
        """See Progress."""
