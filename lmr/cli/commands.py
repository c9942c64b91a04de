"""All commands: importing this adds them to the app, in the order in which `lmr --help` lists them."""

# ruff: noqa: I001  the order is that of the work

from __future__ import annotations

from lmr.cli import (
    ingest,
    link,
    search,
    explain,
    clusters,
    corrections,
    serve,
    evaluate,
    exchange,
    sharing,
    care,
    databases,
    checkpoints,
    cache,
    demo_command,
)
from lmr.cli.app import app

__all__ = [
    "app",
    "cache",
    "care",
    "checkpoints",
    "clusters",
    "corrections",
    "databases",
    "demo_command",
    "evaluate",
    "exchange",
    "explain",
    "ingest",
    "link",
    "search",
    "serve",
    "sharing",
]
