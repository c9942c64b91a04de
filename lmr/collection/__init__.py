"""A collection: the one place where stages and stores meet. Its folder is described in the README."""

from lmr.collection.core import Collection

__all__ = ["Collection"]
