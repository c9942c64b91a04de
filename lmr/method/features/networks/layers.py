"""What all networks are made of: convolutions with their batch normalisation folded in, in channels-last memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lmr.errors import CheckpointError
from lmr.values import Array

_POINTWISE: Any = getattr(torch.ops.mkldnn, "_convolution_pointwise", None)  # None in a PyTorch built without oneDNN


class Weights:
    """Arrays by name, as tensors. Raises CheckpointError for a name that is missing."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._arrays = arrays

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._arrays:
            raise CheckpointError(f"these are not the weights of this network: {name} is missing")
        return torch.from_numpy(np.array(self._arrays[name], np.float32))


class Norm(NamedTuple):
    """Batch normalisation with the moments that were learned, (C,) each."""

    mean: Tensor
    variance: Tensor
    gamma: Tensor
    beta: Tensor
    epsilon: float


class Convolution:
    """A convolution, its normalisation, an addition and ReLU in one step.

    weight (out, in, height, width); bias (out,). Folding the normalisation in changes results by rounding alone;
    `exact` rounds as the original programs do, step by step.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        norm: Norm | None,
        stride: int = 1,
        padding: int = 0,
        *,
        exact: bool = False,
    ) -> None:
        self._norm = norm if exact else None
        if norm is not None and not exact:
            scale = norm.gamma.double() / (norm.variance.double() + norm.epsilon).sqrt()
            weight = weight.double() * scale.view(-1, 1, 1, 1)
            bias = (0.0 if bias is None else bias.double()) - norm.mean.double()
            bias = bias * scale + norm.beta.double()
        self._weight = weight.float().contiguous(
            memory_format=torch.contiguous_format if exact else torch.channels_last
        )
        self._bias = None if bias is None else bias.float()
        self._stride, self._padding = [stride, stride], [padding, padding]
        self._exact = exact

    def to(self, device: torch.device, kind: torch.dtype) -> None:
        """Move it."""
        self._weight = self._weight.to(device, kind)
        self._bias = None if self._bias is None else self._bias.to(device, kind)
        if self._norm is not None:
            moved = {name: part.to(device, kind) for name, part in self._norm._asdict().items() if name != "epsilon"}
            self._norm = self._norm._replace(**moved)

    def __call__(self, x: Tensor, *, plus: Tensor | None = None, relu: bool = True) -> Tensor:
        """x (B, in, H, W) -> (B, out, h, w); `plus` is added before ReLU."""
        if _POINTWISE is not None and x.device.type == "cpu" and not self._exact and (plus is None or relu):
            rest = self._padding, self._stride, [1, 1], 1
            if plus is None:
                return _POINTWISE(x, self._weight, self._bias, *rest, "relu" if relu else "none", [], "")
            return _POINTWISE.binary(x, plus, self._weight, self._bias, *rest, "add", 1.0, "relu", [], "")
        y = functional.conv2d(x, self._weight, self._bias, self._stride, self._padding)
        if self._norm is not None:
            norm = self._norm
            y = functional.batch_norm(y, norm.mean, norm.variance, norm.gamma, norm.beta, eps=norm.epsilon)
        if plus is not None:
            y = y + plus
        return y.relu_() if relu else y


class Network:
    """Something with convolutions; `device` and `kind` are where and in which numbers it runs.

    exact: round as the original programs do, which is slower.
    """

    def __init__(self, *, exact: bool = False) -> None:
        self.device, self.kind = torch.device("cpu"), torch.float32
        self._exact = exact
        self._convolutions: list[Convolution] = []
        self._tensors: dict[str, Tensor] = {}

    def convolution(
        self, weight: Tensor, bias: Tensor | None, norm: Norm | None, stride: int = 1, padding: int = 0
    ) -> Convolution:
        """A convolution that moves with the network."""
        made = Convolution(weight, bias, norm, stride, padding, exact=self._exact)
        self._convolutions.append(made)
        return made

    def to(self, device: torch.device, kind: torch.dtype = torch.float32) -> None:
        """Move the network to a device; what is pooled from its maps is always computed in float32."""
        self.device, self.kind = device, kind
        for convolution in self._convolutions:
            convolution.to(device, kind)
        self._tensors = {name: tensor.to(device) for name, tensor in self._tensors.items()}

    def input(self, images: Tensor) -> Tensor:
        """Images as the network takes them."""
        order = torch.contiguous_format if self._exact else torch.channels_last
        return images.to(self.kind).contiguous(memory_format=order)


def batch(pictures: Sequence[Array], device: torch.device) -> Tensor:
    """Pictures (H, W, 3) uint8 of one size -> (B, 3, H, W) float32 of 0 to 255."""
    stacked = torch.from_numpy(np.ascontiguousarray(np.stack(pictures))).to(device)
    return stacked.permute(0, 3, 1, 2).float()
