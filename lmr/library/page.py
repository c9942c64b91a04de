"""A page of pictures, as a value: in a notebook, as one document, or as a file with its pictures beside it."""

from __future__ import annotations

import html
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from lmr.errors import UsageError
from lmr.library.homes import FilePath
from lmr.library.result import SearchResult, found_of
from lmr.library.review import Review
from lmr.values import Unused

if TYPE_CHECKING:
    from lmr.reports.page import Report
    from lmr.retrieval.evaluate import Evaluation
    from lmr.retrieval.search import Found
    from lmr.store.stores import Stores


class Page:
    """Searches, an evaluation or a review with their pictures, drawn when they are asked for.

    A page of searches can be drawn once: each is done, drawn and written before the next.

    >>> c.page(c.search("one.jpg", top=3)).html()[:15]
    '<!doctype html>'
    """

    def __init__(self, report: Report, home: Path) -> None:
        self._report, self._home = report, home

    def html(self) -> str:
        """One HTML document, its pictures within it.

        >>> "data:image/jpeg;base64," in c.page(c.search("one.jpg", top=1)).html()
        True
        """
        return self._report.html()

    def save(self, page: FilePath) -> Path:
        """Write it, with its pictures in a folder beside it. Raises UsageError where what is there is not lmr's.

        >>> c.page(c.search("one.jpg", top=3)).save("page.html").exists()
        True
        """
        from lmr.outputs import check_page, write_page

        check_page(Path(page), home=self._home)
        write_page(Path(page), self._report.files)
        return Path(page)

    def _repr_html_(self) -> str:
        frame = "width: 100%; height: 640px; border: 0"
        return f'<iframe sandbox srcdoc="{html.escape(self.html())}" style="{frame}"></iframe>'


def page_of(stores: Stores, shown: SearchResult | Iterable[SearchResult | Unused] | Evaluation | Review) -> Page:
    """The page of values of a collection; see `Collection.page`."""
    from lmr.reports.evaluation import evaluation_page
    from lmr.reports.gallery import gallery
    from lmr.reports.review import review_page
    from lmr.retrieval.evaluate import Evaluation

    if isinstance(shown, Evaluation):
        report = evaluation_page(stores, shown)
    elif isinstance(shown, Review):
        report = review_page(stores, shown.turned, shown.matches)
    else:
        report = gallery(stores, [_drawn(shown)] if isinstance(shown, SearchResult) else map(_drawn, shown))
    return Page(report, stores.home)


def _drawn(one: SearchResult | Unused) -> Found | Unused:
    if isinstance(one, Unused):
        return one
    if (found := found_of(one)) is None:
        raise UsageError("pages are drawn of searches in an open collection: search in it")
    return found
