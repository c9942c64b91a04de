"""Local features: DELF and DELG (Noh et al., 2017; Cao et al., 2020; tensorflow/models, research/delf).

A ResNet up to its third block describes places 32 px apart, an attention network weighs them, at seven scales. There
are two programs: the TensorFlow 1 slim graph of DELF, and the Keras models of DELF and DELG, the latter with a global
descriptor too. They differ in strides, padding, epsilon and resizing. Variables are named as in the published
SavedModels; every detail that differs from PyTorch's habits is told where it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from lmr.errors import CheckpointError
from lmr.method.features.networks.layers import Convolution, Network, Norm, Weights, batch
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
_STRIDES = {"l2": 1, "l3": 2, "l4": 2, "l5": 1}
_Unit: TypeAlias = tuple[Convolution, Convolution, Convolution, Convolution | None]


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

    device: torch.device

    def prepared(self, pictures: Tensor, size: tuple[int, int]) -> Tensor:
        """(B, 3, H, W) of 0 to 255 -> the network's input at a size (height, width)."""
        ...

    def block3(self, images: Tensor) -> Tensor:
        """Input -> the map that all else is made of."""
        ...

    def local(self, block3: Tensor) -> tuple[Tensor, Tensor]:
        """-> features (B, D, h, w) and attention (B, 1, h, w), not negative."""
        ...


class _Attention:
    """1x1 to 512, 1x1 to one number, softplus."""

    def __init__(self, first: Convolution, second: Convolution) -> None:
        self._first, self._second = first, second

    def __call__(self, x: Tensor) -> Tensor:
        return functional.softplus(self._second(self._first(x), relu=False).float())


def _tried(network: LocalNetwork) -> None:
    """Run it once on nothing, so that weights of wrong shapes raise at once."""
    with torch.inference_mode():
        network.local(network.block3(torch.zeros(1, 3, 64, 64)))


