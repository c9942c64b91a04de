"""The demo: render a small collection, run the main job on it, show what was found and where to look."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from lmr import outputs
from lmr.cli.app import load_settings
from lmr.cli.show import print_table, say
from lmr.errors import UsageError
from lmr.library.collection import Collection
from lmr.library.homes import is_collection, open
from lmr.library.result import SearchResult
from lmr.library.servers import browser, down
from lmr.method.photos.made import PLACED, make_photos, photo_names, shots
from lmr.method.photos.phone import ODD, make_phone
from lmr.outputs import check_page, folder_of
from lmr.progress import Bars
from lmr.settings import LEDGER
from lmr.text import printable

_PAGE = "report.html"
_PHONE = "uploads"
_COLLECTION = (
    *("milvus", "neo4j", "set-aside.csv", "writer.lock", "ledger.new", "ledger.next.sqlite"),
    *("jobs.json", "evaluation.json"),  # of the page
    *(LEDGER + end for end in ("-wal", "-shm", "")),  # the ledger last: what is left is still a collection
)
_TOLD = 3
_MIN_WEIGHT = 25.0  # made walls agree by chance more often than real ones, so weak matches are left out


def run(home: Path) -> None:
    """Make photos, ingest, link, cluster, search each place's query photo, print a table and the ways on."""
    begin = time.monotonic()
    photos, phone, settings = home / "photos", home / _PHONE, load_settings(home / "lmr")
    check(home, settings.home)
    home.mkdir(parents=True, exist_ok=True)
    progress = Bars()
    wanted = shots()
    with progress.task("Rendering photos", len(wanted), "photos") as advance:
        for _ in make_photos(photos):
            advance(1)
    make_phone(phone, photos)
    with open(settings.home, progress=progress) as c:
        c.ingest(photos, labels=photos / "labels.csv")
        accepted = c.link().accepted
        clusters = c.cluster("components", min_weight=_MIN_WEIGHT).clusters
        print(f"\n{len(wanted)} photos, {accepted} verified matches, {clusters} clusters\n")
        _table(c, photos)
        _odd(c, photos, phone)
        _way(c, photos)
        page = c.search(photos / "town-hall-front-1.jpg", top=24, min_weight=_MIN_WEIGHT).save(home / _PAGE)
    address = settings.neo4j_uri or browser(settings.home).address
    say(f"\ndone in {time.monotonic() - begin:.0f} s")
    print(
        f"{_activated()}\nLook at the report      {page.resolve().as_uri()}"
        f"\nSearch on a page        lmr serve --home {settings.home} --open"
        f"\nLook at the graph       {address}"
        f"\n                        (user and password: lmr browse --home {settings.home} --show-password)"
        "\nYour own photos         lmr ingest ~/photos && lmr link && lmr search one-of-them.jpg --html result.html"
        f"\nStop the databases      lmr down --home {settings.home}"
    )


def _activated() -> str:
    """What is to be typed before `lmr` is found, where it was not called by that name, as by `make demo`."""
    script = Path(sys.prefix, "bin", "activate")
    if shutil.which("lmr") is not None or not script.is_file():
        return ""
    shown = os.path.relpath(script) if script.is_relative_to(Path.cwd()) else str(script)
    return f"\nBefore any of these     . {printable(shlex.quote(shown))}"


def check(home: Path, collection: Path) -> None:
    """Raise UsageError where the demo's folder holds what is the user's under a name that the demo needs.

    Photos of others are not mixed with the demo's: its figures are those of its own.
    """
    photos = home / "photos"
    for folder in (home, photos, home / _PHONE, collection):
        if os.path.lexists(folder) and not folder.is_dir():
            raise UsageError(f"{folder} is no folder; choose another --home")
    known = (
        (photos, photo_names()),
        (home / _PHONE, [one.name for one in ODD]),
        (collection, [] if (collection / LEDGER).exists() else _COLLECTION),
    )
    for folder, names in known:
        others = _others(folder, names) if names and folder.is_dir() else []
        if others:
            more = ", ..." if len(others) > _TOLD else ""
            raise UsageError(
                f"{folder} holds what the demo did not make "
                f"({', '.join(map(printable, others[:_TOLD]))}{more}); choose another --home, or move them away"
            )
    if home.is_dir():
        check_page(home / _PAGE, home=collection)


