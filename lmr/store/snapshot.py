"""What readers hold: one state of a collection, and word of it when that is outdated.

The databases cannot be asked for what they held before. So what was read is handed on only where the state was the same
before and after: it is of one state, or it is read again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lmr.errors import CollectionError, DatabaseError, OutdatedError, ServerError
from lmr.store.replica import check_counts, check_whole
from lmr.store.stores import Stores

_PATIENCE = 60.0  # seconds to wait for a forest that is being rewritten
_QUIET = 3.0  # seconds until people are told
MOVED_ON = "another command has changed the matches since this search; search again"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One state of a collection, by its name; immutable, and any thread may use it. `Collection.snapshot` makes it.

    >>> state = c.snapshot()
    >>> len(state.read(lambda: c.search("one.jpg", top=3)))
    3
    """

    stores: Stores
    name: str

    @property
    def outdated(self) -> bool:
        """Whether searches find something else by now; waits while that is being written.

        >>> c.snapshot().outdated
        False
        """
        return settled(self.stores, lambda: None)[0] != self.name

    def read(self, read: Callable[[], T]) -> T:
        """What is read, if it is of this state. Raises OutdatedError where the collection has moved on.

        >>> c.snapshot().read(lambda: len(c)) == len(c)
        True
        """
        name, found = settled(self.stores, read)
        if name != self.name:
            raise OutdatedError(MOVED_ON)
        return found

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """All that was read inside is of this state, or OutdatedError is raised."""
        if kind is None and self.outdated:
            raise OutdatedError("another command changed the collection meanwhile; once it is done, do this again")


def snapshot(stores: Stores) -> Snapshot:
    """The state that searches have now; as a context manager for many of them that belong together."""
    return Snapshot(stores, settled(stores, lambda: None)[0])


def undisturbed(stores: Stores, read: Callable[[], T]) -> T:
    """What is read from databases that are whole, and stay as they are meanwhile; see `settled`."""
    return settled(stores, read)[1]


def settled(stores: Stores, read: Callable[[], T]) -> tuple[str, T]:
    """The same, with the name of the state that it is of.

    While another command rewrites them this waits, and reads again what it had read until then. Raises CollectionError
    or DatabaseError where ledger and databases differ, or that command does not come to an end within a minute.
    While it is writing, the ledger is ahead of the databases: what is found is what these have.
    """
    begin, told, renewed = time.monotonic(), False, False
    while True:
        stores.ledger.follow()
        writer, connections = stores.last_writer, stores.connections
        busy = writer[0][0] or writer[1][0]
        try:
            stores.connect()
            before = check_whole(stores)
            if not busy:
                check_counts(stores, before)
            found = read()
            if check_whole(stores).name == before.name:
                return before.name, found
        except (CollectionError, DatabaseError) as error:
            if isinstance(error, ServerError) and connections and not renewed:
                renewed = True  # what was open before may lead to databases that are no more
                stores.renew(connections)
                continue
            disturbed = busy or stores.last_writer != writer
            if not disturbed or time.monotonic() - begin > _PATIENCE:
                raise
        if time.monotonic() - begin > _PATIENCE:
            raise CollectionError("another command goes on changing the collection; try again when it is done")
        if time.monotonic() - begin > _QUIET and not told:
            stores.progress.note("Another command is rewriting what this reads; waiting ...")
            told = True
        time.sleep(0.2)
