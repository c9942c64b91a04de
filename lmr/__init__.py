"""lmr: all photos of a place, also those that look nothing alike, and why each belongs.

    import lmr

    c = lmr.open("paris")          # made if it is new
    c.ingest("photos")
    c.link()
    for hit in c.search("one.jpg", top=20).hits:
        print(hit.rank, hit.reached, hit.inliers, hit.image.paths)

Each command has a method of `Collection`, or a function here, of its name. Names are loaded when they are first used,
so that `import lmr` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmr.errors import (
        BrokenServerError,
        BusyError,
        CheckpointError,
        CollectionError,
        DatabaseError,
        DownloadError,
        EngineError,
        ImportFailedError,
        LmrError,
        OutdatedError,
        PhotoError,
        QueryFileError,
        RefusedError,
        ServerError,
        StorageError,
        UnreadError,
        UsageError,
        WorkerDied,
    )
    from lmr.inputs.arguments import Asked
    from lmr.library.cache import cache, clear_cache
    from lmr.library.collection import Collection
    from lmr.library.explanation import Explanation
    from lmr.library.homes import config, doctor, move, open, plan, queries, restore
    from lmr.library.image import Hit, Image
    from lmr.library.match import Match
    from lmr.library.networks import checkpoints, features
    from lmr.library.page import Page
    from lmr.library.remote.collection import connect
    from lmr.library.result import SearchResult
    from lmr.library.review import Review
    from lmr.library.scores import score, score_recognition
    from lmr.library.servers import browser, down, status, up
    from lmr.library.versions import versions
    from lmr.local.cached import Cached
    from lmr.store.snapshot import Snapshot
    from lmr.values import Hop, ImageId, Unused
    from lmr.web.server import serve
    from lmr.where import Where

__version__ = "0.1.0"

__all__ = [
    "Asked",
    "BrokenServerError",
    "BusyError",
    "Cached",
    "CheckpointError",
    "Collection",
    "CollectionError",
    "DatabaseError",
    "DownloadError",
    "EngineError",
    "Explanation",
    "Hit",
    "Hop",
    "Image",
    "ImageId",
    "ImportFailedError",
    "LmrError",
    "Match",
    "OutdatedError",
    "Page",
    "PhotoError",
    "QueryFileError",
    "RefusedError",
    "Review",
    "SearchResult",
    "ServerError",
    "Snapshot",
    "StorageError",
    "UnreadError",
    "Unused",
    "UsageError",
    "Where",
    "WorkerDied",
    "browser",
    "cache",
    "checkpoints",
    "clear_cache",
    "config",
    "connect",
    "doctor",
    "down",
    "features",
    "move",
    "open",
    "plan",
    "queries",
    "restore",
    "score",
    "score_recognition",
    "serve",
    "status",
    "up",
    "versions",
]
_HOMES = {
    "lmr.inputs.arguments": ("Asked",),
    "lmr.library.cache": ("cache", "clear_cache"),
    "lmr.library.collection": ("Collection",),
    "lmr.library.explanation": ("Explanation",),
    "lmr.library.homes": ("config", "doctor", "move", "open", "plan", "queries", "restore"),
    "lmr.library.match": ("Match",),
    "lmr.library.networks": ("checkpoints", "features"),
    "lmr.library.page": ("Page",),
    "lmr.library.remote.collection": ("connect",),
    "lmr.library.image": ("Hit", "Image"),
    "lmr.library.result": ("SearchResult",),
    "lmr.library.review": ("Review",),
    "lmr.library.scores": ("score", "score_recognition"),
    "lmr.library.servers": ("browser", "down", "status", "up"),
    "lmr.library.versions": ("versions",),
    "lmr.local.cached": ("Cached",),
    "lmr.store.snapshot": ("Snapshot",),
    "lmr.values": ("Hop", "ImageId", "Unused"),
    "lmr.web.server": ("serve",),
    "lmr.where": ("Where",),
}
_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'lmr' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_OF.get(name, "lmr.errors")), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
