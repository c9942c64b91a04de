"""Presets: which local features and which global descriptor describe a collection, each chosen on its own.

A preset is a name, or LOCAL+GLOBAL; a part that is a network may name its checkpoint after a colon, as in
`delf:delf_gld_20190411+dir`. To add an extractor, write a class with the methods of the protocol and name it here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lmr.errors import UsageError
from lmr.method.features.sift import RootSift, turned_descriptors, turned_features
from lmr.method.features.vlad import Vlad, Vocabulary
from lmr.method.fingerprints import LOCAL, WHOLE, Fingerprint
from lmr.settings import Settings
from lmr.values import Array, Features, Photo


class Extractor(Protocol):
    """What makes something of a photo's pixels, in two steps."""

    @property
    def name(self) -> str:
        """Kept with what it made, so that that of another extractor is never compared."""
        ...

    @property
    def parameters(self) -> Any:
        """A frozen dataclass of all that the result depends on beside the photos, a version among it."""
        ...

    @property
    def enough(self) -> int:
        """Longer side, px, beyond which more pixels change nothing."""
        ...

    def prepare(self, photo: Photo) -> Any:
        """What can be done in any process: all of it, or what a network is to see."""
        ...


class LocalFeatures(Extractor, Protocol):
    """Finds and describes the points of a photo that verification matches."""

    def finish(self, prepared: Sequence[Any]) -> list[Features]:
        """Local features of each, strongest first; may be empty."""
        ...


class GlobalDescriptor(Extractor, Protocol):
    """Describes a whole photo by one vector, in two steps: what to keep of the photo, and the vector made of it.

    A descriptor that needs no training keeps the finished vector as material.
    """

    @property
    def training_photos(self) -> int:
        """The most index photos to learn from; 0 where nothing is learned."""
        ...

    def finish(self, prepared: Sequence[Any]) -> list[Array]:
        """What has to be kept of each photo beside its local features."""
        ...

    def material_from(self, stored: bytes) -> Array:
        """The material from its bytes."""
        ...

    def train(self, photos: Sequence[tuple[Features, Array]], each: Callable[[Callable, Iterable], list]) -> Any:
        """A model (with to_bytes and trained_on) learned from features and material of index photos."""
        ...

    def model_from(self, stored: bytes) -> Any:
        """The model from its bytes."""
        ...

    def describe(self, features: Features, material: Array, model: Any) -> Array:
        """The vector (D,) float32, of length 1, or zeros where there is nothing to describe."""
        ...

    def outgrown(self, model: Any, index_photos: int) -> bool:
        """Whether the collection has outgrown what was learned."""
        ...


@dataclass(frozen=True, slots=True)
class Preset:
    """Local features and global descriptor of a collection; both: makes both at once, where one network does."""

    name: str
    local: LocalFeatures
    descriptor: GlobalDescriptor
    both: Callable[[Sequence[Any]], list[tuple[Features, Array]]] | None = None
    on_device: bool = False

    @property
    def enough(self) -> int:
        """Longer side, px, to which a photo may be reduced while decoding."""
        return max(self.local.enough, self.descriptor.enough)

    @property
    def fingerprints(self) -> tuple[Fingerprint, Fingerprint]:
        """What made local features and global descriptors, down to the last parameter."""
        return Fingerprint.of(LOCAL, self.local.parameters), Fingerprint.of(WHOLE, self.descriptor.parameters)

    @property
    def mark(self) -> str:
        """Names what describes photos, down to the weights."""
        return f"{self.local.name}+{self.descriptor.name}"

    def prepare(self, photo: Photo) -> Any:
        """What any process can do of describing a photo; see finish."""
        if self.both is not None:
            return self.local.prepare(photo)
        return self.local.prepare(photo), self.descriptor.prepare(photo)

    def finish(self, prepared: Sequence[Any]) -> list[tuple[Features, Array]]:
        """Local features and material of each photo."""
        if self.both is not None:
            return self.both(prepared)
        local = self.local.finish([part for part, _ in prepared])
        return list(zip(local, self.descriptor.finish([part for _, part in prepared]), strict=True))

    @property
    def turns_cheaply(self) -> bool:
        """Whether `turned` tells, without pixels, what a turned photo is described by."""
        return isinstance(self.local, RootSift) and isinstance(self.descriptor, Vlad)

    def turned(self, features: Features, material: Array, turn: int, size: tuple[int, int]) -> tuple[Features, Array]:
        """Features and material of a photo of a size (width, height) px as they about are in the turned one."""
        return turned_features(features, turn, size), turned_descriptors(material, "dense", turn)

    def extract(self, photo: Photo) -> tuple[Features, Array]:
        """Local features and material of one photo."""
        return self.finish([self.prepare(photo)])[0]


PRESETS = {"classic": "rootsift+vlad", "dir-delf": "delf+dir", "gem-delf": "delf+gem", "delg": "delg+delg"}
_CLASSIC_SIDE = 640


def preset(name: str, settings: Settings = Settings()) -> Preset:
    """The preset of that name. Raises UsageError, and CheckpointError where a network's weights are not at hand."""
    local, plus, whole = PRESETS.get(name, name).partition("+")
    if not plus or not local or not whole:
        raise UsageError(f"there is no preset {name!r}; there are: {', '.join(PRESETS)}, or LOCAL+GLOBAL")
    if local == "rootsift":
        points: LocalFeatures = RootSift(side=_CLASSIC_SIDE, points=3000)
    else:
        points = _local_network(local, settings)
    if whole == "vlad":
        return Preset(name, points, _vlad(), None, _on_device(points))
    return _with_global_network(name, points, whole, settings)


def _vlad() -> Vlad:
    return Vlad(
        side=_CLASSIC_SIDE,
        sparse=Vocabulary(words=512, books=4),
        dense=Vocabulary(words=256, books=2),
        dense_weight=0.5,
        dimension=64,
        training_photos=1200,
        sample=250_000,
    )


def _local_network(what: str, settings: Settings) -> LocalFeatures:
    from lmr.method.features.neural import LocalPart

    engine = _engine(what, settings)
    if not engine.kept.about.local:
        raise UsageError(f"{engine.kept.name} describes whole photos, not places: it can only stand after the +")
    return LocalPart(engine, settings.network_side, settings.attention)


def _with_global_network(name: str, points: LocalFeatures, what: str, settings: Settings) -> Preset:
    from lmr.method.features.neural import BothParts, GlobalPart, LocalPart

    engine = _engine(what, settings)
    if not engine.kept.about.whole:
        raise UsageError(f"{engine.kept.name} describes places, not whole photos: it can only stand before the +")
    descriptor = GlobalPart(engine, settings.network_side)
    if isinstance(points, LocalPart) and points.engine == engine:
        return Preset(name, points, descriptor, BothParts(points).finish, not engine.on_cpu)
    return Preset(name, points, descriptor, None, not engine.on_cpu or _on_device(points))


def _on_device(points: LocalFeatures) -> bool:
    engine = getattr(points, "engine", None)
    return engine is not None and not engine.on_cpu


def _engine(what: str, settings: Settings) -> Any:
    """`delf`, `delf:NAME` or a checkpoint's name -> its network."""
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"{what!r} needs PyTorch: install lmr with its extra `deep` (`make setup`), or use the preset classic"
        ) from error
    from lmr.method.features.checkpoints.store import Store
    from lmr.method.features.neural import Engine

    kind, _, name = what.partition(":")
    kept = Store.of(settings).find(name or kind)
    if name and kept.about.kind != kind:
        raise UsageError(f"{name} is a checkpoint of {kept.about.kind}, not of {kind}")
    return Engine(kept, settings.device)
