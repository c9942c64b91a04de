"""Do the ledger, Milvus and Neo4j hold the same? And what makes them so again: repair, backup, restore."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lmr.errors import CollectionError, DatabaseError, UsageError
from lmr.jobs.correct.corrections import obey
from lmr.local.process import private_folder
from lmr.method.photos.about import About
from lmr.method.photos.video import source
from lmr.method.spanning.forest import strongest
from lmr.outputs import Ours, replacing
from lmr.settings import Settings
from lmr.store.graph import facts_row
from lmr.store.ledger import Ledger, address
from lmr.store.refined import Described, described, review
from lmr.store.stores import LEDGER, Stores, writer
from lmr.store.sync import bring_up
from lmr.text import text_of

_CLOSE = 1e-5
_SHOWN = 3
_SEARCHED = 10_000


@dataclass(frozen=True, slots=True)
class Difference:
    """One kind of difference: where, what, how many, some of them."""

    where: str
    what: str
    count: int
    examples: list[str]


def check(stores: Stores) -> list[Difference]:
    """Everything in which the databases differ from the ledger, or the ledger from its own checksums."""
    damaged = list(_ledger(stores.ledger))
    if any(found.what in _UNREADABLE for found in damaged):
        return damaged
    with writer(stores.home):  # nothing may change meanwhile, and nothing is mended here
        return [*damaged, *_vectors(stores), *_graph(stores)]


def without_photo(stores: Stores) -> list[Difference]:
    """Images of which no photo is there any more: no fault of the databases, but results that nobody can look at."""
    ledger = stores.ledger
    lost = [text_of(path) or ledger.image_numbered(number).id for number, path in ledger.without_files()]
    paths: dict[int, list[bytes]] = {}
    for path, _, number in ledger.places():
        paths.setdefault(number, []).append(path)
    lost += [text_of(held[0]) for held in paths.values() if not any(os.path.lexists(source(path)) for path in held)]
    return (
        [Difference("photos", "images whose photo is gone or shows another", len(lost), lost[:_SHOWN])] if lost else []
    )


def repair(stores: Stores) -> None:
    """Make Milvus and Neo4j anew from the ledger, which must be whole itself. Raises CollectionError if it is not.

    Where a local database does not start, or cannot be written, both begin with no data; the old are set aside.
    """
    damaged = list(_ledger(stores.ledger))
    if damaged:
        first = damaged[0]
        raise CollectionError(
            f"the ledger itself is damaged ({first.what}: {first.count}, {', '.join(first.examples)}); "
            "`lmr restore` puts a backup in its place"
        )
    with stores.writing():
        with stores.ledger.transaction():
            stores.ledger.rebuild()
        try:
            bring_up(stores)
        except DatabaseError as error:
            stores.progress.note(f"{error}\nThe local databases begin with no data, and are written anew.")
            stores.set_databases_aside()
            bring_up(stores)


def backup(stores: Stores, target: Path) -> int:
    """Write the ledger, from which all else is made, as one file; returns its bytes. Others may go on writing.

    An older backup of the same collection is replaced, when the new one is whole. Raises UsageError for another file.
    """
    with replacing(target, ours=backups_of(stores.ledger.path)) as part:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        stores.ledger.copy_to(part)
        with Ledger.open(part) as copy:
            damaged = list(_ledger(copy))
        if damaged:
            raise CollectionError(f"the ledger is damaged ({damaged[0].what}); `lmr check` tells more")
    return target.stat().st_size


def backups_of(ledger: Path) -> Ours:
    """Tells the backups of a collection: ledgers with its id that are no collection's own."""

    def is_backup(target: Path) -> bool:
        in_use = any(os.path.lexists(beside) for beside in (target.with_name("writer.lock"), f"{target}-wal"))
        own = None if in_use else id_of(target)
        return own is not None and own == id_of(ledger)

    return is_backup


