"""What an open collection holds, and how it is: the part of a collection that all others rest on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmr.library.given import question
from lmr.library.image import Image, image_of
from lmr.values import ImageId, Question

if TYPE_CHECKING:
    from lmr.library.servers import Status
    from lmr.store.difference import Difference
    from lmr.store.stores import Stores


class Held:
    """An open collection, and what it holds."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def close(self) -> None:
        """Close all connections; the local databases go on running, see `lmr.down`.

        >>> with lmr.open("paris") as collection:  # closed at the end of the block
        ...     len(collection) > 0
        True
        """
        self._stores.close()

    @property
    def home(self) -> Path:
        """The collection's folder.

        >>> c.home.name
        'paris'
        """
        return self._stores.home

    def __len__(self) -> int:
        """How many images it holds."""
        return self._stores.ledger.count("images")

    def images(self) -> Iterator[Image]:
        """All images, by id.

        >>> sum(image.split == "query" for image in c.images())
        1
        """
        for id in sorted(image.id for image in self._stores.ledger.images.all()):
            yield image_of(self._stores.ledger, id)

    def image(self, photo: Any) -> Image:
        """The stored image of a photo, or of an id or its beginning. Raises UsageError where there is none.

        >>> image = c.image("photos/front.jpg")
        >>> image.width, image.height, image.landmark
        (640, 480, 'town-hall')
        """
        return image_of(self._stores.ledger, self._stored(photo))

    @property
    def labels(self) -> dict[ImageId, str]:
        """The landmark of each image that has a label.

        >>> sorted(set(c.labels.values()))
        ['bank', 'town-hall']
        """
        images = self._stores.ledger.images.all()
        return {ImageId(image.id): image.landmark for image in images if image.landmark is not None}

    @property
    def version(self) -> int:
        """It grows whenever images, what is known of them, or their labels become others.

        >>> before = c.version
        >>> former = c.label({"photos/front.jpg": "old town-hall"}, replace=True)
        >>> c.version > before, len(c.label(former, replace=True))
        (True, 1)
        """
        self._stores.ledger.follow()
        return self._stores.ledger.marks.version

    @property
    def lacks(self) -> str | None:
        """What the collection still lacks for searches to find all they can, in words; None where it is linked.

        >>> c.lacks is None
        True
        """
        from lmr.retrieval.search import lacks

        return lacks(self._stores.ledger)

    def status(self) -> Status:
        """Its databases, how much it holds, and what that was made with; see `lmr.status`.

        >>> c.status().counts["images"] == len(c)
        True
        """
        from lmr.library.servers import status_of

        return status_of(self._stores.settings)

    def check(self) -> tuple[list[Difference], list[Difference]]:
        """What differs: the ledger and shards from their checksums, Milvus and Neo4j from the ledger; and what is gone.

        The second list is no fault of the collection: it names images whose photo is not there any more, and shards
        that nothing refers to.

        >>> c.check()
        ([], [])
        """
        from lmr.store.check import check, unused_shards, without_photo

        return check(self._stores), [*without_photo(self._stores), *unused_shards(self._stores)]

    def _question(self, photo: Any) -> Question | str:
        return question(photo, self._stores.settings)

    def _stored(self, photo: Any) -> str:
        """The id of a stored image."""
        from lmr.retrieval.question import stored_image

        return stored_image(self._stores, self._question(photo))
