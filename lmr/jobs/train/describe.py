"""Learn what the global descriptor needs, and describe images from their stored features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from typing import Any

from lmr.execution import results
from lmr.method.features.extractor import GlobalDescriptor
from lmr.method.features.pack import unpack
from lmr.method.verification.weights import counted, similarity, weight
from lmr.store.ledger import Ledger
from lmr.store.made import MODEL
from lmr.store.replica import bring_up
from lmr.store.reviewing import review
from lmr.store.stores import Stores
from lmr.values import Array, batches

Stored = tuple[bytes, bytes]  # of a photo: packed local features, and its raw global descriptor
_CHUNK = 16


def train(stores: Stores) -> int:
    """Learn again from the present index photos and describe everything anew; returns how many were learned from.

    Local features, and so all verified pairs, stay as they are; the weights of edges follow the new descriptors.
    """
    with stores.writing():
        _learn(stores)
        describe_new(stores)
        reweigh(stores)
        with stores.ledger.transaction():
            review(stores)
        bring_up(stores)
    return 0 if stores.model is None else int(stores.model.trained_on)


def describe_new(stores: Stores) -> int:
    """Give every image that lacks one its global descriptor, learning the vocabulary first if there is none.

    Without index photos nothing can be learned, and nothing is described yet.
    """
    ledger = stores.ledger
    missing = ledger.descriptors.missing()
    if not missing:
        return 0
    if not stores.can_describe:
        if not ledger.count("index_photos"):
            return 0
        _learn(stores)
    if ledger.count("descriptors") and ledger.pairs.joined(missing):  # others have moved towards these, once they are
        with ledger.transaction():
            _learned_otherwise(stores)

    learned = stores.preset.descriptor, stores.model
    described = results(stores.executor, describe, batches(missing, _CHUNK), partial(stored, ledger), shared=learned)
    with stores.progress.task("Descriptors", len(missing), "photos") as advance:
        for batch in batches(described, 4):
            with ledger.transaction():
                for chunk, vectors in batch:
                    ledger.descriptors.put(zip(chunk, vectors, strict=True))
                stores.changed()
            advance(sum(len(chunk) for chunk, _ in batch))
    return len(missing)


def stored(ledger: Ledger, numbers: Sequence[int]) -> list[Stored]:
    """What lies there of some photos."""
    return list(zip(ledger.features.locals(numbers), ledger.features.raw_globals(numbers), strict=True))


def _learn(stores: Stores) -> None:
    ledger, descriptor = stores.ledger, stores.preset.descriptor
    if not descriptor.training_photos:
        return
    # ids are hashes, so their first ones are a random sample that does not depend on the order of arrival
    index = sorted((image.id, image.number) for image in ledger.images.all() if image.split == "index")
    known = (number for _, number in index if ledger.features.has(number))
    photos = []
    for some in batches(islice(known, descriptor.training_photos), _CHUNK):
        for local, rest in stored(ledger, some):
            photos.append((unpack(local), descriptor.raw_global_from(rest)))

    def each(function: Callable, jobs: Iterable) -> list:
        return [result for _, result in results(stores.executor, function, jobs)]

    with stores.progress.task("Vocabulary", 1, f"from {len(photos)} photos") as advance:
        model = descriptor.train(photos, each)
        advance(1)
    with ledger.transaction():
        ledger.descriptors.set_model(MODEL, model.to_bytes())
        ledger.descriptors.clear()
        _learned_otherwise(stores)
        stores.changed()


def _learned_otherwise(stores: Stores) -> None:
    """Note that any descriptor may be another now."""
    stores.ledger.marks.learned_anew()


def reweigh(stores: Stores) -> None:
    """Give every edge the weight that its similarity has now; the graph is then written from the beginning."""
    ledger, settings = stores.ledger, stores.settings
    rows = ledger.pairs.to_reweigh()
    if not rows:
        return
    ids = {image.number: image.id for image in ledger.images.all()}
    vectors = dict(ledger.descriptors.all())
    with ledger.transaction():
        for seq, a, b, inliers, confirmed in rows:
            similar = similarity(vectors[a], vectors[b])
            inliers = counted(inliers, bool(confirmed))
            value = weight(ids[a], ids[b], inliers, similar, similarity_weight=settings.similarity_weight)
            ledger.pairs.set_weight((seq, a, b), similar, value)
        ledger.marks.weighed_anew()


def describe(photos: Sequence[Stored], learned: tuple[GlobalDescriptor, Any]) -> list[Array]:
    """The vector of each photo; learned: the descriptor with its model (None where nothing is learned)."""
    descriptor, model = learned
    return [descriptor.describe(unpack(local), descriptor.raw_global_from(rest), model) for local, rest in photos]
