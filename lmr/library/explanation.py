"""Why two photos belong together, as a value: the way between them, its photos' names, its figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lmr.errors import UsageError
from lmr.library.homes import FilePath
from lmr.values import Array, Hop

if TYPE_CHECKING:
    from lmr.retrieval.values import SearchQuery
    from lmr.store.stores import Stores


class Way(Protocol):
    """Where a way is from, which knows its photos."""

    @property
    def name(self) -> str:
        """The path of the photo it begins with, if it has one."""
        ...

    @property
    def home(self) -> Path:
        """The collection's folder, in which nothing is written."""
        ...

    def paths(self, ids: Sequence[str]) -> dict[str, list[str]]:
        """Files of stored images."""
        ...

    def figure(self, hops: Sequence[Hop]) -> Array:
        """Matches drawn one below the other. Raises UsageError where the photos are not at hand."""
        ...

    def laid(self, hop: Hop) -> tuple[Array, Array] | None:
        """The photos of a match, the second laid over the first. Raises UsageError as `figure` does."""
        ...


@dataclass(frozen=True)
class Explanation:
    """Why a photo and a stored image belong together: the strongest way of verified matches between them.

    path: its matches one after the other, empty where both are one image; None where nothing joins them. begins: at
    which of several photos it begins, from 0.

    >>> found = c.explain("photos/front.jpg", "photos/side.jpg")
    >>> [hop.inliers > 0 for hop in found.path][0]
    True
    """

    path: tuple[Hop, ...] | None
    _way: Way = field(repr=False, compare=False)
    begins: int = 0

    @property
    def joined(self) -> bool:
        """Whether verified matches join them.

        >>> c.explain("photos/front.jpg", "photos/side.jpg").joined
        True
        """
        return self.path is not None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the photos on the way, one more than matches; () where there is none.

        >>> c.explain("photos/front.jpg", "photos/side.jpg").names[-1]
        'side.jpg'
        """
        if not self.path:
            return ()
        paths = self._way.paths([id for hop in self.path for id in (hop.a, hop.b) if id])
        ends = [(self.path[0].a, self._way.name), *((hop.b, "") for hop in self.path)]
        whole = ([*paths.get(id or "", []), otherwise][0] or id or "the photo" for id, otherwise in ends)
        return tuple(name.rsplit("/", 1)[-1] for name in whole)

    def figure(self, hop: int | None = None) -> Array:
        """The matches of the way, one below the other: (H, W, 3) uint8 RGB, with a line for each inlier.

        hop: only that one, from 0. Raises UsageError where there are none, or no such one.

        >>> c.explain("photos/front.jpg", "photos/side.jpg").figure().shape[2]
        3
        """
        return self._way.figure(self._hops(hop))

    def _hops(self, hop: int | None) -> tuple[Hop, ...]:
        if not self.path:
            raise UsageError("there is no way between them that could be drawn")
        if hop is not None and not 0 <= hop < len(self.path):
            raise UsageError(f"there are {len(self.path)} matches on the way: no match {hop}")
        return self.path if hop is None else self.path[hop : hop + 1]

    def jpeg(self, hop: int | None = None) -> bytes:
        """The figure as JPEG.

        >>> c.explain("photos/front.jpg", "photos/side.jpg").jpeg(0)[:2]
        b'\\xff\\xd8'
        """
        from lmr.reports.pictures import jpeg

        return jpeg(self.figure(hop))

    def overlay(self, hop: int) -> tuple[bytes, bytes] | None:
        """The photos of one match of the way, from 0, as JPEGs of one size: the first, and the second laid over it.

        None where the match has no map between them. Raises UsageError where there is no such match.

        >>> [len(one) > 0 for one in c.explain("photos/front.jpg", "photos/side.jpg").overlay(0)]
        [True, True]
        """
        from lmr.reports.pictures import jpeg

        laid = self._way.laid(self._hops(hop)[0])
        return None if laid is None else (jpeg(laid[0]), jpeg(laid[1]))

    def picture(self, target: FilePath) -> Path:
        """Write the figure as a JPEG. Raises UsageError where there is none, or what is there is not lmr's.

        >>> c.explain("photos/front.jpg", "photos/side.jpg").picture("why.jpg").exists()
        True
        """
        from lmr.outputs import check, replacing

        drawn = self.jpeg()
        check(Path(target), home=self._way.home)
        with replacing(Path(target)) as part:
            part.write_bytes(drawn)
        return Path(target)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A way in an open collection, from a photo; see Way."""

    stores: Stores
    start: SearchQuery

    @property
    def name(self) -> str:
        """See Way."""
        return self.start.path

    @property
    def home(self) -> Path:
        """See Way."""
        return self.stores.home

    def paths(self, ids: Sequence[str]) -> dict[str, list[str]]:
        """See Way."""
        from lmr.retrieval.rows import names_of

        return names_of(self.stores.ledger, ids)

    def figure(self, hops: Sequence[Hop]) -> Array:
        """See Way."""
        from lmr.reports.explanation import explanation_figure

        return explanation_figure(self.stores, self.start, hops)

    def laid(self, hop: Hop) -> tuple[Array, Array] | None:
        """See Way."""
        from lmr.reports.photos import Pictures

        return Pictures(self.stores, self.start).laid(hop)
