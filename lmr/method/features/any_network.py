"""Any network in ONNX as global descriptor: it sees photos as its recipe says, on the CPU, where they are decoded."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from lmr.method.features.networks.about import Weights
from lmr.method.features.networks.onnx_network import OnnxNetwork, runtime
from lmr.method.features.networks.recipe import Recipe
from lmr.method.features.vectors import LEARNED, MOST_LEARNED_FROM, PHOTOS_A_DIMENSION, Vectors
from lmr.values import Array, Photo

MODEL = "model"  # the array of bytes that is the file


@dataclass(frozen=True, slots=True)
class AnyParameters:
    """All that the descriptor depends on beside the photo; weights: kind and digest."""

    weights: str
    recipe: Recipe
    runtime: str
    version: int = 1
    learned: int = LEARNED
    photos_a_dimension: int = PHOTOS_A_DIMENSION
    most_learned_from: int = MOST_LEARNED_FROM


class AnyNetwork(Vectors):
    """The global descriptor of a network in ONNX. Raises UsageError where its runtime is not installed.

    Photos go through it one by one, so that no vector depends on what else there is.
    """

    on_device = False

    def __init__(self, kept: Weights) -> None:
        assert kept.about.recipe is not None
        self._kept, self._recipe, self._runtime = kept, kept.about.recipe, runtime()
        self.name, self.max_side = kept.mark, self._recipe.max_side
        self.learns = self._recipe.whiten

    @property
    def parameters(self) -> AnyParameters:
        """What the descriptor depends on."""
        return AnyParameters(self.name, self._recipe, self._runtime)

    def prepare(self, photo: Photo) -> Array:
        """What the network is to see of a photo, (h, w, 3) uint8."""
        return self.seen(photo.pixels)

    def seen(self, pixels: Array) -> Array:
        """The same of its pixels (H, W, 3)."""
        return self._recipe.picture(pixels)

    def extract(self, batch: Sequence[Array]) -> list[Array]:
        """The vector (D,) of each, of length 1, before whitening."""
        network = _network(self._kept, self._recipe)
        return [network(picture) for picture in batch]


@functools.lru_cache(2)
def _network(kept: Weights, recipe: Recipe) -> OnnxNetwork:
    return OnnxNetwork(recipe, kept.arrays()[MODEL].tobytes())
