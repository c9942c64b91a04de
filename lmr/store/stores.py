"""Opening a collection: its ledger, its databases (started when first needed), its writer's lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lmr.errors import BrokenServerError, BusyError, CollectionError, LmrError, ServerError
from lmr.execution import Executor
from lmr.execution.local import Local
from lmr.extractors.presets import preset
from lmr.local.milvus import LocalMilvus
from lmr.local.neo4j import Access, LocalNeo4j
from lmr.local.process import LocalServer, private_folder
from lmr.method.expansion.idqe import Smoothing
from lmr.method.features.preset import Preset
from lmr.method.review.review import REVIEWER
from lmr.method.verification.parameters import Verifier
from lmr.progress import Progress, Silent
from lmr.settings import Settings
from lmr.store.graph import Graph
from lmr.store.ledger import Ledger
from lmr.store.made_with import described_otherwise
from lmr.store.names import StoredNames
from lmr.store.state import first_marks
from lmr.store.vectors import Milvus

LEDGER = "ledger.sqlite"
_FIXED = (  # what stored results were made with
    "preset",
    "network_side",
    "attention",
    "nfa_weak",
    "nfa_accept",
    "agreement",
    "expansion_steps",
    "expansion_own",
    "expansion_confidence",
    "similarity_weight",
)
MODEL = "descriptor"
_GLANCE = 1.0  # seconds: a search that looks whether somebody writes holds the lock for an instant


@dataclass(frozen=True)
class _Made:
    """What photos are described with, as the marks of the ledger were when it was read (or before, never after)."""

    marks: tuple[str | None, ...]
    settings: Settings
    ledger: Ledger

    @cached_property
    def preset(self) -> Preset:
        """See Collection."""
        found, made_with = preset(self.settings.preset, self.settings), self.ledger.marks.extractors
        if made_with not in (None, found.mark):  # None: made by an older lmr
            raise CollectionError(
                f"{self.settings.home} was made with {made_with}, but {self.settings.preset!r} now means {found.mark}; "
                "`lmr checkpoints list` shows what is at hand, `lmr train --preset` describes all photos anew"
            )
        if told := described_otherwise(self.ledger, found):
            raise CollectionError(
                f"the photos of {self.settings.home} were described with other parameters than this lmr's ({told}); "
                f"`lmr train --preset {self.settings.preset}` describes them all anew"
            )
        return found

    @cached_property
    def model(self) -> Any:
        """See Collection."""
        stored = self.ledger.descriptors.model(MODEL)
        return None if stored is None else self.preset.descriptor.model_from(stored)


class Stores:
    """One collection; use `open` and close it, or use it as a context manager.

    It may be kept open while other commands write, and read by several threads: what it keeps of settings, extractors
    and what was learned is read anew when the ledger's marks have moved. A search holds together what it reads, see
    `snapshot.undisturbed`.
    """

    def __init__(self, settings: Settings, ledger: Ledger, progress: Progress) -> None:
        self.ledger, self.progress = ledger, progress
        self.home = settings.home
        self.reviewer = REVIEWER  # the parameters that matches are reviewed with
        self._verifier: Verifier | None = None
        self.settings = settings
        self._databases: list[Graph | Milvus] = []
        self._graph: Graph | None = None
        self._vectors: Milvus | None = None
        self._connecting = threading.RLock()
        self._writes = False

    @property
    def settings(self) -> Settings:
        """The settings, with those that stored results depend on as the collection is made with at this moment."""
        return self._made.settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self._last_made = _Made(self.ledger.marks.of_readers, settings, self.ledger)

    @property
    def _made(self) -> _Made:
        made, marks = self._last_made, self.ledger.marks.of_readers
        if made.marks != marks:
            settings = replace(made.settings, **_fixed(self.ledger))
            made = self._last_made = _Made(marks, settings, self.ledger)
        return made

    @classmethod
    def open(cls, settings: Settings, progress: Progress | None = None, *, create: bool = False) -> Stores:
        """The collection in settings.home, made if need be and wanted.

        Raises CollectionError where there is none, or where it was made with other settings of those that its
        results depend on.
        """
        path = settings.home / LEDGER
        if create and not path.exists():
            made = preset(settings.preset, settings)
            private_folder(settings.home)
            with writer(settings.home):
                if not path.exists():
                    create_ledger(path, secrets.token_hex(16), settings, made).close()
        ledger = Ledger.open(path)
        return cls(_as_made(settings, ledger), ledger, progress or Silent())

    def __enter__(self) -> Stores:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; the databases go on running."""
        self.rest()
        for database in self._databases:
            database.close()
        self.ledger.close()

    @cached_property
    def executor(self) -> Executor:
        """Runs what takes long; all stages of a command share it."""
        return Local(self.settings.worker_count)

    def rest(self) -> None:
        """End the worker processes, and free what they hold, where the next stage does without them."""
        self.executor.close()

    @property
    def id(self) -> str:
        """Random name of this collection, by which its databases know it."""
        return self.ledger.meta("id") or ""

    @property
    def preset(self) -> Preset:
        """Extractors of the collection. Raises CollectionError where it was made with others, or other parameters."""
        return self._made.preset

    @property
    def verifier(self) -> Verifier:
        """The parameters that pairs are verified with: those that belong to the local features, or others once set."""
        return self._verifier or self.preset.verifier

    @verifier.setter
    def verifier(self, verifier: Verifier) -> None:
        self._verifier = verifier

    @property
    def model(self) -> Any:
        """What the global descriptor has learned; None if nothing yet."""
        return self._made.model

    @property
    def graph(self) -> Graph:
        """The graph database, started if it is the local one; refuses a database of another collection.

        One that stopped its database after an error is started again. One that cannot open it even so (the end of
        its log is torn: the disk was full) begins with no data, under a command that writes: that then writes all.
        """
        with self._connecting:
            if self._graph is None:
                self._graph = self._connected_graph()
            return self._graph

    def _connected_graph(self) -> Graph:
        try:
            return self._opened()
        except BrokenServerError:
            if self.settings.neo4j_uri:
                raise
        LocalNeo4j(self.home, self.settings).stop()
        try:
            return self._opened()
        except BrokenServerError as error:
            if not self._writes:
                raise ServerError(f"{error}; `lmr link` writes the graph anew from the ledger") from error
            self.progress.note(f"{error}; the graph is written anew from the ledger")
            self._set_aside(LocalNeo4j(self.home, self.settings))
        return self._opened()

    def _opened(self) -> Graph:
        graph = Graph(graph_access(self.settings, self.progress))
        try:
            graph.prepare(self.id)
        except LmrError:
            graph.close()
            raise
        self._databases.append(graph)
        return graph

    def forget_graph(self) -> None:
        """Close the connection to a graph database that is replaced; the next use opens one to what is there then."""
        self._forget(self._graph)

    def set_databases_aside(self) -> None:
        """Let the local databases begin with no data; what they held stays in folders beside them."""
        self._forget(self._graph)
        self._forget(self._vectors)
        settings = self.settings
        servers: list[LocalServer] = [] if settings.neo4j_uri else [LocalNeo4j(self.home, settings)]
        servers += [] if settings.milvus_uri else [LocalMilvus(self.home, settings)]
        for server in servers:
            self._set_aside(server)

    def _set_aside(self, server: LocalServer) -> None:
        aside = server.set_aside()
        self.progress.note(f"What {server.name} held is now in {aside}; remove it when nothing is missed")

    def _forget(self, database: Graph | Milvus | None) -> None:
        if database is not None:
            self._drop(database)
            self._databases.remove(database)
            database.close()

    def _drop(self, database: Graph | Milvus) -> None:
        if database is self._graph:
            self._graph = None
        if database is self._vectors:
            self._vectors = None

    @property
    def connections(self) -> list[Graph | Milvus]:
        """To the databases, as far as they are open."""
        return [database for database in (self._graph, self._vectors) if database is not None]

    def renew(self, failed: Sequence[Graph | Milvus]) -> None:
        """Let the next use of these connections open others: databases may have been stopped, moved or replaced."""
        with self._connecting:
            for database in failed:  # another thread may still use it, so it is closed with the others
                self._drop(database)

    @property
    def vectors(self) -> Milvus:
        """The vector index, started if it is the local one."""
        with self._connecting:
            if self._vectors is None:
                settings = self.settings
                uri = settings.milvus_uri or LocalMilvus(self.home, settings).start(self.progress)
                self._vectors = Milvus(uri, settings.milvus_token, f"lmr_{self.id}")
                self._databases.append(self._vectors)
            return self._vectors

    @property
    def can_describe(self) -> bool:
        """Whether all has been learned that the global descriptor needs."""
        made = self._made
        return made.model is not None or not made.preset.descriptor.training_photos

    @property
    def bridge_queries(self) -> bool:
        """Whether query photos take part in the forest."""
        return self.ledger.marks.read().bridge_queries

    @property
    def smoothing(self) -> Smoothing:
        """How descriptors are refined."""
        settings = self.settings
        return Smoothing(settings.expansion_steps, settings.expansion_own, settings.expansion_confidence)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the writer's lock; workers end with it. Raises BusyError with the holder's pid."""
        with writer(self.home):
            self._writes = True
            try:
                yield
            finally:
                self._writes = False
                self.rest()

    def changed(self) -> None:
        """Note, inside a transaction, that images, labels or descriptors are no longer what the databases have.

        What the ledger changes in a transaction carries the version that this makes the present one.
        """
        self.ledger.marks.changed()

    def resolve(self, name: str) -> str:
        """Full image id from an id, its beginning (6 characters or more), a photo's file, or a name of a stored one.

        Raises UsageError where there is no such image, or more than one.
        """
        return StoredNames(self.ledger).typed(name, self.settings.max_bytes)


def create_ledger(path: Path, id: str, settings: Settings, made: Preset) -> Ledger:
    """An empty ledger for a collection of that id, made with these settings and extractors."""
    fixed = {name: str(getattr(settings, name)) for name in _FIXED}
    ledger = Ledger.create(path, id=id, **first_marks(made.mark), **fixed)
    with ledger.transaction():
        for fingerprint in made.fingerprints:
            ledger.fingerprints.number(fingerprint)
    return ledger


def graph_access(settings: Settings, progress: Progress) -> Access:
    """How to reach the graph database; the local one is started if need be."""
    if settings.neo4j_uri:
        return Access(settings.neo4j_uri, settings.neo4j_username, settings.neo4j_password, settings.neo4j_database)
    return LocalNeo4j(settings.home, settings).start(progress)


@contextlib.contextmanager
def writer(home: Path) -> Iterator[None]:
    """The lock that one writer of a collection holds; the kernel frees it however that process ends."""
    with _lock_file(home) as file:
        end = time.monotonic() + _GLANCE
        while not _locked(file, fcntl.LOCK_EX):
            if time.monotonic() > end:
                holder = os.pread(file, 20, 0).decode() or "?"
                raise BusyError(f"process {holder} is writing to {home}; wait for it to end (searches go on meanwhile)")
            time.sleep(0.05)
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        yield


def last_writer(home: Path) -> tuple[bool, int]:
    """Whether some process holds the writer's lock, and when it was last taken (ns): both tell of a short one too."""
    with _lock_file(home) as file:
        return not _locked(file, fcntl.LOCK_SH), os.fstat(file).st_mtime_ns


@contextlib.contextmanager
def _lock_file(home: Path) -> Iterator[int]:
    file = os.open(home / "writer.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def _locked(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _fixed(ledger: Ledger) -> dict[str, Any]:
    """What stored results depend on, as the collection is made with."""
    default = Settings()
    values: dict[str, Any] = {}
    for name in _FIXED:
        value = getattr(default, name)
        made_with = ledger.meta(name)
        values[name] = value if made_with is None else type(value)(made_with)  # None: made by an older lmr
    return values


def _as_made(settings: Settings, ledger: Ledger) -> Settings:
    """The settings with those that stored results depend on as the collection was made with."""
    default, fixed = Settings(), _fixed(ledger)
    for name, stored in fixed.items():
        given = getattr(settings, name)
        if given not in (stored, getattr(default, name)):
            anew = f"`lmr train --preset {given}` describes all its photos anew, " if name == "preset" else ""
            raise CollectionError(
                f"{settings.home} was made with {name} = {stored}, not {given}; {anew}"
                f"{'--home' if anew else 'make another stores for that (--home)'}"
                f"{' makes another stores' if anew else ''}"
            )
    return replace(settings, **fixed)
