"""The graph database: named queries, batches in sorted order, errors that say what to do."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import neo4j  # else imported when first used: it takes half a second, and worker processes need none of it

from lmr.errors import BrokenServerError, CollectionError, RefusedError, ServerError, UsageError
from lmr.local.neo4j import Access
from lmr.method.photos.about import About
from lmr.method.photos.turned import degrees
from lmr.method.verification.weights import pair_hash
from lmr.store.cypher import Query, queries
from lmr.values import Edge, batches
from lmr.where import first_instant, last_instant

FORMAT = 5
BATCH = 10_000
Row = dict[str, Any]
T = TypeVar("T")


class Graph:
    """A connection to one graph database; runs queries of cypher/ by name."""

    def __init__(self, access: Access) -> None:
        self.access = access
        logging.getLogger("neo4j").setLevel(logging.CRITICAL)  # what fails is told once, and in our words
        self._driver = self._new_driver()

    def _new_driver(self) -> neo4j.Driver:
        import neo4j

        return neo4j.GraphDatabase.driver(
            self.access.uri,
            auth=(self.access.username, self.access.password),
            notifications_min_severity="OFF",
            connection_timeout=15,
            max_transaction_retry_time=15,
        )

    def close(self) -> None:
        """Close all connections."""
        self._driver.close()

    def run(self, name: str, /, *, hops: int | None = None, **params: Any) -> list[Row]:
        """Rows of a stored query. `hops` picks a literal bound where the query has them."""
        query = queries()[name]
        return self._run(query, query.bounded(hops), params)

    def write_batches(self, name: str, /, rows: Iterable[Row], **params: Any) -> int:
        """Hand rows over in batches, each one transaction; returns how many."""
        count = 0
        for batch in batches(rows, BATCH):
            self.run(name, rows=batch, **params)
            count += len(batch)
        return count

    def prepare(self, id: str) -> Row:
        """Make schema and marker if need be; returns the marker. Refuses a database that is not this collection's."""
        marker = self._apart(self._marker_at_once)
        if marker["id"] is None and marker["others"]:
            raise CollectionError(
                f"the graph database at {self.access.uri} already holds {marker['others']:,} other nodes; "
                "lmr writes only to an empty one (set NEO4J_DATABASE or NEO4J_URI)"
            )
        self._refuse_other(marker, id)
        if marker["id"] is None or marker["format"] < FORMAT:  # imported, or made by an older lmr
            for name, query in queries().items():
                if query.mode == "schema":
                    self.run(name)
            self.run("write/collection", id=id, format=FORMAT)
            marker = self.marker()
        return marker

    def marker(self) -> Row:
        """The marker of the collection that the database carries; its id is None if it carries none."""
        return self.run("read/collection")[0]

    def _marker_at_once(self) -> Row:
        with _translated(), self._session("read") as session:  # without retries: one that does not open stays so
            return _rows(session, queries()["read/collection"].text, {})[0]

    def _refuse_other(self, marker: Row, id: str) -> None:
        if marker["id"] not in (None, id):
            raise CollectionError(
                f"the graph database at {self.access.uri} carries another collection ({marker['id'][:12]}); "
                "one collection, one database: set NEO4J_DATABASE or NEO4J_URI"
            )
        if marker["id"] is not None and marker["format"] > FORMAT:
            raise CollectionError(f"the graph has format {marker['format']}, this lmr knows {FORMAT}; use a newer lmr")

    def _session(self, mode: str) -> neo4j.Session:
        from neo4j import READ_ACCESS, WRITE_ACCESS

        access = READ_ACCESS if mode == "read" else WRITE_ACCESS
        return self._driver.session(database=self.access.database, default_access_mode=access)

    def _run(self, query: Query, text: str, params: Row) -> list[Row]:
        def asked() -> list[Row]:
            with _translated(), self._session(query.mode) as session:
                if query.mode in ("schema", "batches"):  # these begin and end transactions of their own
                    return _rows(session, text, params)
                execute = session.execute_read if query.mode == "read" else session.execute_write
                return execute(_rows, text, params)

        return self._apart(asked)

    def _apart(self, ask: Callable[[], T]) -> T:
        """What asks the driver, in a thread of its own where Ctrl-C could interrupt it; that is told at once.

        Interrupted amid a message the driver sends it again, or waits for an answer that has been read in part; the
        next query would get another one's rows. So it is left to itself, and its connections are closed, which ends
        what the database was doing.
        """
        if threading.current_thread() is not threading.main_thread():
            return ask()
        try:
            return aside(ask, "lmr-graph").result()
        except KeyboardInterrupt:
            left, self._driver = self._driver, self._new_driver()
            threading.Thread(target=_close, args=(left,), name="lmr-graph", daemon=True).start()
            raise


