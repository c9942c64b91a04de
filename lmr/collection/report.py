"""The pictures of a search or an explanation, from the photos' files and the stored features."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lmr.collection.core import Collection
from lmr.collection.search import Found, path_to, undisturbed
from lmr.collection.start import Patience, Start, start_of_stored
from lmr.collection.turns import Turned
from lmr.errors import PhotoError
from lmr.features.pack import unpack
from lmr.photos.decode import decode, read
from lmr.photos.find import text_of
from lmr.photos.turned import MIRRORED, degrees, turned
from lmr.reports.gallery import Album, Card, Picture, QueryCard, ReviewCard, Shown, Step
from lmr.reports.pictures import PANEL, match_picture, placeholder, thumbnail
from lmr.spanning.bridges import Bridge, bridges
from lmr.values import Array, Features, Hop, Verification
from lmr.verification.matching import prepare
from lmr.verification.verify import correspondences

if TYPE_CHECKING:
    from lmr.collection.evaluate import Evaluation

_PATHS_SHOWN = 50


class Pictures:
    """Reads photos and draws matches for one report; `start` may be a photo that is not stored."""

    def __init__(self, collection: Collection, start: Start) -> None:
        self._collection, self._start = collection, start
        self._drawn: dict[tuple[str, str], Array] = {}

    def name(self, id: str | None) -> str:
        """File name for people."""
        path = self._path(id)
        return text_of(os.path.basename(path)) if path else (id or self._start.id)[:12]

    def thumbnail(self, id: str | None) -> Array:
        """A small picture of a photo; a placeholder where its file is gone."""
        return thumbnail(self.pixels(id)[0])

    def match(self, hop: Hop) -> Array:
        """The picture of one verified match."""
        key = (hop.a or self._start.id, hop.b)
        if key not in self._drawn:
            found, places = Verification(0, 0, 0.0), (np.zeros((0, 2)), np.zeros((0, 2)))
            if self._has_features(hop.a) and self._has_features(hop.b):
                found, *both = correspondences(prepare(self._features(hop.a)), prepare(self._features(hop.b)))
                places = both[0], both[1]
            self._drawn[key] = match_picture(self.pixels(hop.a), self.pixels(hop.b), places, found)
        return self._drawn[key]

    def _path(self, id: str | None) -> bytes | None:
        if id is None or (id == self._start.id and self._start.number is None):
            return os.fsencode(self._start.path)
        image = self._collection.ledger.image(id)
        paths = self._collection.ledger.paths(image.number) if image else []
        return next((path for path in paths if os.path.exists(path)), paths[0] if paths else None)

    def pixels(self, id: str | None) -> tuple[Array, float]:
        """Pixels (H, W, 3) of a photo, and px of the original for each; a placeholder where its file is gone."""
        path, settings = self._path(id), self._collection.settings
        try:
            if path is None:
                raise PhotoError("it has no file")
            data = read(path, settings.max_bytes)
            photo = decode(data, max_pixels=settings.max_pixels, min_side=settings.min_side, enough=PANEL)
            photo = turned(photo, self._turn(id))
        except PhotoError:
            return placeholder(), self._reduction(id)
        return photo.pixels, photo.reduction

    def _turn(self, id: str | None) -> int:
        """How the photo is turned, so that the places of its features are right."""
        image = None if id is None else self._collection.ledger.image(id)
        return self._start.turn if image is None or id == self._start.id else image.turn

    def _reduction(self, id: str | None) -> float:
        image = self._collection.ledger.image(id or "")
        return max(image.width / 240, image.height / 180) if image else 1.0

    def _has_features(self, id: str | None) -> bool:
        """Whether there is anything to draw: images that came with imported matches have no features."""
        image = self._collection.ledger.image(id or "")
        return image is None or self._collection.ledger.has_features(image.number)

    def _features(self, id: str | None) -> Features:
        if id is None or (id == self._start.id and self._start.features is not None):
            if self._start.features is None:
                raise PhotoError("the photo has no features")
            return self._start.features
        image = self._collection.ledger.image(id)
        if image is None:
            raise PhotoError(f"{id} is not stored")
        return unpack(self._collection.ledger.features(image.number))


def write_gallery(collection: Collection, found: Found, page: Path) -> None:
    """The results of a search as a page with thumbnails and, for verified ones, the matches that lead to them."""
    album, pictures = Album(page), Pictures(collection, found.start)
    drawn: dict[tuple[str | None, str], str] = {}

    def picture_of(hop: Hop) -> str:
        if (hop.a, hop.b) not in drawn:
            drawn[hop.a, hop.b] = album.add(pictures.match(hop))
        return drawn[hop.a, hop.b]

    cards = []
    with collection.progress.task("Pictures", len(found.hits), "results") as advance:
        for hit in found.hits:
            path: tuple[Step, ...] = ()
            if hit.reached == "verified" and hit.rank <= _PATHS_SHOWN:
                hops = path_to(collection, found.start, hit.id, found.via[hit.id])
                path = tuple(Step(pictures.name(h.a), pictures.name(h.b), h.inliers, picture_of(h)) for h in hops)
            image = collection.ledger.image(hit.id)
            cards.append(
                Card(
                    hit.rank,
                    pictures.name(hit.id),
                    album.add(pictures.thumbnail(hit.id)),
                    hit.reached,
                    hit.hops,
                    hit.inliers,
                    hit.similarity,
                    image.landmark if image else None,
                    path,
                )
            )
            advance(1)
    verified = sum(hit.reached == "verified" for hit in found.hits)
    name = pictures.name(found.start.id)
    summary = (
        f"{verified} of {len(found.hits)} results were reached over verified matches (green), the others by "
        f"similarity alone (grey). Searched in {found.seconds:.2f} s."
    )
    summary += f" The photo {how_it_lies(found.start.turn)}." if found.start.turn else ""
    query = Picture(found.start.path or name, album.add(thumbnail(pictures.pixels(found.start.id)[0], 480)))
    album.write(f"All photos of the place in {name}", summary, query, cards)


def write_evaluation(collection: Collection, found: Evaluation, page: Path) -> None:
    """The rungs of an evaluation and all its queries, the worst first, with the first results of the last rung."""
    album = Album(page)
    added: dict[str, str] = {}

    def picture_of(id: str, pictures: Pictures) -> str:
        if id not in added:
            added[id] = album.add(pictures.thumbnail(id))
        return added[id]

    last = found.rungs[-1].name
    cards = []
    with collection.progress.task("Pictures", len(found.rows), "queries") as advance:
        for row in sorted(found.rows, key=lambda row: (row.scores[last]["map"], row.id)):
            pictures = Pictures(collection, start_of_stored(collection, row.id, Patience(rounds=0)))
            shown = [Shown(pictures.name(id), picture_of(id, pictures), right) for id, right in row.results]
            scores = [(name, figures["map"]) for name, figures in row.scores.items()]
            cards.append(QueryCard(pictures.name(row.id), row.group, picture_of(row.id, pictures), scores, shown))
            advance(1)
    levels = list(dict.fromkeys(rung.level for rung in found.rungs))
    by_level = [(level, [rung for rung in found.rungs if rung.level == level]) for level in levels]
    summary = f"{found.protocol}: {found.queries} queries, {found.index} index images."
    album.write_ladder("How good the rankings are", summary, by_level, cards)


def how_it_lies(turn: int) -> str:
    """What was done to a photo (see Image.turn), for people."""
    lies = {0: "is mirrored", 1: "lies on its side", 2: "is upside down", 3: "lies on its side"}[turn % 4]
    done = (["mirrored"] if turn >= MIRRORED else []) + ([f"turned by {degrees(turn)}°"] if turn % 4 else [])
    return f"{lies}: searched {' and '.join(done)}"


def worth_a_look(collection: Collection, limit: int) -> list[Bridge]:
    """The bridges that are worth most doubt, those left out that a person has judged."""
    settled = {frozenset(pair[:2]) for pair in collection.ledger.verdicts()}
    asked = partial(bridges, collection.graph, limit + len(settled), bridge_queries=collection.bridge_queries)
    found = undisturbed(collection, asked)
    return [one for one in found if frozenset((one.a, one.b)) not in settled][:limit]


def why_turned(one: Turned) -> str:
    """What was done to an image that lies on its side, and what people can do about it."""
    lies = how_it_lies(one.turn // 90 + MIRRORED * one.mirrored).partition(":")[0]
    done = (["mirrored"] if one.mirrored else []) + ([f"turned by {one.turn}° clockwise"] if one.turn else [])
    advice = "mend its orientation with your photo tool, or say with `lmr turn` how it is"
    return f"{lies}: {' and '.join(done)} to match; {advice}"


def write_review(
    collection: Collection, found: Sequence[Bridge], page: Path, turned_ones: Sequence[Turned] = ()
) -> None:
    """Images that were turned and bridges, with the picture of each match."""
    album, cards = Album(page), []
    for one in turned_ones:
        pictures = Pictures(collection, start_of_stored(collection, one.id, Patience(rounds=0)))
        alone = one.match is None
        picture = pictures.thumbnail(one.id) if alone else pictures.match(Hop(one.id, one.match or "", 0, 0.0))
        names = pictures.name(one.id), "its looks" if alone else pictures.name(one.match)
        cards.append(ReviewCard(*names, one.id, one.match or "", why_turned(one), album.add(picture)))
    with collection.progress.task("Pictures", len(found), "matches") as advance:
        for bridge in found:
            pictures = Pictures(collection, start_of_stored(collection, bridge.a, Patience(rounds=0)))
            drawn = album.add(pictures.match(Hop(bridge.a, bridge.b, bridge.inliers, 0.0)))
            names = pictures.name(bridge.a), pictures.name(bridge.b)
            cards.append(ReviewCard(*names, bridge.a, bridge.b, why_doubted(bridge), drawn))
            advance(1)
    matches = "1 match that alone holds" if len(found) == 1 else f"{len(found)} matches that each alone hold"
    summary = f"{matches} two groups of photos together, the most doubtful first."
    if turned_ones:
        summary = f"{len(turned_ones)} photos that lie on their side, upside down or are mirrored; then {summary}"
    album.write_review("Matches worth a look", summary, cards)


def why_doubted(bridge: Bridge) -> str:
    """Why a match is worth a look, for people."""
    small, large = bridge.sizes
    told = f"{bridge.inliers} inliers alone hold {small} photo{'' if small == 1 else 's'} and {large} together"
    if bridge.differ:
        told += f"; labelled {bridge.landmarks[0]} on one side, {bridge.landmarks[1]} on the other"
    if bridge.mark:
        told += "; it is small and only moved, as a mark is that was laid over both"
    return told


def write_explanation(collection: Collection, start: Start, hops: list[Hop], target: Path) -> None:
    """The matches of a path below each other, as one JPEG."""
    from lmr.reports.pictures import jpeg

    pictures = Pictures(collection, start)
    rows = [pictures.match(hop) for hop in hops]
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 12), (0, width - row.shape[1]), (0, 0)), constant_values=245) for row in rows]
    target.write_bytes(jpeg(np.vstack(padded)))
