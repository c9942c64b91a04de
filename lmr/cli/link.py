"""Commands that compare and describe photos: link, train, turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lmr.cli.app import Address, Engine, Home, Json, Workers, app, machines, open_collection, photo_given
from lmr.cli.show import print_json, print_table, say

if TYPE_CHECKING:
    from lmr.jobs.link.link import Linked
    from lmr.jobs.link.turned import Turned

Top = Annotated[int | None, typer.Option(min=1, help="Neighbours proposed for each image.", show_default="50")]
Rounds = Annotated[
    int | None, typer.Option(min=1, help="Rounds of ID-QE.", show_default="until one adds few matches, at most 4")
]
BridgeQueries = Annotated[
    bool | None,
    typer.Option("--bridge-queries/--no-bridge-queries", help="Let query photos join others (kept as a setting)."),
]
Turns = Annotated[
    bool | None,
    typer.Option(
        "--turns/--no-turns",
        help="Try photos left without matches turned and mirrored.",
        show_default="where that is cheap: not with networks",
    ),
]


@app.command()
def link(
    home: Home = None,
    top: Top = None,
    rounds: Rounds = None,
    bridge_queries: BridgeQueries = None,
    turns: Turns = None,
    workers: Workers = None,
    engine: Engine = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Match and verify in rounds (ID-QE), write edges, bring the spanning forest up to date.

    A round compares each image with its nearest ones and moves the descriptors of those that match towards each
    other, so that the next finds more. Stopped at any moment (Ctrl-C), the same command goes on; a pair once verified
    is never verified again with the same parameters, and a link that is complete does nothing.

    Example: `lmr link --rounds 2`
    """
    way = None if turns is None else "on" if turns else "off"
    work = machines(workers, engine, address)
    with open_collection(home, quiet=as_json, top=top, turns=way, **work) as c:
        done = c.link(rounds=rounds, bridge_queries=bridge_queries)
    if as_json:
        print_json(done)
    else:
        _tell(done)


def _tell(done: Linked) -> None:
    columns = ("round", "proposed", "verified now", "new edges", "accepted in all")
    if done.rounds:
        print_table(columns, ((r.round, r.proposed, r.verified, r.edges, r.accepted) for r in done.rounds))
    else:
        print("nothing to do: every photo has been compared (`lmr link --rounds` asks for more)")
    for one in done.turned:
        print(f"{_turned(one)} to match (`lmr review`)")
    if done.verified_again:
        print(f"{done.verified_again} pairs verified again, which had been verified with other parameters")
    print(f"{done.edges_new} new edges, {done.edges} in all, {done.accepted} accepted")
    if done.forest:
        print(f"forest: {done.forest.added} edges added, {done.forest.removed} removed, {done.forest.kept} kept")
    say("; ".join(f"{name} {seconds:.1f} s" for name, seconds in done.seconds.items()))


def _turned(one: Turned) -> str:
    return f"{one.path}: turned by {one.turn}°{', mirrored' if one.mirrored else ''}"


@app.command()
def train(
    home: Home = None,
    preset: Annotated[
        str | None,
        typer.Option(help="Describe all photos anew with another preset.", show_default="the collection's own"),
    ] = None,
    drop: Annotated[
        bool, typer.Option("--drop", help="With --preset: go on without images whose photos are gone.")
    ] = False,
    workers: Workers = None,
    engine: Engine = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Learn vocabulary and whitening again from the present index photos, and describe everything anew.

    Verified pairs stay; their edges get the weights of the new descriptors, and the forest follows. With --preset all
    photos are read again, beside what is in use, and it is switched over when that is complete; pairs stay if the
    local features are the same.

    Example: `lmr train --preset dir-delf`
    """
    with open_collection(home, quiet=as_json, **machines(workers, engine, address)) as c:
        if preset is not None:
            done = c.redescribe(preset, drop=drop)
            kept = f"{done.pairs_kept} verified pairs kept"
            told = f"{done.photos} photos described by {done.preset}, {kept}; `lmr link` goes on"
        else:
            count = c.train()
            learned = f"learned from {count} index photos and " if count else ""
            told = f"{learned}described everything anew; `lmr link` looks for new neighbours"
    if as_json:
        print_json({"trained_on": count} if preset is None else done)
    else:
        print(told)


@app.command()
def turn(
    photo: Annotated[str, typer.Argument(metavar="PHOTO|IMAGE_ID", help="A stored photo, or an image id.")],
    by: Annotated[int, typer.Argument(metavar="0|90|180|270", help="Degrees clockwise that make it upright.")],
    mirrored: Annotated[bool, typer.Option("--mirrored", help="It is to be mirrored left to right before.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Say how a stored photo is to be turned, whatever `link` found: `0` is as its file says. Files are not touched.

    It is described anew and forgets what it matched; `lmr link` compares it again.

    Example: `lmr turn scan.jpg 90`
    """
    from lmr.errors import UsageError

    if by not in (0, 90, 180, 270):
        raise UsageError(f"a photo is turned by 0, 90, 180 or 270 degrees clockwise, not {by}")
    with open_collection(home, quiet=as_json) as c:
        done = c.turn(photo_given(photo), by, mirrored=mirrored)
    if as_json:
        print_json(done)
    else:
        print(f"{_turned(done)}; `lmr link` compares it again")
