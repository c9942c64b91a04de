"""A collection behind `lmr serve`, with the interface of an open one: what it gives is read into the same values."""

from __future__ import annotations

from typing import NoReturn, Self

from lmr.errors import UsageError
from lmr.library.remote.asking import RemoteAsking
from lmr.library.remote.changing import RemoteChanging
from lmr.library.remote.looking import RemoteLooking
from lmr.library.remote.wire import Wire
from lmr.library.telling import Told


def connect(address: str, *, token: str | None = None, progress: Told = None, timeout: float = 120.0) -> Remote:
    """The collection that `lmr serve` serves, at the address that it prints; or at another, with its token.

    It has the calls of `lmr.Collection` that go over HTTP, with the same arguments, values and errors; what does not
    is told by a UsageError. progress: as for `lmr.open`. timeout: seconds to wait for an answer. Nothing is asked yet.
    Raises UsageError for what is no address, or where the extra `client` is not installed.

    >>> with lmr.serve("paris", port=0) as page, lmr.connect(page.address) as remote:
    ...     remote.search("one.jpg").hits == c.search("one.jpg").hits
    True
    """
    return Remote(Wire(address, token, timeout), progress)


class _NotRemote(UsageError, AttributeError):
    """A call of a collection that does not go over HTTP."""


class Remote(RemoteAsking, RemoteLooking, RemoteChanging):
    """A collection on a server; see `lmr.connect`. Use it as a context manager, or close it.

    Several threads may use it. Where a photo is asked for, give its path here, its bytes, a PIL image, an array, or
    the `ImageId` of a stored image. Once a server is gone ServerError is raised; one that is busy is asked again for
    half a minute, then BusyError is raised.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Remote {self._wire.base!r}>"

    def __getattr__(self, name: str) -> NoReturn:
        from lmr.library.collection import Collection

        if not name.startswith("_") and hasattr(Collection, name):
            raise _NotRemote(f"{name} does not go over HTTP: use lmr.open where the collection is")
        raise AttributeError(f"a remote collection has no {name!r}")

    def close(self) -> None:
        """Close all connections; the server goes on."""
        self._wire.close()
