"""What all commands of `lmr` share. Each parses, makes one call into the library, and prints."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from lmr.library.collection import Collection
    from lmr.outputs import Ours
    from lmr.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
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
Engine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="local|ray",
        help="Where the work runs: worker processes here, or a Ray cluster.",
        show_default="local",
        rich_help_panel="Machines",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="ADDRESS",
        help="With --engine ray: the cluster's, such as ray://host:10001, or auto on a machine of it.",
        show_default="one begun here",
        rich_help_panel="Machines",
    ),
]


@app.callback(invoke_without_command=True)
def first(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Versions of lmr and of what it runs on.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --version: print one JSON document.")] = False,
) -> None:
    """All photos of a place, also those that look nothing alike, and why each belongs."""
    if not version:
        if context.invoked_subcommand is None or as_json:
            raise typer.BadParameter("name a command; `lmr --help` lists them; --json belongs to one, or to --version")
        return
    from lmr.cli.show import print_json
    from lmr.library.versions import versions

    found = versions()
    if as_json:
        print_json(found)
    else:
        print("\n".join(f"{name} {number}" for name, number in found.items()))
    raise typer.Exit


def load_settings(home: Path | None) -> Settings:
    """Settings from environment, file and defaults."""
    from lmr.library.homes import settings_of

    return settings_of(home)


def open_collection(home: Path | None, *, create: bool = False, quiet: bool = False, **flags: Any) -> Collection:
    """The collection, with bars for people unless the output is for programs."""
    from lmr.library.homes import open
    from lmr.progress import Bars

    return open(home, create=create, progress=None if quiet else Bars(), **flags)


def machines(workers: int | None, engine: str | None, address: str | None) -> dict[str, Any]:
    """The settings of where work runs. Raises UsageError for an address without an engine that takes one."""
    from lmr.errors import UsageError

    if address is not None and engine != "ray":
        raise UsageError("--address is that of a Ray cluster: add --engine ray")
    return {"workers": workers, "engine": engine, "ray_address": address}


def check_outputs(
    home: Path | None,
    *targets: Path | None,
    page: Path | None = None,
    tree: Path | None = None,
    inputs: Iterable[Path] = (),
    ours: Ours | None = None,
) -> None:
    """Raise UsageError, before any work, for files, a page or a folder that cannot be written without loss of the
    user's.

    ours: tells other files that may be replaced.
    """
    from lmr.outputs import check, check_page, check_tree, never

    folder = load_settings(home).home
    for target in targets:
        if target is not None:
            check(target, home=folder, inputs=inputs, ours=ours or never)
    if page is not None:
        check_page(page, home=folder, inputs=inputs)
    if tree is not None:
        check_tree(tree, home=folder)


def photo_given(word: str) -> Any:
    """A photo as a person names it: its file, or the id or name of a stored image. Raises UsageError."""
    from lmr.inputs.arguments import Asked, photo

    return Asked(photo(word))
