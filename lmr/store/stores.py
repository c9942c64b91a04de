"""Opening a collection: its ledger, its databases (started when first needed), its writer's lock."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from typing import Any

from lmr.errors import BrokenServerError, CollectionError, LmrError, ServerError
from lmr.execution import Executor
from lmr.execution.choice import engine_of
from lmr.extractors.presets import preset
from lmr.local.milvus import LocalMilvus
from lmr.local.neo4j import Access, LocalNeo4j
from lmr.local.process import LocalServer, private_folder
from lmr.method.expansion.idqe import Smoothing
from lmr.method.features.preset import Preset
from lmr.method.review.review import REVIEWER, Acceptance
from lmr.method.verification.artefacts import Likeness
from lmr.method.verification.parameters import Verifier
from lmr.progress import Progress, Silent
from lmr.settings import LEDGER, Settings
from lmr.store.backend import Held
from lmr.store.configuration import remember
from lmr.store.graph import Graph, aside
from lmr.store.ledger import Ledger, place_of
from lmr.store.lock import last_writer, writer
from lmr.store.made import Made, as_made, create_ledger, fixed
from lmr.store.names import StoredNames
from lmr.store.state import Counted
from lmr.store.vectors import Milvus


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
        self._connecting_graph, self._connecting_vectors = threading.RLock(), threading.RLock()
        self._writes = False
        self.alike: tuple[tuple[int, int, int], Likeness] | None = None  # of which state, and what it was
        self.counted: Counted | None = None  # when all databases were last found to hold as much

    @property
    def settings(self) -> Settings:
        """The settings, with those that stored results depend on as the collection is made with at this moment."""
        return self._made.settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self._last_made = Made(self.ledger.marks.of_readers, settings, self.ledger)

    @property
    def _made(self) -> Made:
        made, marks = self._last_made, self.ledger.marks.of_readers
        if made.marks != marks:
            settings = replace(made.settings, **fixed(self.ledger))
            made = self._last_made = Made(marks, settings, self.ledger)
        return made

    @classmethod
    def open(cls, settings: Settings, progress: Progress | None = None, *, create: bool = False) -> Stores:
        """The collection in settings.home, made if need be and wanted.

        Raises CollectionError where there is none, or where it was made with other settings of those that its
        results depend on.
        """
        place = place_of(settings)
        if create and not place.exists():
            if settings.ledger and (settings.home / LEDGER).exists():
                raise CollectionError(
                    f"the ledger of {settings.home} is a file in it; `lmr move` takes it to {place.shown}"
                )
            made = preset(settings.preset, settings)
            private_folder(settings.home)
            with writer(settings.home):
                if not place.exists():
                    create_ledger(place, secrets.token_hex(16), settings, made).close()
        with ExitStack() as undo:
            ledger = undo.enter_context(Ledger.open(place, storage=settings.storage))
            ledger.check_here()
            if settings.ledger:
                private_folder(settings.home)  # for what is of this machine alone
                if create:  # the next command may come without LMR_LEDGER, and is not to begin another
                    remember(settings.home, settings.ledger, first=True)
            stores = cls(as_made(settings, ledger), ledger, progress or Silent())
            undo.pop_all()
        return stores

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
        """Runs what takes long; all stages of a command share it. Raises UsageError, EngineError."""
        return engine_of(self.settings)

    @property
    def acceptance(self) -> Acceptance:
        """From when on a match takes part."""
        made = self.settings
        return Acceptance(made.nfa_accept, made.agreement_even, made.agreement_weight, made.most_wrong)

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

    def connect(self) -> None:
        """Open both databases at once, as each takes seconds to start; see `graph` and `vectors`."""
        if self._graph is not None and self._vectors is not None:
            return
        other = aside(lambda: self.vectors.prepare(), "lmr-vectors")
        self.graph  # noqa: B018  opened by being asked for
        other.result()

    @property
    def graph(self) -> Graph:
        """The graph database, started if it is the local one; refuses a database of another collection.

        One that stopped its database after an error is started again. One that cannot open it even so (the end of
        its log is torn: the disk was full) begins with no data, under a command that writes: that then writes all.
        """
        with self._connecting_graph:
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
        with self._connecting_graph, self._connecting_vectors:
            for database in failed:  # another thread may still use it, so it is closed with the others
                self._drop(database)

    @property
    def vectors(self) -> Milvus:
        """The vector index, started if it is the local one."""
        with self._connecting_vectors:
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
        return self.ledger.marks.bridging

    @property
    def smoothing(self) -> Smoothing:
        """How descriptors are refined."""
        settings = self.settings
        return Smoothing(settings.expansion_steps, settings.expansion_own, settings.expansion_confidence)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the writer's lock; workers end with it. Raises BusyError with the holder's pid."""
        with self.locked():
            self._writes = True
            try:
                yield
            finally:
                self._writes = False
                self.rest()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the writer's lock, on this machine and, where the ledger is on a server, on all. Raises BusyError."""
        with writer(self.home), self.ledger.backend.writer():
            self.ledger.check_here()
            yield

    @property
    def last_writer(self) -> tuple[tuple[bool, int], Held]:
        """Whether some process holds that lock, and when it was last taken: by this machine's and by the server's."""
        return last_writer(self.home), self.ledger.last_writer

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


def graph_access(settings: Settings, progress: Progress) -> Access:
    """How to reach the graph database; the local one is started if need be."""
    if settings.neo4j_uri:
        return Access(settings.neo4j_uri, settings.neo4j_username, settings.neo4j_password, settings.neo4j_database)
    return LocalNeo4j(settings.home, settings).start(progress)