class DelfNetwork(Network):
    """The slim graph of DELF with its weights. Raises CheckpointError where a variable is missing or does not fit."""

    def __init__(self, variables: Mapping[str, Array], *, exact: bool = False) -> None:
        super().__init__(exact=exact)
        self._weights = Weights(variables)
        with _fitting("DELF"):
            self._stem = self._folded(f"{_RESNET}/conv1", 2, 3)
            self._blocks = {
                block: [
                    # the stride is in the last unit of each block, not in the first of the next
                    self._unit(f"{_RESNET}/{block}/unit_{unit}/bottleneck_v1", 2 if unit == units else 1)
                    for unit in range(1, units + 1)
                ]
                for block, units in _BLOCKS.items()
            }
            second = f"{_ATTENTION}/conv2"
            weight, bias = _kernel(self._weights[f"{second}/weights"]), self._weights[f"{second}/biases"]
            last = self.convolution(weight, bias, None)
            self.attention = _Attention(self._folded(f"{_ATTENTION}/conv1"), last)
            _tried(self)

    def prepared(self, pictures: Tensor, size: tuple[int, int]) -> Tensor:
        """See LocalNetwork."""
        return (_resized_at_corners(pictures, size) - 128) / 128

    def block3(self, images: Tensor) -> Tensor:
        """See LocalNetwork."""
        return self.maps(images)["block3"]

    def local(self, block3: Tensor) -> tuple[Tensor, Tensor]:
        """See LocalNetwork."""
        return block3, self.attention(block3)

    def maps(self, images: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) between -1 and 1 -> the maps of the stages by name."""
        x = self._stem(self.input(images))
        found = {"conv1": x}
        x = functional.max_pool2d(_same(x, 3, 2, -torch.inf), 3, 2)
        for block, units in self._blocks.items():
            for first, second, third, shortcut, stride in units:
                own = x[:, :, ::stride, ::stride] if shortcut is None else shortcut(x, relu=False)
                x = third(second(first(x)), plus=own)
            found[block] = x
        return found

    def _unit(self, name: str, stride: int) -> tuple[Convolution, Convolution, Convolution, Convolution | None, int]:
        """A bottleneck: 1x1, 3x3 with the stride and padding 1 on all sides, 1x1."""
        shortcut = None
        if f"{name}/shortcut/weights" in self._weights:
            shortcut = self._folded(f"{name}/shortcut", stride)
        first, third = self._folded(f"{name}/conv1"), self._folded(f"{name}/conv3")
        return first, self._folded(f"{name}/conv2", stride, 1), third, shortcut, stride

    def _folded(self, name: str, stride: int = 1, padding: int = 0) -> Convolution:
        norm = _norm(self._weights, f"{name}/BatchNorm", _SLIM_EPSILON)
        return self.convolution(_kernel(self._weights[f"{name}/weights"]), None, norm, stride, padding)


class DelgNetwork(Network):
    """The Keras models: DELF, or DELG where there are an autoencoder and an embedding layer. Raises as DelfNetwork.

    old_attention: attention reads what the autoencoder makes of the features, as before June 2021; the weights do not
    tell.
    """

    def __init__(self, variables: Mapping[str, Array], *, old_attention: bool = False, exact: bool = False) -> None:
        super().__init__(exact=exact)
        self._weights = Weights(variables)
        with _fitting("DELG"):
            self._stem = self._folded(f"{_BACKBONE}/conv1", f"{_BACKBONE}/bn_conv1", 2)
            self._blocks = {block: self._block(block, stride) for block, stride in _STRIDES.items()}
            first = self._folded(f"{_KERAS_ATTENTION}/conv1", f"{_KERAS_ATTENTION}/bn_conv1")
            self.attention = _Attention(first, self._folded(f"{_KERAS_ATTENTION}/conv2"))
            self._reduce = self._expand = None
            if f"{_AUTOENCODER}/conv1/kernel" in self._weights:
                self._reduce = self._folded(f"{_AUTOENCODER}/conv1")
                self._expand = self._folded(f"{_AUTOENCODER}/conv2") if old_attention else None
            self.describes_whole = f"{_BACKBONE}/embedding_layer/kernel" in self._weights
            if self.describes_whole:
                layer = f"{_BACKBONE}/embedding_layer"
                self._tensors = {part: self._weights[f"{layer}/{part}"] for part in ("kernel", "bias")}
            _tried(self)

    def prepared(self, pictures: Tensor, size: tuple[int, int]) -> Tensor:
        """See LocalNetwork. This one resizes by the centres of pixels."""
        resized = functional.interpolate(pictures, size=size, mode="bilinear", align_corners=False)
        return (resized - 128) / 128

    def block3(self, images: Tensor) -> Tensor:
        """See LocalNetwork."""
        return self.maps(images)["block3"]

    def maps(self, images: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) between -1 and 1 -> the maps of the stages by name; block3 is thinned out by two."""
        x = self._stem(self.input(_same(images, 7, 2, 0.0)))
        found = {"block0": x}
        x = functional.max_pool2d(x, 3, 2)
        found["block0mp"] = x
        for number, block in enumerate(("l2", "l3", "l4"), 1):
            x = _through(self._blocks[block], x)
            found[f"block{number}"] = x
        found["block3"] = x[:, :, ::2, ::2]
        return found

    def local(self, block3: Tensor) -> tuple[Tensor, Tensor]:
        """See LocalNetwork: 1,024 numbers a place, or what the autoencoder makes of them."""
        if self._reduce is None:
            return block3, self.attention(block3)
        features = self._reduce(block3, relu=False)
        return features, self.attention(block3 if self._expand is None else self._expand(features))

    def whole(self, block3: Tensor) -> Tensor:
        """-> (B, 2048) the global descriptor, not yet of length 1: generalised mean of block4, embedded."""
        block4 = _through(self._blocks["l5"], block3).float()
        pooled = block4.clamp(min=_GEM_EPSILON).pow(_GEM_POWER).mean((2, 3)).pow(1 / _GEM_POWER)
        return pooled @ self._tensors["kernel"] + self._tensors["bias"]

    def _block(self, block: str, stride: int) -> list[_Unit]:
        letters = [letter for letter in _LETTERS if f"{_BACKBONE}/{block}{letter}/conv2a/kernel" in self._weights]
        return [self._unit(f"{_BACKBONE}/{block}{letter}", stride if letter == "a" else 1) for letter in letters]

    def _unit(self, name: str, stride: int) -> _Unit:
        """A bottleneck whose stride is in its first 1x1 convolution and in the shortcut."""
        shortcut = None
        if f"{name}/conv_shortcut/kernel" in self._weights:
            shortcut = self._folded(f"{name}/conv_shortcut", f"{name}/bn_shortcut", stride)
        return (
            self._folded(f"{name}/conv2a", f"{name}/bn2a", stride),
            self._folded(f"{name}/conv2b", f"{name}/bn2b", 1, 1),
            self._folded(f"{name}/conv2c", f"{name}/bn2c"),
            shortcut,
        )

    def _folded(self, name: str, norm: str | None = None, stride: int = 1, padding: int = 0) -> Convolution:
        kernel, bias = _kernel(self._weights[f"{name}/kernel"]), self._weights[f"{name}/bias"]
        found = None if norm is None else _norm(self._weights, norm, _KERAS_EPSILON)
        return self.convolution(kernel, bias, found, stride, padding)