def _close(driver: neo4j.Driver) -> None:
    """Close it under whoever uses it, which may fail in ways that mean nothing any more."""
    with contextlib.suppress(Exception):
        driver.close()


def aside(ask: Callable[[], T], name: str) -> Future[T]:
    """What is asked, in a thread of its own, which the program does not wait for at its end."""
    answer: Future[T] = Future()
    threading.Thread(target=_answer, args=(answer, ask), name=name, daemon=True).start()
    return answer


def _answer(answer: Future[T], ask: Callable[[], T]) -> None:
    try:
        answer.set_result(ask())
    except BaseException as error:
        answer.set_exception(error)


def asks_for_password(access: Access) -> bool:
    """Whether the database refuses those who give none. Raises ServerError where it cannot be reached."""
    import neo4j
    from neo4j.exceptions import AuthError

    try:
        with _translated(), neo4j.GraphDatabase.driver(access.uri, auth=None, connection_timeout=15) as driver:
            driver.verify_connectivity()
    except ServerError as error:
        if isinstance(error.__cause__, AuthError):
            return True
        raise
    return False


def _rows(runner: neo4j.Session | neo4j.ManagedTransaction, text: str, params: Row) -> list[Row]:
    from neo4j import Query as Text

    # the text is a file of cypher/, chosen by name; values travel as parameters
    return [dict(record) for record in runner.run(Text(text).text, params)]


def edge_row(edge: Edge) -> Row:
    """An edge as the parameters of write/edges."""
    found, turns = edge.verification, [degrees(turn) if turn else None for turn in edge.turns]
    return {
        "a": edge.a,
        "b": edge.b,
        "properties": {
            "inliers": found.inliers,
            "matches": found.matches,
            "log_nfa": found.log_nfa,
            "similarity": edge.similarity,
            "weight": edge.weight,
            "hash": pair_hash(edge.a, edge.b),
            "transform": list(found.transform or ()),
            "region_a": list(found.region_a or ()),
            "region_b": list(found.region_b or ()),
            "round": edge.round,
            "excluded": edge.excluded and edge.excluded.value,
            "turn_a": turns[0],
            "turn_b": turns[1],
        },
    }


def facts_row(about: About) -> Row:
    """What an image knows besides pixels as parameters of write/images, a time as its first and its last second."""
    at = about.taken_at
    return {
        "taken_at": first_instant(at) if at else None,
        "taken_until": last_instant(at) if at else None,
        "latitude": about.latitude,
        "longitude": about.longitude,
        "from_camera": about.from_camera or None,
        "camera": about.camera,
        "caption": about.caption,
        "keywords": list(about.keywords) or None,
    }


class _translated:
    """Errors of the driver as ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        from neo4j.exceptions import AuthError, ClientError, DriverError, Neo4jError, ServiceUnavailable

        if isinstance(error, AuthError):
            raise ServerError("Neo4j refused user or password; check NEO4J_USERNAME and NEO4J_PASSWORD") from error
        if isinstance(error, ServiceUnavailable) and "SSLCertVerificationError" in str(error):
            raise ServerError(
                "Neo4j's certificate is not one that this machine trusts: name its authority's by SSL_CERT_FILE, or "
                f"trust any by bolt+ssc:// or neo4j+ssc:// in NEO4J_URI ({error})"
            ) from error
        if isinstance(error, ServiceUnavailable):
            raise ServerError(f"Neo4j is not reachable ({error}); `lmr status` shows it, `lmr up` starts it") from error
        if isinstance(error, Neo4jError) and "needs to be restarted" in str(error.message):  # after a full disk
            raise BrokenServerError("Neo4j has stopped its database after an error: `lmr down`, then again") from error
        if isinstance(error, Neo4jError) and "DatabaseUnavailable" in str(error.code):
            raise BrokenServerError("Neo4j cannot open its database (its logs say why)") from error
        if isinstance(error, ClientError) and "ParameterMissing" in str(error.code):
            raise UsageError(str(error.message)) from error
        if isinstance(error, Neo4jError | DriverError):
            told = str(getattr(error, "message", None) or error)
            full = " (is its disk full?)" if "append transaction" in told else ""
            raise RefusedError(f"Neo4j: {told}{full}") from error
