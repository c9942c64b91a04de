"""The pictures of a search or an explanation, from the photos' files and the stored features."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lmr.errors import PhotoError
from lmr.jobs.link.turns import Turned
from lmr.method.features.pack import unpack
from lmr.method.photos.about import About
from lmr.method.photos.decode import decode, read
from lmr.method.photos.turned import MIRRORED, degrees, turned
from lmr.method.spanning.bridges import Bridge, bridges, far_apart
from lmr.method.verification.matching import prepare
from lmr.method.verification.verify import correspondences
from lmr.outputs import replacing
from lmr.reports.gallery import Album, Card, Inline, Picture, QueryCard, ReviewCard, Section, Shown, Step, album
from lmr.reports.pictures import PANEL, match_picture, placeholder, thumbnail
from lmr.retrieval.originals import original
from lmr.retrieval.query import Patience, Start, start_of_stored
from lmr.retrieval.search import Found, Unused, path_to, undisturbed
from lmr.store.stores import Stores
from lmr.text import text_of
from lmr.values import Array, Features, Hop, Photo, Verification

if TYPE_CHECKING:
    from lmr.retrieval.evaluate import Evaluation

_PATHS_SHOWN = 50


class Pictures:
    """Reads photos and draws matches for one report; `start` may be a photo that is not stored."""

    def __init__(self, stores: Stores, start: Start) -> None:
        self._stores, self._start = stores, start
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
                by = self._stores.verifier
                first, second = (prepare(self._features(id), by.matching) for id in (hop.a, hop.b))
                found, *both = correspondences(first, second, by)
                places = both[0], both[1]
            self._drawn[key] = match_picture(self.pixels(hop.a), self.pixels(hop.b), places, found)
        return self._drawn[key]

    def _path(self, id: str | None) -> bytes | None:
        if id is None or (id == self._start.id and self._start.number is None):
            return os.fsencode(self._start.path)
        image = self._stores.ledger.images.get(id)
        paths = self._stores.ledger.files.paths(image.number) if image else []
        return next((path for path in paths if os.path.exists(path)), paths[0] if paths else None)

    def pixels(self, id: str | None) -> tuple[Array, float]:
        """Pixels (H, W, 3) of a photo, and px of the original for each; a placeholder where its file is gone."""
        try:
            photo = self._photo(id)
        except PhotoError:
            return placeholder(), self._reduction(id)
        return photo.pixels, photo.reduction

    def _photo(self, id: str | None) -> Photo:
        """The photo that is searched for, or that of an image: turned so that the places of its features are right."""
        settings, start = self._stores.settings, self._start
        image = None if id is None else self._stores.ledger.images.get(id)
        if image is not None and (start.data is None or id != start.id):
            turn = start.turn if id == start.id else image.turn
            return original(self._stores, image, enough=PANEL, turn=turn)
        data = read(os.fsencode(start.path), settings.max_bytes) if start.data is None else start.data
        return turned(decode(data, enough=PANEL, **settings.decoding), start.turn)

    def _reduction(self, id: str | None) -> float:
        image = self._stores.ledger.images.get(id or "")
        return max(image.width / 240, image.height / 180) if image else 1.0

    def _has_features(self, id: str | None) -> bool:
        """Whether there is anything to draw: images that came with imported matches have no features."""
        image = self._stores.ledger.images.get(id or "")
        return image is None or self._stores.ledger.features.has(image.number)

    def _features(self, id: str | None) -> Features:
        if id is None or (id == self._start.id and self._start.features is not None):
            if self._start.features is None:
                raise PhotoError("the photo has no features")
            return self._start.features
        image = self._stores.ledger.images.get(id)
        if image is None:
            raise PhotoError(f"{id} is not stored")
        return unpack(self._stores.ledger.features.local(image.number))


def write_gallery(stores: Stores, found: Iterable[Found | Unused], page: Path) -> None:
    """Searches as one page, with thumbnails and, for verified results, the matches that lead to them.

    Each is drawn before the next is taken, so that many need no more memory than one.
    """
    sections, unused = list[Section](), list[str]()
    with album(page) as made:
        for one in found:
            if isinstance(one, Unused):
                unused.append(one.text)
            else:
                sections.append(_section(stores, one, made))
        made.write(sections, unused)


def gallery_text(stores: Stores, found: Found) -> str:
    """The page of one search as one HTML document, its pictures within it."""
    made = Inline()
    made.write([_section(stores, found, made)], [])
    return made.text


def _section(stores: Stores, found: Found, made: Album) -> Section:
    pictures = Pictures(stores, found.start)
    verified = sum(hit.reached == "verified" for hit in found.hits)
    name = pictures.name(found.start.id)
    summary = (
        f"{verified} of {len(found.hits)} results were reached over verified matches (green), the others by "
        f"similarity alone (grey). Searched in {found.seconds:.2f} s."
    )
    summary += f" The photo {how_it_lies(found.start.turn)}." if found.start.turn else ""
    query = Picture(found.start.path or name, made.add(thumbnail(pictures.pixels(found.start.id)[0], 480)))
    return Section(name, summary, query, _cards(stores, found, pictures, made), verified)


def _cards(stores: Stores, found: Found, pictures: Pictures, made: Album) -> list[Card]:
    drawn: dict[tuple[str | None, str], str] = {}

    def picture_of(hop: Hop) -> str:
        if (hop.a, hop.b) not in drawn:
            drawn[hop.a, hop.b] = made.add(pictures.match(hop))
        return drawn[hop.a, hop.b]

    cards = []
    with stores.progress.task("Pictures", len(found.hits), "results") as advance:
        for hit in found.hits:
            path: tuple[Step, ...] = ()
            if hit.id in found.via and hit.rank <= _PATHS_SHOWN:
                hops = path_to(stores, found.start, hit.id, found.via[hit.id])
                path = tuple(Step(pictures.name(h.a), pictures.name(h.b), h.inliers, picture_of(h)) for h in hops)
            image = stores.ledger.images.get(hit.id)
            cards.append(
                Card(
                    hit.rank,
                    pictures.name(hit.id),
                    made.add(pictures.thumbnail(hit.id)),
                    hit.reached,
                    hit.hops,
                    hit.inliers,
                    hit.similarity,
                    image.landmark if image else None,
                    path,
                    _facts(stores.ledger.files.about(image.number)) if image else (),
                )
            )
            advance(1)
    return cards


def _facts(about: About) -> tuple[str, ...]:
    """When, where and with what a photo was taken, and its caption, as lines for people."""
    taken = " ".join(filter(None, ((about.taken_at or "").replace("T", " "), about.offset)))
    place = "{:.5f}, {:.5f}".format(*about.place) if about.place else None
    return tuple(filter(None, (taken, place, about.camera, about.caption)))


def write_evaluation(stores: Stores, found: Evaluation, page: Path) -> None:
    """The rungs of an evaluation and all its queries, the worst first, with the first results of the last rung."""
    levels = list(dict.fromkeys(rung.level for rung in found.rungs))
    by_level = [(level, [rung for rung in found.rungs if rung.level == level]) for level in levels]
    summary = f"{found.protocol}: {found.queries} queries, {found.index} index images."
    with album(page) as made:
        cards = _query_cards(stores, found, made)
        made.write_ladder("How good the rankings are", summary, by_level, cards)


def _query_cards(stores: Stores, found: Evaluation, made: Album) -> list[QueryCard]:
    added: dict[str, str] = {}

    def picture_of(id: str, pictures: Pictures) -> str:
        if id not in added:
            added[id] = made.add(pictures.thumbnail(id))
        return added[id]

    last = found.rungs[-1].name
    cards = []
    with stores.progress.task("Pictures", len(found.rows), "queries") as advance:
        for row in sorted(found.rows, key=lambda row: (row.scores[last]["map"], row.id)):
            pictures = Pictures(stores, start_of_stored(stores, row.id, Patience(rounds=0)))
            shown = [Shown(pictures.name(id), picture_of(id, pictures), right) for id, right in row.results]
            scores = [(name, figures["map"]) for name, figures in row.scores.items()]
            cards.append(QueryCard(pictures.name(row.id), row.group, picture_of(row.id, pictures), scores, shown))
            advance(1)
    return cards


def how_it_lies(turn: int) -> str:
    """What was done to a photo (see Image.turn), for people."""
    lies = {0: "is mirrored", 1: "lies on its side", 2: "is upside down", 3: "lies on its side"}[turn % 4]
    done = (["mirrored"] if turn >= MIRRORED else []) + ([f"turned by {degrees(turn)}°"] if turn % 4 else [])
    return f"{lies}: searched {' and '.join(done)}"


def worth_a_look(stores: Stores, limit: int) -> list[Bridge]:
    """Matches of photos that were taken far apart, then bridges, those first that are worth most doubt.

    Those that a person has judged are left out.
    """
    settled = {frozenset(pair[:2]) for pair in stores.ledger.verdicts.pairs()}
    graph, most, metres = stores.graph, limit + len(settled), stores.settings.far_apart

    def asked() -> list[Bridge]:
        apart = {frozenset((one.a, one.b)): one for one in far_apart(graph, metres, most)}
        held = bridges(graph, most + len(apart), bridge_queries=stores.bridge_queries)
        for one in held:
            if (pair := frozenset((one.a, one.b))) in apart:
                apart[pair] = replace(one, metres=apart[pair].metres)
        return [*apart.values(), *(one for one in held if frozenset((one.a, one.b)) not in apart)]

    found = undisturbed(stores, asked)
    return [one for one in found if frozenset((one.a, one.b)) not in settled][:limit]


def why_turned(one: Turned) -> str:
    """What was done to an image that lies on its side, and what people can do about it."""
    lies = how_it_lies(one.turn // 90 + MIRRORED * one.mirrored).partition(":")[0]
    done = (["mirrored"] if one.mirrored else []) + ([f"turned by {one.turn}° clockwise"] if one.turn else [])
    advice = "mend its orientation with your photo tool, or say with `lmr turn` how it is"
    return f"{lies}: {' and '.join(done)} to match; {advice}"


def write_review(stores: Stores, found: Sequence[Bridge], page: Path, turned_ones: Sequence[Turned] = ()) -> None:
    """Images that were turned and bridges, with the picture of each match."""
    apart = sum(bridge.metres is not None for bridge in found)
    told = [f"{apart} of photos that were taken far apart"] if apart else []
    told += [f"{len(found) - apart} that alone hold two groups of photos together"] if len(found) > apart else []
    summary = f"Matches: {', then '.join(told) or 'none'}; the most doubtful first."
    if turned_ones:
        lying = f"{len(turned_ones)} photos that lie on their side, upside down or are mirrored"
        summary = f"{lying}; then {summary[0].lower()}{summary[1:]}"
    cards = []
    with album(page) as made:
        for one in turned_ones:
            pictures = Pictures(stores, start_of_stored(stores, one.id, Patience(rounds=0)))
            alone = one.match is None
            picture = pictures.thumbnail(one.id) if alone else pictures.match(Hop(one.id, one.match or "", 0, 0.0))
            names = pictures.name(one.id), "its looks" if alone else pictures.name(one.match)
            cards.append(ReviewCard(*names, one.id, one.match or "", why_turned(one), made.add(picture)))
        with stores.progress.task("Pictures", len(found), "matches") as advance:
            for bridge in found:
                pictures = Pictures(stores, start_of_stored(stores, bridge.a, Patience(rounds=0)))
                drawn = made.add(pictures.match(Hop(bridge.a, bridge.b, bridge.inliers, 0.0)))
                names = pictures.name(bridge.a), pictures.name(bridge.b)
                cards.append(ReviewCard(*names, bridge.a, bridge.b, why_doubted(bridge), drawn))
                advance(1)
        made.write_review("Matches worth a look", summary, cards)


def why_doubted(bridge: Bridge) -> str:
    """Why a match is worth a look, for people."""
    small, large = bridge.sizes
    told = f"{bridge.inliers} inliers"
    if bridge.metres is not None:
        told = f"taken {bridge.metres / 1000:,.{0 if bridge.metres >= 20_000 else 1}f} km apart; {told}"
    if small:
        told += f" alone hold {small} photo{'' if small == 1 else 's'} and {large} together"
    if bridge.differ:
        told += f"; labelled {bridge.landmarks[0]} on one side, {bridge.landmarks[1]} on the other"
    if bridge.mark:
        told += "; it is small and only moved, as a mark is that was laid over both"
    return told


def write_explanation(stores: Stores, start: Start, hops: list[Hop], target: Path) -> None:
    """The matches of a path below each other, as one JPEG."""
    from lmr.reports.pictures import jpeg

    pictures = Pictures(stores, start)
    rows = [pictures.match(hop) for hop in hops]
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 12), (0, width - row.shape[1]), (0, 0)), constant_values=245) for row in rows]
    with replacing(target) as part:
        part.write_bytes(jpeg(np.vstack(padded)))
