"""lmr's own extractors, made as entry points make them."""

from __future__ import annotations

from lmr.extractors.given import Given
from lmr.method.features.any_network import AnyNetwork
from lmr.method.features.learned import Learned
from lmr.method.features.neural import GlobalPart, LocalPart
from lmr.method.features.sift import RootSift
from lmr.method.features.vlad import Vlad, Vocabulary
from lmr.method.verification.parameters import Matching, PairGeometry, Verifier

_CLASSIC_SIDE = 640
_LEARNED_SIDE = 640
LEARNED_VERIFIER = Verifier(Matching(ratio=0.95), PairGeometry(evidence=0.3, alike=2.4))  # see docs/figures.md


def root_sift(given: Given) -> RootSift:
    """RootSIFT, which needs no weights."""
    return RootSift(side=_CLASSIC_SIDE, points=3000)


def places(given: Given) -> LocalPart:
    """Local features of DELF or DELG."""
    return LocalPart(given.engine(), given.settings.network_side, given.settings.attention)


def points(given: Given) -> Learned:
    """Local features of ALIKED, DISK, XFeat, DeDoDe or KeyNet."""
    return Learned(
        given.engine(),
        side=_LEARNED_SIDE,
        scales=(1.0, 0.5),
        most=2000,
        verifier=LEARNED_VERIFIER,
    )


def vlad(given: Given) -> Vlad:
    """VLAD of whatever local features there are, and of a dense grid."""
    return Vlad(
        side=_CLASSIC_SIDE,
        sparse=Vocabulary(words=512, books=4),
        dense=Vocabulary(words=256, books=2),
        dense_weight=0.5,
        dimension=64,
        training_photos=1200,
        sample=250_000,
    )


def whole(given: Given) -> GlobalPart:
    """The global descriptor of DIR, GeM, EigenPlaces, DELG or a ResNet."""
    return GlobalPart(given.engine(), given.settings.network_side)


def any_network(given: Given) -> AnyNetwork:
    """The global descriptor of a network in ONNX, of the size that its manifest says."""
    return AnyNetwork(given.weights())
