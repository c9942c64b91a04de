"""What a search or an explanation gives, with the way to each result."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from lmr.errors import UsageError
from lmr.library.homes import FilePath
from lmr.library.image import Hit, hit_of
from lmr.library.reading import Misfit, value_of
from lmr.text import printable
from lmr.values import Hop, ImageId

if TYPE_CHECKING:
    from lmr.library.page import Page
    from lmr.retrieval.search import Found
    from lmr.retrieval.values import SearchStatistics
    from lmr.store.stores import Stores
    from lmr.where import Where


class Source(Protocol):
    """Where a result is from, which knows more than what it tells."""

    def path(self, hit: Hit) -> list[Hop]:
        """See `SearchResult.path`."""
        ...

    def page(self, result: SearchResult) -> Page:
        """The result as a page. Raises UsageError where its pictures are not at hand."""
        ...


class SearchResult(Sequence[Hit]):
    """The results of one search, best first: a sequence of hits.

    What it tells is of the moment of the search, and so are ways, which are read when they are asked for: once another
    command has changed the matches, `path` raises OutdatedError, and pages say that they cannot show any.

    >>> result = c.search("one.jpg", top=5)
    >>> result, len(result), result[0].rank
    (<SearchResult: ... verified, ... by similarity, in ... s>, 5, 1)
    """

    def __init__(self, document: dict[str, Any], source: Source) -> None:
        """document: as `to_dict` gives it. Raises Misfit where it is none."""
        self._document, self._source = document, source
        self._first = _first(document)
        self._query: _Query = value_of(_Query, self._first)
        self._seconds: float = value_of(float, document.get("seconds"))
        self.hits = tuple(hit_of(row) for row in value_of(list[dict[str, Any]], document.get("results")))

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """A result of the values that `to_dict` gave, such as were kept in a file; it has no ways and no pictures.

        Raises UsageError where they are none.

        >>> kept = lmr.SearchResult.from_dict(c.search("one.jpg").to_dict())
        >>> kept.hits == c.search("one.jpg").hits
        True
        """
        try:
            return cls(copy.deepcopy(dict(document)), _Kept())
        except Misfit as error:
            raise UsageError(f"these are no values of a search: {error}") from error

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
        """How long the search took.

        >>> c.search("one.jpg").seconds > 0
        True
        """
        return self._seconds

    @property
    def statistics(self) -> SearchStatistics:
        """What was done before ranking: `rounds`, photos `compared` in them, and why it `ended`; of the first photo.

        >>> c.search("one.jpg", rounds=1).statistics.rounds
        1
        """
        from lmr.retrieval.values import SearchStatistics

        return value_of(SearchStatistics, self._first.get("effort"))

    @property
    def turned(self) -> str | None:
        """How the photo, or the first of several, was turned for the search, in words; None where it lies right.

        >>> c.search("one.jpg").turned is None
        True
        """
        from lmr.method.photos.turned import MIRRORED
        from lmr.reports.prose import how_it_lies

        turn = self._query.turn // 90 + MIRRORED * self._query.mirrored
        return how_it_lies(turn) if turn else None

    @property
    def stored(self) -> ImageId | None:
        """The image of the collection that was searched from (first); None for a photo that is not in it.

        >>> c.search("one.jpg").stored is None, c.search("photos/front.jpg").stored == c.image("photos/front.jpg").id
        (True, True)
        """
        return ImageId(self._query.id) if self._query.stored else None

    def path(self, hit: Hit) -> list[Hop]:
        """The verified matches from a photo to a hit, one after the other; [] for one by similarity alone.

        It is of the state that the search saw. Raises OutdatedError where another command has changed the matches
        since: the search is to be done again.

        >>> result = c.search("one.jpg")
        >>> len(result.path(result.hits[0])) == result.hits[0].hops
        True
        """
        return self._source.path(hit)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `lmr search --json` prints them.

        >>> list(c.search("one.jpg").to_dict())
        ['query', 'seconds', 'effort', 'results']
        """
        return copy.deepcopy(self._document)

    def to_pandas(self) -> Any:
        """A DataFrame with a row for each hit. Raises UsageError where pandas is not installed.

        >>> list(c.search("one.jpg", top=2).to_pandas()["rank"])
        [1, 2]
        """
        try:
            import pandas
        except ImportError as error:
            raise UsageError("to_pandas needs pandas: pip install pandas") from error
        return pandas.DataFrame(self._document["results"])

    def html(self) -> str:
        """The gallery as one HTML document, its pictures within it.

        >>> c.search("one.jpg", top=3).html().count("data:image/jpeg") > 3
        True
        """
        return self._page().html()

    def save(self, page: FilePath) -> Path:
        """Write the gallery as a page, with its pictures beside it. Raises UsageError where that is not lmr's.

        >>> c.search("one.jpg", top=3).save("result.html").exists()
        True
        """
        return self._page().save(page)

    def show(self) -> None:
        """The gallery, in a notebook; elsewhere the hits are printed, a line each.

        >>> c.search("one.jpg", top=1).show()
        1 verified ... .../photos/....jpg
        """
        ipython = sys.modules.get("IPython")
        if ipython is not None and ipython.get_ipython() is not None:
            ipython.display.display(self)
            return
        for hit in self.hits:
            print(hit.rank, hit.reached, hit.inliers or "-", *map(printable, hit.image.paths[:1]))

    def _page(self) -> Page:
        return self._source.page(self)

    def _repr_html_(self) -> str | None:
        return None if found_of(self) is None else self._page()._repr_html_()


def result_of(stores: Stores, found: Found, where: Where | None = None) -> SearchResult:
    """A search of an open collection as a result; where: what it was to list."""
    from lmr.retrieval.rows import document

    told = document(stores.ledger, found)
    if where is not None:
        told |= {"where": asdict(where), "left_out_unknown": stores.ledger.images.lack(where)}
    return SearchResult(told, _Searched(stores, found))


def found_of(result: SearchResult) -> Found | None:
    """What was found in an open collection; None where the result is from elsewhere."""
    return result._source.found if isinstance(result._source, _Searched) else None


def state_of(result: SearchResult) -> str | None:
    """The name of the state that was searched (see `Snapshot`); None where the result is from elsewhere."""
    found = found_of(result)
    return None if found is None else found.state


@dataclass(frozen=True, slots=True)
class _Searched:
    """A search of an open collection."""

    stores: Stores
    found: Found

    def path(self, hit: Hit) -> list[Hop]:
        from lmr.retrieval.paths import ways

        return ways(self.stores, self.found, [hit.image.id]).get(hit.image.id, [])

    def page(self, result: SearchResult) -> Page:
        from lmr.library.page import page_of

        return page_of(self.stores, result)


class _Kept:
    """Values alone."""

    def path(self, hit: Hit) -> list[Hop]:
        raise UsageError("a result that was read from values has no ways: search again, or ask `explain`")

    def page(self, result: SearchResult) -> Page:
        raise UsageError("a result that was read from values has no pictures: search again")


def _first(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a search tells of the photo that was searched with, or of the first of several, its effort too."""
    if "queries" not in document:
        return value_of(dict[str, Any], document.get("query")) | {"effort": document.get("effort")}
    queries = value_of(list[dict[str, Any]], document["queries"])
    for query in queries:
        value_of(_Query, query)
    if not queries:
        raise Misfit("it was searched with no photo")
    return queries[0]


@dataclass(frozen=True, slots=True)
class _Query:
    """What a result says of a photo that was searched with."""

    id: str
    path: str
    stored: bool
    turn: int
    mirrored: bool
