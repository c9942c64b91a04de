"""Commands about the databases and the machine: up, down, status, browse, doctor, config."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from lmr.cli.app import Home, Json, app
from lmr.cli.show import print_json, print_table, say
from lmr.text import printable

if TYPE_CHECKING:
    from lmr.store.made_with import MadeWith
    from lmr.store.reliability import Stated

_NAMES = {"neo4j": "Neo4j", "milvus": "Milvus"}


@app.command()
def up(home: Home = None) -> None:
    """Start the collection's databases; other commands do so by themselves.

    Example: `lmr up`
    """
    from lmr.library.servers import up as run
    from lmr.progress import Bars

    for one in run(home, progress=Bars()):
        name = _NAMES[one.server]
        if one.state == "external":
            print(f"{name} is external: {one.address}")
        elif one.browser:
            print(f"{name} {one.address}, Browser {one.browser}")
        else:
            print(f"{name} Lite {one.address}")


@app.command()
def down(home: Home = None) -> None:
    """Stop the collection's local databases.

    Example: `lmr down`
    """
    from lmr.library.servers import down as run

    for name, stopped in run(home).items():
        print(f"{name}: {'stopped' if stopped else 'was not running'}")


@app.command()
def status(
    home: Home = None,
    parameters: Annotated[
        bool, typer.Option("--parameters", help="Also every parameter that it was made with.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the collection's databases, what it holds, and what that was made with. Starts nothing.

    Example: `lmr status`
    """
    from lmr.library.servers import status as run

    found = run(home)
    if as_json:
        print_json(found)
        return
    print_table(("server", "state", "address"), ((one.server, one.state, one.address) for one in found.servers))
    if found.counts:
        print(", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in found.counts.items()))
        if found.storage:
            print(f"features lie in {printable(found.storage)}")
        if found.stated is not None:
            print(_expected(found.stated))
        for one in found.made_with:
            print(_told(one, parameters))
    else:
        say(f"{found.home} is not a collection yet; `lmr ingest PHOTOS` makes one")


def _expected(of: Stated) -> str:
    """How many matches are expected to be wrong."""
    share = f" ({of.wrong / of.matches:.1%})" if of.matches else ""
    return (
        f"of {of.matches:,} matches that took part after the last link {of.wrong:.1f} are expected to be wrong{share}"
    )


def _told(one: MadeWith, parameters: bool) -> str:
    """What something in the collection was made with, in lines."""
    held = "" if one.pairs is None else f" ({one.pairs:,} pairs)"
    state = {True: "this lmr's", False: "not this lmr's", None: "whether it is this lmr's cannot be told"}[one.current]
    lines = [f"{one.what}{held}: fingerprint {one.hash}, {state}"]
    if parameters:
        lines.append(f"  {printable(one.values)}")
    if one.differs:
        lines.append(f"  differs: {printable(one.changes)}")
    if one.current is False:
        lines.append(f"  {one.advice}")
    return "\n".join(lines)


@app.command()
def browse(
    home: Home = None,
    show_password: Annotated[
        bool, typer.Option("--show-password", help="Print the password, on a terminal only.")
    ] = False,
    open_: Annotated[bool, typer.Option("--open/--no-open", help="Open a web browser.")] = True,
) -> None:
    """Open Neo4j Browser on the collection, with its style and a guide to the analysts' queries.

    Example: `lmr browse --show-password`
    """
    from lmr.errors import UsageError
    from lmr.library.servers import browser
    from lmr.progress import Bars

    found = browser(home, progress=Bars())
    print(found.address)
    if show_password:
        if not sys.stdout.isatty():
            raise UsageError("--show-password prints on a terminal only; the password is in neo4j/password of the home")
        print(f"user {found.username}, password {found.password}")
    else:
        say(f"user {found.username}; --show-password prints the password")
    if open_:
        import webbrowser

        webbrowser.open(found.address)


@app.command()
def doctor(home: Home = None, as_json: Json = False) -> None:
    """Check this machine and the collection: each line is ok or says what to do. Exit code 1 if something is wrong.

    Example: `lmr doctor`
    """
    from lmr.library.homes import doctor as run

    checks = run(home)
    if as_json:
        print_json(checks)
    else:
        print_table(("", "check", "found"), ((("ok" if c.ok else "!!"), c.name, c.found) for c in checks))
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


@app.command()
def config(home: Home = None, as_json: Json = False) -> None:
    """Show every setting, its value and where that came from.

    Example: `lmr config`
    """
    from lmr.library.homes import config as run

    rows = run(home)
    if as_json:
        print_json(rows)
        return
    print_table(("setting", "value", "from", "what it is"), ((r.name, r.value, r.source, r.about) for r in rows))
