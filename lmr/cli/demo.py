"""The demo: render a small collection, run the main job on it, show what was found and where to look."""

from __future__ import annotations

import time
from pathlib import Path

from lmr.cli.app import load_settings
from lmr.cli.show import print_table, say
from lmr.collection import Collection
from lmr.collection.browser import browser_address
from lmr.collection.ingest import ingest
from lmr.collection.labels import labels_from_csv
from lmr.collection.link import link
from lmr.collection.partition import cluster
from lmr.collection.report import write_gallery
from lmr.collection.search import explain, names_of, search
from lmr.photos.made import make_photos, shots
from lmr.progress import Bars

_FLOOR = 25.0  # made walls agree by chance more often than real ones, so weak matches are left out


def run(home: Path) -> None:
    """Make photos, ingest, link, cluster, search each place's query photo, print a table and the ways on."""
    begin = time.monotonic()
    photos, settings = home / "photos", load_settings(home / "lmr")
    home.mkdir(parents=True, exist_ok=True)
    progress = Bars()
    wanted = shots()
    with progress.task("Rendering photos", len(wanted), "photos") as advance:
        for _ in make_photos(photos):
            advance(1)
    with Collection.open(settings, progress, create=True) as collection:
        ingest(collection, [photos], labels=labels_from_csv(photos / "labels.csv"))
        link(collection)
        change, _ = cluster(collection, "components", _FLOOR)
        accepted = collection.ledger.pairs.accepted()
        print(f"\n{len(wanted)} photos, {accepted} verified matches, {change.clusters} clusters\n")
        _table(collection, photos)
        _way(collection, photos)
        page = home / "report.html"
        found = search(collection, str(photos / "town-hall-front-1.jpg"), top=24, min_weight=_FLOOR)
        write_gallery(collection, [found], page)
        access = collection.graph.access
        address = browser_address(access) if access.http else access.uri
    say(f"\ndone in {time.monotonic() - begin:.0f} s")
    print(
        f"\nLook at the report      {page.resolve().as_uri()}"
        f"\nLook at the graph       {address}"
        f"\n                        (user and password: lmr browse --home {settings.home} --show-password)"
        "\nYour own photos         lmr ingest ~/photos && lmr link && lmr search one-of-them.jpg --html result.html"
        f"\nStop the databases      lmr down --home {settings.home}"
    )


def _table(collection: Collection, photos: Path) -> None:
    """What a search for each place's query photo finds over verified matches."""
    print(f"Searched with photos that show each place, over matches of weight {_FLOOR:g} or more:")
    labels = {image.id: image.landmark for image in collection.ledger.images()}
    rows = []
    for shot in shots():
        if shot.split != "query":
            continue
        there = sum(other.landmark == shot.landmark and other.split == "index" for other in shots())
        hits = search(collection, str(photos / f"{shot.name}.jpg"), verified_only=True, min_weight=_FLOOR).hits
        right = sum(labels[hit.id] == shot.landmark for hit in hits)
        rows.append((shot.landmark, there, right, len(hits) - right, max((hit.hops or 0 for hit in hits), default=0)))
    print_table(("place", "photos of it", "found", "wrong", "hops"), rows)


def _way(collection: Collection, photos: Path) -> None:
    """How a front is joined with a side that it shares no surface with."""
    front, side = photos / "town-hall-front-1.jpg", photos / "town-hall-side-9.jpg"
    _, hops = explain(collection, str(front), str(side))
    print(f"\nFrom {front.name} to {side.name}, which share no surface:")
    if not hops:
        print("  no way was found")
        return
    names = names_of(collection, [id for hop in hops for id in (hop.a, hop.b) if id])
    for hop in hops:
        first, second = (names[id or ""][0].rsplit("/", 1)[-1] for id in (hop.a, hop.b))
        print(f"  {first} -> {second}: {hop.inliers} inliers")
