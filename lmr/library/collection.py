"""A collection in Python: the same jobs and searches as the command line's, with values instead of tables."""

from __future__ import annotations

from typing import Self

from lmr.library.asking import Asking
from lmr.library.changing import Changing
from lmr.library.keeping import Keeping
from lmr.library.looking import Looking
from lmr.library.sharing import Sharing


class Collection(Changing, Asking, Looking, Keeping, Sharing):
    """A collection of photos; see `lmr.open`. Use it as a context manager, or close it.

    It may be kept open for weeks and used by several threads: each search sees one state of the collection, whatever
    is written meanwhile, here or by other processes. One writes at a time: the others raise BusyError.

    Where a photo is asked for, give its path, its bytes, a PIL image, an array (H, W, 3) uint8 RGB, or the `ImageId`
    of a stored image. A text is always a path: an id is an `ImageId`, and what a person typed is an `Asked`.

    >>> c
    <Collection '...paris': ... images>
    >>> c.search(open("one.jpg", "rb").read()).hits[0].image.landmark
    'town-hall'
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Collection {str(self.home)!r}: {len(self):,} images>"
