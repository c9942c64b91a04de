"""The pairs that were ever compared, with their outcome: a part of the ledger."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np

from lmr.errors import CollectionError
from lmr.method.fingerprints import VERIFICATION
from lmr.store.backend import Connection, UnfitError
from lmr.store.shown import ShownParts, packed, unpacked
from lmr.values import Array, Edge, Excluded, Verification

T = TypeVar("T")

_FETCHED = 100_000
_ALL = 2**63 - 1
_EXCLUDED: dict[str | None, Excluded | None] = {None: None, **{one.value: one for one in Excluded}}
_GEOMETRY = struct.Struct("<14d")
_ZERO = "IN (x'0000000000000000', x'0000000000000080')"  # of either sign
# the two numbers of a map (2, 3) that turn and shear are zero; there is an index of such pairs
ONLY_MOVED = f"substr(geometry, 9, 8) {_ZERO} AND substr(geometry, 25, 8) {_ZERO}"

# edges whose weight holds a similarity; an image that came with imported matches has no descriptor
_DESCRIBED = "weight IS NOT NULL AND a IN (SELECT number FROM descriptors) AND b IN (SELECT number FROM descriptors)"
_SMALLER, _GREATER = (f"CASE WHEN pairs.a {sign} pairs.b THEN pairs.a ELSE pairs.b END" for sign in "<>")
# ?1: the number of a fingerprint
_OF_OTHERS = f"fingerprint <> ?1 AND fingerprint IN (SELECT number FROM fingerprints WHERE kind = '{VERIFICATION}')"


@dataclass(frozen=True, slots=True)
class PairRow:
    """A verified pair by numbers, the image of the smaller id first; weight is None below the lower threshold.

    fingerprint: number of what verified it (see Fingerprints); None where that is not known.
    """

    a: int
    b: int
    verification: Verification
    round: int
    excluded: Excluded | None
    similarity: float | None
    weight: float | None
    confirmed: bool = False
    fingerprint: int | None = None


class Change(NamedTuple):
    """An edge that was added or changed: image ids, and whether the forest may use it if both images take part."""

    a: str
    b: str
    weight: float
    accepted: bool
    both_index: bool


class Links(NamedTuple):
    """Edges by numbers, as columns (E,); excluded holds the reasons, None for those that take part.

    confirmed: a person said that they are right.
    """

    sequence: Array
    a: Array
    b: Array
    inliers: Array
    log_nfa: Array
    excluded: Array
    confirmed: Array

    def where(self, rows: Array) -> Links:
        """Some of them."""
        return Links(*(column[rows] for column in self))


class LinkTo(NamedTuple):
    """An edge as one of its images sees it."""

    other: int
    sequence: int
    inliers: int
    log_nfa: float
    excluded: Excluded | None
    weight: float
    round: int
    confirmed: bool


class Pairs:
    """The table of pairs, over the ledger's connection; changes belong into a transaction of the ledger."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection
        self.shown = ShownParts(connection)

    def compared(self) -> Iterator[Array]:
        """Every pair that was ever compared, some (n, 2) at a time."""
        rows = self._db.stream("SELECT a, b FROM pairs")
        while batch := rows.fetchmany(_FETCHED):
            yield np.array(batch, np.int64)

    def rows(self) -> Iterator[PairRow]:
        """Every outcome, in the order in which it was kept."""
        select = (
            "SELECT a, b, matches, inliers, log_nfa, geometry, round, excluded, similarity, weight, confirmed,"
            " fingerprint FROM pairs ORDER BY seq"
        )
        return (_row(found) for found in self._db.stream(select))

    def verified(self, number: int) -> set[int]:
        """Numbers of the images that this one was ever compared with."""
        select = "SELECT b FROM pairs WHERE a = ? UNION ALL SELECT a FROM pairs WHERE b = ?"
        return {row[0] for row in self._db.execute(select, (number, number))}

    def keep(self, row: PairRow, *, anew: bool = False) -> None:
        """Keep the outcome of a pair. One that was compared before keeps what it had, unless `anew`.

        Raises CollectionError where it cannot be kept.
        """
        found = row.verification
        geometry = None if row.weight is None else _packed(found)
        values = (row.a, row.b, found.matches, found.inliers, found.log_nfa, geometry, row.round, row.excluded)
        insert = (
            "INSERT INTO pairs (a, b, matches, inliers, log_nfa, geometry, round, excluded, similarity, weight,"
            " confirmed, fingerprint) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (a, b) DO NOTHING"
        )
        with _told(f"the outcome of the pair {row.a} - {row.b}"):
            if anew:
                self._db.execute("DELETE FROM pairs WHERE a = ? AND b = ?", (row.a, row.b))
            done = self._db.execute(insert, (*values, row.similarity, row.weight, int(row.confirmed), row.fingerprint))
        if done.rowcount and (anew or row.weight is not None):
            self.shown.put(row.a, row.b, None if row.weight is None else found.shown)
            if anew or _joins(row.excluded):
                self.shown.judge_again((row.a, row.b))

    def edges(self, after: int = 0, limit: int = _ALL, *, only_moved: bool = False) -> Iterator[tuple[int, Edge]]:
        """(sequence, edge) of the pairs kept after a sequence, in that order; only_moved: by a scale and a shift."""
        select = (
            "SELECT seq, x.id, y.id, x.turn, y.turn, similarity, weight, round, excluded, confirmed, matches, inliers,"
            " log_nfa, geometry"
            " FROM pairs JOIN images x ON x.number = a JOIN images y ON y.number = b"
            " WHERE seq > ? AND weight IS NOT NULL AND true ORDER BY seq LIMIT ?"
        )
        if only_moved:
            select = select.replace("true", ONLY_MOVED)
        for seq, a, b, turn_a, turn_b, *others in self._db.stream(select, (after, limit)):
            similar, weight, round_, excluded, confirmed, *found = others
            judged = round_, _EXCLUDED[excluded], bool(confirmed)
            yield seq, Edge(a, b, _verification(*found), similar, weight, *judged, (turn_a, turn_b))

    def links(self, upto: int | None = None, *, after: int = 0, of: Iterable[int] | None = None) -> Links:
        """All edges, or those after and up to a sequence, or of some images, in that order, without their geometry."""
        select = (
            "SELECT seq, a, b, inliers, log_nfa, confirmed, excluded FROM pairs"
            " WHERE weight IS NOT NULL AND (CAST(?1 AS INTEGER) IS NULL OR seq <= ?1) AND seq > ?2"
        )
        values: list[Any] = [upto, after]
        if of is not None:
            values.append(json.dumps([int(number) for number in of]))
            some = "IN (SELECT value FROM json_each(?3))"
            select = f"{select} AND a {some} UNION {select} AND b {some}"
        rows = self._db.stream(f"{select} ORDER BY seq", values)
        parts = []
        while batch := rows.fetchmany(_FETCHED):
            *numbers, excluded = zip(*batch, strict=True)
            *columns, confirmed = map(np.array, numbers)
            reasons = np.array([_EXCLUDED[text] for text in excluded], object)
            parts.append((*columns, reasons, confirmed.astype(bool)))
        if not parts:
            whole = np.zeros(0, np.int64)
            return Links(whole, whole, whole, whole, np.zeros(0), np.zeros(0, object), np.zeros(0, bool))
        return Links(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def joined(self, numbers: Iterable[int]) -> list[int]:
        """Numbers of the images that have an edge with one of some images."""
        links = self.links(of=list(numbers))
        return sorted({*links.a.tolist(), *links.b.tolist()})

    def links_of(self, number: int) -> list[LinkTo]:
        """The edges of one image."""
        columns = "seq, inliers, log_nfa, excluded, weight, round, confirmed FROM pairs WHERE"
        select = (
            f"SELECT b, {columns} a = ?1 AND weight IS NOT NULL"
            f" UNION ALL SELECT a, {columns} b = ?1 AND weight IS NOT NULL"
        )
        rows = self._db.execute(select, (number,))
        return [LinkTo(*row)._replace(excluded=_EXCLUDED[row[4]]) for row in rows]

    def set_excluded(self, rows: Iterable[tuple[int, Excluded | None]]) -> int:
        """Change (sequence, excluded); each such edge gets a new sequence, so that it is written to the graph again."""
        last, count, touched = self.last(), 0, set[int]()
        for count, (seq, excluded) in enumerate(rows, 1):
            before = self._db.execute("SELECT excluded, a, b FROM pairs WHERE seq = ?", (seq,)).fetchone()
            update = "UPDATE pairs SET excluded = ?, seq = ? WHERE seq = ?"
            self._db.execute(update, (excluded, last + count, seq))
            if before is not None and _joins(excluded) != _joins(_EXCLUDED[before[0]]):
                touched.update(before[1:])
        self.shown.judge_again(touched)
        # SQLite gives a number that was set by hand again once its row is gone
        self._db.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'pairs'", (last + count,))
        return count

    def excluded_as(self, reason: Excluded) -> list[tuple[int, int, int, float]]:
        """(sequence, a, b, weight) of the edges that are excluded for a reason."""
        select = "SELECT seq, a, b, weight FROM pairs WHERE weight IS NOT NULL AND excluded = ?"
        return list(self._db.execute(select, (reason.value,)))

    def changes(self, after: int) -> list[Change]:
        """The edges that were added or changed after a sequence."""
        select = (
            "SELECT x.id, y.id, weight, excluded IS NULL, x.split = 'index' AND y.split = 'index' FROM pairs"
            " JOIN images x ON x.number = a JOIN images y ON y.number = b WHERE seq > ? AND weight IS NOT NULL"
        )
        return [Change(*row) for row in self._db.execute(select, (after,))]

    def touch(self, number: int) -> None:
        """Let all edges of an image count as changed."""
        select = "SELECT seq, excluded FROM pairs WHERE weight IS NOT NULL AND (a = ?1 OR b = ?1) ORDER BY seq"
        self.set_excluded(self._db.execute(select, (number,)).fetchall())
        self.look_again([number])

    def look_again(self, numbers: Iterable[int]) -> None:
        """Let all that matches of these images and of their neighbours show be judged again."""
        self.shown.judge_again({*numbers, *self.joined(numbers)})

    def row(self, a: int, b: int) -> PairRow | None:
        """The outcome of a pair, the image of the smaller id first; None if it was never compared."""
        select = (
            "SELECT a, b, matches, inliers, log_nfa, geometry, round, excluded, similarity, weight, confirmed,"
            " fingerprint FROM pairs WHERE a = ? AND b = ?"
        )
        found = self._db.execute(select, (a, b)).fetchone()
        if found is None:
            return None
        row = _row(found)
        return replace(row, verification=replace(row.verification, shown=self.shown.of(a, b)))

    def accepted(self) -> int:
        """Number of edges that the forest may use."""
        select = "SELECT count(*) FROM pairs INDEXED BY pairs_accepted WHERE weight IS NOT NULL AND excluded IS NULL"
        return int(self._db.execute(select).fetchone()[0])

    def counted_after(self, sequence: int) -> tuple[int, int]:
        """How many matches after a sequence are accepted so far, and how many edges there are."""
        select = (
            "SELECT count(*) FILTER (WHERE excluded IS NULL), count(*) FROM pairs WHERE weight IS NOT NULL AND seq > ?"
        )
        accepted, edges = self._db.execute(select, (sequence,)).fetchone()
        return int(accepted), int(edges)

    def last(self) -> int:
        """The greatest sequence that any pair ever had; 0 if there was none."""
        select = (
            "SELECT coalesce(max(seq), 0) FROM (SELECT seq FROM sqlite_sequence WHERE name = 'pairs'"
            " UNION ALL SELECT max(seq) FROM pairs) AS known"
        )
        return int(self._db.execute(select).fetchone()[0])

    def outcome(self, a: int, b: int) -> tuple[Verification, float | None, Excluded | None] | None:
        """Verification, weight and exclusion of a pair in either order; None if it was never compared."""
        select = (
            "SELECT matches, inliers, log_nfa, weight, excluded FROM pairs WHERE a = ? AND b = ?"
            " UNION ALL SELECT matches, inliers, log_nfa, weight, excluded FROM pairs WHERE a = ? AND b = ?"
        )
        row = self._db.execute(select, (a, b, b, a)).fetchone()
        return (Verification(row[0], row[1], row[2]), row[3], _EXCLUDED[row[4]]) if row else None

    def to_reweigh(self) -> list[tuple[int, int, int, int, int]]:
        """(seq, a, b, inliers, confirmed) of the edges between described images, for giving them weights anew."""
        select = f"SELECT seq, a, b, inliers, confirmed FROM pairs WHERE {_DESCRIBED} ORDER BY seq"
        return list(self._db.execute(select))

    def set_weight(self, edge: tuple[int, int, int], similarity: float, weight: float) -> None:
        """Give an edge, (seq, a, b), another similarity and weight."""
        seq, a, b = edge
        with _told(f"the weight of the pair {a} - {b}"):
            self._db.execute("UPDATE pairs SET similarity = ?, weight = ? WHERE seq = ?", (similarity, weight, seq))

    def of_equal_weight(self) -> list[Change]:
        """The accepted edges whose weight others have too: hardly ever any."""
        shared = "SELECT weight FROM pairs WHERE weight IS NOT NULL GROUP BY weight HAVING count(*) > 1"
        select = (
            "SELECT x.id, y.id, weight, true, x.split = 'index' AND y.split = 'index' FROM pairs"
            " JOIN images x ON x.number = a JOIN images y ON y.number = b"
            f" WHERE excluded IS NULL AND weight IN ({shared})"
        )
        return [Change(*row) for row in self._db.execute(select)]

    # ------------------------------------------------------------ pairs of another fingerprint

    def counted_by_fingerprint(self) -> dict[int | None, int]:
        """How many pairs belong to each fingerprint."""
        return dict(self._db.execute("SELECT fingerprint, count(*) FROM pairs GROUP BY fingerprint"))

    def of_others(self, fingerprint: int) -> int:
        """How many pairs were verified by something else; those that were imported are none of them."""
        return int(self._db.execute(f"SELECT count(*) FROM pairs WHERE {_OF_OTHERS}", (fingerprint,)).fetchone()[0])

    def to_verify_anew(self, fingerprint: int) -> list[tuple[int, int]]:
        """Those among them whose features are there and that were not verified anew yet, the smaller number first."""
        select = (
            f"SELECT {_SMALLER} x, {_GREATER} y FROM pairs WHERE {_OF_OTHERS}"
            " AND a IN (SELECT number FROM features) AND b IN (SELECT number FROM features)"
            " AND NOT EXISTS (SELECT 1 FROM verified_anew v"
            f" WHERE v.a = {_SMALLER} AND v.b = {_GREATER} AND v.fingerprint = ?1) ORDER BY x, y"
        )
        return list(self._db.execute(select, (fingerprint,)))

    def put_anew(self, a: int, b: int, found: Verification, fingerprint: int) -> None:
        """Keep an outcome that will stand in the place of that which the pair has; a < b."""
        values = (a, b, found.matches, found.inliers, found.log_nfa, _packed(found), found.artefact, fingerprint)
        upsert = (
            "INSERT INTO verified_anew (a, b, matches, inliers, log_nfa, geometry, artefact, fingerprint, shown)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (a, b) DO UPDATE SET matches = excluded.matches,"
            " inliers = excluded.inliers, log_nfa = excluded.log_nfa, geometry = excluded.geometry,"
            " artefact = excluded.artefact, fingerprint = excluded.fingerprint, shown = excluded.shown"
        )
        self._db.execute(upsert, (*values, None if found.shown is None else packed(found.shown)))

    def verified_anew(self) -> Iterator[tuple[int, int, Verification]]:
        """The outcomes so kept, by numbers; others may be changed meanwhile."""
        after = (0, 0)
        select = (
            "SELECT a, b, matches, inliers, log_nfa, geometry, artefact, shown FROM verified_anew WHERE (a, b) > (?, ?)"
            f" ORDER BY a, b LIMIT {_FETCHED}"
        )
        while rows := self._db.execute(select, after).fetchall():
            for a, b, *found, artefact, data in rows:
                shown = None if data is None else unpacked(data)
                yield a, b, replace(_verification(*found), artefact=_EXCLUDED[artefact], shown=shown)
            after = rows[-1][:2]

    def clear_anew(self, fingerprint: int) -> None:
        """Forget the outcomes so kept; the pairs that are left of others, whose features are gone, belong to this."""
        self._db.execute(f"UPDATE pairs SET fingerprint = ?1 WHERE {_OF_OTHERS}", (fingerprint,))
        self._db.execute("DELETE FROM verified_anew")

    def forget_anew_of_others(self, fingerprint: int) -> None:
        """Forget the outcomes so kept that were verified by something else."""
        self._db.execute("DELETE FROM verified_anew WHERE fingerprint <> ?", (fingerprint,))


def _packed(found: Verification) -> bytes | None:
    """Map and regions; None where there are none."""
    if found.transform is None:
        return None
    return _GEOMETRY.pack(*found.transform, *(found.region_a or ()), *(found.region_b or ()))


def _joins(excluded: Excluded | None) -> bool:
    """Whether a match takes part by what speaks for it alone."""
    return excluded in (None, Excluded.LOOK_ALIKE)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Say in words what cannot be kept."""
    try:
        yield
    except UnfitError as error:
        raise CollectionError(f"{what} cannot be kept: {error}; `lmr check` tells what is damaged") from error


def _row(columns: Sequence[Any]) -> PairRow:
    a, b, matches, inliers, log_nfa, geometry, round_, excluded, similar, weight, confirmed, fingerprint = columns
    found = _verification(matches, inliers, log_nfa, geometry)
    return PairRow(a, b, found, round_, _EXCLUDED[excluded], similar, weight, bool(confirmed), fingerprint)


def _verification(matches: int, inliers: int, log_nfa: float, geometry: bytes | None) -> Verification:
    """What was found; a pair below the lower threshold has no geometry, nor has one that only a person joined."""
    if geometry is None:
        return Verification(matches, inliers, log_nfa)
    values = _GEOMETRY.unpack(geometry)
    return Verification(matches, inliers, log_nfa, values[:6], values[6:10], values[10:])
