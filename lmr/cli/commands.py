"""All commands: importing this adds them to the app, in the order in which `lmr --help` lists them."""

from __future__ import annotations

from lmr.cli import checkpoints, databases, locate, measure, photos, results
from lmr.cli.app import app

__all__ = ["app", "checkpoints", "databases", "locate", "measure", "photos", "results"]
