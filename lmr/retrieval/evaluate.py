"""Evaluate: the photos of a protocol are searched for as users search, by each baseline."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lmr.errors import UsageError
from lmr.method.evaluation.metrics import mean, summary
from lmr.method.evaluation.protocols import GroundTruth, Query
from lmr.method.photos.decode import read
from lmr.retrieval.baselines import BASELINES
from lmr.retrieval.context import RankingContext
from lmr.retrieval.query import query_of_photo, query_of_stored
from lmr.retrieval.rankings import names_of_images
from lmr.retrieval.values import SearchQuery
from lmr.store.ledger import Ledger
from lmr.store.names import StoredNames
from lmr.store.reliability import Reliability, reliability
from lmr.store.snapshot import snapshot
from lmr.store.stores import Stores
from lmr.text import printable

WHOLE = "idqe+mmst"


@dataclass(frozen=True, slots=True)
class Baseline:
    """Quality of one way to rank at one level of a protocol: fractions 0-1, with the 95 % interval of mAP over groups
    (landmarks) and the seconds a query."""

    name: str
    level: str
    map: float
    map_interval: tuple[float, float]
    map_at_100: float
    p_at_1: float
    p_at_5: float
    p_at_10: float
    seconds: float


@dataclass(frozen=True, slots=True)
class QueryRow:
    """One query: its figures by baseline at the first level, and how its results begin on the last one."""

    query: str
    id: str
    group: str
    scores: dict[str, dict[str, float]]
    results: list[tuple[str, bool]]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All baselines on one set of queries; missing: names in the ground truth that the collection does not hold.

    matches: the chances of being wrong that matches are stated to have, against the labels.
    """

    protocol: str
    queries: int
    index: int
    missing: int
    baselines: list[Baseline]
    rows: list[QueryRow] = field(repr=False)
    matches: Reliability

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `lmr evaluate --json` prints them; `rungs` is the former name of `baselines`."""
        told = asdict(self)
        return {**told, "rungs": told["baselines"]}


def evaluate(
    stores: Stores, truth: GroundTruth | None = None, names: Sequence[str] | None = None, shown: int = 10
) -> Evaluation:
    """Measure some baselines (None: all) by a protocol's ground truth, or by the collection's own labels.

    By the labels, queries are the labelled photos of the query split, positives the index images of the same
    landmark. Raises UsageError where there are no queries, CollectionError where the collection is changed meanwhile.
    """
    with snapshot(stores):
        return _evaluated(stores, truth, _chosen(names), shown)


def _evaluated(stores: Stores, truth: GroundTruth | None, baselines: Sequence[str], shown: int) -> Evaluation:
    stored, context = _StoredTruth(stores, truth), RankingContext(stores)
    if beyond := stored.beyond():
        stores.progress.note(
            f"boxes of {len(beyond)} queries reach beyond their photos, such as that of {printable(beyond[0])}: where "
            "photos are smaller copies, other parts of them are searched for than the ground truth means"
        )
    tally = _Tally(stored, context, baselines, shown)
    with stores.progress.task("Queries", len(stored.queries), "queries") as advance:
        for name, levels in stored.queries.items():
            tally.take(name, levels)
            advance(1)
    found = tally.baselines()
    asked = stored.truth.protocol, len(stored.queries), len(context.ids), stored.missing
    return Evaluation(*asked, found, tally.rows, reliability(stores, context.described))


class _Tally:
    """The figures of all queries, as they are asked."""

    def __init__(self, stored: _StoredTruth, context: RankingContext, baselines: Sequence[str], shown: int) -> None:
        self._stored, self._context, self._baselines, self._shown = stored, context, baselines, shown
        self._scores: dict[tuple[str, str], list[dict[str, float]]] = {}
        self._groups: dict[str, list[str]] = {level: [] for level in stored.truth.levels}
        self._seconds: dict[str, list[float]] = {name: [] for name in baselines}
        self.rows: list[QueryRow] = []

    def take(self, name: str, levels: dict[str, Query]) -> None:
        """Rank one query by each baseline, and score that at its levels."""
        stored = self._stored
        first = next(iter(levels.values()))  # levels differ in what is right, not in what is asked
        start = stored.start(name, first)
        of_query: dict[str, dict[str, float]] = {}
        results: list[tuple[str, bool]] = []
        for baseline in self._baselines:
            begin = time.perf_counter()
            ids = BASELINES[baseline](self._context, start)
            self._seconds[baseline].append(time.perf_counter() - begin)
            ranked = stored.names(ids)
            for level, query in levels.items():
                figures = stored.truth.score(query, ranked)
                self._scores.setdefault((baseline, level), []).append(figures)
                of_query.setdefault(baseline, figures)
            spelled = zip(ids, stored.spelled(ids), strict=True)
            results = [(id, name in first.positives) for id, name in spelled if name not in first.junk][: self._shown]
        for level, query in levels.items():
            self._groups[level].append(query.group)
        self.rows.append(QueryRow(name, start.id, first.group, of_query, results))

    def baselines(self) -> list[Baseline]:
        """Means over the queries, by level."""
        return [
            Baseline(name, level, seconds=mean(self._seconds[name]), **summary(found, self._groups[level]))
            for level in self._stored.truth.levels
            for name in self._baselines
            if (found := self._scores.get((name, level)))
        ]


def _chosen(names: Sequence[str] | None) -> list[str]:
    if names is None:
        return list(BASELINES)
    if unknown := [name for name in names if name not in BASELINES]:
        raise UsageError(f"{', '.join(unknown)} is no baseline; there are {', '.join(BASELINES)}")
    return list(names)


class _StoredTruth:
    """The queries of a ground truth, and which images of the collection its names stand for."""

    def __init__(self, stores: Stores, truth: GroundTruth | None) -> None:
        self._stores = stores
        self.truth = labels_of(stores.ledger) if truth is None else truth
        listed_all = [query for listed in self.truth.levels.values() for query in listed]
        wanted = {name for query in listed_all for name in (query.name, *query.positives)}
        images = {image.number: image.id for image in stores.ledger.images.all()}
        own = {} if truth is None else names_of_images(stores.ledger)
        self._id: dict[str, str] = {}
        self._name: dict[str, str] = {}
        for name, number in self._numbers(wanted.union(self.truth.images or (), *(q.junk for q in listed_all))):
            id = images[number]
            if id not in self._name or own.get(id) == name:  # of copies one name counts
                self._id.pop(self._name.get(id, ""), None)
                self._id[name], self._name[id] = id, name
        for id in images.values():
            self._name.setdefault(id, id if own.get(id, id) in self._id else own.get(id, id))
        self.queries: dict[str, dict[str, Query]] = {}
        for level, listed in self.truth.levels.items():
            for query in listed:
                if query.name in self._id:
                    self.queries.setdefault(query.name, {})[level] = query
        self.missing = len(wanted - set(self._id))
        if not self.queries:
            raise UsageError(
                "none of the ground truth's queries is in the collection: `lmr ingest` them first, with --split query "
                "where they are not to be found themselves"
            )

    def _numbers(self, names: Iterable[str]) -> Iterator[tuple[str, int]]:
        """Those of the names that stand for an image, with its number."""
        stored = StoredNames(self._stores.ledger)
        for name in sorted(names):
            try:
                number = stored.listed(name)
            except UsageError as error:
                raise UsageError(f"the ground truth cannot tell photos apart: {error}") from error
            if number is not None:
                yield name, number

    def beyond(self) -> list[str]:
        """Queries whose box ends outside of the photo by more than a hundredth, as in a copy that was made smaller."""
        found = []
        for name, levels in self.queries.items():
            box, image = next(iter(levels.values())).box, self._stores.ledger.images.get(self._id[name])
            if box is not None and image is not None and not image.turn:
                found += [name] * (box[2] > 1.01 * image.width or box[3] > 1.01 * image.height)
        return found

    def start(self, name: str, query: Query) -> SearchQuery:
        """The search for a query: the stored image, or the part of it that the box shows as a photo of its own."""
        id = self._id[name]
        if query.box is None:
            return query_of_stored(self._stores, id)
        image = self._stores.ledger.images.get(id)
        paths = self._stores.ledger.files.paths(image.number) if image else []
        path = next((path for path in paths if os.path.exists(path)), None)
        if path is None:
            raise UsageError(f"{name} is asked for by a box in it, but its file is gone")
        file = Path(os.fsdecode(path))
        data, turn = read(file, self._stores.settings.max_bytes), image.turn if image else 0
        try:
            return query_of_photo(self._stores, file, data, box=query.box, turn=turn)
        except UsageError as error:
            raise UsageError(
                f"{printable(name)}: {error}; boxes of a ground truth are in pixels of the photos as published. "
                "Where these are smaller copies, measure what `lmr export ranking` writes (--ranking), without boxes"
            ) from error

    def spelled(self, ids: Sequence[str]) -> list[str]:
        """Names in the ground truth's spelling."""
        return [self._name[id] for id in ids]

    def names(self, ids: Sequence[str]) -> list[str]:
        """The same of those images that the ground truth lets be listed."""
        named = self.spelled(ids)
        return named if self.truth.images is None else [name for name in named if name in self.truth.images]


def labels_of(ledger: Ledger) -> GroundTruth:
    """The collection's own labels as a ground truth over image ids."""
    images = list(ledger.images.all())
    shown: dict[str, set[str]] = {}
    for image in images:
        if image.split == "index" and image.landmark is not None:
            shown.setdefault(image.landmark, set()).add(image.id)
    queries = [
        Query(image.id, image.landmark, frozenset(shown[image.landmark]))
        for image in sorted(images, key=lambda image: image.id)
        if image.split == "query" and image.landmark in shown
    ]
    if not queries:
        raise UsageError(
            "there is nothing to evaluate: it takes photos of the query split with a landmark that index photos have "
            "(`lmr ingest PHOTOS --labels labels.csv`), or a ground truth (--protocol)"
        )
    return GroundTruth("labels", {"all": queries})
