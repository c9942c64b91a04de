"""`lmr serve`: a collection's page on this machine, in a thread of its own."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from lmr.errors import ServerError, UsageError
from lmr.library.homes import Home, open, settings_of
from lmr.library.telling import Told

if TYPE_CHECKING:
    import uvicorn

    from lmr.web.site import Site

PORT = 8765
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_EVERYWHERE = ("0.0.0.0", "::")
_PHOTO = 64 * 2**20  # bytes of a photo that is handed over, at most
_CONNECTIONS = 512
_PHOTO_SIDE = 640  # px of a photo that is asked with before anybody does
_GRACE = 3  # seconds for answers that are being given when the server ends


class Served:
    """A page that is being served; use it as a context manager, or close it.

    addresses: with the token that lets a browser in, for each role: who may look alone, who may also rule on matches,
    who may also begin jobs (manage). warning: what it means that others can reach it, if they can.
    """

    def __init__(self, site: Site, server: uvicorn.Server, bound: socket.socket, base: str, warning: str) -> None:
        self._site, self._server, self.warning = site, server, warning
        self.addresses = {role: f"{base}/?token={key.token}" for role, key in site.access.keys.items()}
        self._thread = threading.Thread(target=server.run, args=([bound],), name="lmr-web", daemon=True)
        self._thread.start()
        while not server.started and self._thread.is_alive():
            time.sleep(0.01)
        if not server.started:
            site.close()
            raise ServerError("the server ended as it started; its messages are above")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def address(self) -> str:
        """That of the one who may do most."""
        return next(iter(self.addresses.values()))

    @property
    def token(self) -> str:
        """What programs send as `Authorization: Bearer TOKEN`; with it one may do as much."""
        return self.address.partition("token=")[2]

    def wait(self) -> None:
        """Go on until the server ends, or Ctrl-C."""
        while self._thread.is_alive():
            self._thread.join(0.5)

    def close(self) -> None:
        """Take no more requests, end the running job so that it can be resumed, and close the collection."""
        self._site.jobs.closing = True
        self._server.should_exit = True
        self._thread.join(2 * _GRACE + 4)
        self._site.close()


def serve(
    home: Home = None,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    names: Sequence[str] = (),
    photos: Sequence[str | Path] = (),
    look_only: bool = False,
    originals: bool = False,
    progress: Told = None,
    **settings: Any,
) -> Served:
    """Serve a collection's page and its interface for programs; loopback only unless another host is named.

    port: 0 for any that is free. names: others under which browsers reach it, such as a proxy's. photos: folders that
    may be taken in from the page. look_only: nothing can be changed from it. originals: whoever may look may also take
    photos' own files away, which else only the one who may do most can. settings: as for `lmr.open`. Raises UsageError
    where the port is taken, or the extra `web` is not installed; CollectionError.

    >>> with lmr.serve("paris", port=0) as page:
    ...     page.address.startswith("http://127.0.0.1:")
    True
    """
    uvicorn = _uvicorn()
    from lmr.web.app import app
    from lmr.web.guard import ROLES, Access, Key, Role
    from lmr.web.jobs import NOTES, Jobs
    from lmr.web.patience import InTime
    from lmr.web.site import Site

    folders = tuple(Path(one).resolve() for one in photos)
    if missing := [one for one in folders if not one.is_dir()]:
        raise UsageError(f"{missing[0]} is no folder")
    most = min(settings_of(home, **settings).max_bytes, _PHOTO)
    bound = _bound(host, port)
    try:
        c = open(home, create=False, progress=progress, **settings)
        port = bound.getsockname()[1]
        known = {one.lower() for one in names} | ({host.lower()} if host not in _EVERYWHERE else {socket.gethostname()})
        keys: dict[Role, Key] = {role: Key() for role in (ROLES if not look_only else ROLES[-1:])}
        access = Access(port, tuple(known - set(_LOOPBACK)), host in _EVERYWHERE, keys)
        jobs = Jobs(lambda told: open(c.home, create=False, progress=told, **settings), c.home / NOTES)
        site = Site(c, access, jobs, folders, originals)
        site.searching.begin(lambda: _ready(site))
    except BaseException:
        bound.close()
        raise
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    config = uvicorn.Config(
        app(site, most),
        http=InTime,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE,
    )
    shown = f"[{host}]" if ":" in host else host
    base = f"http://{'127.0.0.1' if host in _EVERYWHERE else shown}:{port}"
    return Served(site, uvicorn.Server(config), bound, base, _warning(host))


def _ready(site: Site) -> None:
    """Start the databases while the first page is looked at, and ask once what is asked first, unless somebody asks.

    A database's first answers take a second each, until it knows the queries; a first photo waits for what describes
    it.
    """
    from lmr.web.asked import PAGE

    site.c.snapshot()
    for id in site.c.image_ids(limit=1):
        for photo in (id, site.c.thumbnail(id, _PHOTO_SIDE)):
            if site.searching.idle:
                site.c.search(photo, top=PAGE)


def _uvicorn() -> Any:
    try:
        import python_multipart  # noqa: F401  what forms are read with
        import starlette  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise UsageError("lmr serve needs the extra web: pip install 'lmr[web]'") from error
    return uvicorn


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # else asyncio leaves TCP_NODELAY off
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(128)
    except (OSError, OverflowError) as error:
        bound.close()
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(
            f"nothing can listen at {host}, port {port}: {why}; --port 0 takes any that is free"
        ) from error
    return bound


def _warning(host: str) -> str:
    if host in _LOOPBACK:
        return ""
    return (
        f"Others can reach this page: whoever comes to {host} with a token in the address sees all photos of the "
        "collection, and can do what that token is for. Nothing is encrypted, the token included: put a proxy with TLS "
        "in front of it, and name it with --name"
    )
