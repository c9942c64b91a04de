"""How a network that lmr knows nothing of is fed with a photo, and how its vector is read from what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image

from lmr.errors import CheckpointError
from lmr.values import Array, unit_rows

Resize = Literal["square", "crop", "short", "long"]
Interpolation = Literal["bilinear", "bicubic", "lanczos"]
Colours = Literal["rgb", "bgr"]
Layout = Literal["nchw", "nhwc"]
Pool = Literal["none", "first", "mean", "gem"]
CHOICES = {
    "resize": get_args(Resize),
    "interpolation": get_args(Interpolation),
    "colours": get_args(Colours),
    "layout": get_args(Layout),
    "pool": get_args(Pool),
}
_LONGEST = 4  # times the shorter side: a longer strip is squeezed, or its pixels would have no end
_POWER, _EPSILON = 3.0, 1e-6  # of generalised-mean pooling
_ENOUGH = 2  # times the side: more pixels than these change nothing, whatever a usual photo's shape


@dataclass(frozen=True, slots=True)
class Recipe:
    """Says what a network sees of a photo, and which of its outputs is made the vector; see docs/networks.md.

    resize: `square` makes the photo height x width px, whatever its shape; `crop` does so to the largest part of that
    shape in its middle, or to `part` of it; `short`, `long` make the shorter, the longer side `height` px and keep the
    shape, each side a multiple of `multiple` px. Values reach from 0 to `white`; then `mean` is taken off and `std`
    divides, of each channel in the network's order. pool: what is made of a row for each token, or of a map. whiten:
    whether the collection learns whitening. input, half: as the network has them.
    """

    resize: Resize
    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    input: str
    output: str
    part: float = 1.0
    multiple: int = 1
    interpolation: Interpolation = "bilinear"
    white: float = 1.0
    colours: Colours = "rgb"
    layout: Layout = "nchw"
    half: bool = False
    pool: Pool = "none"
    whiten: bool = False

    def to_json(self) -> dict[str, Any]:
        """For the manifest that is kept; see from_json."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Recipe:
        """Raises TypeError and KeyError where values are missing or unknown."""
        return cls(**{**values, "mean": tuple(values["mean"]), "std": tuple(values["std"])})

    @property
    def max_side(self) -> int:
        """Longer side, px, beyond which more pixels of a photo change nothing that matters."""
        if self.resize == "long":
            return self.height
        if self.resize == "short":
            return _LONGEST * self.height
        return round(_ENOUGH * max(self.height, self.width) / self.part)

    def picture(self, pixels: Array) -> Array:
        """(H, W, 3) uint8 RGB of a photo -> (h, w, 3) uint8 RGB, what the network is to see of it."""
        image = Image.fromarray(np.asarray(pixels))
        height, width = self._size(*pixels.shape[:2])
        way = Image.Resampling[self.interpolation.upper()]
        return np.asarray(image.resize((width, height), way, box=self._box(*pixels.shape[:2])))

    def tensor(self, picture: Array) -> Array:
        """(h, w, 3) uint8 RGB -> (1, 3, h, w) or (1, h, w, 3), float32 or float16."""
        ordered = picture[..., ::-1] if self.colours == "bgr" else picture
        values: Array = ordered.astype(np.float32) * np.float32(self.white / 255)
        values = (values - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        values = values if self.layout == "nhwc" else values.transpose(2, 0, 1)
        return np.ascontiguousarray(values[None], np.float16 if self.half else np.float32)

    def vector(self, found: Array) -> Array:
        """The network's output for one picture -> (D,) float32 of length 1. Raises CheckpointError."""
        if found.ndim < 2 or found.shape[0] != 1 or found.size == 0:
            raise CheckpointError(f"its output {self.output!r} has shape {found.shape}, not one row for one picture")
        vector = self._pooled(found[0].astype(np.float32))
        if not np.isfinite(vector).all():
            raise CheckpointError(f"its output {self.output!r} holds numbers that are not finite")
        return unit_rows(vector).astype(np.float32)

    def _pooled(self, found: Array) -> Array:
        """(D,), (tokens, D), (D, h, w) or (h, w, D) -> (D,)."""
        shape = found.shape
        if self.pool == "none":
            if found.size != max(shape):
                raise CheckpointError(
                    f"its output {self.output!r} has {shape} numbers, no vector: the manifest has to "
                    "say `pool`: first or mean (of tokens), mean or gem (of a map)"
                )
            return found.reshape(-1)
        if found.ndim not in (2, 3) or (found.ndim == 3 and self.pool == "first"):
            raise CheckpointError(f"its output {self.output!r} has {shape} numbers, of which there is no {self.pool}")
        if found.ndim == 3:
            found = found.reshape(-1, shape[2]) if self.layout == "nhwc" else found.reshape(shape[0], -1).T
        if self.pool == "first":
            return found[0]
        if self.pool == "mean":
            return found.mean(0)
        return (np.maximum(found, _EPSILON) ** _POWER).mean(0) ** (1 / _POWER)

    def _size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width, px, of what the network sees of a photo of that size."""
        if self.resize in ("square", "crop"):
            return self.height, self.width
        factor = self.height / (min if self.resize == "short" else max)(height, width)
        most = _LONGEST * self.height
        sides = (min(max(round(side * factor / self.multiple), 1) * self.multiple, most) for side in (height, width))
        return next(sides), next(sides)

    def _box(self, height: int, width: int) -> tuple[float, float, float, float]:
        """The part of a photo that is seen: left, top, right, bottom."""
        if self.resize != "crop":
            return 0, 0, width, height
        factor = self.part * min(height / self.height, width / self.width)
        left, top = (width - factor * self.width) / 2, (height - factor * self.height) / 2
        return left, top, width - left, height - top
