"""Local features: DELF and DELG (Noh et al., 2017; Cao et al., 2020; tensorflow/models, research/delf).

A ResNet up to its third block describes places 32 px apart, an attention network weighs them, at seven scales. There
are two programs: the TensorFlow 1 slim graph of DELF, and the Keras models of DELF and DELG, the latter with a global
descriptor too. They differ in strides, padding, epsilon and resizing. Variables are named as in the published
SavedModels; every detail that differs from PyTorch's habits is told where it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from lmr.errors import CollectionError
from lmr.values import Array, unit_rows

SCALES = (0.25, 0.3536, 0.5, 0.7071, 1.0, 1.4142, 2.0)
GLOBAL_SCALES = (0.7071, 1.0, 1.4142)
FIELD, STRIDE, PADDING = 291, 32, 145  # of one place of the map, px of the scaled picture
_BLOCKS = {"block1": 3, "block2": 4, "block3": 6}
_SLIM_EPSILON, _KERAS_EPSILON = 1e-5, 1e-3
_RESNET, _ATTENTION = "resnet_v1_50", "attention_block/attention/compute"
_BACKBONE, _KERAS_ATTENTION, _AUTOENCODER = "_model/backbone", "_model/attention", "_model/autoencoder"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_GEM_POWER, _GEM_EPSILON = 3.0, 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Places with their features, best first: centres (N, 2) y, x px of the picture; boxes (N, 4) y1, x1, y2, x2;
    scales (N,), greater for what fills more of the picture; attention (N,); features (N, 1024) as they come."""

    centres: Array
    boxes: Array
    scales: Array
    attention: Array
    features: Array


