"""What lmr keeps for a user outside of collections, told and cleared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmr.library.homes import Home, settings_of

if TYPE_CHECKING:
    from lmr.local.cached import Cached


def cache(home: Home = None) -> list[Cached]:
    """What lmr keeps outside of collections: server jars, compiled functions, links, checkpoints; sizes in bytes.

    home: whose settings say where that is, if not the environment's do.

    >>> sum(one.size for one in lmr.cache() if one.what == "server jars") > 1e8
    True
    """
    from lmr.local.cached import cached

    return cached(settings_of(home))


def clear_cache(home: Home = None, *, checkpoints: bool = False) -> list[Cached]:
    """Take away what `cache` lists but for what is in use or belongs to a collection; what it was, and what stays.

    It is fetched and made anew when it is needed. checkpoints: take them away, too, which may have to be added again.
    Raises UsageError for a setting that does not exist.

    >>> [one.what for one in lmr.clear_cache("paris") if one.stays]  # doctest: +SKIP
    ['checkpoints']
    """
    from lmr.local.cached import clear

    return clear(settings_of(home), checkpoints=checkpoints)
