"""What a search or an explanation gives, with the way to each result."""

from __future__ import annotations

import copy
import html
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lmr.errors import UsageError
from lmr.values import Hop, ImageId

if TYPE_CHECKING:
    from lmr.retrieval.search import Found
    from lmr.store.stores import Stores
    from lmr.where import Where


@dataclass(frozen=True, slots=True)
class Image:
    """A stored image: what the pixels of one or more files show.

    id: for `search(id)`, `explain` and the graph; paths: its files; width, height: px, as the photo is turned;
    landmark: its label, if it has one; taken_at: ISO 8601 as far as it is known ("1931", "2004-07-14T10:02:11");
    location: latitude and longitude in degrees (WGS 84); gone: no file of it is there any more.
    """

    id: ImageId
    paths: tuple[str, ...]
    width: int
    height: int
    split: Literal["index", "query"]
    landmark: str | None
    taken_at: str | None
    location: tuple[float, float] | None
    gone: bool


@dataclass(frozen=True, slots=True)
class Hit:
    """One result, rank 1 the best.

    reached: "verified" over geometrically verified matches, or by "similarity" of descriptors alone. Of a verified one:
    inliers and weight of the weakest match on the way to it, hops the matches on that way; else None. similarity:
    product of the refined descriptors, at most 1.
    """

    rank: int
    image: Image
    reached: Literal["verified", "similarity"]
    inliers: int | None
    weight: float | None
    hops: int | None
    similarity: float


@dataclass(frozen=True)
class Explanation:
    """Why a photo and a stored image belong together: the strongest way of verified matches between them.

    path: its matches one after the other, empty where both are one image; None where nothing joins them.
    """

    path: tuple[Hop, ...] | None
    _stores: Stores = field(repr=False)
    _start: Any = field(repr=False)

    @property
    def joined(self) -> bool:
        """Whether verified matches join them."""
        return self.path is not None

    def picture(self, target: str | os.PathLike[str]) -> Path:
        """Write the matches of the way as a JPEG, one below the other. Raises UsageError where there are none."""
        from lmr.outputs import check
        from lmr.reports.report import write_explanation

        if not self.path:
            raise UsageError("there is no way between them that could be drawn")
        check(Path(target), home=self._stores.home)
        write_explanation(self._stores, self._start, list(self.path), Path(target))
        return Path(target)


class SearchResult(Sequence[Hit]):
    """The results of one search, best first: a sequence of hits.

    What it tells is of the moment of the search. Ways and pictures are read when they are asked for: once another
    command has changed the forest, they may raise CollectionError, and the search is to be done again.
    """

    def __init__(self, stores: Stores, found: Found, where: Where | None = None) -> None:
        from lmr.retrieval.rows import document

        self._stores, self._found = stores, found
        self._document = document(stores, found)
        if where is not None:
            self._document |= {"where": asdict(where), "left_out_unknown": stores.ledger.images.lack(where)}
        self.hits = tuple(_hit(stores, row) for row in self._document["results"])

    def __len__(self) -> int:
        return len(self.hits)

    def __getitem__(self, place: Any) -> Any:
        return self.hits[place]

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __repr__(self) -> str:
        verified = sum(hit.reached == "verified" for hit in self.hits)
        return f"<SearchResult: {verified} verified, {len(self) - verified} by similarity, in {self.seconds:.2f} s>"

    @property
    def seconds(self) -> float:
        """How long the search took."""
        return self._found.seconds

    @property
    def stored(self) -> ImageId | None:
        """The image of the collection that was searched from; None for a photo that is not in it."""
        start = self._found.start
        return None if start.number is None else ImageId(start.id)

    def path(self, hit: Hit) -> list[Hop]:
        """The verified matches from the photo to a hit, one after the other; [] for one by similarity alone.

        Raises CollectionError where the forest is another by now.
        """
        from lmr.retrieval.search import path_to

        via = self._found.via.get(hit.image.id)
        return [] if via is None else path_to(self._stores, self._found.start, hit.image.id, via)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `lmr search --json` prints them."""
        return copy.deepcopy(self._document)

    def to_pandas(self) -> Any:
        """A DataFrame with a row for each hit. Raises UsageError where pandas is not installed."""
        try:
            import pandas
        except ImportError as error:
            raise UsageError("to_pandas needs pandas: pip install pandas") from error
        return pandas.DataFrame(self._document["results"])

    def html(self) -> str:
        """The gallery as one HTML document, its pictures within it."""
        from lmr.reports.report import gallery_text

        return gallery_text(self._stores, self._found)

    def save(self, page: str | os.PathLike[str]) -> Path:
        """Write the gallery as a page, with its pictures beside it. Raises UsageError where that is not lmr's."""
        from lmr.outputs import check_page
        from lmr.reports.report import write_gallery

        check_page(Path(page), home=self._stores.home)
        write_gallery(self._stores, [self._found], Path(page))
        return Path(page)

    def show(self) -> None:
        """The gallery, in a notebook; elsewhere the hits are printed, a line each."""
        ipython = sys.modules.get("IPython")
        if ipython is not None and ipython.get_ipython() is not None:
            ipython.display.display(self)
            return
        for hit in self.hits:
            print(hit.rank, hit.reached, hit.inliers or "-", *hit.image.paths[:1])

    def _repr_html_(self) -> str:
        frame = "width: 100%; height: 640px; border: 0"
        return f'<iframe sandbox srcdoc="{html.escape(self.html())}" style="{frame}"></iframe>'


def image_of(stores: Stores, id: str, facts: dict[str, Any] | None = None) -> Image:
    """What is known of a stored image; facts: those of retrieval.rows, if they are at hand.

    Raises UsageError where it is not stored any more.
    """
    from lmr.retrieval import rows

    stored = stores.ledger.images.get(id)
    if stored is None:
        raise UsageError(f"no image has the id {id} any more")
    known = rows.facts(stores, id) if facts is None else facts
    place = known["location"]
    return Image(
        ImageId(id),
        tuple(known["paths"]),
        stored.width,
        stored.height,
        stored.split,
        known["landmark"],
        known["taken_at"],
        None if place is None else (place["latitude"], place["longitude"]),
        known["gone"],
    )


def _hit(stores: Stores, row: dict[str, Any]) -> Hit:
    measured = row["reached"], row["inliers"], row["weight"], row["hops"], row["similarity"]
    return Hit(row["rank"], image_of(stores, row["id"], row), *measured)
