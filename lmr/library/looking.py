"""A closer look at what a collection holds: small pictures, single matches, what people said, what was set aside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmr.errors import PhotoError
from lmr.library.held import Held
from lmr.library.match import Match, match_of
from lmr.values import ImageId, Unused

if TYPE_CHECKING:
    from lmr.store.verdicts import Ruling
    from lmr.where import Where


class Looking(Held):
    """An open collection, as far as single photos and matches of it are looked at. Nothing is stored."""

    def thumbnail(self, photo: Any, side: int = 240) -> bytes:
        """A small picture as JPEG, upright, its longer side at most `side` px; of a stored photo a grey one if gone.

        Raises PhotoError for a photo that is not stored and cannot be read, UsageError for an id that is none.

        >>> c.thumbnail("photos/front.jpg")[:2]
        b'\\xff\\xd8'
        """
        from lmr.reports.photos import small_picture

        return small_picture(self._stores, self._question(photo), side)

    def original(self, photo: Any, max_bytes: int | None = None) -> tuple[str, bytes]:
        """The path and the bytes of a file of a stored image, which are still those that were taken in.

        Raises PhotoError where it has none any more, is a frame of a video, or is larger than max_bytes.

        >>> path, data = c.original("photos/front.jpg")
        >>> path.endswith("front.jpg"), data[:2]
        (True, b'\\xff\\xd8')
        """
        from lmr.retrieval.originals import own_file
        from lmr.text import text_of

        image = self._stores.ledger.images.get(self._stored(photo))
        if image is None:
            raise PhotoError("it is not in the collection any more")
        most = self._stores.settings.max_bytes
        path, data = own_file(self._stores, image, most if max_bytes is None else max_bytes)
        return text_of(path), data

    def match(self, a: Any, b: Any) -> Match | None:
        """What comparing two stored images found, and what became of that; None if they were never compared.

        >>> match = c.match("photos/front.jpg", "photos/front-2.jpg")
        >>> match.inliers > 20, match.excluded
        (True, None)
        """
        return match_of(self._stores.ledger, *sorted((self._stored(a), self._stored(b))))

    def match_picture(self, a: Any, b: Any) -> bytes:
        """Two stored images side by side with a line for each inlier of their match, as JPEG.

        >>> c.match_picture("photos/front.jpg", "photos/front-2.jpg")[:2]
        b'\\xff\\xd8'
        """
        from lmr.reports.photos import picture_of_match

        return picture_of_match(self._stores, self._stored(a), self._stored(b))

    def match_overlay(self, a: Any, b: Any) -> bytes | None:
        """The second image laid over the first as their match maps it, in the frame of the first, as JPEG.

        None where no map was found between them.

        >>> c.match_overlay("photos/front.jpg", "photos/front-2.jpg")[:2]
        b'\\xff\\xd8'
        """
        from lmr.reports.photos import overlay_of_match

        return overlay_of_match(self._stores, self._stored(a), self._stored(b))

    def size(self, photo: Any) -> tuple[int, int]:
        """Width and height in px of a photo as it lies upright, or of a stored image as it is turned.

        >>> c.size("photos/front.jpg"), c.size("one.jpg")
        ((640, 480), (640, 480))
        """
        from lmr.retrieval.part import size_of

        return size_of(self._stores, self._question(photo))

    def rulings(self) -> list[Ruling]:
        """What people said of pairs, the latest first: ids, verdict, why, and when (UTC).

        >>> change = c.reject("photos/front.jpg", "photos/bank-2.jpg", why="another town")
        >>> c.rulings()[0].verdict, c.rulings()[0].why
        ('rejected', 'another town')
        >>> change = c.withdraw("photos/front.jpg", "photos/bank-2.jpg")
        """
        return sorted(self._stores.ledger.verdicts.all(), key=lambda one: one.at, reverse=True)

    def set_aside(self) -> list[Unused]:
        """Files that were set aside, with the reason of each.

        >>> c.set_aside()
        []
        """
        from lmr.text import text_of

        return [Unused(text_of(path), reason) for path, reason in self._stores.ledger.files.set_aside()]

    def positions(self, where: Where | None = None) -> dict[ImageId, tuple[float, float]]:
        """Latitude and longitude in degrees of each image that has a position, or of those that a filter lets pass.

        >>> c.positions()  # none of these photos has one
        {}
        """
        return {ImageId(id): place for id, place in self._stores.ledger.images.located(where)}

    def image_ids(self, after: str = "", limit: int = 100) -> list[ImageId]:
        """Ids of images in their order, those after one: a way to go through all of them in parts.

        >>> first = c.image_ids(limit=2)
        >>> len(first), c.image_ids(after=first[-1], limit=1)[0] > first[-1]
        (2, True)
        """
        return [ImageId(id) for id in self._stores.ledger.images.ids_after(after, limit)]
