"""The command that serves the page: serve."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path
from typing import Annotated

import typer

from lmr.cli.app import Home, app
from lmr.cli.show import say

Host = Annotated[str, typer.Option(help="Where to listen; another than this machine alone is warned of.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes any that is free.")]
Names = Annotated[
    list[str] | None, typer.Option("--name", help="Another name under which browsers reach it, such as a proxy's.")
]
Folders = Annotated[
    list[Path] | None, typer.Option("--photos", metavar="FOLDER", help="A folder that may be taken in from the page.")
]
Look = Annotated[bool, typer.Option("--look-only", help="Let nothing be changed from the page.")]
Originals = Annotated[
    bool,
    typer.Option("--originals", help="Let all who may look take photos' own files away, with all that is in them."),
]
Open = Annotated[bool, typer.Option("--open/--no-open", help="Open a web browser.")]
_ROLES = {"rule": "look and rule on matches", "look": "look alone"}


@app.command()
def serve(
    home: Home = None,
    host: Host = "127.0.0.1",
    port: Port = 8765,
    name: Names = None,
    photos: Folders = None,
    look_only: Look = False,
    originals: Originals = False,
    open_: Open = False,
) -> None:
    """Serve a page to search from, and an interface for programs, on this machine alone, until Ctrl-C.

    The address that is printed holds a token, without which nothing is answered. Photos that are dropped on the page
    are kept in memory, for an hour at most. Other commands may go on meanwhile, here or on the page.

    Example: `lmr serve --photos ~/photos`
    """
    from lmr.progress import Bars
    from lmr.web.server import serve as run

    with run(
        home,
        host=host,
        port=port,
        names=name or (),
        photos=photos or (),
        look_only=look_only,
        originals=originals,
        progress=Bars(),
    ) as page:
        if page.warning:
            say(page.warning)
        print(page.address, flush=True)
        for role, address in page.addresses.items():
            if page.warning and address != page.address:
                say(f"for others, to {_ROLES[role]}: {address}")
        say("the page is served until Ctrl-C; programs send the token as `Authorization: Bearer TOKEN`")
        if open_:
            import webbrowser

            webbrowser.open(page.address)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # by which service managers end it
        with contextlib.suppress(KeyboardInterrupt):
            page.wait()
