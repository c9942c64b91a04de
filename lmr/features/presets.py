"""Presets: which local features and which global descriptor describe a collection, each chosen on its own.

To add an extractor, write a class with the methods of the protocol and name it in a preset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lmr.errors import UsageError
from lmr.features.sift import RootSift
from lmr.features.vlad import Vlad, Vocabulary
from lmr.values import Array, Features, Photo


class LocalFeatures(Protocol):
    """Finds and describes the points of a photo that verification matches."""

    @property
    def name(self) -> str:
        """Kept with the features, so that those of another extractor are never compared."""
        ...

    @property
    def enough(self) -> int:
        """Longer side, px, beyond which more pixels change nothing."""
        ...

    def extract(self, photo: Photo) -> Features:
        """Local features, strongest first; may be empty."""
        ...


class GlobalDescriptor(Protocol):
    """Describes a whole photo by one vector, in two steps: what to keep of the photo, and the vector made of it.

    A descriptor that needs no training keeps the finished vector as material.
    """

    @property
    def name(self) -> str:
        """Kept with the collection."""
        ...

    @property
    def enough(self) -> int:
        """Longer side, px, beyond which more pixels change nothing."""
        ...

    @property
    def training_photos(self) -> int:
        """The most index photos to learn from; 0 where nothing is learned."""
        ...

    def material(self, photo: Photo) -> Array:
        """What has to be kept of a photo beside its local features."""
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
    """Local features and global descriptor of a collection."""

    name: str
    local: LocalFeatures
    descriptor: GlobalDescriptor

    @property
    def enough(self) -> int:
        """Longer side, px, to which a photo may be reduced while decoding."""
        return max(self.local.enough, self.descriptor.enough)


_CLASSIC_SIDE = 640

PRESETS: dict[str, Callable[[], Preset]] = {
    "classic": lambda: Preset(
        "classic",
        RootSift(side=_CLASSIC_SIDE, points=3000),
        Vlad(
            side=_CLASSIC_SIDE,
            sparse=Vocabulary(words=512, books=4),
            dense=Vocabulary(words=256, books=2),
            dense_weight=0.5,
            dimension=64,
            training_photos=1200,
            sample=250_000,
        ),
    ),
}


def preset(name: str) -> Preset:
    """The preset of that name. Raises UsageError."""
    if name not in PRESETS:
        raise UsageError(f"there is no preset {name!r}; there are: {', '.join(PRESETS)}")
    return PRESETS[name]()
