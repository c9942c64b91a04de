"""lmr: all photos of a place, also those that look nothing alike, and why each belongs.

    import lmr

    c = lmr.open("paris")          # made if it is new
    c.ingest("photos")
    c.link()
    for hit in c.search("one.jpg", top=20).hits:
        print(hit.rank, hit.reached, hit.inliers, hit.image.paths)

Names are loaded when they are first used, so that `import lmr` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmr.errors import (
        BusyError,
        CheckpointError,
        CollectionError,
        DatabaseError,
        LmrError,
        PhotoError,
        ServerError,
        StorageError,
        UsageError,
    )
    from lmr.library.collection import Collection, open
    from lmr.library.result import Explanation, Hit, Image, SearchResult
    from lmr.values import Hop, ImageId

__version__ = "0.1.0"

__all__ = [
    "BusyError",
    "CheckpointError",
    "Collection",
    "CollectionError",
    "DatabaseError",
    "Explanation",
    "Hit",
    "Hop",
    "Image",
    "ImageId",
    "LmrError",
    "PhotoError",
    "SearchResult",
    "ServerError",
    "StorageError",
    "UsageError",
    "open",
]
_HOMES = {
    "lmr.library.collection": ("Collection", "open"),
    "lmr.library.result": ("Explanation", "Hit", "Image", "SearchResult"),
    "lmr.values": ("Hop", "ImageId"),
}
_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'lmr' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_OF.get(name, "lmr.errors")), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
