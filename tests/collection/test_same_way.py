"""A photo finds the same whether it is stored and linked or only searched for: one round, one review."""

from __future__ import annotations

import os
from pathlib import Path

import lmr
from lmr.method.photos.made import make_photos
from lmr.retrieval.query import query_of_photo, query_of_stored
from lmr.retrieval.values import SearchBudget

MADE = int(os.environ.get("LMR_MADE", "0"))  # sets of photos that are made for it, in full size; else the demo's


def test_stored_and_not_stored(little: Path, tmp_path: Path, servers: dict[str, str]) -> None:
    """Half of the made photos as queries, which link has compared and reviewed, and each again as bytes alone.

    Where both compare the same pairs, which they do here as each photo is compared with all, both find the same
    matches, to the last digit, and leave the same out for the same reason. What alone may differ is which pairs are
    compared: link compares a photo with its nearest ones as descriptors were in each round, a search with those that
    are nearest at the end.
    """
    photos = sorted(little.glob("*.jpg"))
    if MADE:
        photos = [path for seed in range(MADE) for path in sorted(make_photos(tmp_path / f"seed-{seed}", seed))]
    queries = photos[::2]
    with lmr.open(tmp_path / "lmr", workers=1, top=max(50, len(photos))) as c:
        c.ingest(*(path for path in photos if path not in queries))
        c.ingest(*queries, split="query")
        c.link()
        stores, found, excluded = c._stores, 0, set()
        for path in queries:
            image = stores.ledger.images.get(c.image(path).id)
            stored = query_of_stored(stores, image.id)
            outside = query_of_photo(stores, str(path), path.read_bytes(), SearchBudget(4), turn=image.turn)
            theirs, ours = ({link.id: link._replace(round=0) for link in one.links} for one in (stored, outside))
            assert theirs == ours, path.name
            edges = (sorted(edge.id for edge in one.edges) for one in (stored, outside))
            assert len(set(map(tuple, edges))) == 1, path.name
            excluded |= {link.excluded for link in ours.values()}
            found += len(stored.edges)
        assert len(queries) > 30 and found > 100
        assert None in excluded and len(excluded) > 1, "some were left out"
