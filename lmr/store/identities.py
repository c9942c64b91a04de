"""Which image a photo is of, by the hash of what it shows: a part of the ledger."""

from __future__ import annotations

from collections.abc import Iterator

from lmr.store.backend import Connection


class Identities:
    """Changes belong into a transaction of the ledger."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def put(self, number: int, pixels: str) -> None:
        """Keep the hash of what an image shows, which was not known of it."""
        self._db.execute("UPDATE images SET pixels = ? WHERE number = ?", (pixels, number))
        insert = (
            "INSERT INTO identities (pixels, id) SELECT pixels, id FROM images WHERE number = ? ON CONFLICT DO NOTHING"
        )
        self._db.execute(insert, (number,))

    def of(self, number: int) -> str | None:
        """The hash of what an image shows; None where that is not known."""
        row = self._db.execute("SELECT pixels FROM images WHERE number = ?", (number,)).fetchone()
        return row[0] if row else None

    def image_of(self, pixels: str) -> str | None:
        """The id of what a file shows, of images that are here, were here, or are expected; None if it is none's."""
        row = self._db.execute("SELECT id FROM identities WHERE pixels = ?", (pixels,)).fetchone()
        return row[0] if row else None

    def shown(self) -> list[str]:
        """The hashes of what `image_of` finds an image for that is here."""
        return [row[0] for row in self._db.execute("SELECT i.pixels FROM identities i JOIN images USING (id)")]

    def expect(self, pixels: str, id: str) -> None:
        """Let the photo that shows just this be the image of that id once it comes, if it is none yet."""
        self._db.execute("INSERT INTO identities (pixels, id) VALUES (?, ?) ON CONFLICT DO NOTHING", (pixels, id))

    def all(self) -> Iterator[tuple[str, str]]:
        """(hash of what it shows, image id) of all images of which that is known, also of those that are not here."""
        select = "SELECT pixels, id FROM identities UNION ALL SELECT pixels, id FROM images WHERE pixels IS NOT NULL"
        return iter(self._db.stream(select))