def _through(units: Sequence[_Unit], x: Tensor) -> Tensor:
    for first, second, third, shortcut in units:
        x = third(second(first(x)), plus=x if shortcut is None else shortcut(x, relu=False))
    return x


def _kernel(kernel: Tensor) -> Tensor:
    """TensorFlow keeps (height, width, in, out)."""
    return kernel.permute(3, 2, 0, 1)


def _norm(weights: Weights, name: str, epsilon: float) -> Norm:
    mean, variance, gamma, beta = (
        weights[f"{name}/{part}"] for part in ("moving_mean", "moving_variance", "gamma", "beta")
    )
    return Norm(mean, variance, gamma, beta, epsilon)


@contextmanager
def _fitting(what: str) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise CheckpointError(f"these are not the weights of {what}: {str(error)[:200]}") from error


@torch.inference_mode()
def describe(
    network: LocalNetwork,
    pictures: Sequence[Array],
    scales: Sequence[float] = SCALES,
    threshold: float = 0.0,
    most: int = 1000,
    global_scales: Sequence[float] = (),
) -> tuple[list[Places], Array]:
    """Pictures (H, W, 3) uint8 of one size -> the places of each, and its global descriptor (B, 2048) of length 1.

    Places have attention at or above the threshold, and are at most so many. Global descriptors are of length 1 at
    each of their scales, then summed; a scale that both use is computed once. Without global scales (B, 0).
    """
    images = batch(pictures, network.device)
    height, width = pictures[0].shape[:2]
    columns: list[list[tuple[Array, ...]]] = [[] for _ in pictures]
    total: Tensor | None = None
    for scale in dict.fromkeys((*scales, *global_scales)):
        block3 = network.block3(network.prepared(images, (round(height * scale), round(width * scale))))
        if scale in global_scales:
            assert isinstance(network, DelgNetwork)
            own_length = functional.normalize(network.whole(block3))
            total = own_length if total is None else total + own_length
        if scale not in scales:
            continue
        features, attention = network.local(block3)
        boxes = receptive_boxes(*features.shape[2:]) / np.float32(scale)
        sizes = np.full(len(boxes), 1 / scale, np.float32)
        # a picture's best places are among the best of each scale: the others need not leave the device
        weights = attention.flatten(1)
        kept = weights.topk(min(most, weights.shape[1]), dim=1).indices
        by_place = features.float().permute(0, 2, 3, 1).flatten(1, 2)
        chosen = by_place.gather(1, kept[:, :, None].expand(-1, -1, by_place.shape[2])).cpu().numpy()
        weights_of, rows_of = weights.cpu().numpy(), kept.cpu().numpy()
        for k, column in enumerate(columns):
            order = np.argsort(rows_of[k], kind="stable")
            own = rows_of[k][order]
            column.append((boxes[own], sizes[own], weights_of[k][own], chosen[k][order]))
    whole = np.zeros((len(pictures), 0), np.float32)
    if total is not None:
        whole = unit_rows(total.cpu().numpy())
    return [_best(column, threshold, most) for column in columns if column], whole


def _best(columns: Sequence[tuple[Array, ...]], threshold: float, most: int) -> Places:
    """The places of all scales of a picture, by attention."""
    boxes, sizes, weights, rows = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    order = np.argsort(-weights, kind="stable")
    order = order[weights[order] >= threshold][:most]
    boxes = boxes[order]
    return Places((boxes[:, :2] + boxes[:, 2:]) / 2, boxes, sizes[order], weights[order], rows[order])


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
        at = torch.arange(wanted, dtype=torch.float32, device=picture.device) * (length / wanted)
        low = at.floor().long().clamp(max=length - 1)
        share = (at - low).view([-1 if k == axis else 1 for k in range(4)])
        first, second = picture.index_select(axis, low), picture.index_select(axis, (low + 1).clamp(max=length - 1))
        picture = first + (second - first) * share
    return picture