def id_of(ledger: Path) -> str | None:
    """The collection's id in a ledger or backup, of which nothing is changed; None where there is none to read."""
    try:
        db = sqlite3.connect(address(ledger, "ro") + "&immutable=1", uri=True)
        try:
            row = db.execute("SELECT value FROM meta WHERE key = 'id'").fetchone()
        finally:
            db.close()
    except sqlite3.Error:
        return None
    return None if row is None else str(row[0])


@dataclass(frozen=True, slots=True)
class Restored:
    """A collection's id, and where its ledger is that could not be read, if that was so."""

    id: str
    aside: Path | None


def restore(settings: Settings, source: Path) -> Restored:
    """Put a backup in the place of a collection, or make one of it. The databases follow when needed.

    What people said of pairs since then is not lost: the later word on a pair counts, and pairs are as it says.
    Raises UsageError where the file is no whole backup, or is one of another collection.
    """
    if not source.is_file():
        raise UsageError(f"{source}: no such file")
    private_folder(settings.home)
    with tempfile.TemporaryDirectory(prefix=".restoring-", dir=settings.home) as made:
        copy = Path(made) / LEDGER
        shutil.copyfile(source, copy)
        copy.chmod(0o600)
        try:
            with Ledger.open(copy) as backed_up:
                damaged = list(_ledger(backed_up))
                id = backed_up.meta("id") or ""
        except CollectionError as error:
            raise UsageError(f"{source} is no backup of a collection: {error}") from error
        if damaged:
            raise UsageError(f"{source} is damaged ({damaged[0].what}: {damaged[0].count}); nothing was restored")
        with writer(settings.home):
            aside = _put(settings.home / LEDGER, copy, id)
            _follow_rulings(settings.home)
            return Restored(id, aside)


def _put(ledger: Path, copy: Path, id: str) -> Path | None:
    """Put the backup in the ledger's place; where the ledger was set aside, if it could not be read."""
    try:
        # one that cannot be read is not even opened: SQLite would take away the log beside it
        present = None if id_of(ledger) is None else Ledger.open(ledger)
    except CollectionError:  # it cannot be read, which is why it is restored
        present = None
    if present is None:
        with Ledger.open(copy) as whole:
            with whole.transaction():
                whole.rebuild()
            whole.fold()
        aside = _set_aside(ledger)
        copy.replace(ledger)
        return aside
    with present, Ledger.open(copy) as whole:
        if present.meta("id") != id:
            raise UsageError(f"{ledger.parent} is another collection than the backup's; restore into another --home")
        present.replace_by(whole, verdicts=True)
    return None


def _set_aside(ledger: Path) -> Path | None:
    """Rename a ledger that cannot be read, with what lies beside it; its new place."""
    found = [end for end in ("-wal", "-shm", "") if os.path.lexists(f"{ledger}{end}")]
    aside = Path(f"{ledger}.damaged-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}")
    for end in found:
        os.rename(f"{ledger}{end}", f"{aside}{end}")
    return aside if found else None


def _follow_rulings(home: Path) -> None:
    """Those that are newer than the backup."""
    with Stores.open(Settings(home=home)) as restored, restored.ledger.transaction():
        if obey(restored):
            review(restored)
            restored.changed()


_UNREADABLE = ("the file",)


def _ledger(ledger: Ledger) -> Iterator[Difference]:
    try:
        faults = ledger.faults()
    except sqlite3.DatabaseError as error:
        yield Difference("ledger", "the file", 1, [str(error)])
        return
    for what, found in faults.items():
        if found:
            yield Difference("ledger", what, len(found), found[:_SHOWN])


def _vectors(stores: Stores) -> Iterator[Difference]:
    found, vectors = described(stores), stores.vectors
    wanted = {image.id for image in found.images}
    if vectors.dimension() is None:
        yield from _differ("milvus", "vectors that are missing", wanted)
        return
    held = vectors.fetch(sorted(wanted))
    yield from _differ("milvus", "vectors that are missing", wanted - held.keys())
    strangers = vectors.count() - len(held)
    if strangers:
        yield Difference("milvus", "vectors of images that are not in the ledger", strangers, [])
    wrong = []
    if vectors.dimension() == found.refined.shape[1]:
        for id, vector in held.items():
            if not np.allclose(vector, found.refined[found.row[id]], atol=_CLOSE):
                wrong.append(id)
        yield from _differ("milvus", "vectors that a search does not find", _unfindable(stores, found, held))
    else:
        wrong = sorted(wanted)
    yield from _differ("milvus", "vectors that are not the refined descriptors", wrong)