class LocalNetwork(Protocol):
    """A network that describes places of a picture."""

    def prepared(self, picture: Tensor, size: tuple[int, int]) -> Tensor:
        """(1, 3, H, W) of 0 to 255 -> the network's input at a size (height, width)."""
        ...

    def local(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Input -> features (1, D, h, w) and attention (1, 1, h, w)."""
        ...


class _Variables:
    """TensorFlow's arrays as PyTorch's tensors; kernels are (height, width, in, out) there."""

    def __init__(self, variables: Mapping[str, Array]) -> None:
        self._tensors: dict[str, Tensor] = {}
        for name, value in variables.items():
            tensor = torch.from_numpy(np.array(value, np.float32))
            self._tensors[name] = tensor.permute(3, 2, 0, 1).contiguous() if tensor.ndim == 4 else tensor

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._tensors:
            raise CollectionError(f"these are not the variables of this network: {name} is missing")
        return self._tensors[name]

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def norm(self, name: str, x: Tensor, epsilon: float) -> Tensor:
        """Batch normalisation with the moments that were learned."""
        mean, variance, gamma, beta = (
            self[f"{name}/{part}"] for part in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        return functional.batch_norm(x, mean, variance, gamma, beta, eps=epsilon)


def _tried(network: LocalNetwork) -> None:
    """Raise CollectionError where the variables do not make the network."""
    try:
        with torch.inference_mode():
            network.local(torch.zeros(1, 3, 64, 64))
    except RuntimeError as error:
        raise CollectionError(f"these are not the variables of this network: {error}") from error


class DelfNetwork:
    """The slim graph of DELF with its weights. Raises CollectionError where a variable is missing or does not fit."""

    def __init__(self, variables: Mapping[str, Array]) -> None:
        self._weights = _Variables(variables)
        _tried(self)

    def prepared(self, picture: Tensor, size: tuple[int, int]) -> Tensor:
        """See LocalNetwork."""
        return (_resized_at_corners(picture, size) - 128) / 128

    def local(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """See LocalNetwork."""
        block3 = self.maps(image)["block3"]
        return block3, self.attention(block3)

    def maps(self, image: Tensor) -> dict[str, Tensor]:
        """(1, 3, H, W) between -1 and 1 -> the maps of the stages by name."""
        current = functional.relu(self._norm(f"{_RESNET}/conv1", self._conv(f"{_RESNET}/conv1", image, 2, 3)))
        found = {"conv1": current}
        current = functional.max_pool2d(_same(current, 3, 2, -torch.inf), 3, 2)
        for block, units in _BLOCKS.items():
            for unit in range(1, units + 1):
                # the stride is in the last unit of each block, not in the first of the next
                current = self._unit(f"{_RESNET}/{block}/unit_{unit}/bottleneck_v1", current, 2 if unit == units else 1)
            found[block] = current
        return found

    def attention(self, block3: Tensor) -> Tensor:
        """(1, 1024, h, w) -> (1, 1, h, w), not negative."""
        hidden = functional.relu(self._norm(f"{_ATTENTION}/conv1", self._conv(f"{_ATTENTION}/conv1", block3)))
        name = f"{_ATTENTION}/conv2"
        return functional.softplus(
            functional.conv2d(hidden, self._weights[f"{name}/weights"], self._weights[f"{name}/biases"])
        )

    def _unit(self, name: str, x: Tensor, stride: int) -> Tensor:
        """A bottleneck: 1x1, 3x3 with the stride and padding 1 on all sides, 1x1."""
        if f"{name}/shortcut/weights" in self._weights:
            shortcut = self._norm(f"{name}/shortcut", self._conv(f"{name}/shortcut", x, stride))
        else:
            shortcut = x[:, :, ::stride, ::stride]
        y = functional.relu(self._norm(f"{name}/conv1", self._conv(f"{name}/conv1", x)))
        y = functional.relu(self._norm(f"{name}/conv2", self._conv(f"{name}/conv2", y, stride, 1)))
        return functional.relu(shortcut + self._norm(f"{name}/conv3", self._conv(f"{name}/conv3", y)))

    def _conv(self, name: str, x: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
        return functional.conv2d(x, self._weights[f"{name}/weights"], stride=stride, padding=padding)

    def _norm(self, name: str, x: Tensor) -> Tensor:
        return self._weights.norm(f"{name}/BatchNorm", x, _SLIM_EPSILON)


class DelgNetwork:
    """The Keras models: DELF, or DELG where there are an autoencoder and an embedding layer. Raises as DelfNetwork.

    old_attention: attention reads what the autoencoder makes of the features, as before June 2021; the weights do not
    tell.
    """

    def __init__(self, variables: Mapping[str, Array], *, old_attention: bool = False) -> None:
        self._weights = _Variables(variables)
        self._units = {
            block: [letter for letter in _LETTERS if f"{_BACKBONE}/{block}{letter}/conv2a/kernel" in self._weights]
            for block in ("l2", "l3", "l4", "l5")
        }
        self._old_attention = old_attention
        _tried(self)

    def prepared(self, picture: Tensor, size: tuple[int, int]) -> Tensor:
        """See LocalNetwork. This one resizes by the centres of pixels."""
        resized = functional.interpolate(picture, size=size, mode="bilinear", align_corners=False)
        return (resized - 128) / 128

    def maps(self, image: Tensor) -> dict[str, Tensor]:
        """(1, 3, H, W) between -1 and 1 -> the maps of the stages by name; block3 is thinned out by two."""
        current = self._conv(f"{_BACKBONE}/conv1", _same(image, 7, 2, 0.0), stride=2)
        current = functional.relu(self._weights.norm(f"{_BACKBONE}/bn_conv1", current, _KERAS_EPSILON))
        found = {"block0": current}
        current = functional.max_pool2d(current, 3, 2)
        found["block0mp"] = current
        for number, (block, stride) in enumerate((("l2", 1), ("l3", 2), ("l4", 2)), 1):
            current = self._block(block, current, stride)
            found[f"block{number}"] = current
        found["block3"] = current[:, :, ::2, ::2]
        return found

    def local(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """See LocalNetwork: 1,024 numbers a place, or what the autoencoder makes of them."""
        block3 = self.maps(image)["block3"]
        if f"{_AUTOENCODER}/conv1/kernel" not in self._weights:
            return block3, self.attention(block3)
        features = self._conv(f"{_AUTOENCODER}/conv1", block3)
        if self._old_attention:
            block3 = functional.relu(self._conv(f"{_AUTOENCODER}/conv2", features))
        return features, self.attention(block3)

    def attention(self, block3: Tensor) -> Tensor:
        """(1, 1024, h, w) -> (1, 1, h, w), not negative."""
        hidden = self._conv(f"{_KERAS_ATTENTION}/conv1", block3)
        hidden = functional.relu(self._weights.norm(f"{_KERAS_ATTENTION}/bn_conv1", hidden, _KERAS_EPSILON))
        return functional.softplus(self._conv(f"{_KERAS_ATTENTION}/conv2", hidden))

    def whole(self, image: Tensor) -> Tensor:
        """Input -> (1, 2048) the global descriptor, not yet of length 1: generalised mean of block4, embedded."""
        block4 = self._block("l5", self.maps(image)["block3"], 1)
        pooled = block4.clamp(min=_GEM_EPSILON).pow(_GEM_POWER).mean((2, 3)).pow(1 / _GEM_POWER)
        kernel = self._weights[f"{_BACKBONE}/embedding_layer/kernel"]
        return pooled @ kernel + self._weights[f"{_BACKBONE}/embedding_layer/bias"]

    def _block(self, block: str, x: Tensor, stride: int) -> Tensor:
        for letter in self._units[block]:
            x = self._unit(f"{_BACKBONE}/{block}{letter}", x, stride if letter == "a" else 1)
        return x

    def _unit(self, name: str, x: Tensor, stride: int) -> Tensor:
        """A bottleneck whose stride is in its first 1x1 convolution and in the shortcut."""
        shortcut = x
        if f"{name}/conv_shortcut/kernel" in self._weights:
            shortcut = self._conv(f"{name}/conv_shortcut", x, stride=stride)
            shortcut = self._weights.norm(f"{name}/bn_shortcut", shortcut, _KERAS_EPSILON)
        for part, options in (("a", {"stride": stride}), ("b", {"padding": 1}), ("c", {})):
            x = self._weights.norm(f"{name}/bn2{part}", self._conv(f"{name}/conv2{part}", x, **options), _KERAS_EPSILON)
            x = functional.relu(x if part != "c" else x + shortcut)
        return x

    def _conv(self, name: str, x: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
        kernel, bias = self._weights[f"{name}/kernel"], self._weights[f"{name}/bias"]
        return functional.conv2d(x, kernel, bias, stride=stride, padding=padding)


@torch.inference_mode()
def places(
    network: LocalNetwork,
    pixels: Array,
    scales: tuple[float, ...] = SCALES,
    threshold: float = 0.0,
    most: int = 1000,
) -> Places:
    """pixels (H, W, 3) uint8 -> the places of attention at or above the threshold, at most so many."""
    picture = _picture(pixels)
    columns: list[tuple[Array, ...]] = []
    for scale in scales:
        features, attention = network.local(network.prepared(picture, _scaled(pixels, scale)))
        boxes = receptive_boxes(*features.shape[2:]) / np.float32(scale)
        rows = features[0].permute(1, 2, 0).reshape(-1, features.shape[1]).numpy()
        columns.append((boxes, np.full(len(boxes), 1 / scale, np.float32), attention[0, 0].numpy().ravel(), rows))
    boxes, sizes, weights, rows = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    order = np.argsort(-weights, kind="stable")
    order = order[weights[order] >= threshold][:most]
    boxes = boxes[order]
    return Places((boxes[:, :2] + boxes[:, 2:]) / 2, boxes, sizes[order], weights[order], rows[order])


@torch.inference_mode()
def global_descriptor(network: DelgNetwork, pixels: Array, scales: tuple[float, ...] = GLOBAL_SCALES) -> Array:
    """pixels (H, W, 3) uint8 -> (2048,) float32: of length 1 at each scale, summed, of length 1."""
    picture = _picture(pixels)
    rows = [network.whole(network.prepared(picture, _scaled(pixels, scale)))[0] for scale in scales]
    return unit_rows(sum(functional.normalize(row, dim=0) for row in rows).numpy())  # type: ignore[union-attr]


def _picture(pixels: Array) -> Tensor:
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float()


def _scaled(pixels: Array, scale: float) -> tuple[int, int]:
    return round(pixels.shape[0] * scale), round(pixels.shape[1] * scale)


def limited(
    pixels: Array, most: int | None = None, least: int | None = None, *, square: bool = False
) -> tuple[Array, Array]:
    """The input that the original extractors make of a photo, and the factors (2,) y, x by which it was resized.

    Its longer side is at most, or at least, so many px; square: both sides are made equal.
    """
    height, width = pixels.shape[:2]
    longer, scale = max(height, width), 1.0
    if most is not None and longer > most:
        scale = most / longer
    elif least is not None and longer < least:
        scale = least / longer
    size = round(height * scale), round(width * scale)
    if square:
        size = max(size), max(size)
    if size == (height, width):
        return pixels, np.ones(2)
    resized = Image.fromarray(np.asarray(pixels)).resize(size[::-1], Image.Resampling.BILINEAR)
    return np.asarray(resized), np.array([size[0] / height, size[1] / width])


def receptive_boxes(height: int, width: int) -> Array:
    """(height * width, 4) float32 y1, x1, y2, x2: what each place of a map sees, px of the scaled picture."""
    y, x = np.divmod(np.arange(height * width), width)
    corner = np.stack([y, x], 1) * STRIDE - PADDING
    return np.hstack([corner, corner + FIELD - 1]).astype(np.float32)


def reduced(features: Array, mean: Array, basis: Array, variances: Array | None = None) -> Array:
    """(N, D) -> (N, d) of length 1: length 1, PCA by rows of basis (d, D), whitened where variances (d,) are given."""
    projected = (unit_rows(features) - mean) @ basis.T
    if variances is not None:
        projected = projected / np.sqrt(variances)
    return unit_rows(projected).astype(np.float32)


def _same(x: Tensor, size: int, stride: int, fill: float) -> Tensor:
    """TensorFlow's SAME padding: what is odd goes to the bottom and to the right."""
    amounts = []
    for length in (x.shape[3], x.shape[2]):
        amount = max((-(-length // stride) - 1) * stride + size - length, 0)
        amounts += [amount // 2, amount - amount // 2]
    return functional.pad(x, amounts, value=fill)


def _resized_at_corners(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, corners at corners of the first pixel, no antialiasing: as TensorFlow 1 resizes by default."""
    for axis, wanted in ((2, size[0]), (3, size[1])):
        length = picture.shape[axis]
        if length == wanted:
            continue
        at = torch.arange(wanted, dtype=torch.float32) * (length / wanted)
        low = at.floor().long().clamp(max=length - 1)
        share = (at - low).view([-1 if k == axis else 1 for k in range(4)])
        first, second = picture.index_select(axis, low), picture.index_select(axis, (low + 1).clamp(max=length - 1))
        picture = first + (second - first) * share
    return picture
