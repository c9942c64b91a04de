"""Global descriptors: ResNet, generalised-mean pooling, one linear layer, learned whitening.

Two families share the network and differ in everything around it. `dir` is naver/deep-image-retrieval (Revaud et al.,
2019), `cirtorch` is filipradenovic/cnnimageretrieval-pytorch (Radenovic et al., 2019).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torchvision
from PIL import Image
from torch.nn import functional

from lmr.errors import CollectionError
from lmr.values import Array, unit_rows

Family = Literal["dir", "cirtorch"]
_ARCHITECTURES = ("resnet50", "resnet101", "resnet152")
_EPSILON = 1e-6
_STAGES = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """Centre by mean (D,), project by rows of basis (d, D), divide by variance (d,) ** power where there is one.

    epsilon is added to the length that is divided by, as cirtorch does.
    """

    mean: Array
    basis: Array
    variance: Array | None = None
    power: float = 0.5
    epsilon: float = 0.0

    def __call__(self, vectors: Array, dimension: int | None = None) -> Array:
        """(N, D) -> (N, d) of length 1, cut to `dimension` if given."""
        projected = (vectors - self.mean) @ self.basis[:dimension].T
        if self.variance is not None:
            projected = projected / self.variance[:dimension] ** self.power
        if self.epsilon:
            return projected / (np.linalg.norm(projected, axis=-1, keepdims=True) + self.epsilon)
        return unit_rows(projected)


class GemNetwork(torch.nn.Module):
    """(1, 3, H, W) normalised -> (1, D) of length 1."""

    def __init__(self, architecture: str, family: Family, *, linear: bool) -> None:
        super().__init__()
        if architecture not in _ARCHITECTURES:
            raise CollectionError(f"{architecture!r} is none of {', '.join(_ARCHITECTURES)}")
        whole = getattr(torchvision.models, architecture)(weights=None)
        self.family = family
        self.features = torch.nn.Sequential(*(getattr(whole, name) for name in _STAGES))
        self.p = torch.nn.Parameter(torch.ones(1) * 3)
        self.linear = torch.nn.Linear(2048, 2048) if linear else None
        self.eval()

    def load(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Take the weights of a published state_dict, under the names of its family.

        Raises CollectionError where names or shapes are not those of this network.
        """
        try:
            self.load_state_dict({_own_name(name): value for name, value in weights.items()})
        except RuntimeError as error:
            raise CollectionError(f"these weights do not fit the network: {error}") from error

    def pooled(self, images: torch.Tensor) -> torch.Tensor:
        """(1, D) generalised mean of the last map."""
        maps = self.features(images).clamp(min=_EPSILON).pow(self.p)
        return functional.avg_pool2d(maps, maps.shape[-2:]).pow(1.0 / self.p)[:, :, 0, 0]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """See the class."""
        found = self.pooled(images)
        if self.family == "cirtorch":
            found = _unit(found)
        if self.linear is not None:
            found = _unit(self.linear(found)) if self.family == "cirtorch" else self.linear(found)
        return found if self.family == "cirtorch" else functional.normalize(found)


def _unit(rows: torch.Tensor) -> torch.Tensor:
    return rows / (rows.norm(dim=1, keepdim=True) + _EPSILON)


def _own_name(name: str) -> str:
    """A name of a published state_dict -> the one here."""
    name = name.removeprefix("module.")
    head, _, rest = name.partition(".")
    if head in _STAGES:
        return f"features.{_STAGES.index(head)}.{rest}"
    return {"adpool.p": "p", "pool.p": "p"}.get(name) or {"fc": "linear", "whiten": "linear"}.get(
        head, head
    ) + f".{rest}"


@dataclass(frozen=True, slots=True)
class Preparation:
    """How a family feeds a photo to its network: mean and deviation of the channels; scales, pooled by a power mean."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    scales: tuple[float, ...] = (1.0,)
    power: float = 1.0


@torch.inference_mode()
def describe(network: GemNetwork, pixels: Array, how: Preparation) -> Array:
    """pixels (H, W, 3) uint8 -> (D,) float32 of length 1, before whitening."""
    rows = [network(_scaled(network.family, pixels, scale, how))[0].double().numpy() for scale in how.scales]
    if len(rows) == 1:
        return rows[0].astype(np.float32)
    vectors = np.stack(rows)
    if network.family == "dir":
        return unit_rows(_signed_power(_signed_power(vectors, how.power).mean(0), 1 / how.power)).astype(np.float32)
    with np.errstate(invalid="ignore"):  # a power of 1 wherever descriptors have signs
        mean = (vectors**how.power).mean(0) ** (1 / how.power)
    return unit_rows(mean).astype(np.float32)


def limited(pixels: Array, side: float, box: tuple[float, float, float, float] | None = None) -> Array:
    """As cirtorch does it: the part in a box (x1, y1, x2, y2), its longer side at most `side` of the whole photo's.

    Never enlarged; the limit shrinks with the box, so that what is asked for keeps its size.
    """
    image = Image.fromarray(np.asarray(pixels))
    if box is not None:
        whole = max(image.size)
        image = image.crop(tuple(round(value) for value in box))  # type: ignore[arg-type]  # four of them
        side = side * max(image.size) / whole
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image)


def scaled_to(pixels: Array, side: int, *, largest: bool) -> Array:
    """As `dir` does it: the longer (or shorter) side made `side` px, smaller or larger."""
    image = Image.fromarray(np.asarray(pixels))
    width, height = image.size
    if (width >= height) == largest:
        size = side, int(0.5 + side * height / width)
    else:
        size = int(0.5 + side * width / height), side
    return np.asarray(image if size == image.size else image.resize(size, Image.Resampling.BILINEAR))


def _signed_power(values: Array, power: float) -> Array:
    """The original raises what is under 1e-6 to that before the power, also the mean of powers; so must this."""
    if power == 1.0:
        return values
    return np.sign(values) * np.maximum(np.abs(values), _EPSILON) ** power


def _scaled(family: Family, pixels: Array, scale: float, how: Preparation) -> torch.Tensor:
    """`dir` resizes the picture, `cirtorch` the normalised tensor: to sizes that round differently."""
    if family == "dir" and scale != 1.0:
        height, width = pixels.shape[:2]
        size = int(0.5 + scale * width), int(0.5 + scale * height)
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
    tensor = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float() / 255
    tensor = (tensor - _channels(how.mean)) / _channels(how.deviation)
    if family == "cirtorch" and scale != 1.0:
        tensor = functional.interpolate(tensor, scale_factor=scale, mode="bilinear", align_corners=False)
    return tensor


def _channels(values: Sequence[float]) -> torch.Tensor:
    return torch.tensor(values).view(1, -1, 1, 1)
