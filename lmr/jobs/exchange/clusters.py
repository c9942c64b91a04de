"""Clusters of a collection, and how well ways to cut its graph agree with its labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from lmr.errors import UsageError
from lmr.method.evaluation.partition import Agreement, agreement
from lmr.method.spanning.clusters import (
    MIN_WEIGHTS,
    ClusterChange,
    Cut,
    Method,
    projected,
    propose_min_weight,
    write_clusters,
)
from lmr.store.replica import bring_up
from lmr.store.snapshot import snapshot
from lmr.store.stores import Stores


@dataclass(frozen=True, slots=True)
class Measured:
    """One cut and how it agrees with the labels; proposed: the minimum weight that the data themselves suggest."""

    cut: Cut
    proposed: bool
    agreement: Agreement


@dataclass(frozen=True, slots=True)
class Clustered(ClusterChange):
    """What a clustering changed, its method, and the minimum weight of a match that joins two images."""

    method: Method
    min_weight: float


def cluster(stores: Stores, method: Method, min_weight: float | None) -> Clustered:
    """Write clusters of all that the ledger holds; see `write_clusters`."""
    with stores.writing():
        bring_up(stores)
        change, least = write_clusters(
            stores.graph, method=method, min_weight=min_weight, bridge_queries=stores.bridge_queries
        )
        return Clustered(**asdict(change), method=method, min_weight=least)


def measure_clusters(stores: Stores) -> list[Measured]:
    """Every minimum weight, and Leiden. Only labelled index images count, one in no cluster being one of its own.

    Raises UsageError where there are no labels.
    """
    snapshot(stores)  # waits until the forest is whole
    labelled = [image for image in stores.ledger.images.all() if image.landmark is not None and image.split == "index"]
    if not labelled:
        raise UsageError("there are no labels to measure clusters by: `lmr ingest PHOTOS --labels labels.csv`")
    found: list[tuple[Cut, Agreement]] = []
    with projected(stores.graph, bridge_queries=stores.bridge_queries) as projection:
        if not projection.nodes:
            raise UsageError("there are no accepted matches yet: `lmr link` finds them")
        cuts = [projection.cut("components", least) for least in MIN_WEIGHTS] + [projection.cut("leiden", 0.0)]
        for cut, property in cuts:
            parts = projection.parts(property)
            clusters = [parts.get(image.id, image.id) for image in labelled]
            found.append((cut, agreement(clusters, [image.landmark for image in labelled])))
    proposed = propose_min_weight([cut for cut, _ in found])
    return [Measured(cut, cut.method == "components" and cut.min_weight == proposed, score) for cut, score in found]
