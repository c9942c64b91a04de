"""The command that shows lmr on rendered photos: demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lmr.cli.app import app
from lmr.cli.show import named_first, say


@app.command()
def demo(
    home: Annotated[Path, typer.Option(help="Folder for photos, collection and report.")] = Path("demo"),
    remove: Annotated[
        bool, typer.Option("--remove", help="Stop its databases and take away what it made; all else stays.")
    ] = False,
) -> None:
    """Make a small collection of rendered photos and run the main job on it. Run again, it reuses everything.

    Example: `lmr demo --home demo`
    """
    from lmr.cli.demo import remove as take_away
    from lmr.cli.demo import run

    if not remove:
        run(home)
    elif left := take_away(home):
        say(f"the demo did not make these, so they stay: {named_first(left)}")