def _unfindable(stores: Stores, found: Described, held: Mapping[str, Any]) -> list[str]:
    """Stored images that are not nearest to their own descriptors, of at most 10,000: searches ask another file."""
    stored = np.array([image.id in held for image in found.images], bool)
    rows = np.flatnonzero(found.in_index & stored)
    if len(rows) > _SEARCHED:
        rows = np.random.default_rng().choice(rows, _SEARCHED, replace=False)
    answers = stores.vectors.search(found.refined[rows], 1)
    near = [answer[0][1] if answer else 0.0 for answer in answers]
    return [found.images[row].id for row, value in zip(rows.tolist(), near, strict=True) if abs(value - 1) > _CLOSE]


def _graph(stores: Stores) -> Iterator[Difference]:
    ledger, graph = stores.ledger, stores.graph
    marker = graph.marker()
    if marker["stale"]:
        yield Difference("neo4j", "the forest is half written", 1, ["`lmr link` completes it"])
    abouts = ledger.abouts()
    images = {
        image.id: (image.split, image.landmark, *facts_row(abouts.get(image.number, About())).values())
        for image in ledger.images()
    }
    rows = graph.run("read/images")
    held = {row["id"]: (row["split"], row["landmark"], *_facts(row)) for row in rows}
    yield from _compared("neo4j", "images", images, held)
    edges = {(e.a, e.b): (e.weight, e.verification.inliers, e.excluded) for _, e in ledger.pairs.edges()}
    matches = {(r["a"], r["b"]): (r["weight"], r["inliers"], r["excluded"]) for r in graph.run("read/matches")}
    yield from _compared("neo4j", "matches", edges, matches)
    bridging = stores.bridge_queries
    usable = {
        pair: weight
        for pair, (weight, _, excluded) in edges.items()
        if excluded is None and (bridging or all(images[id][0] == "index" for id in pair))
    }
    forest, parts = strongest(sorted(images), usable)
    stored = {(row["a"], row["b"]): row["weight"] for row in graph.run("forest/stored")}
    yield from _compared("neo4j", "edges of the forest", {pair: usable[pair] for pair in forest}, stored)
    by_part: dict[int, set[str]] = {}
    by_name: dict[str, set[int]] = {}
    for row in rows:
        if row["id"] in parts:
            by_part.setdefault(parts[row["id"]], set()).add(row["component"])
            by_name.setdefault(row["component"], set()).add(parts[row["id"]])
    mixed = [next(iter(names)) for names in by_part.values() if len(names) > 1]
    mixed += [name for name, found in by_name.items() if len(found) > 1]
    yield from _differ("neo4j", "components that are not what the forest joins", mixed)


def _facts(row: Mapping[str, Any]) -> list[Any]:
    """What the graph knows of an image besides pixels, as the row that wrote it."""
    times = (row[name].to_native().isoformat() if row[name] else None for name in ("taken_at", "taken_until"))
    return [*times, *row["facts"]]


def _compared(where: str, what: str, wanted: Mapping[Any, Any], held: Mapping[Any, Any]) -> Iterator[Difference]:
    yield from _differ(where, f"{what} that are missing", wanted.keys() - held.keys())
    yield from _differ(where, f"{what} that are not in the ledger", held.keys() - wanted.keys())
    yield from _differ(
        where, f"{what} with other values", [k for k in wanted.keys() & held.keys() if wanted[k] != held[k]]
    )


def _differ(where: str, what: str, found: Any) -> Iterator[Difference]:
    if found:
        shown = sorted(" - ".join(part[:12] for part in ((key,) if isinstance(key, str) else key)) for key in found)
        yield Difference(where, what, len(shown), shown[:_SHOWN])
