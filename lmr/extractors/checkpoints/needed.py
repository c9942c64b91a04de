"""Packages that come with lmr's extras, and what to say where one is not installed."""

from __future__ import annotations

import importlib

from lmr.errors import UsageError


def need(what: str, extra: str, *modules: str) -> None:
    """Raise UsageError where one of the modules is missing that `what`, for people, works with."""
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise UsageError(
                f"{what} needs {error.name or module}: install lmr with its extra `{extra}` (`make setup` does for "
                "this folder); the preset classic needs none"
            ) from error
