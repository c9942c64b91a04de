"""The images of the collection: a part of the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lmr.store.backend import Connection
from lmr.store.descriptors import Descriptors
from lmr.store.features import Features
from lmr.store.identities import Identities
from lmr.store.pairs import Pairs
from lmr.store.state import COMING
from lmr.values import Array, Split
from lmr.where import Where

TURNED_BY_HAND = -1  # in the place of how many index images there were when turns were tried
_IMAGE = "number, id, width, height, split, landmark, turn, taken_at, latitude, longitude"


@dataclass(frozen=True, slots=True)
class Image:
    """One image of the collection.

    width, height, px, and all coordinates kept of it are those of the photo as it is turned. turn: how the decoded
    photo is turned before it is described, 0-3 quarter turns clockwise, 4 more: mirrored left to right before.
    """

    number: int
    id: str
    width: int
    height: int
    split: Split
    landmark: str | None
    turn: int = 0
    taken_at: str | None = None
    latitude: float | None = None
    longitude: float | None = None


class Images:
    """Changes belong into a transaction of the ledger. No result may depend on numbers: they follow the arrival."""

    def __init__(
        self,
        connection: Connection,
        identities: Identities,
        features: Features,
        descriptors: Descriptors,
        pairs: Pairs,
    ) -> None:
        self._db = connection
        self._identities, self._features, self._descriptors, self._pairs = identities, features, descriptors, pairs

    def add(
        self,
        id: str,
        width: int,
        height: int,
        split: Split,
        features: bytes,
        raw_global: bytes,
        turn: int = 0,
        pixels: str | None = None,
    ) -> int:
        """A new image with what was extracted from it; returns its number. pixels: hash of what it shows."""
        insert = (
            f"INSERT INTO images (id, width, height, split, turn, pixels, version) VALUES (?, ?, ?, ?, ?, ?, {COMING})"
            " RETURNING number"
        )
        number = int(self._db.execute(insert, (id, width, height, split, turn, pixels)).fetchone()[0])
        self._features.put(number, features, raw_global)
        if pixels is not None:
            self._identities.expect(pixels, id)
        return number

    def add_bare(self, id: str) -> int:
        """A new index image of which nothing but its matches is known; returns its number."""
        insert = f"INSERT INTO images (id, width, height, split, version) VALUES (?, 1, 1, 'index', {COMING})"
        return int(self._db.execute(f"{insert} RETURNING number", (id,)).fetchone()[0])

    def get(self, id: str) -> Image | None:
        """The image of that id, or None."""
        select = f"SELECT {_IMAGE} FROM images WHERE id = ?"
        row = self._db.execute(select, (id,)).fetchone()
        return Image(*row) if row else None

    def numbered(self, number: int) -> Image:
        """The image of that number."""
        select = f"SELECT {_IMAGE} FROM images WHERE number = ?"
        return Image(*self._db.execute(select, (number,)).fetchone())

    def of_numbers(self, numbers: Iterable[int]) -> list[Image]:
        """The images of these numbers, by id."""
        select = f"SELECT {_IMAGE} FROM images WHERE number IN (SELECT value FROM json_each(?)) ORDER BY id"
        return [Image(*row) for row in self._db.execute(select, (json.dumps(list(numbers)),))]

    def all(self, after: int = 0) -> Iterator[Image]:
        """Images with a number over `after`, by number."""
        select = f"SELECT {_IMAGE} FROM images WHERE number > ? ORDER BY number"
        return (Image(*row) for row in self._db.stream(select, (after,)))

    def changed(self, since: int) -> Iterator[Image]:
        """Images that are new or changed since a version of the collection, by id."""
        select = f"SELECT {_IMAGE} FROM images WHERE version > ? ORDER BY +id"
        return (Image(*row) for row in self._db.stream(select, (since,)))

    def ids_starting(self, prefix: str) -> list[str]:
        """At most two ids that begin so."""
        select = "SELECT id FROM images WHERE id >= ? AND id < ? || 'g' ORDER BY id LIMIT 2"
        return [row[0] for row in self._db.execute(select, (prefix, prefix))]

    def ids_after(self, id: str, limit: int) -> list[str]:
        """The next ids after one, in their order."""
        return [
            row[0] for row in self._db.execute("SELECT id FROM images WHERE id > ? ORDER BY id LIMIT ?", (id, limit))
        ]

    def without_files(self) -> list[tuple[int, bytes]]:
        """(number, path of the last file, empty where that is not known) of images that had files and have none."""
        select = "SELECT number, last_path FROM images WHERE last_path IS NOT NULL ORDER BY last_path, number"
        return list(self._db.execute(select))

    def set_label(self, number: int, landmark: str | None, split: Split | None = None) -> bool:
        """Set an image's landmark and, if given, its split; tells whether that changed anything."""
        update = (
            f"UPDATE images SET landmark = ?1, split = coalesce(?2, split), version = {COMING} WHERE number = ?3"
            " AND (landmark IS NOT ?1 OR split <> coalesce(?2, split))"
        )
        before = self.numbered(number).split
        changed = self._db.execute(update, (landmark, split, number)).rowcount > 0
        if split not in (None, before):
            self._pairs.touch(number)  # its matches take part, or no longer do
        return changed

    def positions(self) -> dict[int, tuple[float, float]]:
        """Number -> latitude and longitude, of the images whose position is known."""
        select = "SELECT number, latitude, longitude FROM images WHERE latitude IS NOT NULL"
        return {number: (latitude, longitude) for number, latitude, longitude in self._db.execute(select)}

    def located(self, where: Where | None) -> Iterator[tuple[str, tuple[float, float]]]:
        """(id, position) of the images that have one and that a filter lets pass, by id."""
        select = (
            "SELECT id, taken_at, latitude, longitude, landmark FROM images WHERE latitude IS NOT NULL ORDER BY +id"
        )
        for id, taken_at, latitude, longitude, landmark in self._db.stream(select):
            if where is None or where.passes(taken_at, latitude, longitude, landmark):
                yield id, (latitude, longitude)

    def taken(self, where: Where) -> list[int]:
        """Numbers of the images that a filter lets pass, in their order."""
        conditions, values = [], list[float | str]()
        if where.near is not None:
            conditions.append("latitude BETWEEN ? AND ?")
            values += where.latitudes
        if where.first is not None or where.last is not None:  # `1905` is before `1905-06`
            conditions.append("taken_at BETWEEN ? AND ?")
            values += [(where.first or "")[:4], where.last or "9999-12-31T23:59:59"]
        if where.landmark is not None:
            conditions.append("landmark = ?")
            values.append(where.landmark)
        chosen = " AND ".join(conditions) or "true"
        select = f"SELECT number, taken_at, latitude, longitude, landmark FROM images WHERE {chosen}"
        rows = self._db.execute(f"{select} ORDER BY +number", values)
        return [number for number, *facts in rows if where.passes(*facts)]

    def lack(self, where: Where) -> int:
        """How many images a filter leaves out because nothing is known of when or where they were taken."""
        unknown = [name for name, asked in (("latitude", where.near), ("taken_at", where.first or where.last)) if asked]
        select = f"SELECT count(*) FROM images WHERE {' OR '.join(f'{name} IS NULL' for name in unknown) or 'false'}"
        return int(self._db.execute(select).fetchone()[0])

    def remove(self, number: int) -> None:
        """Forget an image with all that was computed from it; verdicts on its matches stay."""
        id = self.numbered(number).id
        self._pairs.look_again([number])
        for table, column in (
            ("files", "image"),
            ("features", "number"),
            ("materials", "number"),
            ("descriptors", "number"),
            ("proposed", "number"),
            ("pairs", "a"),
            ("pairs", "b"),
            ("verified_anew", "a"),
            ("verified_anew", "b"),
            ("shown", "a"),
            ("shown", "b"),
            ("look_alikes", "number"),
            ("images", "number"),
        ):
            self._db.execute(f"DELETE FROM {table} WHERE {column} = ?", (number,))
        self._db.execute("INSERT INTO removed (id) VALUES (?)", (id,))

    def turn(
        self, number: int, turn: int, width: int, height: int, features: bytes, raw_global: bytes, vector: Array | None
    ) -> None:
        """Put what the turned photo is described by in the place of what is known of an image.

        All its coordinates, width and height are then those of the photo as it is turned (see Image.turn). It was
        compared with others in the wrong turn, so that is forgotten, also by the databases; verdicts stay.
        """
        of_numbers = (("descriptors", "number"), ("proposed", "number"))
        self._pairs.look_again([number])
        of_ends = ((table, end) for table in ("pairs", "verified_anew", "shown") for end in "ab")
        for table, column in (*of_numbers, *of_ends):
            self._db.execute(f"DELETE FROM {table} WHERE {column} = ?", (number,))
        self._features.put(number, features, raw_global)
        update = f"UPDATE images SET turn = ?, width = ?, height = ?, version = {COMING} WHERE number = ?"
        self._db.execute(update, (turn, width, height, number))
        if vector is not None:
            self._descriptors.put([(number, vector)])
        self._db.execute("INSERT INTO removed (id) VALUES (?)", (self.numbered(number).id,))

    def turns_tried(self) -> dict[int, int]:
        """number -> how many index images there were when other turns of an image with features were last tried.

        0: never; TURNED_BY_HAND: a person has said how it is turned.
        """
        select = "SELECT number, turns_tried FROM images WHERE number IN (SELECT number FROM features) ORDER BY number"
        return dict(self._db.execute(select))

    def set_turns_tried(self, numbers: Iterable[int], tried: int) -> None:
        """Remember that; no other command is to see anything new in it."""
        update = "UPDATE images SET turns_tried = ? WHERE number = ?"
        self._db.executemany(update, ((tried, number) for number in numbers))

    def removed(self, after: int = 0) -> list[tuple[int, str]]:
        """(sequence, image id) of what was removed after a sequence."""
        return list(self._db.execute("SELECT seq, id FROM removed WHERE seq > ? ORDER BY seq", (after,)))

    def last_removed(self) -> int:
        """The sequence of the last removal; 0 if nothing was removed."""
        return int(self._db.execute("SELECT coalesce(max(seq), 0) FROM removed").fetchone()[0])
