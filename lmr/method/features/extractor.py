"""What an extractor is: something found by name that makes local features, or a global descriptor, of photos."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from lmr.method.verification.parameters import Verifier
from lmr.values import Array, Features, Photo


class Extractor(Protocol):
    """What makes something of a photo's pixels, in two steps."""

    @property
    def name(self) -> str:
        """Kept with what it made, which is compared with nothing else; it tells weights from other weights."""
        ...

    @property
    def parameters(self) -> Any:
        """A frozen dataclass of all that the result depends on beside the photos, a version among it."""
        ...

    @property
    def max_side(self) -> int:
        """Longer side, px, beyond which more pixels change nothing."""
        ...

    @property
    def on_device(self) -> bool:
        """Whether `extract` runs on a GPU: then in the main process, on many photos at once."""
        ...

    def prepare(self, photo: Photo) -> Any:
        """What can be done in any process: all of it, or what a network is to see."""
        ...


class LocalFeatures(Extractor, Protocol):
    """Finds and describes the points of a photo that verification matches."""

    @property
    def verifier(self) -> Verifier:
        """How its features are matched and judged: ratio, tolerance, maps that are allowed."""
        ...

    def extract(self, batch: Sequence[Any]) -> list[Features]:
        """Local features of each prepared photo, strongest first; may be empty."""
        ...


class GlobalDescriptor(Extractor, Protocol):
    """Describes a whole photo by one vector, in two steps: what to keep of the photo, and the vector made of it.

    A descriptor that needs no training keeps the finished vector as its raw one.
    """

    @property
    def training_photos(self) -> int:
        """The most index photos to learn from; 0 where nothing is learned."""
        ...

    def extract(self, batch: Sequence[Any]) -> list[Array]:
        """What has to be kept of each prepared photo beside its local features."""
        ...

    def raw_global_from(self, stored: bytes) -> Array:
        """The raw global descriptor from its bytes."""
        ...

    def train(self, photos: Sequence[tuple[Features, Array]], each: Callable[[Callable, Iterable], list]) -> Any:
        """A model (with to_bytes and trained_on) learned from features and raw global descriptor of index photos."""
        ...

    def model_from(self, stored: bytes) -> Any:
        """The model from its bytes."""
        ...

    def describe(self, features: Features, raw_global: Array, model: Any) -> Array:
        """The vector (D,) float32, of length 1, or zeros where there is nothing to describe."""
        ...

    def outgrown(self, model: Any, index_photos: int) -> bool:
        """Whether the collection has outgrown what was learned."""
        ...
