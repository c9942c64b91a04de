"""What is asked of a remote collection; see library.asking."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lmr.errors import UsageError
from lmr.library.explanation import Explanation
from lmr.library.reading import value_of
from lmr.library.remote.following import done
from lmr.library.remote.held import Box, RemoteHeld, params_of
from lmr.library.remote.question import RemoteQuestion
from lmr.library.result import SearchResult
from lmr.library.review import Review
from lmr.where import Where

if TYPE_CHECKING:
    from lmr.method.spanning.clusters import Cluster
    from lmr.retrieval.evaluate import Evaluation

_ALL = 100_000  # results, which servers give at most
_NAME = re.compile(r"[\w-]{1,80}", re.ASCII)


class RemoteAsking(RemoteHeld):
    """A remote collection, as far as it is asked."""

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
        box: Box | None = None,
    ) -> SearchResult:
        """See `Collection.search`; with top=None the first 100,000 results, and at most 12 photos of one place.

        A file is one of this machine: the stored image that it shows is a result, as that of any copy is.
        `path(hit)` asks the server, and raises OutdatedError where the way there is not that of this result any more.
        Pages are drawn where the collection is: `html` and `save` raise UsageError.
        """
        asked = {
            "top": _ALL if top is None else top,
            "max_depth": max_depth,
            "min_weight": min_weight,
            "verified_only": verified_only,
            "query_images": query_images,
            "rounds": rounds,
            "seconds": seconds,
        }
        chosen = where or Where.checked(near, within, taken_from, taken_to, label)
        params = params_of(asked) | ({} if chosen is None else _where(chosen))
        return self._of(photo, box).search(params)

    def explain(self, a: Any, b: Any, *, box: Box | None = None) -> Explanation:
        """See `Collection.explain`; figures are drawn where the collection is, see `match_picture`."""
        return self._of(a, box).explain(self._stored(b))

    def _of(self, photo: Any, box: Box | None) -> RemoteQuestion:
        """A photo, several of one place, or a part of one."""
        photos = photo if isinstance(photo, list | tuple) else [photo]
        return RemoteQuestion(self._wire, [self._question(one) for one in photos], box)

    def clusters(self, limit: int = 50) -> list[Cluster]:
        """See `Collection.clusters`."""
        from lmr.method.spanning.clusters import Cluster

        return self._read_as(list[Cluster], self._wire.values("GET", "/clusters", {"limit": str(limit)}))

    def review(self, limit: int = 20) -> Review:
        """See `Collection.review`."""
        rows = self._wire.values("GET", "/review", {"limit": str(limit)})
        return self._wire.read(lambda: Review.from_dict(rows))

    def cypher(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        """See `Collection.cypher`; parameters are numbers and texts."""
        if wrong := [key for key, value in parameters.items() if type(value) not in (str, int, float)]:
            raise UsageError(f"{wrong[0]} is {type(parameters[wrong[0]]).__name__}; over HTTP it is a number or a text")
        name = name.removeprefix("analyst/")
        if not _NAME.fullmatch(name):
            raise UsageError(f"there is no query {name[:80]!r}")
        asked = {key: str(value) for key, value in parameters.items()}
        return self._read_as(list[dict[str, Any]], self._wire.values("GET", f"/queries/{name}", asked))

    def evaluate(self) -> Evaluation:
        """See `Collection.evaluate`, by the labels and without rows of single queries; kept on the server's page."""
        from lmr.retrieval.evaluate import Evaluation

        def read(told: Any) -> Any:
            return value_of(Evaluation, {**value_of(dict[str, Any], told), "rows": []})

        return done(self._wire, self._progress, "/jobs", {"kind": "evaluate"}, read)


def _where(chosen: Where) -> dict[str, str]:
    """A filter as an address has it: times are whole already, metres and degrees exact."""
    if chosen.landmark is not None and chosen.landmark.strip() != (chosen.landmark or None):
        raise UsageError("a label that is empty, or begins or ends with a space, cannot be asked for over HTTP")
    near = None if chosen.near is None else tuple(map(float, chosen.near))
    within = None if near is None else f"{Decimal(str(chosen.within)):f}m"
    return params_of(
        {"near": near, "within": within, "from": chosen.first, "to": chosen.last, "label": chosen.landmark}
    )