def _others(folder: Path, names: Sequence[str]) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name not in names and not name.startswith("."))


def remove(home: Path) -> list[str]:
    """Take away what the demo made below its folder, and the folder if nothing else is there; returns what stays."""
    collection = load_settings(home / "lmr").home
    if is_collection(collection):
        down(collection)
        for name in _COLLECTION:
            path = collection / name
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    photos, phone, page = home / "photos", home / _PHONE, home / _PAGE
    made = [*(photos / name for name in photo_names()), *(phone / one.name for one in ODD)]
    for path in (folder_of(page), page, *made):
        outputs.remove(path)
    for folder in (photos, phone, home):
        outputs.forget(folder)
    for folder in (photos, phone, collection, home):
        with contextlib.suppress(OSError):
            folder.rmdir()
    return sorted(os.path.join(at, name) for at, _, names in os.walk(home) for name in names)


def _table(c: Collection, photos: Path) -> None:
    """What a search for each place's query photo finds over verified matches."""
    print(f"Searched with photos that show each place, over matches of weight {_MIN_WEIGHT:g} or more:")
    rows = []
    for shot in shots():
        if shot.split != "query":
            continue
        there = sum(other.landmark == shot.landmark and other.split == "index" for other in shots())
        hits = c.search(photos / f"{shot.name}.jpg", top=100, verified_only=True, min_weight=_MIN_WEIGHT).hits
        right = sum(hit.image.landmark == shot.landmark for hit in hits)
        rows.append((shot.landmark, there, right, len(hits) - right, max((hit.hops or 0 for hit in hits), default=0)))
    print_table(("place", "photos of it", "found", "wrong", "hops"), rows)


def _odd(c: Collection, photos: Path, phone: Path) -> None:
    """What is found with photos that are not as others are, and what one knows besides pixels."""
    print(f"\nSearched with {phone.name}/, photos as phones, scanners and other programs leave them:")
    for one in ODD:
        found = c.search(phone / one.name, top=100, verified_only=True, min_weight=_MIN_WEIGHT)
        print(f"  {one.name}, {one.about}: {'; '.join(_facts(c, found))}")
    stored = c.image(photos / f"{PLACED}.jpg")
    if stored.location is not None:
        near = sum(one.place is not None for one in c.locate())
        latitude, longitude = stored.location
        print(
            f"\n{PLACED}.jpg knows that it was taken {stored.taken_at} at {latitude:.4f}, {longitude:.4f}:\n"
            f"lmr locate suggests places near it for {near} photos that match it over at most three others"
        )


def _facts(c: Collection, found: SearchResult) -> Iterator[str]:
    if found.stored is not None:
        names = [os.path.basename(path) for path in c.image(found.stored).paths]
        yield f"the same picture, so it is {', '.join(names)}"
    if turned := found.to_dict()["query"]["turn"]:
        yield f"turned by {turned}° to match"
    places = Counter(hit.image.landmark for hit in found)
    yield f"finds {', '.join(f'{count} photos of {place}' for place, count in places.most_common())}"


def _way(c: Collection, photos: Path) -> None:
    """How a front is joined with a side that it shares no surface with."""
    front, side = photos / "town-hall-front-1.jpg", photos / "town-hall-side-9.jpg"
    found = c.explain(front, side)
    print(f"\nFrom {front.name} to {side.name}, which share no surface:")
    if not found.path:
        print("  no way was found")
    for first, second, hop in zip(found.names, found.names[1:], found.path or (), strict=False):
        print(f"  {first} -> {second}: {hop.inliers} inliers")
