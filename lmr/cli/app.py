"""All commands of `lmr`. Each parses, makes one call into the library, and prints."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="All photos of a place, also those that look nothing alike, and why each belongs.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)

Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        envvar="LMR_HOME",
        help="Folder of the collection.",
        show_default=".lmr",
        rich_help_panel="Collection",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Worker processes.", show_default="one a core")]


def load_settings(home: Path | None, **flags: Any) -> Any:
    """Settings from flags, environment, file and defaults."""
    from lmr.settings import load

    return load({"home": home, **flags})[0]


def open_collection(home: Path | None, *, create: bool = False, quiet: bool = False, **flags: Any) -> Any:
    """The collection, with bars for people unless the output is for programs."""
    from lmr.progress import Bars, Silent
    from lmr.store.stores import Stores

    return Stores.open(load_settings(home, **flags), Silent() if quiet else Bars(), create=create)


def check_outputs(
    home: Path | None, *targets: Path | None, page: Path | None = None, inputs: Iterable[Path] = ()
) -> None:
    """Raise UsageError, before any work, for files and a page that cannot be written without loss of the user's."""
    from lmr.outputs import check, check_page

    folder = load_settings(home).home
    for target in targets:
        if target is not None:
            check(target, home=folder, inputs=inputs)
    if page is not None:
        check_page(page, home=folder, inputs=inputs)
