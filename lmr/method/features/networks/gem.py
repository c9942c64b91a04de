"""Global descriptors: ResNet, generalised-mean pooling, one linear layer, learned whitening.

Three families share the network and differ in everything around it. `dir` is naver/deep-image-retrieval (Revaud et al.,
2019), `cirtorch` is filipradenovic/cnnimageretrieval-pytorch (Radenovic et al., 2019), `eigenplaces` is
gmberton/EigenPlaces and CosPlace (Berton et al., 2023 and 2022), which bring each place of the last map to length 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from lmr.errors import CheckpointError
from lmr.method.features.networks.layers import Convolution, Network, Norm, Weights, batch
from lmr.method.features.whitening import Whitening
from lmr.values import Array, unit_rows

Family = Literal["dir", "cirtorch", "eigenplaces"]
_UNITS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3), "resnet152": (3, 8, 36, 3)}
_NORM_EPSILON, _EPSILON = 1e-5, 1e-6
_NUMBERED = {"conv1": 0, "bn1": 1, **{f"layer{k}": k + 3 for k in range(1, 5)}}  # torchvision's layers in a list
_LISTS = {"cirtorch": "features", "eigenplaces": "backbone"}
_HEADS = {  # power of the mean, linear layer
    "dir": ("adpool.p", "fc"),
    "cirtorch": ("pool.p", "whiten"),
    "eigenplaces": ("aggregation.1.p", "aggregation.3"),
}

__all__ = ["Family", "GemNetwork", "Preparation", "Whitening", "describe", "limited", "scaled_to"]


class GemNetwork(Network):
    """A ResNet as torchvision has it, with GeM and perhaps a linear layer, from the weights of a published state_dict.

    arrays: under the names of their family. Raises CheckpointError where names or shapes are not this network's.
    """

    def __init__(self, architecture: str, family: Family, arrays: Mapping[str, Array], *, exact: bool = False) -> None:
        super().__init__(exact=exact)
        if architecture not in _UNITS:
            raise CheckpointError(f"{architecture!r} is none of {', '.join(_UNITS)}")
        self.family = family
        self._weights = Weights(arrays)
        try:
            self._stem = self._folded("conv1", "bn1", stride=2, padding=3)
            self._units = [
                self._unit(f"layer{layer}.{unit}", 2 if layer > 1 and unit == 0 else 1)
                for layer, units in enumerate(_UNITS[architecture], 1)
                for unit in range(units)
            ]
            power, linear = _HEADS[family]
            self._tensors["p"] = self._weights[power] if power in self._weights else torch.full((1,), 3.0)
            self.linear = f"{linear}.weight" in self._weights
            if self.linear:
                self._tensors |= {part: self._weights[f"{linear}.{part}"] for part in ("weight", "bias")}
            with torch.inference_mode():
                self(torch.zeros(1, 3, 33, 33))
        except RuntimeError as error:
            raise CheckpointError(f"these weights do not fit {architecture}: {str(error)[:200]}") from error

    def _folded(self, convolution: str, norm: str, stride: int = 1, padding: int = 0) -> Convolution:
        convolution, norm = self._published(convolution), self._published(norm)
        mean, variance, gamma, beta = (
            self._weights[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        folded = Norm(mean, variance, gamma, beta, _NORM_EPSILON)
        return self.convolution(self._weights[f"{convolution}.weight"], None, folded, stride, padding)

    def _published(self, name: str) -> str:
        head, _, rest = name.partition(".")
        if self.family not in _LISTS:
            return name
        return ".".join(filter(None, (_LISTS[self.family], str(_NUMBERED[head]), rest)))

    def _unit(self, name: str, stride: int) -> tuple[Convolution, Convolution, Convolution, Convolution | None]:
        """A bottleneck whose stride is in its 3x3 convolution; the last is the shortcut, where there is one."""
        shortcut = None
        if f"{self._published(name)}.downsample.0.weight" in self._weights:
            shortcut = self._folded(f"{name}.downsample.0", f"{name}.downsample.1", stride)
        return (
            self._folded(f"{name}.conv1", f"{name}.bn1"),
            self._folded(f"{name}.conv2", f"{name}.bn2", stride, 1),
            self._folded(f"{name}.conv3", f"{name}.bn3"),
            shortcut,
        )

    def pooled(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) normalised -> (B, D) generalised mean of the last map."""
        x = functional.max_pool2d(self._stem(self.input(images)), 3, 2, 1)
        for first, second, third, shortcut in self._units:
            x = third(second(first(x)), plus=x if shortcut is None else shortcut(x, relu=False))
        x, p = x.float(), self._tensors["p"]
        if self.family == "eigenplaces":
            x = functional.normalize(x)
        return x.clamp(min=_EPSILON).pow(p).mean((2, 3)).pow(1.0 / p)

    def __call__(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) normalised -> (B, D) of length 1."""
        found = self.pooled(images)
        if self.family == "cirtorch":
            found = _unit(found)
        if self.linear:
            found = functional.linear(found, self._tensors["weight"], self._tensors["bias"])
            found = _unit(found) if self.family == "cirtorch" else found
        return found if self.family == "cirtorch" else functional.normalize(found)


def _unit(rows: Tensor) -> Tensor:
    return rows / (rows.norm(dim=1, keepdim=True) + _EPSILON)


@dataclass(frozen=True, slots=True)
class Preparation:
    """How a family feeds a photo to its network: mean and deviation of the channels; scales, pooled by a power mean."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    scales: tuple[float, ...] = (1.0,)
    power: float = 1.0


@torch.inference_mode()
def describe(network: GemNetwork, pictures: Sequence[Array], how: Preparation) -> Array:
    """Pictures (H, W, 3) uint8 of one size -> (B, D) float32 of length 1, before whitening."""
    by_scale = [network(_scaled(network, pictures, scale, how)).double().cpu().numpy() for scale in how.scales]
    if len(by_scale) == 1:
        return by_scale[0].astype(np.float32)
    vectors = np.stack(by_scale)
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


def _scaled(network: GemNetwork, pictures: Sequence[Array], scale: float, how: Preparation) -> Tensor:
    """`dir` resizes the picture, `cirtorch` the normalised tensor: to sizes that round differently."""
    if network.family == "dir" and scale != 1.0:
        height, width = pictures[0].shape[:2]
        size = int(0.5 + scale * width), int(0.5 + scale * height)
        pictures = [np.asarray(Image.fromarray(p).resize(size, Image.Resampling.BILINEAR)) for p in pictures]
    mean, deviation = (torch.tensor(v, device=network.device).view(1, -1, 1, 1) for v in (how.mean, how.deviation))
    images = (batch(pictures, network.device) / 255 - mean) / deviation
    if network.family == "cirtorch" and scale != 1.0:
        images = functional.interpolate(images, scale_factor=scale, mode="bilinear", align_corners=False)
    return images
