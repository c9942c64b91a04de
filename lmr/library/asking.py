"""What is asked of a collection: searches, explanations, clusters, what is worth a look, quality. Nothing is stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmr.errors import PhotoError, UsageError
from lmr.library.explanation import Drawn, Explanation
from lmr.library.given import shown
from lmr.library.held import Held
from lmr.library.homes import FilePath
from lmr.library.page import Page, page_of
from lmr.library.result import SearchResult, result_of
from lmr.library.review import Review
from lmr.values import Question, Unused
from lmr.where import Where

if TYPE_CHECKING:
    from lmr.jobs.exchange.clusters import Measured
    from lmr.method.spanning.clusters import Cluster
    from lmr.retrieval.evaluate import Evaluation
    from lmr.retrieval.locate import Located
    from lmr.store.snapshot import Snapshot


class Asking(Held):
    """An open collection, as far as it is asked. Each answer is of one state, whatever is written meanwhile."""

    def search(
        self,
        photo: Any,
        *,
        top: int | None = 20,
        max_depth: int | None = None,
        min_weight: float = 0.0,
        verified_only: bool = False,
        query_images: bool = False,
        near: tuple[float, float] | None = None,
        within: float = 1000.0,
        taken_from: str | None = None,
        taken_to: str | None = None,
        label: str | None = None,
        where: Where | None = None,
        rounds: int = 3,
        seconds: float | None = None,
        box: tuple[float, float, float, float] | None = None,
    ) -> SearchResult:
        """All images of the place in a photo, verified ones first in the order in which they join. Nothing is stored.

        photo: or a list of several that show one place: they are searched with together. Ways begin at whichever is
        nearest, what none reaches follows by the best likeness to any, and no stored one of them is a result. top:
        None: all. max_depth: hops in the forest; min_weight: of matches that ways pass over. verified_only: leave out
        what is only similar. query_images: list photos of the query split too. near (latitude, longitude in degrees),
        within (metres), taken_from and taken_to ("1990", "1990-07-14") and label choose what is listed; where: the same
        as one value. rounds and seconds limit what a photo outside the forest is compared with. box: search with this
        part alone, left, top, right and bottom in px of the upright photo. Raises PhotoError, UsageError.

        >>> result = c.search("one.jpg", top=5)
        >>> result.hits[0].reached, result.hits[0].image.landmark
        ('verified', 'town-hall')
        >>> c.search(["one.jpg", c.image("photos/bank-2.jpg").id], verified_only=True).hits[0].hops
        1
        """
        from lmr.retrieval.search import search
        from lmr.retrieval.values import SearchBudget

        chosen = where or Where.checked(near, within, taken_from, taken_to, label)
        found = search(
            self._stores,
            self._questions(photo, box),
            top=top,
            max_depth=max_depth,
            min_weight=min_weight,
            verified_only=verified_only,
            query_images=query_images,
            budget=SearchBudget(rounds, seconds),
            where=chosen,
        )
        return result_of(self._stores, found, chosen)

    def _questions(self, photo: Any, box: tuple[float, float, float, float] | None) -> list[Question | str]:
        """A photo, each of several, or a part of one as a photo of its own."""
        from lmr.library.given import encoded
        from lmr.retrieval.part import part_of

        asked = list(photo) if isinstance(photo, list | tuple) else [photo]
        if not asked:
            raise UsageError("there is no photo to search with")
        if box is None:
            return [self._question(one) for one in asked]
        if len(asked) > 1:
            raise UsageError("a box is a part of one photo: search with that alone")
        return [self._question(encoded(part_of(self._stores, self._question(asked[0]), box)))]

    def searches(
        self, photos: Iterable[Any], *, strict: bool = False, **options: Any
    ) -> Iterator[SearchResult | Unused]:
        """One search after the other, with the options of `search`, each when it is asked for.

        A photo that cannot be used gives the reason instead; strict: raise that, a PhotoError or UsageError.

        >>> [len(one) for one in c.searches(["one.jpg", "photos/side.jpg"], top=3)]
        [3, 3]
        """
        for photo in photos:
            try:
                found = self.search(photo, **options)
            except (PhotoError, UsageError) as error:
                unused = Unused(shown(photo), str(error))
                if strict:
                    raise type(error)(unused.text) from error
                yield unused
            else:
                yield found

    def snapshot(self) -> Snapshot:
        """The state that searches have now, for many of them that belong together; it waits while one is written.

        At the end of the block OutdatedError is raised where another command has changed the collection meanwhile;
        `outdated` tells at any time.

        >>> with c.snapshot() as state:
        ...     both = [c.search(photo) for photo in ("one.jpg", "photos/side.jpg")]
        >>> state.outdated
        False
        """
        from lmr.store.snapshot import snapshot

        return snapshot(self._stores)

    def explain(self, a: Any, b: Any, *, box: tuple[float, float, float, float] | None = None) -> Explanation:
        """Why a photo and a stored one belong together: the strongest way of verified matches between them.

        a: or a list of several, of which the way begins at one. box: of the first only this part, as in `search`.
        Raises UsageError where the second is not stored, PhotoError.

        >>> found = c.explain("one.jpg", "photos/side.jpg")
        >>> found.joined, len(found.path) == len(found.names) - 1
        (True, True)
        """
        from lmr.retrieval.paths import explain

        way = explain(self._stores, self._questions(a, box), self._question(b))
        hops = None if way.hops is None else tuple(way.hops)
        return Explanation(hops, Drawn(self._stores, way.start), way.begins)

    def locate(self, *photos: Any) -> list[Located]:
        """Suggest where photos were taken, from those they match that have a position; the surest first.

        Without photos: all stored ones without a position that lead to one. Positions are latitude and longitude in
        degrees, spreads metres, confidences 0-1; None where nothing can be suggested. Nothing is written. Raises
        PhotoError, UsageError.

        >>> c.locate("one.jpg")[0].place is None  # none of these photos has a position
        True
        """
        from lmr.retrieval.locate import locate

        return locate(self._stores, [self._question(photo) for photo in photos])

    @property
    def unlocated(self) -> int:
        """How many images have no position.

        >>> c.unlocated == len(c)
        True
        """
        return len(self) - len(self._stores.ledger.images.positions())

    def clusters(self, limit: int = 50) -> list[Cluster]:
        """The clusters that `cluster` wrote, greatest first: size, most central image, shares of labels.

        >>> change = c.cluster("components", min_weight=25)
        >>> c.clusters()[0].landmarks
        {'town-hall': 1.0}
        """
        from lmr.method.spanning.clusters import list_clusters
        from lmr.store.snapshot import undisturbed

        return undisturbed(self._stores, lambda: list_clusters(self._stores.graph, limit))

    def measure_clusters(self) -> list[Measured]:
        """Ways to cut the graph into clusters, each with its agreement with the labels, fractions 0-1.

        Raises UsageError where there are no labels or no matches.

        >>> max(one.agreement.bcubed_f for one in c.measure_clusters())
        1.0
        """
        from lmr.jobs.exchange.clusters import measure_clusters

        return measure_clusters(self._stores)

    def review(self, limit: int = 20) -> Review:
        """What is worth a look, the most doubtful first: matches that alone hold two groups together, turned photos.

        >>> for match in c.review(limit=3):
        ...     assert match.inliers > 0
        """
        from lmr.jobs.link.turned import turned_images
        from lmr.retrieval.review import worth_a_look

        return Review(tuple(worth_a_look(self._stores, limit)), tuple(turned_images(self._stores)[:limit]))

    def evaluate(
        self,
        protocol: str | None = None,
        ground_truth: FilePath | None = None,
        *,
        baselines: Sequence[str] | None = None,
    ) -> Evaluation:
        """Quality of the rankings, from the bare descriptor over known baselines to the whole method: fractions 0-1.

        Without a protocol by the collection's own labels: queries are labelled images of the query split. protocol:
        "roxford5k", "rparis6k", "gld-retrieval", "labels", "folders" or "holidays", with its ground truth, a file or
        folder. baselines: only these. Raises UsageError where there are no queries.

        >>> c.evaluate(baselines=["idqe+mmst"]).baselines[0].p_at_1
        1.0
        """
        from lmr.method.evaluation.protocols import ground_truth as read
        from lmr.retrieval.evaluate import evaluate

        if (protocol is None) != (ground_truth is None):
            raise UsageError("a protocol and its ground truth go together")
        truth = None if protocol is None or ground_truth is None else read(protocol, Path(ground_truth))
        return evaluate(self._stores, truth, baselines)

    def recognise(self) -> dict[str, tuple[str, float] | None]:
        """Landmark and confidence for each photo of the query split, by its name; None where nothing labelled is found.

        The confidence orders queries; it is no probability. Raises UsageError where there are no queries.

        >>> c.recognise()["query"][0]
        'town-hall'
        """
        from lmr.retrieval.recognition import predictions

        return dict(predictions(self._stores))

    def page(self, shown: SearchResult | Iterable[SearchResult | Unused] | Evaluation | Review) -> Page:
        """A page with the pictures of searches, of an evaluation or of a review; nothing is written yet.

        >>> c.page(c.searches(["one.jpg", "photos/side.jpg"], top=3)).save("results.html").name
        'results.html'
        >>> "Matches worth a look" in c.page(c.review()).html()
        True
        """
        return page_of(self._stores, shown)

    def cypher(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        """Rows of a named query for analysts, in read mode; `lmr.queries` lists them. Raises UsageError.

        >>> c.cypher("strongest-bridges", limit=2)[0]["inliers"] > 0
        True
        """
        from lmr.retrieval.analysis import run_named

        return run_named(self._stores.graph, name.removeprefix("analyst/"), parameters)
